# shellcheck shell=sh
# The beginning of every script that runs on a journal's host. Argument 1: the journal's directory. The layout, and who
# locks what, is that of a journal in a directory of one machine. A script that must stop says `stop WHY …` on standard
# output and ends with status 90.
set -eu
umask 077
LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL PATH
dir=$1
# shellcheck disable=SC2034 # not every script uses all
queue=$dir/queue journal=$dir/journal.jsonl lock=$dir/lock hold=$dir/hold.json

say() { printf '%s\n' "$*"; }
stop() {
    say stop "$@"
    exit 90
}
for tool in base64 dd flock head stat sync tail timeout truncate; do
    command -v "$tool" >/dev/null 2>&1 || stop tool "$tool"
done

# What tells a file from another that has its name later. Nothing of one that is not there.
identity() { stat -c %d:%i "$1" 2>/dev/null || :; }
# Whether somebody holds the ticket: its lock goes with the processes that hold it. One that cannot be opened is gone.
alive() { ( exec 5<"$1" && ! flock -n -s 5 ) 2>/dev/null; }
# The right to change the queue until descriptor 7 is closed, its directory made when it is missing. Argument: seconds.
lock_queue() {
    complaint=$(mkdir -p "$queue" 2>&1) || stop unwritable "$complaint"
    exec 7<"$queue"
    flock -w "$1" 7 || stop queue-locked
}
# Input, as a file with all of it or not at all, onto the disk.
write_new() {
    complaint=$( (rm -f "$1" && dd of="$1" conv=excl,fsync status=none) 2>&1 ) || {
        rm -f "$1"
        stop unwritable "$complaint"
    }
}
