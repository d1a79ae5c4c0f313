#!/usr/bin/env bash
# wrong_test.sh MALSTROM LIBRARY-DIRECTORY CC BUG KIND MODE
#
# A small malloc with one bug: malstrom finds it, by the KIND it is. That takes
# seconds; a machine that is busy with other things has a minute. MODE says what
# else must hold of what was written:
#   exact    the program has at most 10 operations and shows it every time, and
#            the C program made of it fails alone
#   stuck    the same, but fewer times: each takes seconds
#   threads  nothing; it takes threads that happen to meet
#   silent   there is no bug, and no finding
set -u
malstrom=$1 libraries=$2 cc=$3 bug=$4 kind=$5 mode=$6
library=$libraries/libwrong-$bug.so
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

fail() {
    echo "wrong_test: $bug: $*"
    cat "$dir/log"
    exit 1
}

time=60s
[ "$mode" = silent ] && time=10s
"$malstrom" stress --target "$library" --time $time --max-findings 1 \
    --out "$dir/out" >"$dir/log" 2>&1
status=$?
if [ "$mode" = silent ]; then
    [ $status -eq 0 ] || fail "status $status"
    exit 0
fi
[ $status -eq 1 ] || fail "status $status, not 1"
grep -q "^finding: $kind target=" "$dir/log" || fail "no finding of kind $kind"
[ "$mode" = threads ] && exit 0

program=$(sed -n 's/^replay: malstrom repro //p' "$dir/log" | head -1)
operations=$(grep -c '^  ' "$program")
[ "$operations" -le 10 ] || fail "$operations operations in $program"

times=10
[ "$mode" = stuck ] && times=2
"$malstrom" repro "$program" --times $times --emit-c "$dir/bug.c" \
    >"$dir/log" 2>&1
status=$?
[ $status -eq 1 ] || fail "repro: status $status, not 1"
grep -q "^shown: $times of $times$" "$dir/log" || fail "not shown each time"

"$cc" -o "$dir/bug" "$dir/bug.c" -lpthread >"$dir/log" 2>&1 ||
    fail "the C program does not compile"
LD_PRELOAD=$library timeout -s KILL 10 "$dir/bug" >"$dir/log" 2>&1
status=$?
[ $status -ne 0 ] || fail "the C program does not fail"
[ "$kind" != growth ] || [ $status -eq 1 ] ||
    fail "the C program sees no growth: status $status"
LD_PRELOAD=$libraries/libwrong-nothing.so "$dir/bug" >"$dir/log" 2>&1 ||
    fail "the C program fails without the bug"
exit 0
