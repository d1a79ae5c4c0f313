#!/usr/bin/env bash
# stands_test.sh MALSTROM CC LIBRARY TIME
#
# What malstrom finds in a malloc that people use stands up: each finding's file
# shows it each time, and the C program made of it fails by itself on the library
# and is content on libc's malloc. A library without findings passes.
set -u
malstrom=$1 cc=$2 library=$3 time=$4
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

fail() {
    echo "stands_test: $library: $*"
    cat "$dir/stress.log" "$dir/log"
    exit 1
}

# fails COMMAND...: it ends badly, or not at all.
fails() {
    timeout -s KILL 20 "$@" >"$dir/log" 2>&1
    [ $? -ne 0 ]
}

: >"$dir/log"
"$malstrom" stress --target "$library" --time "$time" --seed 1 \
    --out "$dir/out" >"$dir/stress.log" 2>&1
status=$?
[ $status -le 1 ] || fail "status $status"
count=0
while read -r program; do
    [ -f "$program" ] || fail "no file: $program"
    "$malstrom" repro "$program" --times 3 --emit-c "$dir/bug.c" >"$dir/log" 2>&1
    grep -q '^shown: 3 of 3$' "$dir/log" || fail "$program: not shown each time"
    "$cc" -Wall -Werror -o "$dir/bug" "$dir/bug.c" -lpthread >"$dir/log" 2>&1 ||
        fail "$program: the C program does not compile"
    fails env LD_PRELOAD="$library" "$dir/bug" ||
        fail "$program: the C program does not fail"
    ! fails "$dir/bug" || fail "$program: the C program fails on libc's malloc"
    count=$((count + 1))
done < <(sed -n 's/^replay: malstrom repro //p' "$dir/stress.log")
[ $count = "$(grep -c '^finding: ' "$dir/stress.log")" ] || fail "no replay line"
echo "$count findings, each of which stands up: $(
    sed -n 's/^finding: \([^ ]*\) .*/\1/p' "$dir/stress.log" | tr '\n' ' ')"
