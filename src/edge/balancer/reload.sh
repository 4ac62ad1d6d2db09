#!/bin/sh
# reload.sh DIR WAIT BOUND_TENTHS RELOAD [PID]: reloads nginx, and where a worker's PID is known waits until every
# worker of before has stopped accepting: it is gone, or its title says that it is shutting down.
set -eu
dir=$1
wait=$2
bound=$3
reload=$4
pid=${5:-}

# title PID: what the process calls itself.
title() {
    tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" || :
}

# parent PID
parent() {
    # The name in parentheses may hold blanks and parentheses: what follows the last one counts.
    sed -n 's/^.*) [A-Za-z] \([0-9]*\) .*$/\1/p' "/proc/$1/stat" 2>/dev/null || :
}

# accepting PID: whether it is still a worker of $master that takes connections.
accepting() {
    case $(title "$1") in
        *'shutting down'*) return 1 ;;
        'nginx: worker process'*) [ "$(parent "$1")" = "$master" ] ;;
        *) return 1 ;;
    esac
}

lock "${dir%/*}/.lock" "$wait"
# Inside a container the number means another process here: only a title of nginx's own is believed.
master=
if [ -n "$pid" ]; then
    case $(title "$pid") in
        'nginx: worker process'*) master=$(parent "$pid") ;;
    esac
fi
old=
if [ -n "$master" ]; then
    for stat in /proc/[0-9]*; do
        if accepting "${stat#/proc/}"; then
            old="$old ${stat#/proc/}"
        fi
    done
fi
printf 'began %s\n' "$(date '+%Y/%m/%d %H:%M:%S')"
code=0
tried "$reload" || code=$?
[ "$code" != 77 ] || no_right "$reload"
[ "$code" = 0 ] || refused reload "$reload"
if [ -z "$master" ]; then
    printf 'workers unknown\ndone\n'
    exit 0
fi
while :; do
    left=
    for one in $old; do
        if accepting "$one"; then
            left="$left $one"
        fi
    done
    [ -n "$left" ] || break
    if [ "$bound" -le 0 ]; then
        printf 'left%s\ndone\n' "$left"
        exit 0
    fi
    bound=$((bound - 1))
    sleep 0.1
done
printf 'workers changed\n'
printf 'done\n'
