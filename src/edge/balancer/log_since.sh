#!/bin/sh
# log_since.sh SUDO LOG BEGAN: the error log's lines since BEGAN (nginx's own form of a time), at most 20.
set -eu
sudo=$1
log=$2
began=$3
if [ "$sudo" = yes ]; then
    lines=$(sudo -n tail -n 400 "$log")
else
    lines=$(tail -n 400 "$log")
fi
printf '%s\n' "$lines" |
    awk -v began="$began" 'substr($0, 1, 19) >= began && !/\[(notice|info|debug)\]/' | tail -n 20
