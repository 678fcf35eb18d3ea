"""The version of this package: here, where everything can import it."""

__version__ = "0.1.0"
