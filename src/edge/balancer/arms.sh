#!/bin/sh
# The way back that a balancer takes by itself. Below live/.revert/ stand, for the armed generation N:
#   N              the order, one line: journal, N+1, hash of N+1, token, boot, up, epoch. Without it nothing goes back
#   run-N-TOKEN/   what its timers stand on: script, timer (which the living one locks), how, job (of at)
#   reverted-N     that it went back, and when
# The order counts, and is changed under live/.lock only. A timer that finds no order, or one with another token, ends.

# read_order FILE: sets o_*; fails where there is no whole order.
# shellcheck disable=SC2034 # for the scripts
read_order() {
    [ -r "$1" ] || return 1
    o_epoch=
    read -r o_journal o_back o_hash o_token o_boot o_up o_epoch <"$1" || return 1
    [ -n "$o_epoch" ]
}

# left: hundredths of a second until the time is up, negative when it is. By the clock that nobody sets; after a reboot
# only the other one knows.
left() {
    boot=
    read -r boot </proc/sys/kernel/random/boot_id || :
    if [ "$boot" = "$o_boot" ] && read -r up _ </proc/uptime; then
        printf '%s' $((o_up - ${up%.*}${up#*.}))
    else
        printf '%s' $(((o_epoch - $(date +%s)) * 100))
    fi
}

# held RUN: whether a timer lives there.
held() {
    [ -e "$1/timer" ] || return 1
    flock -n -E 99 "$1/timer" true && return 1
    [ $? = 99 ]
}

# forget LIVE K: the order of K first, then what its timers stand on. They end by themselves.
forget() {
    rm -f "$1/.revert/$2"
    for gone in "$1/.revert/run-$2-"*; do
        [ -d "$gone" ] || continue
        if [ -s "$gone/job" ]; then
            atrm "$(cat "$gone/job")" >/dev/null 2>&1 || :
        fi
        rm -rf "$gone"
    done
}

# forget_below LIVE N [BUT]: all that is older, but for BUT.
forget_below() {
    [ -d "$1/.revert" ] || return 0
    for old in "$1"/.revert/*; do
        k=${old##*/}
        k=${k#reverted-}
        k=${k#run-}
        k=${k%%-*}
        case $k in '' | *[!0-9]*) continue ;; esac
        if [ "$k" -lt "$2" ] && [ "$k" != "${3-}" ]; then
            forget "$1" "$k"
            rm -f "$1/.revert/reverted-$k"
        fi
    done
    rm -f "$1"/.revert/.new-*
}
