# bash: the builtin `bg` keeps its uses for jobs (`bg`, `bg %1`, `bg 2`); everything else runs the program.
bg() {
  case "${1-}" in
    '' | %* | --) builtin bg "$@" ;;
    *[!0-9]*) BLUEGREEN_CALLED=bg command @PROGRAM@ "$@" ;;
    *) builtin bg "$@" ;;
  esac
}

_bluegreen() {
  local cur=${COMP_WORDS[COMP_CWORD]} IFS=$'\n'
  case "$cur" in
    %*)
      COMPREPLY=($(compgen -P % -j -- "${cur#%}"))
      return
      ;;
  esac
  COMPREPLY=($(command @PROGRAM@ __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1))
  case "${COMPREPLY[*]-}" in
    *=) compopt -o nospace 2>/dev/null ;;
  esac
}
complete -o bashdefault -o default -F _bluegreen bluegreen bg
