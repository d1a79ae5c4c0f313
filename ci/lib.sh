# shellcheck shell=bash
# lib.sh - what the scripts of ci/ share. They source it from the top of the tree.
#
# Any clang from 14 on can build the sanitizer, fuzz and observe presets, 19 by
# choice. One counts as usable here when it has its runtime and a program under
# ThreadSanitizer starts: that of clang 14 does not on kernels with 32 bits of
# mmap randomness.

clang_versions="19 21 20 18 17 16 15 14"

# die STATUS WORD...: one line to stderr, named after the script, and exit.
die() {
    local status=$1
    shift
    echo "ci/${0##*/}: $*" >&2
    exit "$status"
}

# clang_usable N: a ThreadSanitizer program built by clang-N runs, and the
# libFuzzer runtime is there.
clang_usable() {
    local program status=1

    command -v "clang-$1" >/dev/null || return 1
    program=$(mktemp)
    if echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
        "clang-$1" -x c -fsanitize=fuzzer - -o "$program" 2>/dev/null &&
        echo 'int main(void) { return 0; }' |
        "clang-$1" -x c -fsanitize=thread - -o "$program" 2>/dev/null &&
        "$program" 2>/dev/null; then
        status=0
    fi
    rm -f "$program"
    return $status
}

# clang_find: prints the version of the clang to use; fails when there is none.
clang_find() {
    local version

    for version in $clang_versions; do
        if clang_usable "$version"; then
            echo "$version"
            return 0
        fi
    done
    return 1
}
