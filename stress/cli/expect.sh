# shellcheck shell=bash
# expect.sh - for the tests of a command, which read it in: each runs in a folder
# of its own, and says all that fails before it ends.
#
#     . "${0%/*}/expect.sh"
#     expect STATUS STDERR COMMAND...     and so on
#     finish
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

fail() {
    echo "${0##*/}: $*; stdout: $(tail -n 3 out); stderr: $(cat err)"
    failures=$((failures + 1))
}

# expect STATUS STDERR COMMAND...: STDERR is a pattern for all that is there.
expect() {
    local wanted=$1 line=$2 found
    shift 2
    timeout -s KILL 100 "$@" >out 2>err </dev/null
    found=$?
    # shellcheck disable=SC2254
    case $(cat err) in
    $line) [ $found = "$wanted" ] || fail "$*: status $found, not $wanted" ;;
    *) fail "$*: not '$line' (status $found)" ;;
    esac
}

# says PATTERN: the last line of stdout.
says() {
    # shellcheck disable=SC2254
    case $(tail -n 1 out) in
    $1) ;;
    *) fail "the last line is not '$1'" ;;
    esac
}

finish() {
    [ $failures -eq 0 ] || echo "${0##*/}: $failures failures"
    [ $failures -eq 0 ]
}
