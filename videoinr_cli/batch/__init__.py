"""Several videos in one go: which ones, under which names, all checked before the first is rendered."""

from videoinr_cli.batch import events as events  # public, as a module
