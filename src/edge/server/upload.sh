# shellcheck shell=sh disable=SC2154
# Takes an archive on standard input and makes a release of it. Further arguments: 5 the release (vN), 6 its digest,
# 7 sha256 of what is sent, 8 how it is compressed, 9… paths that all releases share.
# The long part runs without the lock. Only the end takes it, and asks the fence again: it must still stand at exactly
# this step's epoch, so an upload that was overtaken never lands. Killed at any point, this leaves at most .vN.EPOCH.*,
# which the next attempt removes, and perhaps a digest of a release that is not there, which counts as nothing.
version=$5 digest=$6 sent=$7 encoding=$8
shift 8
tree=$root/releases/.$version.$epoch.tree

still_mine() {
    check_fence
    if [ "$fence_epoch" != "$epoch" ]; then stop lowered; fi
}
cleanup() { rm -rf "$tree"; }
expand() {
    case $encoding in
        zstd) zstd -dcq --long=31 ;;
        gzip) gzip -dc ;;
        *) cat ;;
    esac
}
# part WORD COMMAND…: says WORD and how it ended on descriptor 4, and reads what it left, so that who writes to it can go on.
part() {
    word=$1
    shift
    ok=0
    "$@" || ok=$?
    say "$word" "$ok" >&4
    cat >/dev/null
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

need sha256sum tar tee
if [ ! -e /dev/fd/0 ]; then stop tool /dev/fd; fi
still_mine
trap 'on_exit 129' HUP
trap 'on_exit 130' INT
trap 'on_exit 143' TERM
cleanup
mkdir "$tree"
# It is unpacked while it comes, and counts for nothing unless the digest of all that came is right.
arrived=$({
    {
        tee /dev/fd/5 |
            part expanded expand 5>&- |
            part unpacked tar -xf - -C "$tree" --no-same-owner --no-same-permissions 5>&- >&2
    } 5>&1 | sha256sum >&4
} 4>&1)
got='' expanded='' unpacked=''
while read -r word value; do
    case $word in
        expanded) expanded=$value ;;
        unpacked) unpacked=$value ;;
        *) got=$word ;;
    esac
done <<END
$arrived
END
if [ "$got" != "$sent" ]; then stop torn; fi
if [ "$unpacked" != 0 ]; then exit 1; fi
if [ "$expanded" != 0 ]; then stop torn; fi
sync -f "$tree" 2>/dev/null || sync

lock
still_mine
if [ -e "$root/releases/$version" ]; then
    first_line "$root/.bg/releases/$version" || :
    if [ "$first" != "$digest" ]; then stop occupied; fi
    say present
    exit 0
fi
put "$root/.bg/releases/$version" "$digest"
if [ $# -gt 0 ]; then
    for path in "$@"; do share "$path"; done
    sync -f "$tree" 2>/dev/null || sync
fi
mv "$tree" "$root/releases/$version"
flush "$root/releases"
say placed
