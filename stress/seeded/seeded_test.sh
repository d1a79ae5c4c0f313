#!/usr/bin/env bash
# seeded_test.sh BINARY: the seeded bug is found, and what was found replays
#
# The binary is named after its bug, DESIGN_BUG. It has 50 s to find it; then the
# file is run 100 times by another process, while a third keeps the CPU busy.
set -u
binary=$1
name=${binary##*/}
dir=$(mktemp -d) || exit 1
trap 'kill $busy 2>/dev/null; rm -rf "$dir"' EXIT
busy=

fail() {
    cat "$dir"/*.log
    echo "seeded_test.sh: $name: $*" >&2
    exit 1
}

"$binary" explore --target "${name%%_*}" --seed 1 --time 50s --max-findings 1 \
    --out "$dir" >"$dir/explore.log"
[ $? -eq 1 ] || fail "not found"
files=("$dir"/*.heap)
[ -e "${files[0]}" ] || fail "no file"

(while :; do :; done) &
busy=$!
"$binary" repro "${files[0]}" --times 100 >"$dir/repro.log"
[ $? -eq 1 ] || fail "does not replay"
grep -q "100 of 100" "$dir/repro.log" || fail "does not always replay"
cat "$dir/explore.log"
