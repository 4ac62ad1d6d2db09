#!/bin/sh
# shellcheck disable=SC2154 # current: `own` sets it
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
tmp=$gen/.tmp-$$-$(date +%s)
for_now "$tmp"
# Its lock says that it is somebody's; another run may have taken it for nobody's until here.
exec 8<"$tmp"
flock 8
if [ ! -d "$tmp" ]; then
    printf 'the directory %s was removed\n' "$tmp" >&2
    exit 1
fi
tar -x -f - --no-same-owner --no-same-permissions -C "$tmp"
# Whatever modes arrived and whatever the umask is; directories that cannot be entered first.
chmod -R u+rwX "$tmp"
find "$tmp" -type d -exec chmod 755 {} +
find "$tmp" -type f -exec chmod 644 {} +
pairs=$*
while [ $# -gt 0 ]; do
    found=$(hash_of "$tmp/$1")
    if [ "$found" != "$2" ] || [ "$(journal_of "$tmp/$1")" != "$journal" ]; then
        printf 'the tree %s arrived with the hash %s, expected %s\n' "$1" "$found" "$2" >&2
        exit 1
    fi
    shift 2
done
# Bottom-up, so that no directory is durable before what it names.
find "$tmp" -depth ! -type l -print0 | xargs -0 sync

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
        if [ "$n" = "$current" ] && [ "$(hash_of "$gen/$n")" != "$2" ]; then
            refused current_differs "$n"
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
        if [ "$n" != "$current" ] &&
            { [ "$(hash_of "$gen/$n")" != "$2" ] || ! cmp -s "$gen/$n/traffic.json" "$tmp/$n/traffic.json"; }; then
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
left=$keep
for n in $(find "$gen" -mindepth 1 -maxdepth 1 -name '[0-9]*' ! -name '*[!0-9]*' -printf '%f\n' | sort -rn); do
    case " $pairs " in *" $n "*) continue ;; esac
    [ "$n" != "$current" ] || continue
    # The way back of an armed generation.
    [ ! -e "$live/.revert/$((n - 1))" ] || continue
    if [ "$left" -gt 0 ]; then
        left=$((left - 1))
    elif [ "$(journal_of "$gen/$n")" = "$journal" ]; then
        away "$gen/$n" || :
    fi
done
# What killed runs left behind: nobody has its lock.
for dead in "$gen"/.tmp-*; do
    [ "$dead" = "$tmp" ] || [ ! -d "$dead" ] || flock -n "$dead" rm -rf "$dead" || :
done
printf 'current %s\n' "$current"
printf 'done\n'
