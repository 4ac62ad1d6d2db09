#!/bin/sh
# dirs.sh DIR SUDO: bg's directory (root's, or ours without sudo), live/ and live/gen (ours), the lock of this nginx.
set -eu
dir=$1
sudo=$2
parent=${dir%/*}
user=$(id -un)
group=$(id -gn)

# Only what is missing or wrong is done, so that a second run needs no right at all.
if [ ! -d "$dir" ] && [ "$sudo" = no ]; then
    # install says "No such file" where it is the right that is missing.
    above=$parent
    while [ -n "$above" ] && [ ! -e "$above" ]; do above=${above%/*}; done
    [ ! -d "${above:-/}" ] || [ -w "${above:-/}" ] || no_right install -d -m 755 "$dir"
fi
if [ ! -d "$dir" ] || [ "$(stat -c %a "$dir")" != 755 ]; then
    rooted install -d -m 755 "$dir"
fi
if [ ! -e "$parent/.lock" ]; then
    # touch and not install: a lock that another site holds at this moment must stay the same file.
    rooted touch "$parent/.lock"
fi
if [ ! -r "$parent/.lock" ]; then
    rooted chmod 644 "$parent/.lock"
fi
if [ ! -d "$dir/live" ] || [ "$(stat -c '%a %U' "$dir/live")" != "755 $user" ]; then
    rooted install -d -m 755 -o "$user" -g "$group" "$dir/live"
fi
mkdir -p "$dir/live/gen"
chmod 755 "$dir/live/gen"
sync "$dir/live" "$dir" "$parent"
printf 'done\n'
