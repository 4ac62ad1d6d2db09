#!/bin/sh
# shellcheck disable=SC2154 # current: `own` sets it
# commit.sh DIR N JOURNAL HASH WAIT ARMED: live/current -> gen/N by rename, only to a higher number of the same journal.
# ARMED yes: and only while N would go back by itself.
set -eu
dir=$1
n=$2
journal=$3
hash=$4
wait=$5
armed=$6
live=$dir/live
[ -d "$live/gen" ] || refused no_dirs "$live/gen"
[ -w "$live" ] || no_right write "$live"

own "$live" "$journal" "$wait"
if [ "$current" != none ] && [ "$current" -gt "$n" ]; then
    refused fenced "$current"
fi
[ -d "$live/gen/$n" ] || refused missing "$n"
same_owner "$live" "$n" "$journal"
as_prepared "$live/gen" "$n" "$hash"
if [ "$current" != "$n" ]; then
    [ "$armed" = no ] || [ -e "$live/.revert/$n" ] || refused unarmed "$n"
    # What a run that was killed left; its number may be ours.
    for old in "$live"/.new-*; do
        if [ -L "$old" ]; then rm -f "$old"; fi
    done
    ln -s "gen/$n" "$live/.new-$$"
    # Rename and nothing else: unlink and link again would leave an instant without a tree.
    mv -T "$live/.new-$$" "$live/current"
fi
# Also when it was current already: a run that was killed may not have come this far.
sync "$live"
# It is overtaken: nothing older goes back by itself any more. What is left of it harms nothing.
forget_below "$live" "$n" || :
printf 'was %s\n' "$current"
printf 'done\n'
