"""Frames into files: the output's format, its streams, and the ffmpeg that writes them."""
