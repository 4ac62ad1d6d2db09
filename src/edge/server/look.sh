# shellcheck shell=sh
# Reads only.
report
