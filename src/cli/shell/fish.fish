# fish: the builtin `bg` keeps its uses for jobs (`bg`, `bg %1`, `bg 1234`); everything else runs the program.
function bg
    if test (count $argv) -gt 0; and not string match -qr -- '^(%.*|[0-9]+|--)$' $argv[1]
        BLUEGREEN_CALLED=bg command @PROGRAM@ $argv
        return
    end
    # The builtin takes process groups only; %2, and 2 as in the other shells, are jobs.
    set -l groups
    for name in $argv
        set -l job (string match -r -- '^%([0-9]+)$' $name)[2]
        if test -z "$job"; and string match -qr -- '^[0-9]+$' $name; and not contains -- $name (jobs -p)
            set job $name
        end
        if test -z "$job"
            set -a groups $name
        else if set -l group (jobs -p %$job)
            set -a groups $group
        else
            return 1
        end
    end
    builtin bg $groups
end

# Completions.
function __bluegreen_complete
    set -l words (commandline -opc)
    set -l known (command @PROGRAM@ __complete -- $words[2..-1] (commandline -ct) 2>/dev/null)
    if test -n "$known"
        printf '%s\n' $known
        return
    end
    # A path, behind the = of POOL=PATH too.
    set -l before (string match -r -- '^[^=]*=' (commandline -ct))
    for path in (__fish_complete_path (string replace -- "$before" '' (commandline -ct)))
        printf '%s%s\n' "$before" $path
    end
end
complete -c bg -e
complete -c bluegreen -e
complete -c bluegreen -f -a '(__bluegreen_complete)'
complete -c bg -f -a '(__bluegreen_complete)'
