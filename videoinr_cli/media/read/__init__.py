"""Files into frames: what a source holds, and its pictures in turn."""
