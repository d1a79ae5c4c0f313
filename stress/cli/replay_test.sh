#!/usr/bin/env bash
# replay_test.sh MALSTROM TRACE - a recorded trace replays on every target that
# is built in, and on the system's malloc, without a finding.
set -u
malstrom=$1
trace=$2
status=0

targets=$("$malstrom" list |
    sed -n '/^targets:/,/^[^ ]/s/^  \([a-z][a-z]*\) .*/\1/p')
[ -n "$targets" ] || { echo "no targets"; exit 1; }
for target in $targets; do
    verdict=$("$malstrom" repro --times 1 --target "$target" "$trace" |
        tail -n 1)
    echo "$target: $verdict"
    case $verdict in
    "verdict: ok ("[1-9][0-9][0-9][0-9]*" operations, 1 runs)") ;;
    *) status=1 ;;
    esac
done
exit $status
