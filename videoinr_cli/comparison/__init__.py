"""Two videos beside each other in one page that needs no network."""
