# bash: the builtin `bg` keeps its uses for jobs (`bg`, `bg %1`, `bg 2`); everything else runs the program.
bg() {
  case "${1-}" in
    '' | %* | --) builtin bg "$@" ;;
    *[!0-9]*) BLUEGREEN_CALLED='bg' command @PROGRAM@ "$@" ;;
    *) builtin bg "$@" ;;
  esac
}

# Completions.
_bluegreen() {
  local cur=${COMP_WORDS[COMP_CWORD]} IFS=$'\n'
  case "$cur" in
    %*)
      # shellcheck disable=SC2207 # bash 3 has no mapfile, and IFS is a newline
      COMPREPLY=($(compgen -P % -j -- "${cur#%}"))
      return
      ;;
  esac
  # shellcheck disable=SC2207 # as above
  COMPREPLY=($(command @PROGRAM@ __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1))
  case "${COMPREPLY[*]-}" in
    *=) compopt -o nospace 2>/dev/null ;;
  esac
}
complete -o bashdefault -o default -F _bluegreen bluegreen bg
