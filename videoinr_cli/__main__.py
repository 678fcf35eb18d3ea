"""``python -m videoinr_cli``: the same as ``videoinr``."""

from videoinr_cli.cli import main

if __name__ == "__main__":
    main()
