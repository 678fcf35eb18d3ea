"""Several videos in one go: which ones, under which names, all checked before the first is rendered."""
