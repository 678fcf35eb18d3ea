"""The embedded network, `videoinr-fast`."""
