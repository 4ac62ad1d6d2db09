# shellcheck shell=sh
# The beginning of every script that runs on a server. Arguments 1 to 4: root, journal id, epoch, seconds to wait for
# the lock. A script that must stop says `stop WHY …` on standard output and ends with status 90; lines after that are
# for a person to read.
set -eu
PATH=$PATH:/usr/sbin:/sbin
# The user's own command gets the umask of the login.
# shellcheck disable=SC2034 # used by activate.sh
login_umask=$(umask)
umask 022
# shellcheck disable=SC2088 # a literal tilde
case $1 in
    '~/'*) root=$HOME/${1#'~/'} ;;
    *) root=$1 ;;
esac
journal=$2 epoch=$3 lock_wait=$4

say() { printf '%s\n' "$*"; }
stop() {
    say stop "$@"
    exit 90
}
# What else fails is told by its own words; a full disk by these too, for tar may only say that it wrote too little.
# shellcheck disable=SC2317 # upload.sh has its own
cleanup() { :; }
# free_kib DIR: sets $free; to nothing where the host does not say.
free_kib() {
    free=$(LC_ALL=C df -Pk "$1" 2>/dev/null) || free=
    free=${free##*
}
    # shellcheck disable=SC2086 # split on purpose
    set -f -- $free
    set +f
    free=${4-}
}
# Also when a signal ends the script; one that falls into its end changes nothing.
on_exit() {
    status=${1:-$?}
    trap '' HUP INT TERM
    trap - EXIT
    case $status in
        0 | 90) cleanup ;;
        *)
            free_kib "$root"
            cleanup
            if [ "${free:-64}" -lt 64 ]; then
                say stop full
                exit 90
            fi
            ;;
    esac
    exit "$status"
}
trap on_exit EXIT
have() { command -v "$1" >/dev/null 2>&1; }
need() { for tool in "$@"; do have "$tool" || stop tool "$tool"; done; }

# Onto the disk: a file, or a directory's names. An older sync takes no arguments and flushes everything.
flush() { sync "$1" 2>/dev/null || sync; }
# One line into a file: after a crash it holds the old line or the new one, never half of one.
put() {
    printf '%s\n' "$2" >"$1.tmp"
    flush "$1.tmp"
    mv -f "$1.tmp" "$1"
    flush "${1%/*}"
}
# first_line FILE: sets $first; read by the shell itself, for there are many. What is there and cannot be read is an error.
first_line() {
    first=
    if [ ! -f "$1" ]; then return 0; fi
    IFS= read -r first <"$1" || [ -n "$first" ] || { [ -r "$1" ] && [ ! -s "$1" ]; }
}

read_fence() {
    fence_journal='' fence_epoch=-1
    if [ ! -e "$root/.bg/fence" ]; then return 0; fi
    first_line "$root/.bg/fence"
    fence_journal=${first% *} fence_epoch=${first##* }
    case "$fence_epoch $fence_journal" in
        *[!0-9]*' '* | ' '* | *' ' | *' '*' '*) stop damaged-fence ;;
    esac
}
# Nobody of another journal, and nobody whose step was overtaken, changes anything here.
check_fence() {
    read_fence
    if [ -n "$fence_journal" ] && [ "$fence_journal" != "$journal" ]; then
        stop foreign "$fence_journal" "$fence_epoch"
    fi
    if [ "$fence_epoch" -gt "$epoch" ]; then stop fenced "$fence_epoch"; fi
}
# Descriptor 9 holds the lock until this script and the guard of a user's command have ended.
lock() {
    need flock
    exec 9>>"$root/.bg/lock"
    locked=0
    flock -w "$lock_wait" 9 || locked=$?
    case $locked in
        0) ;;
        1) stop busy ;;
        *) stop tool flock ;;
    esac
}
# The lock is held and the fence stands at this step's epoch when this returns.
enter() {
    if [ ! -d "$root/.bg" ]; then mkdir -p "$root/.bg"; fi
    lock
    check_fence
    if [ "$fence_epoch" != "$epoch" ]; then put "$root/.bg/fence" "$journal $epoch"; fi
}

# What is here, one fact per line; changes nothing and minds nothing that is missing.
report() {
    for fact in fence marker; do
        if [ ! -e "$root/.bg/$fact" ]; then continue; fi
        first_line "$root/.bg/$fact" || :
        say "$fact" "$first"
    done
    if [ -L "$root/current" ]; then
        target=$(readlink "$root/current")
        say current "${target##*/}"
    fi
    for release in "$root"/releases/v*; do
        if [ ! -d "$release" ]; then continue; fi
        first_line "$root/.bg/releases/${release##*/}" || :
        say release "${release##*/}" "${first:--}"
    done
    for tool in awk flock gzip setsid sha256sum systemctl tar timeout zstd; do
        if have "$tool"; then say tool "$tool"; fi
    done
    # The root may not exist yet: its nearest parent tells.
    parent=$root
    while [ ! -d "$parent" ]; do
        parent=${parent%/*}
        parent=${parent:-/}
    done
    free_kib "$parent"
    say free "${free:--}"
    if [ -w "$parent" ]; then say writable; fi
}
