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

# hash_of DIR: sha256 of the manifest of a tree. A tree that the workers cannot enter never hashes right.
hash_of() {
    if [ ! -d "$1" ]; then
        printf 'missing'
        return 0
    fi
    mode=$(stat -c %a "$1")
    if [ "$mode" != 755 ]; then
        printf 'mode%s' "$mode"
        return 0
    fi
    # The links and the plain file names of bg's own; what find cannot read is missing from the list, and so differs.
    (cd "$1" && find . -mindepth 1 ! -name traffic.json ! -name traffic.txt -printf '%y %m %P %l\n' 2>/dev/null) |
        sort | sha256sum | sum_alone
}
# sum_alone: the sum without the name that sha256sum says behind it.
sum_alone() {
    read -r sum _ || :
    printf '%s' "$sum"
}

# journal_of DIR: the journal that a tree names; nothing where it names none. Asked many times in one command, so it is
# read with one process and not with five.
journal_of() {
    [ -r "$1/traffic.json" ] || return 0
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
        printf '%s' "${value%%\"*}"
        return 0
    done
}

# number_of LIVE: N where current -> gen/N (dangling or not), `none` where there is no current, else `unknown`.
number_of() {
    if [ -L "$1/current" ]; then
        target=$(readlink "$1/current")
        number=${target#gen/}
        case $number in
            "$target" | '' | 0* | *[!0-9]*) printf 'unknown' ;;
            *) printf '%s' "$number" ;;
        esac
    elif [ -e "$1/current" ]; then
        printf 'unknown'
    else
        printf 'none'
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
    rm -rf "$temporary"
    undo
}
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
    current=$(number_of "$1")
    [ "$current" != unknown ] || refused unknown_current "$(readlink "$1/current" || :)"
    owner=$(journal_of "$1/current")
    [ -z "$owner" ] || [ "$owner" = "$2" ] || refused foreign "$owner current"
}

# same_owner LIVE K JOURNAL: refused unless gen/K is this journal's.
same_owner() {
    owner=$(journal_of "$1/gen/$2")
    [ "$owner" = "$3" ] || refused foreign "${owner:--} gen/$2"
}
