#!/bin/sh
# The beginning of what the shell reads that stands as long as its connection: it carries out one command after another
# without a session of its own for each. What follows are calls of these functions. When the input ends, the operator is
# gone, and what still runs is ended.
# $watchdog, set before, is the text of watchdog.sh.
# shellcheck disable=SC2317 # called by what follows
set -u
# The watchdog of the command that runs, or ran until `over`.
watched=
# run NONCE LIMIT GRACE told COMMAND...: begins the command, which reads what this reads.
run() {
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
# The command that runs must end; its watchdog says when it has.
stop() { kill -s TERM "$watched"; }
# The command has ended. Its number may soon be another process's.
over() {
    wait "$watched"
    watched=
}
# ready NONCE: says on both streams that all before was carried out.
ready() {
    printf '\036%s begin\036' "$1"
    printf '\036%s begin\036' "$1" >&2
}
leave() {
    trap - EXIT
    if [ -n "$watched" ]; then
        stop
        wait "$watched"
    fi
}
trap leave EXIT
trap exit HUP INT TERM
