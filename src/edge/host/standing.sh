#!/bin/sh
# The beginning of what the shell reads that stands as long as its connection: it carries out one command after another
# without a session of its own for each. What follows are calls of these functions. When the input ends, the operator is
# gone, and what still runs is ended.
# $watchdog, set before, is the text of watchdog.sh.
# shellcheck disable=SC2317 # called by what follows
set -u
# The watchdog of the command that runs, or ran last.
watched=
# The command whose watchdog was missed once: the next time nobody is there who would say so.
missed=
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
# Whether the watchdog runs. The number of one that has ended may be another process's by now, which has another parent.
is_watched() {
    if [ -z "$watched" ]; then return 1; fi
    if [ ! -r /proc/self/stat ]; then
        kill -s 0 "$watched" 2>/dev/null
        return
    fi
    { read -r stat <"/proc/$watched/stat"; } 2>/dev/null || return 1
    # After the name in parentheses: state, parent.
    # shellcheck disable=SC2086 # split on purpose
    set -- ${stat##*) }
    [ "$1" != Z ] && [ "$2" = "$$" ]
}
# Ends the command, if it still runs; its watchdog says when it has.
stop() {
    if is_watched; then kill -s TERM "$watched" 2>/dev/null; fi
}
# lost NONCE: says the last word of a watchdog that cannot, because it was killed before it had begun to look after itself. What
# it watched may run on. Said when it is missed twice: a timer that lives needs a second to end all and say so.
lost() {
    if is_watched; then return; fi
    # Where processes are hidden from each other, one that takes signals is alive.
    if [ -n "$watched" ] && [ ! -r "/proc/$watched/stat" ] && kill -s 0 "$watched" 2>/dev/null; then return; fi
    if [ "$missed" != "$1" ]; then
        missed=$1
        return
    fi
    both "$1 gone stuck"
}
# Waits for its end.
over() {
    if [ -n "$watched" ]; then wait "$watched"; fi
    watched=
}
# ready NONCE: says on both streams that all before was carried out.
ready() { both "$1 begin"; }
# both MARK: says a mark on both streams.
both() {
    printf '\036%s\036' "$1"
    printf '\036%s\036' "$1" >&2
}
leave() {
    trap - EXIT
    stop
    over
}
trap leave EXIT
trap exit HUP INT TERM
