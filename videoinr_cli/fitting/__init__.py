"""Fit one clip into a network, which is then the file, and render any moment of it."""
