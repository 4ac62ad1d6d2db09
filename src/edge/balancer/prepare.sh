#!/bin/sh
# shellcheck disable=SC2154 # current: `own` sets it; hash: hash_of
# prepare.sh DIR JOURNAL KEEP WAIT (N HASH)…: the trees on stdin (a tar of N/…) to live/gen/N, durable, not yet current.
set -eu
dir=$1
journal=$2
keep=$3
wait=$4
shift 4
live=$dir/live
gen=$live/gen
[ -d "$gen" ] || refused no_dirs "$gen"
[ -w "$gen" ] || no_right write "$gen"

# Unpacked before the lock is taken: a slow line must not hold others up.
read -r up _ </proc/uptime
tmp=$gen/.tmp-$$-$up
for_now "$tmp"
# Its lock says that it is somebody's; another run may have taken it for nobody's until here.
exec 8<"$tmp"
flock 8
if [ ! -d "$tmp" ]; then
    printf 'the directory %s was removed\n' "$tmp" >&2
    exit 1
fi
tar -x -f - --no-same-owner --no-same-permissions -C "$tmp"
# arrived (N HASH)…: whether all are whole.
arrived() {
    while [ $# -gt 0 ]; do
        hash_of "$tmp/$1"
        journal_of "$tmp/$1"
        if [ "$hash" != "$2" ] || [ "$owner" != "$journal" ]; then
            complaint="the tree $1 arrived with the hash $hash, expected $2"
            return 1
        fi
        shift 2
    done
}
if ! arrived "$@"; then
    # A directory may hand down modes of its own, by a default ACL; those that cannot be entered first.
    chmod -R u+rwX "$tmp"
    find "$tmp" -type d -exec chmod 755 {} +
    find "$tmp" -type f -exec chmod 644 {} +
    if ! arrived "$@"; then
        printf '%s\n' "$complaint" >&2
        exit 1
    fi
fi
pairs=$*
# Bottom-up, so that no directory is durable before what it names.
find "$tmp" -depth ! -type l -exec sync {} +

own "$live" "$journal" "$wait"

# Every refusal comes before the first change.
# shellcheck disable=SC2086 # numbers and hashes: words without blanks
set -- $pairs
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

# away DIR: gone under its name at once, never seen half removed.
away() {
    mv -T "$1" "$tmp/old-${1##*/}"
    chmod -R u+rwX "$tmp/old-${1##*/}" 2>/dev/null || :
}

# shellcheck disable=SC2086
set -- $pairs
while [ $# -gt 0 ]; do
    n=$1
    how=made
    if [ -e "$gen/$n" ]; then
        how=kept
        hash_of "$gen/$n"
        if [ "$n" != "$current" ] &&
            { [ "$hash" != "$2" ] || ! cmp -s "$gen/$n/traffic.json" "$tmp/$n/traffic.json"; }; then
            how=replaced
            away "$gen/$n"
        fi
    fi
    [ "$how" = kept ] || mv -T "$tmp/$n" "$gen/$n"
    printf 'generation %s %s\n' "$n" "$how"
    shift 2
done
sync "$gen"

# Older generations: the newest KEEP others stay, a slow request may still hold their path. Pruning may fail: it is
# done again next time.
prune() {
    left=$keep
    for n in $(printf '%s\n' "$@" | sort -rn); do
        case " $pairs " in *" $n "*) continue ;; esac
        [ "$n" != "$current" ] || continue
        # The way back of an armed generation.
        [ ! -e "$live/.revert/$((n - 1))" ] || continue
        if [ "$left" -gt 0 ]; then
            left=$((left - 1))
            continue
        fi
        journal_of "$gen/$n"
        if [ "$owner" = "$journal" ]; then away "$gen/$n" || :; fi
    done
}
set --
for made in "$gen"/[0-9]*; do
    made=${made##*/}
    case $made in *[!0-9]*) ;; *) set -- "$@" "$made" ;; esac
done
[ $# -le "$keep" ] || prune "$@"
# What killed runs left behind: nobody has its lock.
for dead in "$gen"/.tmp-*; do
    [ "$dead" = "$tmp" ] || [ ! -d "$dead" ] || flock -n "$dead" rm -rf "$dead" || :
done
printf 'current %s\n' "$current"
printf 'done\n'
