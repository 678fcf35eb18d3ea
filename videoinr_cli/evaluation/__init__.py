"""Measuring quality as the papers do."""
