#!/usr/bin/env bash
# foreign_test.sh RIGHT WRONG - the observed runner on somebody else's allocator:
# nothing is found in RIGHT; in WRONG its race is, with lines of its source.
set -u
right=$1 wrong=$2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

fail() {
    cat ./*.log
    echo "foreign_test.sh: $*" >&2
    exit 1
}

run() { # PROGRAM LOG
    "$1" explore --seed 1 --runs 500 --policy glibc-null_modest >"$2"
}

run "$right" right.log || fail "a finding on the right one"
grep -q '^verdict: ok' right.log || fail "no verdict"
run "$wrong" wrong.log
[ $? -eq 1 ] || fail "the race is not found"
grep -q '^finding: race target=relaxed_pool ' wrong.log || fail "no race"
grep -q 'pool_malloc .*/pool\.c:[0-9]' wrong.log || fail "no line of its source"
file=$(sed -n 's/^replay: observe-relaxed_pool repro //p' wrong.log)
[ -f "$file" ] || fail "no replay line"
"$wrong" repro --times 10 "$file" >repro.log
[ $? -eq 1 ] || fail "it does not replay"
grep -q '10 of 10' repro.log || fail "it does not always replay"
