#!/usr/bin/env bash
# silence_test.sh MALSTROM TARGET THREADS TIME
#
# A correct allocator: no finding, whatever the load of the machine. A library
# that this machine does not have is skipped.
set -u
malstrom=$1 target=$2 threads=$3 time=$4
case $target in
*/*) [ -e "$target" ] || exit 77 ;;
esac
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

"$malstrom" stress --target "$target" --threads "$threads" --time "$time" \
    --out "$dir/out" >"$dir/log" 2>&1
status=$?
cat "$dir/log"
[ $status -eq 0 ] && tail -1 "$dir/log" | grep -q '^verdict: ok ('
