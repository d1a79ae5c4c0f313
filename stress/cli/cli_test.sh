#!/usr/bin/env bash
# cli_test.sh MALSTROM CC - what the command promises on bad input: the status,
# and one line on stderr that says what and where; and that it ends whatever
# becomes of its output.
set -u
malstrom=$1 cc=$2
. "${0%/*}/expect.sh"

# silent: nothing on stdout.
silent() {
    [ ! -s out ] || fail "something on stdout"
}

# ---- the command and its options

expect 2 "malstrom: a command is needed (see *)" "$malstrom"
expect 2 "malstrom: unknown command nix (see *)" "$malstrom" nix
expect 0 "" "$malstrom" --version
says "malstrom [0-9]*"
expect 0 "" "$malstrom" --help
for command in list stress fuzz repro record; do
    expect 0 "" "$malstrom" $command --help
    expect 2 "malstrom $command: unknown option --nix (see *)" \
        "$malstrom" $command --nix
    silent
done
expect 0 "" "$malstrom" explore --help
expect 0 "" "$malstrom" list
for word in system churn handoff overlap nondeterminism glibc; do
    grep -qw "$word" out || fail "list does not tell of $word"
done
expect 2 "malstrom list: unexpected argument nix" "$malstrom" list nix

stress="stress --target dlmalloc --time 500ms"
expect 2 "malstrom stress: unexpected argument nix" "$malstrom" $stress nix
expect 2 "malstrom stress: --target needs a value" "$malstrom" stress --target
expect 2 "malstrom stress: no value goes with --json=1 (see *)" \
    "$malstrom" $stress --json=1
expect 2 "malstrom stress: nix: unknown scenario (see *)" \
    "$malstrom" $stress --scenario nix
expect 2 "malstrom stress: --policy nix: unknown policy (*) at character 1" \
    "$malstrom" $stress --policy nix
expect 2 "malstrom stress: --policy c+nix: unknown clause at character 3" \
    "$malstrom" $stress --policy c+nix
for time in 0s 7 s 7y -1s 1.5s 99999999999999999999s ""; do
    expect 2 "malstrom stress: --time $time: not a time (*)" \
        "$malstrom" stress --target system --time "$time"
done
for number in 0 257 x 1x -1 "" 99999999999999999999; do
    expect 2 "malstrom stress: --threads $number: not a number from 1 to 256" \
        "$malstrom" $stress --threads "$number"
done
expect 2 "malstrom stress: --seed x: not a number from *" \
    "$malstrom" $stress --seed x
silent

# ---- targets

echo 'int answer(void) { return 42; }' >none.c
"$cc" -shared -fPIC -o none.so none.c || fail "the compiler"
echo 'not ELF' >text.so
head -c 100 none.so >cut.so
: >empty.so
mkdir folder.so "with space"
cp none.so "with space/none.so"
target() {
    expect "$1" "$2" "$malstrom" stress --time 500ms --target "$3"
    silent
}
target 2 "malstrom stress: nix: unknown target (see *)" nix
target 3 "malstrom stress: ./nix.so: No such file or directory" ./nix.so
target 3 "malstrom stress: ./none.so: no malloc in this library" ./none.so
target 3 "malstrom stress: ./text.so: not a shared library" ./text.so
target 3 "malstrom stress: ./empty.so: not a shared library" ./empty.so
target 3 "malstrom stress: ./folder.so: not a shared library" ./folder.so
target 3 "malstrom stress: ./cut.so: *" ./cut.so
target 3 "malstrom stress: * the loader takes no path with a space or a colon" \
    "$work/with space/none.so"
expect 3 "malstrom stress: ./none.so: no malloc in this library" \
    "$malstrom" stress --time 500ms --target system --target ./none.so

# ---- programs

cat >good.heap <<'END'
malstrom heap program 1
target system
slots 64
thread 0
  malloc 0 100
  free 0
end
END
sed 's/malloc 0 100/malloc 99 100/' good.heap >bad.heap
sed 's/malloc 0 100/mallok 0 100/' good.heap >word.heap
sed 's/program 1/program 99/' good.heap >version.heap
sed '/^end/d' good.heap >cut.heap
sed 's/target system/target nix/' good.heap >target.heap
sed 's/target system/policy nix/' good.heap >policy.heap
: >empty.heap
expect 0 "" "$malstrom" repro good.heap
says "verdict: ok (2 operations, 1 runs)"
expect 0 "" "$malstrom" repro good.heap --times 3 --json
says '{"type":"verdict","verdict":"ok",*}'
expect 2 "malstrom repro: which FILE? (see *)" "$malstrom" repro
expect 2 "malstrom repro: unexpected argument good.heap" \
    "$malstrom" repro good.heap good.heap
expect 2 "malstrom repro: --times 0: not a number from 1 to *" \
    "$malstrom" repro --times 0 good.heap
expect 2 "bad.heap:5: slot 99 out of range (0..63)" "$malstrom" repro bad.heap
expect 2 "word.heap:5: *mallok*" "$malstrom" repro word.heap
expect 2 "version.heap:1: *" "$malstrom" repro version.heap
expect 2 "cut.heap:[0-9]*: *" "$malstrom" repro cut.heap
expect 2 "malstrom repro: nix: unknown target (see *)" \
    "$malstrom" repro target.heap
expect 2 "malstrom repro: policy nix: unknown policy (*" \
    "$malstrom" repro policy.heap
expect 2 "empty.heap: is empty" "$malstrom" repro empty.heap
expect 2 "folder.so: is a directory" "$malstrom" repro folder.so
expect 3 "nix.heap: No such file or directory" "$malstrom" repro nix.heap
if command -v zstd >/dev/null; then
    zstd -q good.heap -o good.heap.zst
    head -c 40 good.heap.zst >cut.heap.zst
    { cat good.heap.zst && echo more; } >more.heap.zst
    expect 0 "" "$malstrom" repro good.heap.zst
    expect 2 "cut.heap.zst: the zstd data is cut short" \
        "$malstrom" repro cut.heap.zst
    expect 2 "more.heap.zst: *zstd*" "$malstrom" repro more.heap.zst
fi

# ---- where files go

expect 3 "malstrom stress: /dev/null/x: Not a directory" \
    "$malstrom" $stress --out /dev/null/x
expect 3 "malstrom stress: good.heap: Not a directory" \
    "$malstrom" $stress --out good.heap
expect 3 "malstrom stress: /proc/x: No such file or directory" \
    "$malstrom" $stress --out /proc/x
expect 3 "malstrom repro: /dev/full: No space left on device" \
    "$malstrom" repro good.heap --emit-c /dev/full
expect 3 "malstrom repro: folder.so: Is a directory" \
    "$malstrom" repro good.heap --emit-c folder.so
expect 3 "malstrom repro: nix/a.c: No such file or directory" \
    "$malstrom" repro good.heap --emit-c nix/a.c
expect 0 "" "$malstrom" repro good.heap --emit-c good.c
"$cc" -o good good.c -lpthread 2>err && ./good >out 2>>err ||
    fail "the C program does not work"

# ---- what becomes of stdout: full, closed, a pipe that nobody reads

for arguments in --version --help list "stress --help" "repro good.heap" \
    "repro good.heap --json" "$stress --scenario churn"; do
    # shellcheck disable=SC2086
    "$malstrom" $arguments >/dev/full 2>err </dev/null
    [ "$? $(cat err)" = \
        "3 malstrom: standard output: No space left on device" ] ||
        fail "$arguments: not 3 on a full disk"
    # shellcheck disable=SC2086
    "$malstrom" $arguments >&- 2>err </dev/null
    [ "$? $(cat err)" = "3 malstrom: standard output: Bad file descriptor" ] ||
        fail "$arguments: not 3 on a closed stdout"
done
mkfifo pipe
sleep 0 <pipe &
exec 7>pipe
wait $!
"$malstrom" repro good.heap >&7 2>err </dev/null
[ "$? $(cat err)" = "3 malstrom: standard output: Broken pipe" ] ||
    fail "repro: not 3 on a pipe that nobody reads"
exec 7>&-
"$malstrom" repro good.heap >out 2>&- <&- || fail "a closed stdin and stderr"
says "verdict: ok *"
( # ThreadSanitizer writes a file of its own at start, where TMPDIR lets it.
    TMPDIR=/dev/null
    export TMPDIR
    ulimit -f 0
    "$malstrom" repro good.heap --emit-c limit.c 2>&1 </dev/null
    echo "status $?"
) | cat >out
says "status 3"

# ---- a signal: the verdict so far, at once

for signal in INT TERM HUP; do
    set -m # else what runs in the background ignores SIGINT
    "$malstrom" stress --target dlmalloc --time 5m >out 2>err </dev/null &
    pid=$!
    set +m
    sleep 1.5
    kill -s $signal $pid
    start=$SECONDS
    wait $pid
    status=$?
    [ $status = 0 ] || fail "SIG$signal: status $status, not 0"
    [ $((SECONDS - start)) -le 10 ] || fail "SIG$signal: it went on"
    says "verdict: ok (*"
done

# ---- JSON: each line is an object

expect 0 "" "$malstrom" $stress --scenario churn --seed 7 --json
[ "$(grep -cv '^{"type":"[a-z]*",.*}$' out)" = 0 ] || fail "not JSON"
grep -q '^{"type":"start","seed":7,' out || fail "no start"
says '{"type":"verdict","verdict":"ok","findings":0,"operations":[1-9]*,"runs":[1-9]*}'

finish
