# shellcheck shell=sh disable=SC2154
# Replaces the lock by hand. Arguments: DIRECTORY QUEUE_PATIENCE FROM TO   what it is and what it is to be, in base64, `-`
# for none.
lock_queue "$2"
now=-
if [ -e "$hold" ]; then now=$(base64 -w 0 <"$hold"); fi
if [ "$now" != "$3" ]; then
    say changed
    exit 0
fi
if [ "$4" = - ]; then
    rm -f "$hold"
else
    printf '%s' "$4" | base64 -d | write_new "$dir/.hold"
    mv -f "$dir/.hold" "$hold"
fi
sync "$dir"
say replaced
