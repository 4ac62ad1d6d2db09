#!/bin/sh
# look.sh DIR: what stands in bg's directory on a balancer. Changes nothing, tolerates that anything is absent.
set -eu
dir=$1
live=$dir/live

# see PATH: sets $seen to present, absent or unreadable (a directory above it may be closed to us).
see() {
    if [ -r "$1" ]; then
        seen=present
    elif [ -e "$1" ] || [ -L "$1" ]; then
        seen=unreadable
    else
        case $(ls -d -- "$1" 2>&1 || :) in
            *'ermission denied'*) seen=unreadable ;;
            *) seen=absent ;;
        esac
    fi
}

# file WORD PATH: presence, sha256 and first line (base64) of a file.
file() {
    see "$2"
    if [ "$seen" = present ] && [ -f "$2" ]; then
        sum=$(sha256sum <"$2")
        printf '%s present %s %s\n' "$1" "${sum%% *}" "$(head -n 1 "$2" | head -c 4096 | base64 -w 0)"
    else
        printf '%s %s\n' "$1" "$seen"
    fi
}

printf 'user %s\n' "$(id -un 2>/dev/null || id -u)"
see "$dir"
printf 'dir %s\n' "$seen"
see "${dir%/*}/.lock"
printf 'lock %s\n' "$seen"
# Workers need to search every directory on the way: the first one that is closed to others.
set --
at=$dir
while [ -n "$at" ]; do
    set -- "$at" "$@"
    at=${at%/*}
done
# From above: what cannot be asked comes last.
stat -c %A -- "$@" 2>/dev/null | while read -r mode; do
    case $mode in
        d????????[!xt]) printf 'closed %s\n' "$(printf '%s' "$1" | base64 -w 0)" ;;
    esac
    shift
done
file http "$dir/http.conf"
file server "$dir/server.conf"
for part in live live/gen; do
    see "$dir/$part"
    printf '%s %s %s\n' "${part#live/}" "$seen" "$(stat -c '%a %U' "$dir/$part" 2>/dev/null || :)"
done
if [ -L "$live/current" ]; then
    printf 'current link %s\n' "$(readlink -n "$live/current" | base64 -w 0)"
elif [ -e "$live/current" ]; then
    printf 'current other\n'
else
    see "$live/current"
    printf 'current %s\n' "$seen"
fi
if [ -d "$live/current" ]; then
    if [ -r "$live/current" ] && [ -x "$live/current" ]; then
        printf 'tree present %s\n' "$(hash_of "$live/current/.")"
    else
        printf 'tree unreadable\n'
    fi
    see "$live/current/traffic.json"
    if [ "$seen" = present ]; then
        printf 'traffic present %s\n' "$(head -c 1000000 "$live/current/traffic.json" | base64 -w 0)"
    else
        printf 'traffic %s\n' "$seen"
    fi
fi
if [ -d "$live/gen" ]; then
    printf 'gens %s\n' "$(find "$live/gen" -mindepth 1 -maxdepth 1 -name '[0-9]*' ! -name '*[!0-9]*' -printf '%f ' 2>/dev/null || :)"
fi
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
