"""VideoINR: any video at any resolution and any frame rate, with one space-time model."""

__version__ = "0.1.0"
