#!/bin/sh
# shellcheck disable=SC2154 # o_*: read_order sets them
# revert.sh DIR N TOKEN: the timer of an armed way back, on the balancer's own disk, when bg is gone. Waits until the time
# is up, then takes current from gen/N to gen/N+1, as long as the order stands. Run twice or late, it does nothing.
dir=$1
n=$2
token=$3
live=$dir/live
store=$live/.revert
run=$store/run-$n-$token
# How often a timer looks whether it is still wanted, in hundredths of a second; between two tries to go back, in seconds.
look_again=200
try_again=5
lock_wait=10

# ours: whether the order stands and is this timer's.
ours() { read_order "$store/$n" && [ "$o_token" = "$token" ]; }

# In a subshell, which holds the lock: the same fences as a commit of bg's.
go_back() (
    exec 9<"$live/.lock" || exit 1
    flock -w "$lock_wait" 9 || exit 1
    ours || exit 0
    number_of "$live"
    case $current in
        "$n")
            for tree in current "gen/$o_back"; do
                journal_of "$live/$tree"
                [ "$owner" = "$o_journal" ] || exit 1
            done
            hash_of "$live/gen/$o_back"
            [ "$hash" = "$o_hash" ] || exit 1
            rm -f "$live"/.new-*
            ln -s "gen/$o_back" "$live/.new-$$" || exit 1
            mv -T "$live/.new-$$" "$live/current" || exit 1
            ;;
        # It was killed right after the rename.
        "$o_back") ;;
        # Never committed, or overtaken.
        *)
            forget "$live" "$n"
            exit 0
            ;;
    esac
    sync "$live"
    date +%s >"$store/.new-$n" && mv -T "$store/.new-$n" "$store/reverted-$n" && sync "$store"
    forget "$live" "$n"
    sync "$store"
)

main() {
    set +e
    cd /
    [ -e "$run/timer" ] || exit 0
    exec 8>>"$run/timer"
    # Another timer of the same order lives, and one is enough.
    flock -n 8 || flock -w 2 8 || exit 0
    while ours; do
        wait=$(left)
        if [ "$wait" -le 0 ]; then
            go_back 8>&-
            ours || break
            sleep "$try_again" 8>&-
        else
            [ "$wait" -lt "$look_again" ] || wait=$look_again
            sleep "$((wait / 100)).$((wait % 100 / 10))$((wait % 10))" 8>&-
        fi
    done
    rm -rf "$run"
    exit 0
}

main
