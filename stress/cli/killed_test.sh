#!/bin/sh
# killed_test.sh MALSTROM CC - a malloc that has its process killed from outside,
# program after program, is not called correct: status 3, and a note for each.
set -u
malstrom=$1 cc=$2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

cat >killed.c <<'END'
#include <signal.h>
#include <stddef.h>
#include <unistd.h>
extern void *__libc_malloc(size_t size);
extern void __libc_free(void *block);
void *malloc(size_t size) {
    static int count;
    if (++count == 3000) kill(getpid(), SIGKILL);
    return __libc_malloc(size);
}
void free(void *block) { __libc_free(block); }
END
"$cc" -shared -fPIC -o killed.so killed.c || exit 1
"$malstrom" stress --time 5s --scenario churn --target ./killed.so >out 2>err
status=$?
notes=$(grep -c 'churn: program .* was killed from outside' err)
if [ $status != 3 ] || [ "$notes" -lt 3 ]; then
    echo "killed_test.sh: status $status, $notes notes" >&2
    cat out err >&2
    exit 1
fi
