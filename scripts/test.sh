#!/bin/sh
# Every test of what `make build` built, in two rows at the same time: the rollouts compute, most of the others wait for
# something. What the second row says is shown as it comes, then what the first one said. Ends with 1 when a test failed.
set -eu
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}

said=$(mktemp)
rollouts=
finish() {
    trap '' HUP INT TERM
    trap - EXIT
    # Where it still runs, this run was ended from outside.
    if [ -n "$rollouts" ]; then kill "$rollouts" 2>/dev/null || :; fi
    rm -f "$said"
}
trap finish EXIT
trap 'exit 130' HUP INT TERM

# A job in the background ignores interrupts, and so would every program that its tests interrupt.
env --default-signal=HUP,INT "$cargo" test --locked --no-fail-fast --test rollout >"$said" 2>&1 &
rollouts=$!
failed=
env --default-signal=HUP,INT "$cargo" test --workspace --locked --no-fail-fast --lib --bins --test '[!r]*' || failed=yes
"$cargo" test --workspace --locked --doc || failed=yes
# The rest of the first row as it comes.
tail -n +1 -s 0.5 -f --pid="$rollouts" "$said"
wait "$rollouts" || failed=yes
rollouts=
if [ -n "$failed" ]; then
    echo 'error: a test failed; its output is above' >&2
    exit 1
fi
