#!/bin/sh
# look.sh DIR: what stands in bg's directory on a balancer. Changes nothing, tolerates that anything is absent.
set -eu
dir=$1
live=$dir/live

# One process for what is asked of many files, and none where the shell itself can tell: every command looks.

# see PATH: sets $seen to present, absent or unreadable (a directory above it may be closed to us).
see() {
    seen=absent
    if [ -r "$1" ]; then
        seen=present
    elif [ -e "$1" ] || [ -L "$1" ]; then
        seen=unreadable
    else
        # The deepest directory that shows itself: what is in it can be told by whoever may search it.
        above=${1%/*}
        while [ -n "$above" ] && [ ! -e "$above" ]; do above=${above%/*}; done
        [ ! -d "${above:-/}" ] || [ -x "${above:-/}" ] || seen=unreadable
    fi
}

# file WORD PATH: presence and first line of a file.
file() {
    see "$2"
    first=
    if [ "$seen" = present ]; then
        seen=unreadable
        if [ -f "$2" ]; then
            seen=present
            IFS= read -r first <"$2" || :
        fi
    fi
    printf '%s %s %.4096s\n' "$1" "$seen" "$first"
}

# Who we are is of interest where it is another's.
# shellcheck disable=SC3067 # both dash and busybox have -O
[ -O "$live" ] || printf 'user %s\n' "$(id -un 2>/dev/null || id -u)"
for part in dir:$dir lock:${dir%/*}/.lock live:$live gen:$live/gen; do
    see "${part#*:}"
    printf '%s %s\n' "${part%%:*}" "$seen"
done
# Workers need to search every directory on the way. From above: what cannot be asked comes last.
set -- "$live" "$live/gen" "$live/current/."
at=$dir
while [ -n "$at" ]; do
    set -- "$at" "$@"
    at=${at%/*}
done
stat -c 'mode %A %a %U %n' -- "$@" 2>/dev/null || :
file http "$dir/http.conf"
file server "$dir/server.conf"
sha256sum --tag -- "$dir/http.conf" "$dir/server.conf" 2>/dev/null || :
if [ -L "$live/current" ]; then
    printf 'current link %s\n' "$(readlink -n "$live/current")"
elif [ -e "$live/current" ]; then
    printf 'current other\n'
else
    see "$live/current"
    printf 'current %s\n' "$seen"
fi
if [ -d "$live/current" ]; then
    if [ -r "$live/current" ] && [ -x "$live/current" ]; then
        hash_of "$live/current"
        # shellcheck disable=SC2154 # hash_of sets it
        printf 'tree present %s\n' "$hash"
    else
        printf 'tree unreadable\n'
    fi
    see "$live/current/traffic.json"
    printf 'traffic %s\n' "$seen"
    if [ "$seen" = present ]; then
        sed -e 's/^/json /' -e 20000q "$live/current/traffic.json" 2>/dev/null || :
        # Its last line may have no end.
        printf '\n'
    fi
fi
for generation in "$live/gen"/[0-9]*; do
    generation=${generation##*/}
    case $generation in *[!0-9]*) ;; *) printf 'gens %s\n' "$generation" ;; esac
done
# What would go back by itself: generation, seconds left, and what keeps the time: timer, at, none. Then what went back.
if [ -d "$live/.revert" ]; then
    for order in "$live"/.revert/*; do
        name=${order##*/}
        case $name in
            reverted-*)
                if read -r at <"$order"; then printf 'reverted %s %s\n' "${name#reverted-}" "$(($(date +%s) - at))"; fi
                ;;
            *[!0-9]*) ;;
            *)
                read_order "$order" || continue
                # shellcheck disable=SC2154 # read_order sets it
                run=$live/.revert/run-$name-$o_token
                keeper=none
                if held "$run"; then
                    keeper=timer
                elif [ -s "$run/job" ] && atq 2>/dev/null | cut -f 1 | grep -qxF "$(cat "$run/job")" &&
                    grep -qsx atd /proc/[0-9]*/comm; then
                    keeper='at'
                fi
                printf 'armed %s %s %s\n' "$name" "$(($(left) / 100))" "$keeper"
                ;;
        esac
    done
fi
printf 'end\n'
