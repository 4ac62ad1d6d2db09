#!/bin/sh
# Read before every script that runs on a balancer. POSIX sh, GNU coreutils, find and tar, flock of util-linux.
#
# What a script found stands on stdout, one `word value…` a line; what people should read goes to stderr.
# Exit 0: the script came to an answer, `refused KIND …` among them. 77: no right (stderr says to do what).
# Anything else: it broke.
set -eu
umask 022
LC_ALL=C
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export LC_ALL PATH

# refused KIND [DETAIL]: the answer is no, and nothing was changed.
refused() {
    printf 'refused %s\n' "$*"
    exit 0
}

# no_right COMMAND…: what sudo or the file system did not let us do.
no_right() {
    printf 'no_right %s\n' "$*"
    exit 77
}

# lacks_right TEXT: whether it is sudo that refused, and not the command that failed.
lacks_right() {
    case $1 in
        *'sudo: a password is required'* | *'sudo: a terminal is required'* | *'sudo: sorry'* | *'is not allowed to execute'* | \
            *'may not run sudo'* | *'ot in the sudoers'* | *'sudo: '*'not found'*) return 0 ;;
    esac
    return 1
}

# rooted COMMAND…: a file operation on what root owns. The scripts that use it set $sudo to `yes` or `no`.
# shellcheck disable=SC2154
rooted() {
    if [ "$sudo" = yes ]; then
        set -- sudo -n "$@"
    fi
    # What tee copies to stdout is not wanted; stderr tells a missing right from any other failure.
    if complaint=$("$@" 2>&1 >/dev/null); then
        return 0
    fi
    printf '%s\n' "$complaint" >&2
    if lacks_right "$complaint"; then
        no_right "$@"
    fi
    case $complaint in
        *'ermission denied'* | *'peration not permitted'*) no_right "$@" ;;
    esac
    return 1
}

# hash_of DIR: sets $hash to the sha256 of the manifest of a tree: the links and the plain file names of bg's own. A tree
# that the workers cannot enter never hashes right, and what find cannot read is missing from the list, and so differs.
hash_of() {
    hash=missing
    [ -d "$1" ] || return 0
    hash=$(find "$1/." ! -name traffic.json ! -name traffic.txt \
        \( -path '*/.' \( -perm 755 -o -printf 'mode %m\n' \) -o -printf '%y %m %P %l\n' \) 2>/dev/null | sort | sha256sum)
    hash=${hash%% *}
}

# as_prepared GEN N HASH: refused unless gen/N is whole.
as_prepared() {
    hash_of "$1/$2"
    [ "$hash" != "$3" ] || return 0
    mode=$(stat -c %a "$1/$2")
    [ "$mode" = 755 ] || hash=mode$mode
    refused differs "$2 $hash"
}

# journal_of DIR: sets $owner to the journal that a tree names; to nothing where it names none. Asked many times in one
# command: the shell itself reads it where it stands as bg writes it, at the beginning and on a line of its own.
journal_of() {
    owner='' line=''
    [ -r "$1/traffic.json" ] || return 0
    {
        read -r _ && read -r _ && read -r line || :
    } <"$1/traffic.json"
    owner=${line#\"journal\": \"}
    owner=${owner%\",}
    case $owner in
        *[!A-Za-z0-9_-]* | '') ;;
        *) [ "$line" != "\"journal\": \"$owner\"," ] || return 0 ;;
    esac
    owner=
    rest=$(head -c 1000000 "$1/traffic.json")
    while [ "$rest" != "${rest#*\"journal\"}" ]; do
        rest=${rest#*\"journal\"}
        # The key, and not a site or a segment of that name.
        value=${rest#"${rest%%[![:space:]]*}"}
        [ "$value" != "${value#:}" ] || continue
        value=${value#:}
        value=${value#"${value%%[![:space:]]*}"}
        [ "$value" != "${value#\"}" ] || continue
        value=${value#\"}
        owner=${value%%\"*}
        return 0
    done
}

# number_of LIVE: sets $current to N where current -> gen/N (dangling or not), to `none` where there is no current, else
# to `unknown`.
number_of() {
    current=none
    if [ -L "$1/current" ]; then
        target=$(readlink "$1/current")
        current=${target#gen/}
        case $current in
            "$target" | '' | 0* | *[!0-9]*) current=unknown ;;
        esac
    elif [ -e "$1/current" ]; then
        current=unknown
    fi
}

# for_now DIR [MODE]: makes DIR, which is gone when this script ends, by itself or by a signal. After it a script may say in
# `undo` what else must be put back then. The signals are caught before there is anything to remove, and kept off while
# it is removed, so that none falls in between.
for_now() {
    temporary=$1
    trap cleared EXIT
    trap 'cleared; exit 1' HUP INT TERM
    mkdir -m "${2:-700}" "$temporary"
}
undo() { :; }
cleared() {
    trap '' HUP INT TERM
    trap - EXIT
    discard "$temporary" || :
    undo
}
# discard DIR: whatever modes stand in it.
discard() { rm -rf "$1" 2>/dev/null || { chmod -R u+rwX "$1" && rm -rf "$1"; }; }
# kept: what for_now made stays.
kept() { trap - EXIT HUP INT TERM; }

# lock FILE SECONDS: holds FILE until this script ends; waits at most SECONDS.
lock() {
    [ -e "$1" ] || refused no_dirs "$1"
    [ -r "$1" ] || no_right read "$1"
    exec 9<"$1"
    flock -w "$2" 9 || refused locked "$1"
}

# own LIVE JOURNAL SECONDS: holds the lock of the trees, and sets $current. Refused where they are another journal's.
own() {
    [ -e "$1/.lock" ] || : >>"$1/.lock"
    lock "$1/.lock" "$3"
    number_of "$1"
    [ "$current" != unknown ] || refused unknown_current "$(readlink "$1/current" || :)"
    journal_of "$1/current"
    [ -z "$owner" ] || [ "$owner" = "$2" ] || refused foreign "$owner current"
}

# same_owner LIVE K JOURNAL: refused unless gen/K is this journal's.
same_owner() {
    journal_of "$1/gen/$2"
    [ "$owner" = "$3" ] || refused foreign "${owner:--} gen/$2"
}
