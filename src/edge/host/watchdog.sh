#!/bin/sh
# Runs one command and never lets it outlive its bound or the connection.
# Arguments: NONCE LIMIT GRACE MODE COMMAND...   LIMIT and GRACE in seconds.
# MODE lifeline: stdin carries nothing; when it closes, the operator is gone and the command is ended.
# MODE data: stdin is the command's, so its end means nothing; the operator is gone when a heartbeat cannot be written.
# Speaks to the operator in marks between two RS characters: `NONCE begin`, `NONCE tick`, and last `NONCE WHY STATUS`
# with WHY one of exit, timeout, gone; STATUS is `stuck` when the command could not be ended (it is another user's).
set -u
nonce=$1 limit=$2 grace=$3 mode=$4
shift 4
mark() { printf '\036%s %s\036' "$nonce" "$1"; }
# What a login shell's start-up file printed comes before these marks, and is dropped by the operator.
mark begin
mark begin >&2
if ! command -v setsid >/dev/null 2>&1; then
    echo 'this host has no setsid (package util-linux)' >&2
    mark 'exit 127' >&2
    exit 127
fi
# 3 is the operator's end of stdin, 4 of stderr. The shell's own remarks about ended jobs go nowhere.
exec 3<&0 4>&2 </dev/null 2>/dev/null
# setsid makes the command the leader of a group of its own, with the same process id.
if [ "$mode" = data ]; then setsid "$@" <&3 2>&4 3<&- 4>&- & else setsid "$@" 2>&4 3<&- 4>&- & fi
group=$!
watch=
# Only KILL is sure: a shell that was just forked may lose another signal, and a timer that stays would one day signal a
# stranger. Their sleeps are over within a second.
# shellcheck disable=SC2086 # $watch is a list of process ids
unwatch() { kill -s KILL $watch; }
# Whether a member of the group still runs, another user's too, zombies not.
alive() {
    if [ ! -r /proc/self/stat ]; then kill -s 0 -- "-$group"; return; fi
    for stat in /proc/[0-9]*/stat; do
        read -r line <"$stat" || continue
        # After the name in parentheses: state, parent, group.
        # shellcheck disable=SC2086 # split on purpose
        set -- ${line##*) }
        if [ "${3-}" = "$group" ] && [ "$1" != Z ]; then return 0; fi
    done
    return 1
}
wait_gone() {
    left=$1
    while [ "$left" -gt 0 ] && alive; do sleep 0.1 3<&- 4>&-; left=$((left - 1)); done
}
# The whole group: asked, given the grace, then forced.
end() {
    trap '' USR1 USR2 HUP INT TERM
    unwatch
    kill -s TERM -- "-$group" || kill -s TERM "$group"
    wait_gone $((grace * 10))
    kill -s KILL -- "-$group"
    wait_gone 10
    status=137
    if alive; then status=stuck; fi
    mark "$1 $status" >&4
    exit 0
}
trap 'end timeout' USR1
trap 'end gone' USR2 HUP INT TERM
# Both tell until they are heard: a signal may fall between two waits. The bound is kept apart from the heartbeat, whose
# write may block.
tell() { while kill -s "$1" "$$"; do sleep 1; done; exit 0; }
(
    exec 3<&- 4>&- >/dev/null
    left=$limit
    while [ "$left" -gt 0 ]; do
        sleep 1
        left=$((left - 1))
        # Somebody killed the watchdog itself.
        kill -s 0 "$$" || { kill -s KILL -- "-$group"; exit 0; }
    done
    tell USR1
) &
watch=$!
if [ "$mode" = data ]; then
    (
        # On standard output: when only this command's channel goes, ssh keeps reading standard error.
        trap '' PIPE
        exec 3<&- 4>&-
        while sleep 1 >/dev/null && kill -s 0 "$$"; do mark tick || break; done
        exec >/dev/null
        tell USR2
    ) &
else
    (
        exec 4>&- >/dev/null
        read -r _ <&3
        exec 3<&-
        tell USR2
    ) &
fi
watch="$watch $!"
exec 3<&-
wait "$group"
status=$?
trap '' USR1 USR2 HUP INT TERM
unwatch
mark "exit $status" >&4
