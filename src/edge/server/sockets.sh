#!/bin/sh
# The host's own addresses (`at ADDRESS`), and the TCP sockets of one local port that listen (0A) or are established (01):
# local end, remote end, state, in hex as the kernel has them. Arguments: 1 the port as four upper-case hex digits.
set -eu
PATH=$PATH:/usr/sbin:/sbin
for address in $(ip -o addr 2>/dev/null | awk '{ sub("/.*", "", $4); print $4 }' || :) $(hostname -I 2>/dev/null || :); do
    echo "at $address"
done
for table in /proc/net/tcp /proc/net/tcp6; do
    if [ -r "$table" ]; then
        awk -v port=":$1" '$2 ~ port "$" && ($4 == "01" || $4 == "0A") { print $2, $3, $4 }' "$table"
    fi
done
