#!/usr/bin/env bash
# Upscale what is new in a folder, and in the folders within it, as a job of cron does:
#
#     examples/upscale_folder.sh SOURCE_DIR TARGET_DIR [options of videoinr upscale ...]
#
# Prints the paths of the videos that are complete now, one a line, for the next program; failures and their
# reasons go to standard error. The exit code is that of videoinr: 0 done, 1 some failed, 2 wrong usage, 130
# interrupted. VIDEOINR names the command, if it is not on PATH: VIDEOINR=.venv/bin/videoinr
set -uo pipefail

if [ $# -lt 2 ] || [ ! -d "$1" ]; then
    echo "usage: ${0##*/} SOURCE_DIR TARGET_DIR [options of videoinr upscale ...]" >&2
    exit 2
fi

"${VIDEOINR:-videoinr}" upscale "$1" -o "${2%/}/" "${@:3}" --recursive --skip-existing --json |
    python3 -c '
import json, sys

for event in map(json.loads, sys.stdin):
    if event["event"] == "done":
        print(event["destination"], flush=True)
'
