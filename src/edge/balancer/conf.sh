#!/bin/sh
# Read after common.sh by the scripts that change http.conf and server.conf; $dir is set by them.
# shellcheck disable=SC2154

# durable FROM TO: the content of FROM at TO, created in TO's own directory (so it carries that directory's SELinux
# type), then renamed: nginx, which anybody may reload at any moment, never reads half of it.
durable() {
    beside "$1" "$2"
    rooted mv -T "${2%/*}/.${2##*/}.new" "$2"
}

# beside FROM TO: the first half of durable, all that needs room on the disk.
beside() {
    rooted tee "${2%/*}/.${2##*/}.new" <"$1"
    rooted chmod 644 "${2%/*}/.${2##*/}.new"
    sync "${2%/*}/.${2##*/}.new"
}

# saved REVISION: whether $dir/.before holds the files that stood before REVISION was written.
saved() {
    [ -r "$dir/.before/for" ] && [ "$(cat "$dir/.before/for")" = "$1" ]
}

# forget: no earlier files are kept any more.
forget() {
    if [ -e "$dir/.before" ]; then
        # The mark first: without it nothing is ever put back from a half removed directory.
        rooted rm -f "$dir/.before/for"
        rooted rm -rf "$dir/.before"
    fi
}

# put_back: http.conf and server.conf as $dir/.before says they were.
put_back() {
    for name in server.conf http.conf; do
        if [ -e "$dir/.before/$name" ]; then
            cmp -s "$dir/.before/$name" "$dir/$name" || durable "$dir/.before/$name" "$dir/$name"
        elif [ -e "$dir/$name" ]; then
            rooted rm -f "$dir/$name"
        fi
    done
    sync "$dir"
}

# tried LINE: runs the user's shell line, its output to stderr; tells a missing right from a failing line.
tried() {
    if said=$(sh -c "$1" 2>&1 </dev/null 9<&-); then
        return 0
    fi
    printf '%s\n' "$said" | tail -n 40 >&2
    ! lacks_right "$said" || return 77
    return 1
}
