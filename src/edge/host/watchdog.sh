#!/bin/sh
# Runs one command and never lets it outlive its bound or the connection.
# Arguments: NONCE LIMIT GRACE MODE COMMAND...   LIMIT and GRACE in seconds.
# MODE lifeline: stdin carries nothing; when it closes, the operator is gone and the command is ended.
# MODE data: stdin is the command's, so its end means nothing; the operator is gone when a heartbeat cannot be written.
# MODE told: likewise, and the standing shell in which this runs tells by a TERM that the operator is gone or wants an end.
# Speaks to the operator in marks between two RS characters: `NONCE begin`, `NONCE tick`, and last `NONCE WHY STATUS`
# with WHY one of exit, timeout, gone; STATUS is `stuck` when the command could not be ended (it is another user's). The last
# one is said on standard error; when told also on standard output, whose end never comes.
set -u
nonce=$1 limit=$2 grace=$3 mode=$4
shift 4
mark() { printf '\036%s %s\036' "$nonce" "$1"; }
last_mark() {
    if [ "$mode" = told ]; then mark "$1"; fi
    mark "$1" >&4
}
# Until what is to be ended runs.
early=
trap 'early=yes' HUP INT TERM
# A subshell of the standing shell has its `$$`.
self=$$
if [ "$mode" = told ] && [ -r /proc/self/stat ]; then read -r self _ </proc/self/stat; fi
# What a login shell's start-up file printed comes before these marks, and is dropped by the operator.
mark begin
mark begin >&2
if ! command -v setsid >/dev/null 2>&1; then
    echo 'this host has no setsid (package util-linux)' >&2
    exec 4>&2
    last_mark 'exit 127'
    exit 127
fi
# 3 is the operator's end of stdin, 4 of stderr. The shell's own remarks about ended jobs go nowhere.
exec 3<&0 4>&2 </dev/null 2>/dev/null
# setsid makes the command the leader of a group of its own, with the same process id.
if [ "$mode" = lifeline ]; then setsid "$@" 2>&4 3<&- 4>&- & else setsid "$@" <&3 2>&4 3<&- 4>&- & fi
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
# Whether a process is no more, or a zombie: a standing shell looks after its watchdogs late.
is_dead() {
    kill -s 0 "$1" || return 0
    if read -r line <"/proc/$1/stat"; then
        case ${line##*) } in Z*) return 0 ;; esac
    fi
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
    last_mark "$1 $status"
    exit 0
}
trap 'end timeout' USR1
trap 'end gone' USR2 HUP INT TERM
if [ -n "$early" ]; then end gone; fi
# Both tell until they are heard: a signal may fall between two waits. The bound is kept apart from the heartbeat, whose
# write may block.
tell() { while kill -s "$1" "$self"; do sleep 1; done; exit 0; }
(
    exec 3<&-
    # The other streams end with the session; a standing shell's do not, and somebody must say the last word.
    if [ "$mode" != told ]; then exec 4>&- >/dev/null; fi
    left=$limit
    while [ "$left" -gt 0 ]; do
        sleep 1 4>&- >/dev/null
        left=$((left - 1))
        # Somebody killed the watchdog itself.
        if is_dead "$self"; then
            kill -s KILL -- "-$group"
            if [ "$mode" = told ]; then last_mark 'gone 137'; fi
            exit 0
        fi
        # Or the standing shell, which can tell nothing any more.
        if is_dead "$$"; then tell USR2; fi
    done
    exec 4>&- >/dev/null
    tell USR1
) &
watch=$!
if [ "$mode" = data ]; then
    (
        # On standard output: when only this command's channel goes, ssh keeps reading standard error.
        trap '' PIPE
        exec 3<&- 4>&-
        while sleep 1 >/dev/null && kill -s 0 "$self"; do mark tick || break; done
        exec >/dev/null
        tell USR2
    ) &
    watch="$watch $!"
elif [ "$mode" = lifeline ]; then
    (
        exec 4>&- >/dev/null
        read -r _ <&3
        exec 3<&-
        tell USR2
    ) &
    watch="$watch $!"
fi
exec 3<&-
wait "$group"
status=$?
trap '' USR1 USR2 HUP INT TERM
unwatch
last_mark "exit $status"
