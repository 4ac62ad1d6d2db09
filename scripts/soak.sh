#!/bin/sh
# soak.sh: every proof in its large size, one after the other, and a summary of what was met. Ends by itself: with
# SOAK_SECONDS=240 (the default) after about 70 minutes on two busy cores. BG_SEED repeats a run; each part prints the seed it
# used.
set -eu
cd "$(dirname "$0")/.."
CARGO=${CARGO:-cargo}
SOAK_SECONDS=${SOAK_SECONDS:-240}
BG_STARTS=${BG_STARTS:-1000}
BG_SEED=${BG_SEED:-$(date +%s)}
RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}
export SOAK_SECONDS BG_STARTS BG_SEED RUST_TEST_THREADS

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
BG_TALLY=$dir/tally
export BG_TALLY
: >"$BG_TALLY"
failed=

say() { printf '\n== %s\n' "$*"; }

# part NAME COMMAND…: goes on with the others when one fails.
part() {
    name=$1
    shift
    say "$name"
    begun=$(date +%s)
    if "$@"; then end=ok; else
        end=FAILED
        failed="$failed; $name"
    fi
    printf '%s: %s after %s s\n' "$name" "$end" $(($(date +%s) - begun)) | tee -a "$dir/parts"
}

# sums NAME…: the tally's counts of all lines whose name begins so, added up; what is in milliseconds is the longest.
sums() {
    awk -v name="$1" '
        $1 == "tally" && index($2, name) == 1 {
            for (i = 3; i <= NF; i++) {
                if (split($i, pair, "=") != 2 || pair[1] == "BG_SEED") continue
                if (pair[1] ~ /_ms$/) { if (pair[2] > sum[pair[1]] + 0) sum[pair[1]] = pair[2] } else sum[pair[1]] += pair[2]
            }
        }
        END { for (key in sum) printf "  %s %s\n", key, sum[key] }' "$BG_TALLY" | sort
}

printf 'BG_SEED=%s SOAK_SECONDS=%s BG_STARTS=%s\n' "$BG_SEED" "$SOAK_SECONDS" "$BG_STARTS"
# shellcheck disable=SC2086 # CARGO may be several words
{
    part "build" $CARGO test --workspace --locked --no-run
    part "the whole kill matrix" env BG_MATRIX=whole $CARGO test --locked --test rollout proof::matrix::
    part "what a command works through killed in every step" env BG_MATRIX=whole \
        $CARGO test --locked --test rollout proof::victims::
    part "every step failed and done twice, torn journals" $CARGO test --locked --test rollout -- \
        proof::faults:: proof::twice:: proof::torn::
    part "random kills for $SOAK_SECONDS s" $CARGO test --locked --test rollout proof::random::
    part "$BG_STARTS simultaneous starts on each journal" $CARGO test --locked --test rollout proof::starts::
    part "every fault in every phase, on hosts that are apart" env RUST_TEST_THREADS=3 \
        $CARGO test --locked --test fleet -- --ignored
    part "the large models" $CARGO test --locked --package bluegreen-core --test model -- --ignored --nocapture \
        --test-threads=1 >"$dir/models"
}
cat "$dir/models"

say "summary (BG_SEED=$BG_SEED)"
cat "$dir/parts"
for name in matrix victims faults twice torn random starts fleet; do
    printf '%s\n' "$name"
    sums "$name"
done
printf 'models\n'
sed -n 's/^\(.*: [0-9]* states, depth [0-9]*\)$/  \1/p' "$dir/models"
if [ -n "$failed" ]; then
    printf 'FAILED%s\n' "$failed"
    exit 1
fi
printf 'nothing failed\n'
