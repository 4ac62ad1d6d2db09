# zsh: the builtin `bg` keeps its uses for jobs (`bg`, `bg %1`, `bg 2`); everything else runs the program.
function bg {
  case "${1-}" in
    ('' | %* | --) builtin bg "$@" ;;
    (*[!0-9]*) BLUEGREEN_CALLED=bg command @PROGRAM@ "$@" ;;
    (*)
      # zsh itself wants %2 where the others take 2.
      local -a jobs_named
      local name
      for name in "$@"; do
        if [[ $name != *[!0-9]* && -n ${jobstates[$name]-} ]]; then name="%$name"; fi
        jobs_named+=("$name")
      done
      builtin bg "${jobs_named[@]}"
      ;;
  esac
}

# Completions.
function _bluegreen {
  local line
  local -a values texts
  if [[ ${words[CURRENT]} == %* ]]; then
    _jobs_bg
    return
  fi
  for line in "${(@f)$(command @PROGRAM@ __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] || continue
    values+=("${line%%$'\t'*}")
    texts+=("${line/$'\t'/  -- }")
  done
  if (( ! ${#values} )); then
    # Behind the = of POOL=PATH too.
    compset -P '*='
    _files
  elif [[ ${values[1]} == *= ]]; then
    compadd -S '' -l -d texts -a values
  else
    compadd -l -d texts -a values
  fi
}
(( ${+functions[compdef]} )) && compdef _bluegreen bluegreen bg
