#!/bin/sh
# restore_conf.sh DIR SUDO REVISION WAIT: the files that stood before REVISION was written, where they are kept.
set -eu
dir=$1
# shellcheck disable=SC2034 # read by rooted
sudo=$2
lock "${dir%/*}/.lock" "$4"
if saved "$3"; then
    put_back
    printf 'restored %s\n' "$(head -n 1 "$dir/http.conf" 2>/dev/null || :)"
else
    printf 'nothing\n'
fi
printf 'done\n'
