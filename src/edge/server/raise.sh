# shellcheck shell=sh
# Raises the fence, so that no step begun before this one can change anything here any more, and says what is here.
enter
report
