#!/usr/bin/env bash
# install_test.sh CMAKE BUILD CC BINDIR LIBDIR INCLUDEDIR MANDIR DESIGN...
#
# What `cmake --install` puts into a directory of its own works there: the
# libraries under LD_PRELOAD and linked, by pkg-config and by find_package, the
# command with its recorder, the manual page.
set -u
cmake=$1 build=$2 cc=$3 bin=$4 lib=$5 include=$6 man=$7
shift 7
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
root=$work/root
cd "$work" || exit 1

fail() {
    echo "install_test: $*"
    cat log
    exit 1
}

# try COMMAND...: it must do.
try() {
    "$@" >log 2>&1 </dev/null || fail "status $?: $*"
}

try "$cmake" --install "$build" --prefix "$root"

# A C program that tells whose malloc it has, and all that belongs to it; and one
# of the prefixed names.
cat >whose.c <<'END'
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    void *const family[] = {malloc, free, calloc, realloc, reallocarray,
        memalign, aligned_alloc, posix_memalign, valloc, pvalloc,
        malloc_usable_size, malloc_trim, malloc_stats, malloc_info, mallopt,
        mallinfo, mallinfo2};
    free(malloc(100));
    for (unsigned i = 0; i < sizeof family / sizeof family[0]; i++) {
        Dl_info info;
        puts(dladdr(family[i], &info) ? info.dli_fname : "?");
    }
    return malloc_info(0, fopen("/dev/null", "w"));
}
END
try "$cc" -D_GNU_SOURCE -w -o whose whose.c
for design in "$@"; do
    library=$root/$lib/libmalstrom-$design.so
    try env LD_PRELOAD="$library" ./whose
    [ "$(sort -u log)" = "$library" ] || fail "not all is $design's"
    try env LD_PRELOAD="$library" bash -c 'x=$(ls /); [ -n "$x" ]'
    try "$cc" -D_GNU_SOURCE -w -o linked whose.c "-L$root/$lib" \
        "-Wl,-rpath,$root/$lib" "-lmalstrom-$design"
    try ./linked
    grep -q "libmalstrom-$design.so" log || fail "$design is not linked"

    prefix=${design:0:3}_
    cat >static.c <<END
#include <malstrom/$design.h>
#include <string.h>
int main(void)
{
    char *text = ${prefix}malloc(100);
    strcpy(text, "static");
    text = ${prefix}realloc(text, 100000);
    int same = strcmp(text, "static");
    ${prefix}free(text);
    return same;
}
END
    try "$cc" -o static static.c "-I$root/$include" \
        "$root/$lib/libmalstrom-$design.a" -pthread
    try ./static
    if command -v pkg-config >/dev/null; then
        export PKG_CONFIG_PATH=$root/$lib/pkgconfig
        # shellcheck disable=SC2046
        try "$cc" -o packaged static.c \
            $(pkg-config --cflags --libs "malstrom-$design") -pthread
        try env LD_LIBRARY_PATH="$root/$lib" ./packaged
    fi
done

mkdir package
cp static.c package/main.c
cat >package/CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.22)
project(user C)
find_package(malstrom 0.1 REQUIRED)
add_executable(by_static main.c)
target_link_libraries(by_static malstrom::$design-static)
add_executable(by_shared main.c)
target_link_libraries(by_shared malstrom::$design)
END
try "$cmake" -S package -B package/build "-DCMAKE_PREFIX_PATH=$root" \
    "-DCMAKE_C_COMPILER=$cc"
try "$cmake" --build package/build
try package/build/by_static
try package/build/by_shared

malstrom=$root/$bin/malstrom
try "$malstrom" --version
try "$malstrom" stress --time 1s --scenario churn \
    --target "$root/$lib/libmalstrom-$1.so"
try "$malstrom" record -o true.heap -- /bin/true
try "$malstrom" repro true.heap
page=$root/$man/man1/malstrom.1
[ -s "$page" ] || fail "no manual page"
for command in list stress fuzz explore repro record; do
    grep -q "^\.B malstrom $command$" "$page" || fail "$command has no manual"
done
if command -v groff >/dev/null; then
    try groff -man -Tutf8 -ww "$page"
    ! grep -q "malstrom.1:.*warning" log || fail "the manual page"
fi
