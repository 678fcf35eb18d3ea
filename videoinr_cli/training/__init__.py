"""Fitting a network to footage: data, degradations, the loop."""
