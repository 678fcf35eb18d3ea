"""The large network, `videoinr-large`: a published encoder behind this project's own field."""
