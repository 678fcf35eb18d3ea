"""A moment of a video, enlarged three ways, for a person to judge before the whole of it is rendered."""
