"""Frames into other frames: what becomes of a video, planned and carried out."""
