"""Two videos side by side, in one HTML page that works offline."""
