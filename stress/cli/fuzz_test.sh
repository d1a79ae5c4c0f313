#!/bin/sh
# fuzz_test.sh MALSTROM - `malstrom fuzz` finds the canary's bug, keeps it as a
# small heap program that `malstrom repro` shows again, is silent on what is
# right, and says what is wrong with its arguments.
set -u
malstrom=$1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1

fail() {
    echo "fuzz_test.sh: $*" >&2
    cat out err >&2
    exit 1
}

# expect STATUS ARGUMENT...: output to out and err.
expect() {
    wanted=$1
    shift
    "$malstrom" "$@" >out 2>err
    status=$?
    [ "$status" = "$wanted" ] || fail "$*: status $status, not $wanted"
}

# says TEXT FILE
says() {
    grep -q -- "$1" "$2" || fail "'$1' is not in $2"
}

expect 1 fuzz canary --time 400s --seed 1
says '^finding: zeroing target=canary scenario=fuzz seed=1 file=malstrom-out/' out
says '^  expected: all bytes of a block from calloc are zero' out
says '^verdict: 1 findings$' out
program=malstrom-out/canary-fuzz-zeroing-1.heap
[ "$(grep -c '^  ' "$program")" -le 4 ] || fail "the program is not small"
expect 1 repro "$program" --times 3
says '^shown: 3 of 3$' out

expect 0 fuzz bitmap --time 2s --json
says '"verdict":"ok"' out
[ -d malstrom-out/fuzz/bitmap ] || fail "the corpus is not kept"
expect 0 list
says '^  canary$' out

expect 2 fuzz --target nix
says "^malstrom fuzz: --target nix: not built in" err
expect 3 fuzz nix
says '^malstrom fuzz: fuzz_nix is not there' err
expect 2 fuzz --time 7 bitmap
expect 3 fuzz bitmap -- /nowhere/at/all
expect 3 fuzz bitmap --out /proc/nowhere
