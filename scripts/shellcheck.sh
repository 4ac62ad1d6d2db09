#!/bin/sh
# Every shell script of the repository. Those that are put together from parts are checked as they are sent.
set -eu
cd "$(dirname "$0")/.."
command -v shellcheck >/dev/null 2>&1 || {
    echo "error: there is no shellcheck here" >&2
    echo "hint: apt-get install shellcheck" >&2
    exit 1
}
git ls-files '*.sh' .ci/run | while read -r script; do
    case $script in
        # No dialect that shellcheck knows.
        src/cli/shell/zsh.sh | tests/shell/zsh.sh) continue ;;
        src/cli/shell/bash.sh) shellcheck --shell=bash "$script" ;;
        *) shellcheck --severity=warning "$script" ;;
    esac
done
