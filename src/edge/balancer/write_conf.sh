#!/bin/sh
# write_conf.sh DIR SUDO REVISION WAIT TRIAL TEST: http.conf and server.conf from stdin (a tar of http.conf,
# server.conf and nginx.conf, the minimal configuration around the staged two) into place, tested twice.
# TRIAL tests $dir/.staged/nginx.conf, TEST what nginx really runs. On failure the earlier files stand.
set -eu
dir=$1
# shellcheck disable=SC2034 # read by rooted
sudo=$2
revision=$3
wait=$4
trial=$5
test=$6
[ -d "$dir/live/gen" ] || refused no_dirs "$dir/live/gen"

tmp=$(mktemp -u -d)
for_now "$tmp"
tar -x -f - --no-same-owner -C "$tmp"
for name in http.conf server.conf nginx.conf; do
    if [ ! -s "$tmp/$name" ]; then
        printf 'the file %s did not arrive\n' "$name" >&2
        exit 1
    fi
done

lock "${dir%/*}/.lock" "$wait"
[ -d "$dir/.staged" ] || rooted install -d -m 755 "$dir/.staged"
for name in http.conf server.conf nginx.conf; do
    cmp -s "$tmp/$name" "$dir/.staged/$name" || durable "$tmp/$name" "$dir/.staged/$name"
done
code=0
tried "$trial" || code=$?
[ "$code" != 77 ] || no_right "$trial"
[ "$code" = 0 ] || refused trial

# Keep the earlier files, once per revision: a second run must not take the first one's files for the earlier ones.
kept=no
if saved "$revision"; then
    kept=yes
    for name in http.conf server.conf; do
        if [ -e "$dir/$name" ] || [ -e "$dir/.before/$name" ]; then
            cmp -s "$dir/$name" "$tmp/$name" || cmp -s "$dir/$name" "$dir/.before/$name" || kept=no
        fi
    done
fi
if [ "$kept" = no ]; then
    forget
    rooted install -d -m 755 "$dir/.before"
    for name in http.conf server.conf; do
        [ ! -e "$dir/$name" ] || durable "$dir/$name" "$dir/.before/$name"
    done
    printf '%s\n' "$revision" >"$tmp/for"
    durable "$tmp/for" "$dir/.before/for"
    sync "$dir/.before" "$dir"
fi

change=same
for name in http.conf server.conf; do
    if ! cmp -s "$tmp/$name" "$dir/$name"; then
        beside "$tmp/$name" "$dir/$name"
        change=changed
    fi
done
# From the first rename on, whatever goes wrong puts the earlier files back.
undo() {
    put_back
    forget
}
for name in http.conf server.conf; do
    if ! cmp -s "$tmp/$name" "$dir/$name"; then
        rooted mv -T "$dir/.$name.new" "$dir/$name"
    fi
done
sync "$dir"
code=0
tried "$test" || code=$?
if [ "$code" != 0 ]; then
    undo
    undo() { :; }
    [ "$code" != 77 ] || no_right "$test"
    # Does it fail without our files too? Then it is not they that are wrong.
    if tried "$test" 2>/dev/null; then
        refused test
    fi
    refused test_before
fi
undo() { :; }
printf 'written %s\n' "$change"
printf 'done\n'
