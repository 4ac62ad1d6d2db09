#!/bin/sh
# shellcheck disable=SC2154 # current: `own` sets it
# arm.sh DIR N JOURNAL HASH WAIT AFTER SUM: from now on in AFTER hundredths of a second, current goes back from gen/N to
# gen/N+1 (which hashes to HASH) by itself. The script that does it comes on stdin and hashes to SUM.
set -eu
dir=$1
n=$2
journal=$3
hash=$4
wait=$5
after=$6
sum=$7
live=$dir/live
store=$live/.revert
back=$((n + 1))
[ -d "$live/gen" ] || refused no_dirs "$live/gen"
[ -w "$live" ] || no_right write "$live"

read -r up _ </proc/uptime
up=${up%.*}${up#*.}
read -r boot </proc/sys/kernel/random/boot_id
token=$up.$$
run=$store/run-$n-$token
mkdir -p "$store"
for_now "$run" 755
cat >"$run/script"
arrived=$(sha256sum <"$run/script")
if [ "${arrived%% *}" != "$sum" ]; then
    printf 'the script of the way back did not arrive whole\n' >&2
    exit 1
fi
: >"$run/timer"

own "$live" "$journal" "$wait"
# What is committed already is never armed: it may have been confirmed.
if [ "$current" != none ] && [ "$current" -ge "$n" ]; then
    refused fenced "$current"
fi
for k in "$n" "$back"; do
    [ -d "$live/gen/$k" ] || refused missing "$k"
    same_owner "$live" "$k" "$journal"
done
as_prepared "$live/gen" "$back" "$hash"

# What may still go back is the current generation alone, and this one once it is committed.
forget_below "$live" "$n" "$current"
for other in "$store/run-$n-"*; do
    [ "$other" = "$run" ] || rm -rf "$other"
done
deadline=$(($(date +%s) + (after + 99) / 100))
printf '%s %s %s %s %s %s %s\n' "$journal" "$back" "$hash" "$token" "$boot" $((up + after)) "$deadline" >"$store/.new-$n"
sync "$run/script" "$run" "$store/.new-$n"
# From the order on it is what goes back.
kept
mv -T "$store/.new-$n" "$store/$n"
sync "$store" "$live"
exec 9<&-

# A timer has come up when it holds its lock.
came_up() {
    tries=60
    while [ "$tries" -gt 0 ]; do
        if held "$run"; then return 0; fi
        sleep 0.05
        tries=$((tries - 1))
    done
    return 1
}

# Outside of this login, whatever becomes of it. A user's own systemd ends with his last login unless he lingers.
by_systemd() {
    command -v systemd-run >/dev/null 2>&1 || return 1
    set --
    if [ "$(id -u)" != 0 ]; then
        lingers=$(timeout 5 loginctl show-user "$(id -un)" --property=Linger 2>/dev/null || :)
        [ "$lingers" = Linger=yes ] || return 1
        XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
        export XDG_RUNTIME_DIR
        set -- --user
    fi
    timeout 5 systemd-run "$@" --quiet --collect --unit="bg-revert-$n-$token" \
        sh "$run/script" "$dir" "$n" "$token" </dev/null >/dev/null 2>&1 || return 1
    came_up
}

# A process of its own, unless the system ends those that a login leaves behind.
by_process() {
    kills=no
    if [ "$(id -u)" != 0 ] && command -v busctl >/dev/null 2>&1; then
        kills=$(timeout 5 busctl get-property org.freedesktop.login1 /org/freedesktop/login1 \
            org.freedesktop.login1.Manager KillUserProcesses 2>/dev/null || :)
    fi
    [ "$kills" != 'b true' ] || return 1
    (cd / && exec setsid sh "$run/script" "$dir" "$n" "$token" </dev/null >/dev/null 2>&1) &
    came_up
}

# quoted WORD: for a shell.
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# at knows whole minutes and the clock on the wall only, and its jobs are still there after a reboot.
by_at() {
    command -v at >/dev/null 2>&1 && command -v atrm >/dev/null 2>&1 || return 1
    minute=$(date -d "@$(((deadline + 59) / 60 * 60))" +%Y%m%d%H%M)
    line="sh $(quoted "$run/script") $(quoted "$dir") $n $token >/dev/null 2>&1"
    said=$(cd / && printf '%s\n' "$line" | timeout 5 at -t "$minute" 2>&1) || return 1
    job=$(printf '%s\n' "$said" | sed -n 's/^job \([0-9][0-9]*\) at .*/\1/p')
    [ -n "$job" ] || return 1
    case $said in
        # Only the last one might still be carried out: at the daemon's next look, which is within an hour.
        *'No atd running'* | *'daemon not running'* | *"Can't signal"*)
            atrm "$job" >/dev/null 2>&1 || :
            return 1
            ;;
    esac
    printf '%s\n' "$job" >"$run/job"
}

how=
if by_systemd; then
    how=systemd
elif by_process; then
    how=process
fi
if by_at; then how="$how at"; fi
how=${how# }
if [ -z "$how" ]; then
    flock -w "$wait" "$live/.lock" rm -f "$store/$n" || :
    rm -rf "$run"
    refused no_timer
fi
printf '%s\n' "$how" >"$run/how"
sync "$run"/* "$run"
printf 'how %s\n' "$how"
printf 'done\n'
