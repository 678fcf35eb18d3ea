"""By which names a folder's videos and pictures are known, in every command that searches one.

Knows nothing of what is in a file.
"""

VIDEO_SUFFIXES = frozenset(
    {".264", ".3g2", ".3gp", ".asf", ".avi", ".f4v", ".flv", ".h264", ".m1v", ".m2ts", ".m2v", ".m4v"}
    | {".mjpeg", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv"}
    | {".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m"}
)
"""Extensions of videos, in lower case; a file that is named itself may have any."""

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Extensions of photographs and of frames with known truth, in lower case."""
