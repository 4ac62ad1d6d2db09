#!/bin/sh
# install-missing.sh PROGRAM=PACKAGE…: installs the Debian packages of the programs that are missing. Their services are
# not started: the playground runs its own daemons, and the machine's are none of its business.
set -eu
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

missing=
for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null 2>&1 || missing="$missing ${pair#*=}"
done
[ -n "$missing" ] || exit 0

say() { printf '%s\n' "$*" >&2; }
say "missing here:$missing"
if ! command -v apt-get >/dev/null 2>&1; then
    say "error: this is no Debian (no apt-get), so they could not be installed"
    say "hint: install them, then run this again"
    exit 1
fi
as_root=
if [ "$(id -u)" != 0 ]; then
    as_root="sudo -n"
    if ! sudo -n true 2>/dev/null; then
        # At a terminal sudo may ask.
        as_root=sudo
        if ! [ -t 0 ] || ! command -v sudo >/dev/null 2>&1; then
            say "error: installing them needs root, and there is no sudo right without a password"
            say "hint: as root: apt-get install --no-install-recommends$missing"
            exit 1
        fi
    fi
fi

# A package's service is started when it is installed, unless this file says no. One that stands is respected.
policy=/usr/sbin/policy-rc.d
ours=no
finish() { [ "$ours" = no ] || $as_root rm -f "$policy"; }
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
fi
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q >&2
# shellcheck disable=SC2086 # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >&2
