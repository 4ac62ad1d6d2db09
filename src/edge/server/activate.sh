# shellcheck shell=sh disable=SC2154
# Makes a release the running one. Further arguments: 5 the release (vN), or - where bg unpacks nothing (kind b),
# 6 its digest, 7 and 8 how a marker of this release begins and ends, 9 the marker while this runs, 10 the marker
# afterwards, 11 `force` or -, 12 the user's command, 13 its bound in seconds, 14 the unit to watch or -, 15 for how many seconds.
#
# The order, all of it under the lock:
#   1. the marker is replaced by one that names no release as running
#   2. `current` is switched, by rename
#   3. the user's command
#   4. the unit is watched
#   5. the marker is written
# Killed before 1, the old release runs and the marker says so. Killed between 1 and 5, no marker claims a release, and
# the next activation does everything again; a user's command that was under way goes on to its end or its bound and
# holds the lock so long, for a second one must not run beside it. Killed after 5, the new release runs.
version=$5 digest=$6 begins=$7 ends=$8 during=$9
shift 9
after=$1 force=$2 line=$3 bound=$4 unit=$5 watch=$6

marked() {
    first_line "$root/.bg/marker" || :
    case $first in
        "$begins"*"$ends") return 0 ;;
        *) return 1 ;;
    esac
}
switched() { [ "$version" = - ] || [ "$(readlink "$root/current" || :)" = "releases/$version" ]; }
last_lines() { tail -c 8192 "$1" | tail -n 12; }

# The lock's descriptor stays with timeout, which ends with the command, and is closed for the command: a daemon would
# hold it for good. Nothing here reads a pipe that the command could hold open.
# shellcheck disable=SC2016 # expanded by the inner shell
inner='exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; umask "$1"; exec sh -c "$2"'
run_line() {
    output=$root/.bg/output
    # Not truncated: a daemon of the last time may still write to the old file.
    rm -f "$output"
    (umask 077 && : >"$output")
    if [ "$version" = - ]; then cd "$HOME" || exit; else cd "$root" || exit; fi
    code=0
    started=$(date +%s)
    setsid timeout -k 5 "$bound" sh -c "$inner" bg "$login_umask" "$line" </dev/null >>"$output" 2>&1 || code=$?
    took=$(($(date +%s) - started))
    if [ "$code" = 0 ]; then return 0; fi
    if [ "$code" -ge 124 ] && [ "$took" -ge "$bound" ]; then say stop slow; else say stop command "$code"; fi
    last_lines "$output"
    exit 90
}

restarts() { systemctl show -p NRestarts -- "$unit" | sed -n 's/^NRestarts=//p'; }
watch_unit() {
    first=$(restarts)
    left=$watch
    while :; do
        state=$(systemctl show -p ActiveState -p SubState -- "$unit")
        now=$(restarts)
        case $state in
            *ActiveState=failed*) crashed failed ;;
            *SubState=auto-restart*) crashed restarting ;;
        esac
        if [ "${now:-0}" -gt "${first:-0}" ]; then crashed restarting; fi
        if [ "$left" -le 0 ]; then return 0; fi
        sleep 1 9>&-
        left=$((left - 1))
    done
}
crashed() {
    say stop crashed "$1"
    {
        timeout 10 journalctl -u "$unit" -n 12 --no-pager -o cat 2>/dev/null ||
            timeout 10 systemctl status -n 12 --no-pager -- "$unit" 2>&1 || :
    } | tail -n 12
    exit 90
}

enter
if [ "$force" != force ] && marked && switched; then
    say already
    exit 0
fi
# Everything that can be known beforehand is asked before anything changes.
need setsid timeout
if [ "$unit" != - ]; then need systemctl; fi
if [ "$version" != - ]; then
    first_line "$root/.bg/releases/$version" || :
    if [ ! -d "$root/releases/$version" ] || [ "$first" != "$digest" ]; then stop unplaced; fi
    if [ -e "$root/current" ] && [ ! -L "$root/current" ]; then stop current-no-link; fi
fi
put "$root/.bg/marker" "$during"
if ! switched; then
    ln -sfn "releases/$version" "$root/.bg/current.tmp"
    mv -fT "$root/.bg/current.tmp" "$root/current"
    flush "$root"
fi
run_line
if [ "$unit" != - ]; then watch_unit; fi
put "$root/.bg/marker" "$after"
say activated
