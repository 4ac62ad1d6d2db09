#!/bin/sh
# addresses.sh: the host's own addresses, one a line, without prefix lengths.
set -eu
if command -v ip >/dev/null 2>&1; then
    ip -o addr show | awk '{ sub(/\/.*/, "", $4); print $4 }'
elif [ -r /proc/net/fib_trie ]; then
    awk '/\/32 host LOCAL/ { print last } { last = $NF }' /proc/net/fib_trie | sort -u
    if [ -r /proc/net/if_inet6 ]; then
        awk '{ gsub(/..../, "&:", $1); sub(/:$/, "", $1); print $1 }' /proc/net/if_inet6
    fi
else
    hostname -I | tr ' ' '\n'
fi
printf 'done\n'
