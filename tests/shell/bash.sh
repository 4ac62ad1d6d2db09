# shellcheck shell=bash source=/dev/null
# Two stopped jobs are set going by `bg` in every way that bash knows; then the program is called.
set -m
. "$1"
stopped() {
  rounds=0
  until [ "$(jobs -s | wc -l)" -eq "$1" ]; do
    rounds=$((rounds + 1))
    if [ "$rounds" -gt 1000 ]; then
      echo "not $1 stopped jobs:"
      jobs
      kill %1 %2
      exit 9
    fi
    sleep 0.01
  done
  echo "stopped: $1"
}
sleep 60 &
sleep 61 &
kill -STOP %1 %2
stopped 2
bg %1
stopped 1
bg 2
stopped 0
kill -STOP %2
stopped 1
bg
stopped 0
kill -STOP %1 %2
stopped 2
bg %1 %2
stopped 0
kill -STOP %2
stopped 1
bg %%
stopped 0
bg deploy --canary "a b" ''
echo "status: $?"
bg --help
kill %1 %2
