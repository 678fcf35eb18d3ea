"""Reading and writing video: numpy, PyAV and ffmpeg, never torch."""
