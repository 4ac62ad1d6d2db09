#!/bin/sh
# shellcheck disable=SC2154 # current: `own` sets it
# disarm.sh DIR N JOURNAL WAIT: gen/N stays. Says `state` disarmed, already, reverted SECONDS-AGO, or superseded CURRENT.
set -eu
dir=$1
n=$2
journal=$3
wait=$4
live=$dir/live
store=$live/.revert
[ -d "$live/gen" ] || refused no_dirs "$live/gen"
[ -w "$live" ] || no_right write "$live"

own "$live" "$journal" "$wait"
state=already
if [ -e "$store/$n" ]; then state=disarmed; fi
case $current in
    "$n") ;;
    "$((n + 1))")
        state=reverted
        if read -r at <"$store/reverted-$n"; then state="reverted $(($(date +%s) - at))"; fi 2>/dev/null
        ;;
    *) state="superseded $current" ;;
esac
if [ -d "$store" ]; then
    forget "$live" "$n"
    sync "$store"
fi
printf 'state %s\n' "$state"
printf 'done\n'
