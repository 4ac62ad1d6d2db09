#!/bin/sh
# deb-test.sh: target/debian's package is installed by dpkg into an empty root, tried there, and removed; nothing may be left.
# As root, since dpkg asks for it.
set -eu
cd "$(dirname "$0")/.."
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

set -- target/debian/bluegreen_*.deb
if [ $# != 1 ] || ! [ -f "$1" ]; then fail "there is not one package in target/debian: make deb"; fi
deb=$PWD/$1
[ "$(id -u)" = 0 ] || fail "dpkg installs packages only as root"

root=$(mktemp -d /tmp/bg-deb.XXXXXX)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
: >"$root/var/lib/dpkg/status"
# The packages that it depends on are not in there; that this machine has them is asked below.
in_root() { dpkg --root="$root" --force-depends --force-script-chrootless --log=/dev/null "$@" >"$root/dpkg.log" 2>&1 || {
    cat "$root/dpkg.log" >&2
    fail "dpkg $*"
}; }
files() { (cd "$root" && find . -path ./var/lib/dpkg -prune -o -path ./dpkg.log -prune -o -print | sort); }

before=$(files)
in_root --install "$deb"

for name in bluegreen bg; do
    said=$("$root/usr/bin/$name" --version) || fail "/usr/bin/$name does not run"
    case $said in
    "$name "[0-9]*) ;;
    *) fail "/usr/bin/$name --version says: $said" ;;
    esac
done
for file in usr/share/doc/bluegreen/copyright usr/share/doc/bluegreen/README.md usr/share/doc/bluegreen/docs/operations.md \
    usr/share/doc/bluegreen/examples/inventory/example.toml; do
    [ -s "$root/$file" ] || fail "/$file is missing"
done
"$root/usr/bin/bg" -i "$root/usr/share/doc/bluegreen/examples/inventory/example.toml" check >/dev/null ||
    fail "the example inventory is not well-formed"

depends=$(dpkg-deb --field "$deb" Depends)
for package in openssh-client libc6; do
    case ", $depends" in
    *", $package"*) ;;
    *) fail "it does not depend on $package: $depends" ;;
    esac
done
dpkg-query --status openssh-client libc6 >/dev/null || fail "this machine has not what it depends on"

# Each shell finds the completions where Debian has them, and asks the installed program.
PATH=$root/usr/bin:$PATH
export PATH
share=$root/usr/share
cd "$root"
tried() { printf '%s: completions work\n' "$1"; }
# shellcheck disable=SC2016 # the shell that is tried expands it
completed=$(bash --norc -c '. "$1"; COMP_WORDS=(bluegreen stat); COMP_CWORD=1; _bluegreen; complete -p bluegreen
    complete -p bg 2>/dev/null; type -t bg; printf "%s\n" "${COMPREPLY[@]}"' bash "$share/bash-completion/completions/bluegreen")
case $completed in
*"_bluegreen bluegreen
builtin
status") tried bash ;;
*) fail "bash completes: $completed" ;;
esac
if command -v zsh >/dev/null 2>&1; then
    # shellcheck disable=SC2016 # as above
    completed=$(zsh -f -c 'fpath=("$1" $fpath); autoload -Uz compinit; compinit -u -d "$2"; print ${_comps[bluegreen]}:${_comps[bg]}
        words=(bluegreen stat); CURRENT=2; compadd() { print -- "${(@P)@[-1]}" }; _bluegreen; whence -w bg' \
        zsh "$share/zsh/vendor-completions" "$root/zcompdump")
    rm -f "$root"/zcompdump*
    case $completed in
    "_bluegreen:_jobs_bg
status
bg: builtin") tried zsh ;;
    *) fail "zsh completes: $completed" ;;
    esac
fi
if command -v fish >/dev/null 2>&1; then
    # shellcheck disable=SC2016 # as above
    completed=$(HOME=$root fish --no-config -c 'source $argv[1]; complete -C "bluegreen stat"; type -t bg' \
        "$share/fish/vendor_completions.d/bluegreen.fish")
    rm -rf "$root/.config" "$root/.local" "$root/.cache"
    case $completed in
    status*"
builtin") tried fish ;;
    *) fail "fish completes: $completed" ;;
    esac
fi
cd /

in_root --purge bluegreen
left=$(files)
[ "$left" = "$before" ] || fail "the package leaves behind:
$left"
printf 'installed, tried and removed: nothing is left\n'
