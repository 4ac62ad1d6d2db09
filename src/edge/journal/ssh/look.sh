# shellcheck shell=sh disable=SC2154
# What is there, without any lock. Arguments: DIRECTORY WHAT   WHAT is `all`, or `queue` for all but the records.
# Says `hold BASE64`, `ticket BASE64 PATH` in the queue's order, `journal LENGTH` and then so many bytes.
# Nothing there yet is an empty journal; what cannot be looked into is not.
complaint=$(ls -A "$dir/" 2>&1 >/dev/null) || case $complaint in
    *'No such file'*) exit 0 ;;
    *) stop unreadable "$complaint" ;;
esac
[ -x "$dir" ] || stop unreadable "$dir: Permission denied"
if [ -e "$hold" ]; then say hold "$(base64 -w 0 <"$hold")"; fi
for path in "$queue"/[0-9]*.json; do
    # Between the look and the reading it may have been given back.
    if alive "$path" && content=$(base64 -w 0 <"$path" 2>/dev/null); then say ticket "$content" "$path"; fi
done
if [ "$2" = all ] && [ -e "$journal" ]; then
    size=$(stat -c %s "$journal")
    say journal "$size"
    head -c "$size" "$journal"
fi
