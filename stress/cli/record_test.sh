#!/usr/bin/env bash
# record_test.sh MALSTROM - `malstrom record`: what it leaves alone, what it
# writes, and each of its error lines with its status.
set -u
malstrom=$1
. "${0%/*}/expect.sh"

expect 0 "recorded * operations of 1 thread in ls.heap.zst" \
    "$malstrom" record -- ls -l /
expect 0 "" "$malstrom" repro --times 1 --target system ls.heap.zst
expect 0 "recorded *" "$malstrom" record -o ls.heap -- ls /
grep -q '^malstrom heap program 1$' ls.heap || fail "no text"
expect 0 "recorded * in a.heap" "$malstrom" record --output=a.heap -- ls
expect 0 "recorded *; it exited with status 3" \
    "$malstrom" record -- sh -c 'exit 3'
expect 0 "recorded *; it was ended by signal 15" \
    "$malstrom" record -o k.heap -- bash -c 'kill -TERM $$; sleep 1'
for signal in TERM HUP; do
    expect 0 "recorded *; it was ended by signal *" timeout --foreground \
        --preserve-status -s $signal 1 "$malstrom" record -o s.heap -- sleep 60
done
[ "$(echo through | "$malstrom" record -o c.heap -- cat 2>err)" = through ] ||
    fail "stdin and stdout do not pass through"

expect 2 "malstrom record: which COMMAND? (see *" "$malstrom" record
expect 2 "malstrom record: unknown option --what (see *" \
    "$malstrom" record --what -- ls
expect 2 "malstrom record: -o needs a value" "$malstrom" record -o
expect 2 "malstrom record: $work: is a directory" \
    "$malstrom" record -o "$work" -- ls
expect 3 "malstrom record: ./nothing: No such file or directory" \
    "$malstrom" record -- ./nothing
expect 3 "malstrom record: ./ls.heap: Permission denied" \
    "$malstrom" record -- ./ls.heap
expect 3 "malstrom record: $work/no/x.heap: cannot be written" \
    "$malstrom" record -o "$work/no/x.heap" -- ls
[ ! -e nothing.heap.zst ] || fail "a file of a command that did not run"
finish
