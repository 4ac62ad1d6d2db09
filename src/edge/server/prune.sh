# shellcheck shell=sh disable=SC2154
# Removes releases. Further arguments: 5… their names (vN).
shift 4
enter
present=$(readlink "$root/current" || :)
for version in "$@"; do
    # Whatever was decided before the lock: never the one that is current now, and nothing that bg did not put there.
    if [ "${present##*/}" = "$version" ] || [ ! -f "$root/.bg/releases/$version" ]; then continue; fi
    if [ -d "$root/releases/$version" ]; then
        gone=$root/releases/.$version.$epoch.gone
        rm -rf "$gone"
        mv "$root/releases/$version" "$gone"
        flush "$root/releases"
        rm -rf "$gone"
        say removed "$version"
    fi
    rm -f "$root/.bg/releases/$version"
done
