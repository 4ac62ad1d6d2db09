# shellcheck shell=sh disable=SC2154
# Takes an archive on standard input and makes a release of it. Further arguments: 5 the release (vN), 6 its digest,
# 7 sha256 of what is sent, 8 how it is compressed, 9… paths that all releases share.
# The long part runs without the lock. Only the end takes it, and asks the fence again: it must still stand at exactly
# this step's epoch, so an upload that was overtaken never lands. Killed at any point, this leaves at most .vN.EPOCH.*,
# which the next attempt removes, and perhaps a digest of a release that is not there, which counts as nothing.
version=$5 digest=$6 sent=$7 encoding=$8
shift 8
part=$root/releases/.$version.$epoch.part
tree=$root/releases/.$version.$epoch.tree

still_mine() {
    check_fence
    if [ "$fence_epoch" != "$epoch" ]; then stop lowered; fi
}
cleanup() { rm -rf "$part" "$tree"; }
expand() {
    case $encoding in
        zstd) zstd -dcq --long=31 "$part" ;;
        gzip) gzip -dc "$part" ;;
        *) cat "$part" ;;
    esac
}
# An entry of `shared`: lives in shared/, and every release links to it. What the first release brings seeds it.
share() {
    path=$1 up=..
    rest=$path
    inside=$tree
    while [ "$rest" != "${rest#*/}" ]; do
        inside=$inside/${rest%%/*}
        if [ -L "$inside" ]; then stop shared-behind-link "$path"; fi
        rest=${rest#*/} up=$up/..
    done
    mkdir -p "$inside"
    # What stands at its place already is never replaced.
    if [ ! -e "$root/shared/$path" ] && [ ! -L "$root/shared/$path" ]; then
        parent=$root/shared/$path
        mkdir -p "${parent%/*}"
        if [ -e "$tree/$path" ] && [ ! -L "$tree/$path" ]; then
            mv "$tree/$path" "$root/shared/$path"
        else
            mkdir "$root/shared/$path"
        fi
    fi
    rm -rf "${tree:?}/$path"
    ln -s "$up/../shared/$path" "$tree/$path"
}

need sha256sum tar
still_mine
trap 'on_exit 129' HUP
trap 'on_exit 130' INT
trap 'on_exit 143' TERM
cleanup
cat >"$part"
got=$(sha256sum <"$part")
if [ "${got%% *}" != "$sent" ]; then stop torn; fi
mkdir "$tree"
expanded=$({ { expand && ok=0 || ok=$?; echo "$ok" >&3; } | tar -xf - -C "$tree" --no-same-owner --no-same-permissions >&2; } 3>&1)
if [ "$expanded" != 0 ]; then stop torn; fi
rm -f "$part"
sync -f "$tree" 2>/dev/null || sync

lock
still_mine
if [ -e "$root/releases/$version" ]; then
    first_line "$root/.bg/releases/$version" || :
    if [ "$first" != "$digest" ]; then stop occupied; fi
    say present
    exit 0
fi
for path in "$@"; do share "$path"; done
put "$root/.bg/releases/$version" "$digest"
sync -f "$tree" 2>/dev/null || sync
mv "$tree" "$root/releases/$version"
flush "$root/releases"
say placed
