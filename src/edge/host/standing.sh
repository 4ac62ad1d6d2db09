#!/bin/sh
# The beginning of what the shell reads that stands as long as its connection: it carries out one command after another
# without a session of its own for each. What follows are calls of these functions. When the input ends, the operator is
# gone, and what still runs is ended.
# $watchdog, set before, is the text of watchdog.sh.
# shellcheck disable=SC2317 # called by what follows
set -u
# The watchdog of the command that runs, or ran last.
watched=
# run NONCE LIMIT GRACE told COMMAND...: begins the command, which reads what this reads.
run() {
    over
    {
        if [ -r /proc/self/stat ]; then
            # Saves starting another shell.
            # shellcheck disable=SC2154 # see above
            (exec <&3 3<&- && eval "$watchdog") &
        else
            sh -c "$watchdog" bg "$@" <&3 3<&- &
        fi
        watched=$!
    } 3<&0
}
# Ends the command, if it still runs; its watchdog says when it has. The number of one that has ended may be another process's
# by now, which has another parent.
stop() {
    if [ -z "$watched" ]; then return 0; fi
    if [ -r /proc/self/stat ]; then
        read -r stat <"/proc/$watched/stat" || return 0
        # After the name in parentheses: state, parent.
        # shellcheck disable=SC2086 # split on purpose
        set -- ${stat##*) }
        if [ "$2" != "$$" ]; then return 0; fi
    fi 2>/dev/null
    kill -s TERM "$watched" 2>/dev/null
}
# Waits for its end.
over() {
    if [ -n "$watched" ]; then wait "$watched"; fi
    watched=
}
# ready NONCE: says on both streams that all before was carried out.
ready() {
    printf '\036%s begin\036' "$1"
    printf '\036%s begin\036' "$1" >&2
}
leave() {
    trap - EXIT
    stop
    over
}
trap leave EXIT
trap exit HUP INT TERM
