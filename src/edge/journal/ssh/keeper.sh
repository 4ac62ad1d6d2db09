# shellcheck shell=sh disable=SC2154
# Keeps a command's place in the queue for a site's lock, and appends for it once it has the lock: in one process, so that
# nothing can be appended that does not hold the lock.
# Arguments: DIRECTORY LEASE QUEUE_PATIENCE LOCK_PATIENCE TICKET SAID   the first three times in seconds.
# Reads messages of 64 characters, spaces behind the words, each answered by one line:
#   beat                        still there
#   begin                       take the lock
#   append BYTES LEAD LENGTH    and then the record of LENGTH bytes: append it behind BYTES, a newline first when LEAD is 1
#   leave
# Without a message for the time of the lease, or at the end of its input, it gives everything back.
# Descriptors: 6 the journal, 7 the queue, 8 the ticket, 9 the lock.
lease=$2 queue_patience=$3 lock_patience=$4 ticket=$5 said=$6
holds_lock=no journal_identity='' record=''

# For $( ) only. What waits here must not keep a lock that this shell lost.
hear() {
    exec 6>&- 8>&- 9>&-
    exec timeout --foreground "$lease" head -c "$1"
}
enter() {
    lock_queue "$queue_patience"
    last=0
    for path in "$queue"/[0-9]*.json; do
        if alive "$path"; then
            last=${path##*/}
            last=${last%.json}
        else
            rm -f "$path"
        fi
    done
    # Without the zeros, which would make it octal.
    last=${last#"${last%%[!0]*}"}
    ticket_file=$queue/$(printf '%010d' "$((${last:-0} + 1))").json
    # Locked before it has its name: nobody may see it and take it for dead.
    printf '%s' "$ticket" | write_new "$queue/.new"
    exec 8<"$queue/.new"
    flock -n 8 || stop unwritable 'the new ticket is locked by somebody else'
    ticket_identity=$(identity "$queue/.new")
    mv "$queue/.new" "$ticket_file"
    exec 7<&-
    say ticket "$ticket_identity" "$ticket_file"
}
release() {
    trap '' HUP INT TERM
    exec 6>&- 9>&-
    # Under its lock: nobody else removes it, and no other may have the name yet.
    if [ "$(identity "$ticket_file")" = "$ticket_identity" ]; then rm -f "$ticket_file"; fi
    exec 8<&-
}
over() {
    release
    say over
    exit 0
}
take_lock() {
    exec 9<>"$lock"
    if ! flock -w "$lock_patience" 9; then
        exec 9>&-
        say busy "$(base64 -w 0 <"$lock")"
        return 0
    fi
    # For whoever looks at it; nothing depends on it.
    printf '%s\n' "$said" >"$lock" || :
    fresh=no
    if [ ! -e "$journal" ]; then fresh=yes; fi
    exec 6<>"$journal"
    if [ "$fresh" = yes ]; then sync "$dir"; fi
    journal_identity=$(identity "$journal")
    holds_lock=yes
    say begun
}
append() {
    bytes=$1 lead=$2 length=$3
    record=$(hear "$length") || over
    # Only all of it.
    if [ "${#record}" != "$length" ]; then over; fi
    # shellcheck disable=SC2046 # its words
    set -- $(stat -c '%d:%i %s' "$ticket_file" "$journal" 2>/dev/null) || :
    if [ "$holds_lock" = no ] || [ "${1-}" != "$ticket_identity" ]; then
        say lost
        return 0
    fi
    if [ "${3-}" != "$journal_identity" ]; then
        say conflict replaced
        return 0
    fi
    size=$4
    if [ "$size" -lt "$bytes" ]; then
        say conflict short
        return 0
    fi
    if [ "$size" -gt "$bytes" ]; then
        if [ "$(tail -c "+$((bytes + 1))" "$journal" | wc -l)" -gt 0 ]; then
            say conflict grown
            return 0
        fi
        # What lies behind the last whole record is a torn one.
        truncate -s "$bytes" "$journal"
    fi
    # One write, and onto the disk.
    if complaint=$( (
        if [ "$lead" = 1 ]; then echo; fi
        printf '%s\n' "$record"
    ) | dd of="$journal" bs=4M iflag=fullblock oflag=append conv=notrunc,nocreat,fsync status=none 2>&1); then
        say appended
    else
        # Best effort: a torn tail would be dropped at the next opening anyway.
        truncate -s "$bytes" "$journal" || :
        say failed "$complaint"
    fi
}

enter
trap over HUP INT TERM
while :; do
    # shellcheck disable=SC2046 # its words
    set -- $(hear 64)
    case "$# ${1-}" in
        '1 beat') say beat ;;
        '1 begin') take_lock ;;
        '4 append') append "$2" "$3" "$4" ;;
        '1 leave')
            release
            say left
            exit 0
            ;;
        *) over ;;
    esac
done
