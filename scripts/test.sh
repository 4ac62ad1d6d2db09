#!/bin/sh
# Every test of what `make build` built, in two rows at the same time: the rollouts compute, most of the others wait for
# something. What the second row says is shown as it comes, then what the first one said. Ends with 1 when a test failed.
#
# Playgrounds and temporary files are in memory where that is possible: the tests sync thousands of small files.
set -eu
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
# In KiB: with four at a time the tests take 1.1 GiB at once, most of it for the logs that etcd lays out beforehand.
ROOM=$((${RUST_TEST_THREADS:-4} * 768 * 1024))

memory=
said=
rollouts=
finish() {
    trap '' HUP INT TERM
    trap - EXIT
    # Where it still runs, this run was ended from outside.
    if [ -n "$rollouts" ]; then kill "$rollouts" 2>/dev/null || :; fi
    rm -f "$said"
    if [ -n "$memory" ]; then
        # After an interrupt the playgrounds' reapers are at work in there for a moment.
        tries=0
        until rm -rf "$memory" 2>/dev/null || [ "$tries" -ge 40 ]; do
            tries=$((tries + 1))
            sleep 0.5
        done
    fi
}
trap finish EXIT
trap 'exit 130' HUP INT TERM

# Whether playgrounds may be in /dev/shm: in memory, with room, and with the right to run programs there, which containers
# often lack.
has_memory() {
    [ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ] || return 1
    [ "$(df -Pk /dev/shm | awk 'NR == 2 { print $4 }')" -ge "$ROOM" ] || return 1
    [ "$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)" -ge "$ROOM" ] || return 1
    memory=$(mktemp -d /dev/shm/bg-test.XXXXXX 2>/dev/null) || return 1
    printf '#!/bin/sh\n' >"$memory/try"
    # Others must come through, nginx's workers among them.
    chmod 755 "$memory" "$memory/try"
    "$memory/try" 2>/dev/null || return 1
    rm "$memory/try"
}
if has_memory; then export BG_PLAYGROUND_DIR="$memory" TMPDIR="$memory"; fi

said=$(mktemp)
# A job in the background ignores interrupts, and so would every program that its tests interrupt.
env --default-signal=HUP,INT "$cargo" test --workspace --locked --no-fail-fast --test rollout >"$said" 2>&1 &
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
