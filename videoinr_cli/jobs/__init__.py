"""One long video as segments: what is rendered stays rendered, whatever happens to the process.

Beside the output ``out.mp4`` lies, while it is made, the folder ``out.mp4.videoinr``: a manifest with the
plan and what is done of it, and the encoded pictures of every segment. At the end they are joined without
being encoded again, and the folder goes.
"""
