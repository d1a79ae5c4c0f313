/*
 * options_test.c - JEM_OPTIONS: what each option does, and what is said of a bad
 * one
 *
 * Options are read once in a process, so each case is this program again, with
 * the variable set, as `options_test CASE`.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alloc.h"
#include "base/death.h"
#include "jemalloc/background.h"
#include "jemalloc/heap.h"
#include "jemalloc/jemalloc.h"

/* One process with those options. */
struct trial {
    const char *options;
    void (*act)(void);
    const char *said;        /* all of its stderr; NULL: it must abort ... */
    const char *dying_words; /* ... with this in its stderr */
};

/* In the child: a condition that does not hold ends it with status 1. */
#define WANT(condition)                                                        \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%d: %s\n", __LINE__, #condition);                 \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

static bool
is_filled(const unsigned char *block, size_t size, unsigned char byte)
{
    for (size_t i = 0; i < size; i++) {
        if (block[i] != byte) {
            return false;
        }
    }
    return true;
}

static void
live(void)
{
    void *blocks[200];
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < 200; i++) {
            size_t size = (size_t)i * i * (round + 1) / 4;
            blocks[i] = jem_malloc(size);
            WANT(blocks[i] != NULL);
            memset(blocks[i], 1, size);
            if (i % 3 == 0) {
                blocks[i] = jem_realloc(blocks[i], 2 * size + 1);
            }
        }
        jem_heap_check(jem_heap_main());
        for (unsigned i = 0; i < 200; i++) {
            jem_free(blocks[i]);
        }
    }
    jem_heap_check(jem_heap_main());
    (void)jem_malloc_trim(0);
    jem_heap_check(jem_heap_main());
    struct alloc_stats stats;
    jem_ops.stats(NULL, &stats);
    WANT(stats.used_count == 0);
    WANT(stats.mapped_size == stats.free_size + stats.meta_size);
}

/* ---- what each option does */

static void
find_two_arenas(void)
{
    WANT(jem_heap_main()->auto_count == 2);
    live();
}

static void
find_no_dirty_pages(void)
{
    struct jem_arena *arena = jem_heap_arena(jem_heap_main(), 0);
    jem_free(jem_malloc((size_t)1 << 20));
    WANT(jem_freeset_pages(&arena->pages.free[JEM_DIRTY]) == 0);
    live();
}

static void
find_small_cached_only(void)
{
    struct jem_tcache *own = jem_heap_tcache(jem_heap_main());
    jem_free(jem_malloc(64));
    jem_free(jem_malloc(65));
    jem_free(jem_malloc(20000));
    WANT(own->class_limit == jem_size_class(64) + 1);
    WANT(jem_tbin_count(&own->bins[jem_size_class(64)]) > 0);
    WANT(jem_tbin_count(&own->bins[jem_size_class(65)]) == 0);
    live();
}

static void
find_junk_in_new(void)
{
    static const size_t sizes[] = {100, 100000};
    for (unsigned i = 0; i < 2; i++) {
        unsigned char *block = jem_malloc(sizes[i]);
        WANT(is_filled(block, jem_malloc_usable_size(block), 0xa5));
        jem_free(block);
        block = jem_calloc(1, sizes[i]);
        WANT(is_filled(block, sizes[i], 0));
        jem_free(block);
    }
    live();
}

static void
find_junk_in_freed(void)
{
    unsigned char *block = jem_malloc(100);
    WANT(!is_filled(block, 100, 0xa5));
    jem_free(block);
    WANT(is_filled(block, 112, 0x5a));
    live();
}

static void
find_zeroes(void)
{
    static const size_t sizes[] = {100, 100000};
    for (unsigned i = 0; i < 2; i++) {
        unsigned char *block = jem_malloc(sizes[i]);
        memset(block, 1, sizes[i]);
        jem_free(block);
        block = jem_malloc(sizes[i]);
        WANT(is_filled(block, jem_malloc_usable_size(block), 0));
        jem_free(block);
    }
    live();
}

static void
find_nothing_mapped(void)
{
    struct alloc_stats stats;
    live();
    jem_ops.stats(NULL, &stats);
    WANT(stats.mapped_peak > stats.mapped_size);
    live();
}

static void
find_worker(void)
{
    struct jem_heap *heap = jem_heap_main();
    struct jem_arena *arena = jem_heap_arena(heap, 0);
    WANT(jem_background_runs() && jem_heap_has_background(heap));
    jem_free(jem_malloc((size_t)8 << 20));
    /* Nobody comes to the arena: only the worker can purge it. It is given ten
     * times the decay time, and more under load. */
    for (unsigned i = 0; i < 2000; i++) {
        if (jem_freeset_pages(&arena->pages.free[JEM_DIRTY]) == 0) {
            break;
        }
        usleep(10000);
    }
    WANT(jem_freeset_pages(&arena->pages.free[JEM_DIRTY]) == 0);
    live();
    int status;
    pid_t child = fork();
    if (child == 0) {
        WANT(!jem_background_runs());
        live();
        WANT(jem_background_set(heap, true));
        WANT(jem_background_runs());
        exit(0); /* Ends the child's own. */
    }
    WANT(waitpid(child, &status, 0) == child && status == 0);
    WANT(jem_background_set(heap, false));
    WANT(!jem_background_runs() && !jem_heap_has_background(heap));
    WANT(jem_background_set(heap, true));
}

/* ---- misuse that options find */

static void
free_small_twice(void)
{
    void *block = jem_malloc(100);
    jem_free(block);
    jem_free(block);
}

static void
free_twice_later(void)
{
    void *block = jem_malloc(100);
    void *other = jem_malloc(100);
    jem_free(block);
    jem_free(other);
    (void)jem_malloc_trim(0); /* out of the stash, into the slab */
    void *keeps_slab = jem_malloc(100);
    jem_free(other);
    jem_free(keeps_slab);
}

static void
free_large_twice(void)
{
    void *block = jem_malloc(100000);
    jem_free(block);
    jem_free(block);
}

static void
realloc_freed(void)
{
    void *block = jem_malloc(100);
    jem_free(block);
    (void)!jem_realloc(block, 1000);
}

static void
sdallocx_half(void)
{
    jem_sdallocx(jem_malloc(100000), 50000, 0);
}

static void
write_past_large(void)
{
    char *block = jem_malloc(100000);
    signal(SIGSEGV, SIG_DFL);
    block[jem_malloc_usable_size(block)] = 1;
}

static void
write_past_slab(void)
{
    char *block = jem_malloc(14336);
    struct jem_extent *slab = jem_owner_extent(jem_owner_get(block));
    slab->addr[slab->size] = 1;
}

#define BAD(what, pair)                                                        \
    "malstrom-jemalloc: JEM_OPTIONS: " what ": \"" pair "\"\n"

static const struct trial trials[] = {
    {"narenas:2", find_two_arenas, "", NULL},
    {"dirty_decay_ms:0", find_no_dirty_pages, "", NULL},
    {"dirty_decay_ms:0,muzzy_decay_ms:100", find_no_dirty_pages, "", NULL},
    {"dirty_decay_ms:-1,muzzy_decay_ms:-1", live, "", NULL},
    {"bin_shards:4", live, "", NULL},
    {"tcache:off", live, "", NULL},
    {"tcache_max:64", find_small_cached_only, "", NULL},
    {"thp:always", live, "", NULL},
    {"thp:never", live, "", NULL},
    {"guard:on", live, "", NULL},
    {"guard:on,retain:off,dirty_decay_ms:0", live, "", NULL},
    {"retain:off", find_nothing_mapped, "", NULL},
    {"junk:alloc", find_junk_in_new, "", NULL},
    {"junk:free", find_junk_in_freed, "", NULL},
    {"junk:true,check_free:on", live, "", NULL},
    {"zero:on", find_zeroes, "", NULL},
    {"check_free:on", live, "", NULL},
    {"background_thread:on,dirty_decay_ms:100", find_worker, "", NULL},
    {"narenas:0", live, BAD("out of range", "narenas:0"), NULL},
    {"dirty_decay_ms:-2", live, BAD("out of range", "dirty_decay_ms:-2"), NULL},
    {"tcache_max:1m", live, BAD("out of range", "tcache_max:1m"), NULL},
    {"junk:maybe", live, BAD("not one of the choices", "junk:maybe"), NULL},
    {"thp:on,tcache:x", live,
        BAD("not one of the choices", "thp:on")
            BAD("neither on nor off", "tcache:x"),
        NULL},
    {"prof:true", live, "", NULL},
    {"prof_leak:true", live, BAD("unknown option", "prof_leak:true"), NULL},
    {"abort_conf:on,zap:1", live, NULL, BAD("unknown option", "zap:1")},
    {"abort_conf:on", live, "", NULL},
    {"check_free:on", free_small_twice, NULL,
        "malstrom-jemalloc: double free: 0x"},
    {"check_free:on", free_twice_later, NULL,
        "malstrom-jemalloc: double free: 0x"},
    {"check_free:on", free_large_twice, NULL,
        "malstrom-jemalloc: not a block of this heap: 0x"},
    {"check_free:on", realloc_freed, NULL,
        "malstrom-jemalloc: double free: 0x"},
    {"check_free:on", sdallocx_half, NULL,
        "malstrom-jemalloc: wrong size in free: 0x"},
};

/* Ends with the signal of an access that the guard page stops. */
static const struct trial guards[] = {
    {"guard:on", write_past_large, NULL, NULL},
    {"guard:on", write_past_slab, NULL, NULL},
};

/* ---- running them */

struct start {
    const char *table;
    unsigned index;
    const char *options;
};

static void
start_again(void *arg)
{
    const struct start *start = arg;
    char index[20];
    snprintf(index, sizeof index, "%u", start->index);
    setenv("JEM_OPTIONS", start->options, 1);
    /* Its search at exit would tell of the worker. */
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
    /* A child of a process with threads makes one. */
    setenv("TSAN_OPTIONS", "die_after_fork=0", 1);
    execl("/proc/self/exe", "options_test", start->table, index, (char *)NULL);
    _exit(99);
}

static void
options_do_what_they_say(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof trials / sizeof trials[0]; i++) {
        const struct trial *trial = &trials[i];
        struct start start = {"trial", i, trial->options};
        char text[DEATH_TEXT_MAX];
        int status = death_capture(start_again, &start, text);
        bool as_wanted = trial->said != NULL
                             ? status == 0 && strcmp(text, trial->said) == 0
                             : WIFSIGNALED(status) &&
                                   WTERMSIG(status) == SIGABRT &&
                                   strstr(text, trial->dying_words) != NULL;
        if (!as_wanted) {
            fail_msg("trial %u, %s: status %#x, \"%s\"", i, trial->options,
                (unsigned)status, text);
        }
    }
}

static void
guard_page_stops_an_access(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof guards / sizeof guards[0]; i++) {
        struct start start = {"guard", i, guards[i].options};
        char text[DEATH_TEXT_MAX];
        int status = death_capture(start_again, &start, text);
        /* A sanitizer's handler exits instead, having said what it was. */
        assert_true((WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) ||
                    strstr(text, "SEGV") != NULL);
    }
}

static void
stats_are_printed_at_exit(void **state)
{
    struct start start = {"exit", 0, "stats_print:on,stats_print_opts:Jgmdabl"};
    char text[DEATH_TEXT_MAX];
    (void)state;
    assert_int_equal(death_capture(start_again, &start, text), 0);
    assert_non_null(strstr(text, "{\n\"jemalloc\": {"));
    assert_non_null(strstr(text, "\"allocated\": "));
    assert_null(strstr(text, "config"));
}

int
main(int argc, char **argv)
{
    if (argc == 3) {
        unsigned index = (unsigned)atoi(argv[2]);
        if (strcmp(argv[1], "trial") == 0) {
            trials[index].act();
        } else if (strcmp(argv[1], "guard") == 0) {
            guards[index].act();
        }
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_do_what_they_say),
        cmocka_unit_test(guard_page_stops_an_access),
        cmocka_unit_test(stats_are_printed_at_exit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
