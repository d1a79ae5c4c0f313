#!/usr/bin/env bash
# record_test.sh MALSTROM - `malstrom record`: what it leaves alone, what it
# writes, and each of its error lines with its status.
set -u
malstrom=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

# expect NAME STATUS STDERR COMMAND...: STDERR is a pattern for its only line.
expect() {
    local name=$1 status=$2 line=$3 found
    shift 3
    "$@" >out 2>err </dev/null
    found=$?
    # shellcheck disable=SC2254
    case $(cat err) in
    $line) [ "$found" = "$status" ] && return ;;
    esac
    echo "$name: status $found, wanted $status; stderr: $(cat err)"
    failures=$((failures + 1))
}

expect "records" 0 "recorded * operations of 1 thread in ls.heap.zst" \
    "$malstrom" record -- ls -l /
expect "replays" 0 "" "$malstrom" repro --times 1 --target system ls.heap.zst
expect "text" 0 "recorded *" "$malstrom" record -o ls.heap -- ls /
grep -q '^malstrom heap program 1$' ls.heap || failures=$((failures + 1))
expect "long option" 0 "recorded * in a.heap" \
    "$malstrom" record --output=a.heap -- ls
expect "exit status" 0 "recorded *; it exited with status 3" \
    "$malstrom" record -- sh -c 'exit 3'
expect "signal" 0 "recorded *; it was ended by signal 15" \
    "$malstrom" record -o k.heap -- bash -c 'kill -TERM $$; sleep 1'
[ "$(echo through | "$malstrom" record -o c.heap -- cat 2>err)" = through ] || {
    echo "stdin and stdout do not pass through"
    failures=$((failures + 1))
}

expect "no command" 2 "malstrom record: which COMMAND? (see *" \
    "$malstrom" record
expect "unknown option" 2 "malstrom record: unknown option --what (see *" \
    "$malstrom" record --what -- ls
expect "no value" 2 "malstrom record: -o needs a value" "$malstrom" record -o
expect "directory" 2 "malstrom record: $work: is a directory" \
    "$malstrom" record -o "$work" -- ls
expect "no such command" 3 \
    "malstrom record: ./nothing: No such file or directory" \
    "$malstrom" record -- ./nothing
expect "not executable" 3 "malstrom record: ./ls.heap: Permission denied" \
    "$malstrom" record -- ./ls.heap
expect "no such directory" 3 \
    "malstrom record: $work/no/x.heap: cannot be written" \
    "$malstrom" record -o "$work/no/x.heap" -- ls
[ ! -e nothing.heap.zst ] || failures=$((failures + 1))
[ "$failures" = 0 ]
