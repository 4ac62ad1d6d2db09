# shellcheck shell=sh disable=SC2154
# What became of an append whose answer never came. Arguments: DIRECTORY TICKET IDENTITY PATIENCE BYTES LENGTH
# Waits until nobody holds the ticket any more, so that nothing of its command can come later; then gives, at most LENGTH
# bytes, what lies behind BYTES.
ticket_gone() {
    if [ "$(identity "$1")" != "$2" ]; then return 0; fi
    ( exec 5<"$1" && flock -s -w "$3" 5 ) || [ "$(identity "$1")" != "$2" ]
}
ticket_gone "$2" "$3" "$4" || stop held
# Its process may have ended between the writing and this.
sync "$journal"
say tail
tail -c "+$(($5 + 1))" "$journal" | head -c "$6"
