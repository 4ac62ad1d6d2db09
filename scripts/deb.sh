#!/bin/sh
# deb.sh PROGRAM [OPTION…]: a Debian package of the built PROGRAM, in target/debian. The options are cargo-deb's. What the
# package holds is put together in target/package; Cargo.toml says what goes where.
set -eu
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
program=$1
shift

if ! "$cargo" deb --version >/dev/null 2>&1; then
    "$cargo" install --locked cargo-deb
fi

place=target/package
rm -rf "$place"
mkdir -p "$place"
cp "$program" "$place/bluegreen"
if command -v strip >/dev/null 2>&1; then strip "$place/bluegreen"; fi
ln -s bluegreen "$place/bg"

# The completions of the name that no shell has a builtin for. Those of `bg` come with the function, which is the user's to
# ask for.
completions() { PATH="$PWD/$place:$PATH" "$place/bluegreen" shell "$1" --completions; }
completions bash >"$place/bluegreen.bash"
completions zsh >"$place/_bluegreen"
completions fish >"$place/bluegreen.fish"

# No earlier version stays beside it.
rm -f target/debian/bluegreen_*.deb
mkdir -p target/debian
"$cargo" deb --no-build --no-strip --quiet --output "$PWD/target/debian/" "$@" >/dev/null
for deb in target/debian/bluegreen_*.deb; do
    printf '%s: %s KB\n' "$deb" "$(($(wc -c <"$deb") / 1000))"
done
