#!/bin/sh
# ready.sh DIR SUDO [WORD…]: what a balancer lacks for bg. The words are the reload line where it is a plain one.
# Changes nothing. One fact a line: `lacks TOOL`, `denied COMMAND`, `free KIB`, `inodes COUNT`, and `end`.
set -eu
LC_ALL=C
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export LC_ALL PATH
dir=$1
sudo=$2
shift 2

for tool in awk base64 cmp cut find flock gzip head install mktemp mv readlink rm sed sha256sum sort stat sync tail tar tr; do
    command -v "$tool" >/dev/null 2>&1 || printf 'lacks %s\n' "$tool"
done
find / -maxdepth 0 -printf '' 2>/dev/null || printf 'lacks GNU find (-printf)\n'
mv --help 2>/dev/null | grep -q no-target-directory || printf 'lacks GNU mv (-T)\n'
tar --version 2>/dev/null | grep -q GNU || printf 'lacks GNU tar\n'

# The directory may not be there yet: its nearest parent tells.
there=$dir
while [ ! -d "$there" ]; do
    there=${there%/*}
    there=${there:-/}
done

# may COMMAND…: whether sudo lets us run exactly this; it is not run.
may() {
    sudo -n -l -- "$@" >/dev/null 2>&1 || printf 'denied sudo -n %s\n' "$*"
}

if [ "$sudo" = yes ]; then
    if command -v sudo >/dev/null 2>&1; then
        may install -d -m 755 "$dir"
        may install -d -m 755 -o "$(id -un)" -g "$(id -gn)" "$dir/live"
        may touch "${dir%/*}/.lock"
        may tee "$dir/.http.conf.new"
        may chmod 644 "$dir/.http.conf.new"
        may mv -T "$dir/.http.conf.new" "$dir/http.conf"
        may rm -rf "$dir/.staged"
        if [ $# -gt 0 ]; then may "$@"; fi
    else
        printf 'lacks sudo\n'
    fi
elif [ ! -w "$there" ]; then
    printf 'denied write to %s\n' "$there"
fi
if [ -d "$dir/live" ] && [ ! -w "$dir/live" ]; then
    printf 'denied write to %s/live\n' "$dir"
fi

printf 'free %s\n' "$(df -Pk "$there" 2>/dev/null | awk 'END { print $4 }')"
printf 'inodes %s\n' "$(df -Pi "$there" 2>/dev/null | awk 'END { print $4 }')"
printf 'end\n'
