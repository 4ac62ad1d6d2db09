#!/bin/sh
# settle_conf.sh DIR SUDO WAIT: the new files stand on every balancer; what was kept to put back is removed.
set -eu
dir=$1
# shellcheck disable=SC2034 # read by rooted
sudo=$2
lock "${dir%/*}/.lock" "$3"
forget
[ ! -e "$dir/.staged" ] || rooted rm -rf "$dir/.staged"
printf 'done\n'
