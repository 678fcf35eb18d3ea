"""One long video as segments: what is rendered is kept, whatever happens to the process.

While ``out.mp4`` is made, the folder ``out.mp4.videoinr`` beside it holds a manifest of what is done, and the
encoded pictures of every segment. At the end they are joined without being encoded again, and the folder is
removed.
"""
