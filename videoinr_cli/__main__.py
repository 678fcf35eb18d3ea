"""``python -m videoinr_cli`` is ``videoinr``."""

from videoinr_cli.cli import main

main()
