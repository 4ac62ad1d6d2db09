#!/bin/sh
# shellcheck disable=SC2154 # current: `own` sets it; hash: hash_of
# prepare.sh DIR JOURNAL KEEP WAIT ALL (N HASH)…: the trees on stdin to live/gen/N, durable, not yet current. On stdin stands a
# tar of N/…, gzipped, in base64: text goes through the standing shell. ALL is the hash of all of them, HASH of each.
set -eu
dir=$1
journal=$2
keep=$3
wait=$4
all=$5
shift 5
pairs=$*
live=$dir/live
gen=$live/gen
[ -d "$gen" ] || refused no_dirs "$gen"
[ -w "$gen" ] || no_right write "$gen"

# All of it before the lock is taken: a slow line must not hold others up.
packed=$(cat)
own "$live" "$journal" "$wait"

# Every refusal comes before the first change.
while [ $# -gt 0 ]; do
    n=$1
    if [ "$current" != none ] && [ "$n" -lt "$current" ]; then
        refused fenced "$current"
    fi
    if [ -e "$gen/$n" ] || [ -L "$gen/$n" ]; then
        same_owner "$live" "$n" "$journal"
        if [ "$n" = "$current" ]; then
            hash_of "$gen/$n"
            [ "$hash" = "$2" ] || refused current_differs "$n"
        fi
    fi
    shift 2
done

# Nobody has the lock any more who began these.
for dead in "$gen"/.tmp-*; do
    [ ! -d "$dead" ] || discard "$dead" || :
done
tmp=$gen/.tmp-$$
for_now "$tmp"
# -P: what it unpacks is bg's own, and a link that leads upwards is otherwise made in three steps.
printf '%s\n' "$packed" | base64 -d | gzip -dc | tar -x -P -f - --no-same-owner --no-same-permissions -C "$tmp"

# together: whether all are as they were sent. One look at all of them, for each process takes its time.
together() {
    found=$({ find "$tmp" -mindepth 1 -printf '%y %m %P %l\n' || echo broken; } | sort | sha256sum)
    [ "${found%% *}" = "$all" ]
}
# each (N HASH)…: ends this where one of them is not whole.
each() {
    while [ $# -gt 0 ]; do
        hash_of "$tmp/$1"
        if [ "$hash" != "$2" ]; then
            printf 'the tree %s arrived with the hash %s, expected %s\n' "$1" "$hash" "$2" >&2
            exit 1
        fi
        if [ ! -s "$tmp/$1/traffic.json" ]; then
            printf 'the tree %s arrived without its traffic.json\n' "$1" >&2
            exit 1
        fi
        shift 2
    done
}
if ! together; then
    # A directory may hand down modes of its own, by a default ACL; those that cannot be entered first.
    chmod -R u+rwX "$tmp"
    find "$tmp" -type d -exec chmod 755 {} +
    find "$tmp" -type f -exec chmod 644 {} +
    # shellcheck disable=SC2086 # numbers and hashes: words without blanks
    each $pairs
fi

# Bottom-up, so that no directory is durable before what it names.
find "$tmp" -mindepth 1 -depth ! -type l -exec sync {} +

# From here on all that is named is in here; numbers are words without blanks.
cd "$gen"
# shellcheck disable=SC2086
set -- $pairs
numbers='' made=''
while [ $# -gt 0 ]; do
    n=$1
    how=made
    if [ -e "$n" ]; then
        how=kept
        hash_of "$n"
        if [ "$n" != "$current" ] && { [ "$hash" != "$2" ] || ! cmp -s "$n/traffic.json" "$tmp/$n/traffic.json"; }; then
            how=replaced
            # Gone under its name at once, never seen half removed.
            mv -T "$n" "$tmp/old-$n"
        fi
    fi
    [ "$how" = kept ] || made="$made ${tmp##*/}/$n"
    numbers="$numbers $n"
    printf 'generation %s %s\n' "$n" "$how"
    shift 2
done
# shellcheck disable=SC2086
[ -z "$made" ] || mv -t . $made
sync .

# Older generations: the newest KEEP others stay, a slow request may still hold their path. Pruning may fail: it is
# done again next time.
set --
for n in [0-9]*; do
    case $n in *[!0-9]*) continue ;; esac
    case "$numbers $current " in *" $n "*) continue ;; esac
    # The way back of an armed generation.
    [ ! -e "$live/.revert/$((n - 1))" ] || continue
    set -- "$@" "$n"
done
old=
while [ $# -gt "$keep" ]; do
    oldest=$1
    for n in "$@"; do [ "$n" -ge "$oldest" ] || oldest=$n; done
    for n in "$@"; do
        shift
        [ "$n" = "$oldest" ] || set -- "$@" "$n"
    done
    journal_of "$oldest"
    [ "$owner" != "$journal" ] || old="$old $oldest"
done
# shellcheck disable=SC2086
[ -z "$old" ] || mv -t "$tmp" $old || :
printf 'current %s\n' "$current"
printf 'done\n'
