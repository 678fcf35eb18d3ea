#!/usr/bin/env bash
# Upscale every video of a folder into another one:
#
#     examples/upscale_folder.sh SOURCE_DIR TARGET_DIR [options of videoinr upscale ...]
#
# A video whose result exists is skipped, so the script can be stopped and started again. A video that fails
# does not stop the others; the failures are listed at the end and the exit code is then 1.
# Sources other than MP4, MOV and Matroska become Matroska: film.avi.mkv.
# VIDEOINR names the command, if it is not on PATH: VIDEOINR=.venv/bin/videoinr
set -u
shopt -s nullglob nocaseglob nocasematch

if [ $# -lt 2 ] || [ ! -d "$1" ]; then
    echo "usage: ${0##*/} SOURCE_DIR TARGET_DIR [options of videoinr upscale ...]" >&2
    exit 2
fi
source_dir=${1%/} target_dir=${2%/}
shift 2
videoinr=${VIDEOINR:-videoinr}
command -v "$videoinr" >/dev/null || { echo "${0##*/}: cannot run $videoinr" >&2; exit 2; }
mkdir -p -- "$target_dir" || exit 1

failed=()
for video in "$source_dir"/*.{mp4,m4v,mov,mkv,webm,avi,mpg,mpeg,ts,m2ts,wmv,flv}; do
    target=$target_dir/${video##*/}
    case $video in
        *.mp4 | *.m4v | *.mov | *.mkv) ;;
        *) target=$target.mkv ;; # Matroska holds any codec, whatever the source's container was
    esac
    if [ -e "$target" ]; then
        echo "skip $video: $target exists"
        continue
    fi
    echo "upscale $video"
    # Without standard input: a program in a loop may otherwise eat the input of the shell around it.
    "$videoinr" upscale "$video" "$@" -o "$target" </dev/null
    status=$?
    if [ "$status" -eq 130 ]; then
        exit 130 # Ctrl-C means the whole folder
    elif [ "$status" -ne 0 ]; then
        failed+=("$video")
    fi
done

if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
