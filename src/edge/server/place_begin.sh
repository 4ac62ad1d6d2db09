# shellcheck shell=sh disable=SC2154
# Before an upload. Further arguments: 5 the release (vN), 6 its digest.
version=$5 digest=$6
enter
if [ ! -d "$root/releases" ] || [ ! -d "$root/.bg/releases" ]; then mkdir -p "$root/releases" "$root/.bg/releases"; fi
# What dead attempts left. One that still runs loses its files, fails, and could not have passed the fence anyway.
for left in "$root"/releases/.v*.*; do
    if [ -e "$left" ]; then rm -rf "$left" || :; fi
done
if [ -e "$root/releases/$version" ] || [ -L "$root/releases/$version" ]; then
    first_line "$root/.bg/releases/$version" || :
    if [ "$first" != "$digest" ]; then stop occupied; fi
    say present
fi
report
