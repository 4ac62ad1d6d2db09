#!/bin/sh
# dump.sh LINE: nginx's whole configuration on stdout; 77 where there is no right to ask for it.
set -eu
code=0
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
sh -c "$1" 2>"$errors" </dev/null || code=$?
tail -n 40 "$errors" >&2
if [ "$code" != 0 ] && lacks_right "$(cat "$errors")"; then
    exit 77
fi
exit "$code"
