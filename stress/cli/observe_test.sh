#!/usr/bin/env bash
# observe_test.sh OBSERVE WRONG - what malstrom-observe promises on bad input, on
# signals and when its output has no place: the status, one line on stderr, and an
# end in time. WRONG is such a program whose only target, relaxed_pool, has a race.
set -u
observe=$1 wrong=$2
. "${0%/*}/expect.sh"

# ---- arguments

explore="$observe explore --target dlmalloc"
expect 0 "" "$observe" --help
expect 2 "" "$observe"
expect 2 "malstrom: unknown command nix*" "$observe" nix
expect 0 "" "$observe" explore --help
expect 0 "" "$observe" repro --help
expect 2 "malstrom repro: which FILE?" "$observe" repro
expect 2 "malstrom explore: unknown option --nix (see *)" $explore --nix
expect 2 "malstrom explore: unexpected argument b" $explore a b
expect 2 "malstrom explore: --strategy nix: not one of *" \
    $explore --strategy nix
expect 2 "malstrom explore: --points nix: not one of *" $explore --points nix
for number in 0 16 x ""; do
    expect 2 "malstrom explore: --threads $number: not a number from 1 to 15" \
        $explore --threads "$number"
done
expect 2 "malstrom explore: --runs 0: not a number from 1 to *" \
    $explore --runs 0
expect 2 "malstrom explore: nix: unknown target (*)" \
    "$observe" explore --target nix
expect 3 "malstrom explore: /nix.so: No such file or directory" \
    "$observe" explore --target /nix.so

# ---- files

heap() { # FILE LINE...: a program of one call, and those lines
    printf 'malstrom heap program 1\nslots 1\nthread 0\n  malloc 0 1\n' >"$1"
    printf '%s\n' "${@:2}" >>"$1"
}
heap right.heap "schedule 1 2 255 7*300" end
heap far.heap "schedule 1 300" end
heap word.heap "schedule x" end
heap endless.heap "schedule 1*99999999999" end
heap cut.heap "schedule 1"
: >empty.heap
head -c 64 /dev/zero >zeros.heap
expect 0 "" "$observe" repro right.heap --target dlmalloc
says "verdict: ok (1 operations, 1 runs)"
expect 0 "" "$observe" repro zeros.heap --target dlmalloc
expect 2 "far.heap:5: schedule '300' is not a number *" \
    "$observe" repro far.heap
expect 2 "word.heap:5: schedule 'x' is not a number *" \
    "$observe" repro word.heap
expect 2 "endless.heap:5: schedule '1*99999999999' is not a number *" \
    "$observe" repro endless.heap
expect 2 "cut.heap:*: cut short: *" "$observe" repro cut.heap
expect 2 "empty.heap: is empty" "$observe" repro empty.heap
expect 2 ".: is a directory" "$observe" repro .
expect 3 "nix.heap: No such file or directory" "$observe" repro nix.heap

# ---- signals: an end at once, with the verdict so far

for signal in INT TERM HUP; do
    begun=$SECONDS
    expect 0 "" timeout --foreground --preserve-status -s $signal 1 \
        $explore --time 60s
    says "verdict: ok (*"
    [ $((SECONDS - begun)) -lt 40 ] || fail "$signal does not end it"
done
found="$wrong explore --policy glibc-null_modest --seed 1"
expect 1 "" timeout --foreground --preserve-status -s INT 2 \
    $found --time 90s --whole --out stopped
says "verdict: [1-9]* findings"
[ -e stopped/race-relaxed_pool-collide-1-1.heap ] || fail "no file"

# ---- a child that gets no time does not keep its parent

begun=$SECONDS
$explore --time 3s >out 2>err &
parent=$!
child=
while [ -z "$child" ] && kill -0 $parent; do
    sleep 0.05
    child=$(awk -v parent=$parent '$4 == parent {print $1}' \
        /proc/[0-9]*/stat 2>/dev/null)
done
kill -STOP "$child"
wait $parent || fail "a child that stands still: status $?"
[ $((SECONDS - begun)) -lt 9 ] || fail "it waits for a child that stands still"
says "verdict: ok (*"
grep -q "the last run was not waited for" err || fail "no word of the last run"

# ---- findings and output that have no place

once="$found --runs 1000 --max-findings 1 --whole"
: >file
expect 3 "malstrom explore: file: Not a directory" $once --out file
expect 1 "*No space left on device*" bash -c "$once --out full >/dev/full"
expect 3 "*No space left on device" bash -c "$explore --runs 5 >/dev/full"
expect 1 "" bash -c "(ulimit -f 0; exec $once --out limit 2>&1) | cat
    exit \${PIPESTATUS[0]}"
grep -q "File too large" out || fail "no word of the file's limit"
says "verdict: 1 findings"
grep -q "^replay:" out && fail "a replay line, and no file"
expect 1 "*Broken pipe" bash -c "$once --out pipe | true
    exit \${PIPESTATUS[0]}"
ls pipe/*.heap >/dev/null || fail "a closed pipe takes the file along"

finish
