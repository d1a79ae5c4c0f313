/*
 * ctl_test.c - jem_mallctl: every name, every documented error, exact numbers;
 * the statistics in both forms
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "alloc.h"
#include "base/pages.h"
#include "jemalloc/ctl.h"
#include "jemalloc/heap.h"
#include "jemalloc/jemalloc.h"

#define READ_AS(type)                                                          \
    static type read_##type##_of(const char *control)                          \
    {                                                                          \
        type value = (type)0;                                                  \
        size_t size = sizeof value;                                            \
        assert_int_equal(jem_mallctl(control, &value, &size, NULL, 0), 0);     \
        assert_int_equal(size, sizeof value);                                  \
        return value;                                                          \
    }

READ_AS(unsigned)
READ_AS(size_t)
READ_AS(uint64_t)
READ_AS(ssize_t)
READ_AS(uint32_t)
READ_AS(bool)

static int
act(const char *name)
{
    return jem_mallctl(name, NULL, NULL, NULL, 0);
}

static int
act_on(const char *format, unsigned index)
{
    char name[100];
    snprintf(name, sizeof name, format, index);
    return act(name);
}

static size_t
read_of(const char *format, unsigned index)
{
    char name[100];
    snprintf(name, sizeof name, format, index);
    return read_size_t_of(name);
}

static void
refresh(void)
{
    uint64_t any = 1;
    assert_int_equal(jem_mallctl("epoch", NULL, NULL, &any, sizeof any), 0);
}

static void
ctl_table_is_in_order(void **state)
{
    (void)state;
    jem_ctl_check();
}

/* Every pattern, its % signs made 0, is found, and reads if it can. */
static void
ctl_finds_every_name(void **state)
{
    (void)state;
    (void)jem_malloc(1); /* arena 0 */
    for (unsigned r = 0; r < jem_ctl_row_count; r++) {
        const struct jem_ctl_row *row = &jem_ctl_rows[r];
        size_t mib[JEM_CTL_DEPTH_MAX];
        size_t length = JEM_CTL_DEPTH_MAX;
        char name[100];
        uint64_t value[2];
        strcpy(name, row->pattern);
        for (char *c = name; *c != '\0'; c++) {
            *c = *c == '%' ? '0' : *c;
        }
        assert_int_equal(jem_mallctlnametomib(name, mib, &length), 0);
        size_t size = sizeof value;
        int error = jem_mallctlbymib(mib, length, value, &size, NULL, 0);
        if (row->get == NULL) {
            assert_int_equal(error, row->kind == JEM_CTL_VOID ? EPERM : EINVAL);
        } else {
            assert_int_equal(error, EINVAL); /* No value has 16 bytes. */
            assert_true(size <= 8 || row->order == JEM_CTL_SET_FIRST);
        }
    }
}

static void
ctl_refuses_what_is_no_name(void **state)
{
    static const char *const wrong[] = {"", ".", "opt", "opt.", "opt.thp.x",
        "arena.x.purge", "arena.0", "arena..purge", "arenas.bin.%.size",
        "versio", "versions", "stats.arenas.0.bins.-1.curregs",
        "arena.99999999999.purge", "arena.100.purge", "arenas.bin.36.size",
        "stats.arenas.0.bins.36.curregs", "stats.arenas.2000.pdirty"};
    (void)state;
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint64_t value;
        size_t size = sizeof value;
        bool is_action = strstr(wrong[i], "purge") != NULL;
        assert_int_equal(is_action
                             ? act(wrong[i])
                             : jem_mallctl(wrong[i], &value, &size, NULL, 0),
            ENOENT);
    }
    size_t mib[] = {10000, 0, 0};
    assert_int_equal(jem_mallctlbymib(mib, 3, NULL, NULL, NULL, 0), ENOENT);
    assert_int_equal(jem_mallctlbymib(mib, 0, NULL, NULL, NULL, 0), ENOENT);
}

static void
ctl_reports_each_documented_error(void **state)
{
    uint64_t eight = 1;
    uint32_t four = 0xffffffff;
    bool flag = true;
    size_t size = sizeof four;
    (void)state;
    /* Too small a place: what fits is read. */
    assert_int_equal(jem_mallctl("arenas.page", &four, &size, NULL, 0), EINVAL);
    assert_int_equal(size, 4);
    assert_int_equal(four, 4096);
    /* Too large: the size says how much there was. */
    size = sizeof eight;
    assert_int_equal(
        jem_mallctl("arenas.narenas", &eight, &size, NULL, 0), EINVAL);
    assert_int_equal(size, 4);
    /* A wrong new size; nothing changes. */
    assert_int_equal(
        jem_mallctl("arenas.dirty_decay_ms", NULL, NULL, &four, 4), EINVAL);
    /* Read-only, neither, write-only. */
    assert_int_equal(jem_mallctl("arenas.page", NULL, NULL, &eight, 8), EPERM);
    size = sizeof flag;
    assert_int_equal(
        jem_mallctl("thread.tcache.flush", &flag, &size, NULL, 0), EPERM);
    assert_int_equal(
        jem_mallctl("thread.tcache.flush", NULL, NULL, &flag, 1), EPERM);
    size = sizeof four;
    assert_int_equal(
        jem_mallctl("tcache.flush", &four, &size, &four, 4), EPERM);
    /* What has side effects. */
    four = 4000;
    assert_int_equal(jem_mallctl("tcache.flush", NULL, NULL, &four, 4), EFAULT);
    assert_int_equal(jem_mallctl("thread.arena", NULL, NULL, &four, 4), EFAULT);
    assert_int_equal(act("arena.0.reset"), EFAULT);
    assert_int_equal(act("arena.0.destroy"), EFAULT);
    ssize_t decay = -2;
    assert_int_equal(
        jem_mallctl("arena.0.dirty_decay_ms", NULL, NULL, &decay, sizeof decay),
        EFAULT);
    /* A thing is not made when it could not be told. */
    unsigned before = read_unsigned_of("arenas.narenas");
    size = 2;
    assert_int_equal(
        jem_mallctl("arenas.create", &four, &size, NULL, 0), EINVAL);
    assert_int_equal(jem_mallctl("arenas.create", NULL, NULL, NULL, 0), EINVAL);
    assert_int_equal(read_unsigned_of("arenas.narenas"), before);
}

static void
ctl_reports_no_memory(void **state)
{
    unsigned index;
    size_t size = sizeof index;
    int error = 0;
    (void)state;
    pages_fail_at(1, true);
    for (unsigned i = 0; i < 1000 && error == 0; i++) {
        error = jem_mallctl("arenas.create", &index, &size, NULL, 0);
    }
    pages_fail_at(0, false);
    assert_int_equal(error, EAGAIN);
    unsigned end = read_unsigned_of("arenas.narenas");
    while (act_on("arena.%u.destroy", --end) == 0) {
    }
    jem_heap_check(jem_heap_main());
}

static void
ctl_mib_varies_its_index(void **state)
{
    size_t mib[4];
    size_t length = 4;
    (void)state;
    assert_int_equal(
        jem_mallctlnametomib("arenas.bin.0.size", mib, &length), 0);
    assert_int_equal(length, 4);
    for (unsigned i = 0; i < read_unsigned_of("arenas.nbins"); i++) {
        size_t region;
        size_t size = sizeof region;
        mib[2] = i;
        assert_int_equal(
            jem_mallctlbymib(mib, length, &region, &size, NULL, 0), 0);
        assert_int_equal(region, jem_class_size(i));
        assert_int_equal(jem_nallocx(region, 0), region);
    }
    mib[2] = JEM_SMALL_COUNT;
    size_t size = 8;
    assert_int_equal(
        jem_mallctlbymib(mib, length, mib, &size, NULL, 0), ENOENT);
    length = 2; /* less room than parts */
    assert_int_equal(
        jem_mallctlnametomib("arenas.bin.0.size", mib, &length), 0);
    assert_int_equal(length, 2);
}

static void
ctl_tells_what_is_fixed(void **state)
{
    const char *text;
    size_t size = sizeof text;
    (void)state;
    assert_int_equal(jem_mallctl("version", &text, &size, NULL, 0), 0);
    assert_int_equal(strncmp(text, "malstrom ", 9), 0);
    assert_int_equal(read_size_t_of("arenas.quantum"), 16);
    assert_int_equal(read_unsigned_of("arenas.nbins"), JEM_SMALL_COUNT);
    assert_int_equal(read_uint32_t_of("arenas.bin.1.nregs"), 256);
    assert_int_equal(read_size_t_of("arenas.bin.1.slab_size"), 4096);
    assert_int_equal(read_size_t_of("arenas.lextent.0.size"), 16384);
    assert_int_equal(read_ssize_t_of("opt.dirty_decay_ms"), 10000);
    assert_true(read_bool_of("opt.tcache"));
    assert_true(read_bool_of("config.stats"));
    assert_int_equal(
        read_unsigned_of("opt.narenas"), read_unsigned_of("arenas.narenas"));
    assert_int_equal(jem_mallctl("opt.thp", &text, &size, NULL, 0), 0);
    assert_string_equal(text, "default");
    assert_int_equal(jem_mallctl("opt.dss", &text, &size, NULL, 0), 0);
    assert_string_equal(text, "disabled");
    assert_int_equal(jem_mallctl("opt.zero_realloc", &text, &size, NULL, 0), 0);
    assert_string_equal(text, "free");
    assert_int_equal(read_ssize_t_of("opt.stats_interval"), -1);
    assert_false(read_bool_of("opt.xmalloc"));
}

/* ---- arenas */

static unsigned
create_arena(void)
{
    return read_unsigned_of("arenas.create");
}

static void *
take_from(unsigned arena, size_t size)
{
    void *block =
        jem_mallocx(size, JEM_MALLOCX_ARENA(arena) | JEM_MALLOCX_TCACHE_NONE);
    assert_non_null(block);
    return block;
}

static void
arena_statistics_are_exact(void **state)
{
    enum { COUNT = 1000 };
    static void *blocks[COUNT];
    unsigned arena = create_arena();
    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = take_from(arena, 100);
    }
    void *large = take_from(arena, 100000);
    for (unsigned i = 0; i < 200; i++) {
        jem_dallocx(blocks[i], JEM_MALLOCX_TCACHE_NONE);
    }
    assert_int_equal(jem_xallocx(large, 200000, 0, 0), 229376);
    refresh();
    assert_int_equal(
        read_of("stats.arenas.%u.small.allocated", arena), 800 * 112);
    assert_int_equal(read_of("stats.arenas.%u.bins.7.curregs", arena), 800);
    assert_int_equal(read_of("stats.arenas.%u.bins.7.nmalloc", arena), COUNT);
    assert_int_equal(read_of("stats.arenas.%u.bins.7.ndalloc", arena), 200);
    assert_int_equal(read_of("stats.arenas.%u.large.allocated", arena), 229376);
    assert_int_equal(read_of("stats.arenas.%u.large.nmalloc", arena), 2);
    assert_int_equal(read_of("stats.arenas.%u.large.ndalloc", arena), 1);
    size_t slabs = read_of("stats.arenas.%u.bins.7.curslabs", arena);
    assert_int_equal(slabs, 4); /* of 256 regions in 7 pages */
    assert_int_equal(read_of("stats.arenas.%u.pactive", arena), 7 * slabs + 56);
    assert_int_equal(read_of("stats.arenas.%u.pdirty", arena), 0);
    assert_int_equal(read_of("stats.arenas.%u.mapped", arena) +
                         read_of("stats.arenas.%u.retained", arena),
        2 << 20);
    jem_dallocx(large, JEM_MALLOCX_TCACHE_NONE);
    /* Until the next refresh the numbers stay. */
    assert_int_equal(read_of("stats.arenas.%u.pdirty", arena), 0);
    refresh();
    assert_int_equal(read_of("stats.arenas.%u.pdirty", arena), 56);
    assert_int_equal(act_on("arena.%u.purge", arena), 0);
    refresh();
    assert_int_equal(read_of("stats.arenas.%u.pdirty", arena), 0);
    assert_int_equal(act_on("arena.%u.destroy", arena), 0);
}

/* Of every page class together, what the arena says of all its free pages. */
static void
expect_extents_sum_up(unsigned arena)
{
    static const char *const kinds[] = {"dirty", "muzzy", "retained"};
    size_t sums[3] = {0};
    for (unsigned kind = 0; kind < 3; kind++) {
        for (unsigned j = 0; j < JEM_PAGE_CLASS_COUNT; j++) {
            char name[80];
            snprintf(name, sizeof name, "stats.arenas.%u.extents.%u.n%s", arena,
                j, kinds[kind]);
            size_t count = read_size_t_of(name);
            snprintf(name, sizeof name, "stats.arenas.%u.extents.%u.%s_bytes",
                arena, j, kinds[kind]);
            assert_int_equal(count != 0, read_size_t_of(name) != 0);
            sums[kind] += read_size_t_of(name);
        }
    }
    assert_int_equal(sums[0], read_of("stats.arenas.%u.pdirty", arena) * 4096);
    assert_int_equal(sums[1], read_of("stats.arenas.%u.pmuzzy", arena) * 4096);
    assert_int_equal(sums[2], read_of("stats.arenas.%u.retained", arena));
}

static void
arena_tells_of_extents_and_purges(void **state)
{
    unsigned arena = create_arena();
    void *blocks[8];
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        blocks[i] = take_from(arena, 5 * 4096);
    }
    for (unsigned i = 0; i < 8; i += 2) {
        jem_dallocx(blocks[i], JEM_MALLOCX_TCACHE_NONE);
    }
    refresh();
    assert_int_equal(read_of("stats.arenas.%u.extents.4.ndirty", arena), 4);
    assert_int_equal(
        read_of("stats.arenas.%u.extents.4.dirty_bytes", arena), 20 * 4096);
    assert_true(read_of("stats.arenas.%u.uptime", arena) > 0);
    expect_extents_sum_up(arena);
    assert_int_equal(act_on("arena.%u.purge", arena), 0);
    refresh();
    assert_int_equal(read_of("stats.arenas.%u.extents.4.ndirty", arena), 0);
    assert_int_equal(read_of("stats.arenas.%u.dirty_npurge", arena), 1);
    assert_int_equal(read_of("stats.arenas.%u.dirty_nmadvise", arena), 4);
    assert_int_equal(read_of("stats.arenas.%u.dirty_purged", arena), 20);
    assert_int_equal(read_of("stats.arenas.%u.muzzy_npurge", arena), 0);
    expect_extents_sum_up(arena);
    assert_int_equal(act_on("arena.%u.destroy", arena), 0);
}

/* Three slabs of 4 blocks, the first of them used a second time. */
static void
arena_tells_of_slabs(void **state)
{
    void *blocks[13];
    unsigned arena = create_arena();
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        blocks[i] = take_from(arena, 1024);
    }
    jem_dallocx(blocks[0], JEM_MALLOCX_TCACHE_NONE);
    struct jem_arena *made = jem_heap_peek_arena(jem_heap_main(), arena);
    jem_bin_drain(&made->bins[0][20], &made->pages, true);
    blocks[0] = take_from(arena, 1024);
    refresh();
    assert_int_equal(read_of("stats.arenas.%u.bins.20.nslabs", arena), 3);
    assert_int_equal(read_of("stats.arenas.%u.bins.20.nreslabs", arena), 1);
    assert_int_equal(
        read_of("stats.arenas.%u.bins.20.mutex.num_ops", arena), 14);
    assert_int_equal(
        read_of("stats.arenas.%u.bins.20.mutex.num_wait", arena), 0);
    assert_int_equal(act_on("arena.%u.destroy", arena), 0);
}

static void
arena_grows_up_to_its_limit(void **state)
{
    unsigned arena = create_arena();
    char name[64];
    size_t limit = 4 << 20;
    size_t wrong = 4096;
    (void)state;
    snprintf(name, sizeof name, "arena.%u.retain_grow_limit", arena);
    assert_int_equal(read_size_t_of(name), 64 << 20);
    assert_int_equal(
        jem_mallctl(name, NULL, NULL, &wrong, sizeof wrong), EFAULT);
    assert_int_equal(jem_mallctl(name, NULL, NULL, &limit, sizeof limit), 0);
    assert_int_equal(read_size_t_of(name), limit);
    for (unsigned i = 0; i < 10; i++) {
        (void)take_from(arena, 1 << 20);
    }
    refresh(); /* Mappings of 2, 4 and 4 MiB. */
    assert_int_equal(read_of("stats.arenas.%u.mapped", arena) +
                         read_of("stats.arenas.%u.retained", arena),
        10 << 20);
    assert_int_equal(act_on("arena.%u.destroy", arena), 0);
}

static void
arena_is_reset_and_destroyed(void **state)
{
    unsigned arena = create_arena();
    struct alloc_stats before;
    struct alloc_stats after;
    (void)state;
    jem_ops.stats(NULL, &before);
    for (size_t size = 1; size < 4 << 20; size += size / 3 + 7) {
        memset(take_from(arena, size), 1, size);
    }
    assert_int_equal(act_on("arena.%u.reset", arena), 0);
    jem_heap_check(jem_heap_main());
    refresh();
    assert_int_equal(read_of("stats.arenas.%u.small.allocated", arena), 0);
    assert_int_equal(read_of("stats.arenas.%u.large.allocated", arena), 0);
    assert_int_equal(read_of("stats.arenas.%u.pactive", arena), 0);
    memset(take_from(arena, 10000), 2, 10000); /* It goes on. */
    size_t nmalloc = read_of("stats.arenas.%u.large.nmalloc", arena);
    assert_int_equal(act_on("arena.%u.destroy", arena), 0);
    jem_heap_check(jem_heap_main());
    jem_ops.stats(NULL, &after);
    assert_int_equal(after.used_count, before.used_count);
    assert_true(after.mapped_size - after.meta_size <=
                before.mapped_size - before.meta_size);
    refresh();
    assert_true(read_of("stats.arenas.%u.large.nmalloc",
                    JEM_MALLCTL_ARENAS_DESTROYED) >= nmalloc);
    assert_int_equal(act_on("arena.%u.destroy", arena), EFAULT);
    assert_int_equal(create_arena(), arena); /* The index is used again. */
    refresh();
    assert_int_equal(read_of("stats.arenas.%u.large.nmalloc", arena), 0);
    jem_dallocx(take_from(arena, 5), JEM_MALLOCX_TCACHE_NONE);
    assert_int_equal(act_on("arena.%u.destroy", arena), 0);
}

static void
arena_decay_times_are_set(void **state)
{
    unsigned arena = create_arena();
    char name[64];
    ssize_t old;
    ssize_t zero = 0;
    size_t size = sizeof old;
    (void)state;
    snprintf(name, sizeof name, "arena.%u.dirty_decay_ms", arena);
    assert_int_equal(jem_mallctl(name, &old, &size, &zero, sizeof zero), 0);
    assert_int_equal(old, 10000);
    assert_int_equal(read_ssize_t_of(name), 0);
    jem_dallocx(take_from(arena, 100000), JEM_MALLOCX_TCACHE_NONE);
    refresh();
    assert_int_equal(read_of("stats.arenas.%u.pdirty", arena), 0);
    assert_int_equal(act_on("arena.%u.decay", arena), 0);
    assert_int_equal(act_on("arena.%u.destroy", arena), 0);
    assert_int_equal(act_on("arena.%u.purge", JEM_MALLCTL_ARENAS_ALL), 0);
}

/* ---- threads */

static void *
live_in_arena(void *arg)
{
    unsigned arena = *(unsigned *)arg;
    unsigned old;
    size_t size = sizeof old;
    assert_int_equal(
        jem_mallctl("thread.arena", &old, &size, &arena, sizeof arena), 0);
    assert_int_equal(read_unsigned_of("thread.arena"), arena);
    refresh();
    char name[64];
    snprintf(name, sizeof name, "stats.arenas.%u.nthreads", arena);
    assert_int_equal(read_unsigned_of(name), 1);
    assert_int_equal(act_on("arena.%u.destroy", arena), EFAULT);
    void *block = jem_malloc(3000);
    assert_int_equal(
        jem_mallctl("arenas.lookup", &old, &size, &block, sizeof block), 0);
    assert_int_equal(old, arena);
    jem_free(block);
    return NULL;
}

static void
thread_lives_in_the_arena_it_names(void **state)
{
    pthread_t thread;
    unsigned arena = create_arena();
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, live_in_arena, &arena), 0);
    pthread_join(thread, NULL);
    assert_int_equal(act_on("arena.%u.destroy", arena), 0);
    jem_heap_check(jem_heap_main());
}

static void *
count_bytes(void *unused)
{
    (void)unused;
    void *early = jem_malloc(1000);
    uint64_t taken = read_uint64_t_of("thread.allocated");
    uint64_t given = read_uint64_t_of("thread.deallocated");
    uint64_t *place;
    size_t size = sizeof place;
    assert_int_equal(
        jem_mallctl("thread.allocatedp", (void *)&place, &size, NULL, 0), 0);
    void *block = jem_malloc(100);
    assert_int_equal(*place, taken + 112);
    block = jem_realloc(block, 20000);
    assert_int_equal(*place, taken + 112 + 20480);
    assert_int_equal(read_uint64_t_of("thread.peak.read"), 20480 + 112);
    jem_free(block);
    assert_int_equal(read_uint64_t_of("thread.peak.read"), 20480 + 112);
    assert_int_equal(act("thread.peak.reset"), 0);
    assert_int_equal(read_uint64_t_of("thread.peak.read"), 0);
    jem_free(early);
    assert_int_equal(read_uint64_t_of("thread.peak.read"), 0);
    assert_int_equal(read_uint64_t_of("thread.allocated"), *place);
    assert_int_equal(
        read_uint64_t_of("thread.deallocated"), given + 112 + 20480 + 1024);
    return NULL;
}

static void
thread_counts_its_bytes_once_asked(void **state)
{
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, count_bytes, NULL), 0);
    pthread_join(thread, NULL);
    jem_heap_check(jem_heap_main());
}

static void *
switch_cache(void *unused)
{
    bool off = false;
    bool on = true;
    bool was = false;
    size_t size = sizeof was;
    (void)unused;
    jem_free(jem_malloc(100));
    assert_int_equal(
        jem_mallctl("thread.tcache.enabled", &was, &size, &off, 1), 0);
    assert_true(was);
    assert_false(read_bool_of("thread.tcache.enabled"));
    assert_int_equal(act("thread.tcache.flush"), EFAULT);
    struct jem_tcache *own = jem_heap_tcache(jem_heap_main());
    jem_free(jem_malloc(100));
    assert_int_equal(jem_tbin_count(&own->bins[7]), 0);
    assert_int_equal(
        jem_mallctl("thread.tcache.enabled", NULL, NULL, &on, 1), 0);
    jem_free(jem_malloc(100));
    assert_true(jem_tbin_count(&own->bins[7]) > 0);
    assert_int_equal(act("thread.tcache.flush"), 0);
    assert_int_equal(jem_tbin_count(&own->bins[7]), 0);
    jem_free(jem_malloc(100));
    assert_int_equal(act("thread.idle"), 0);
    assert_int_equal(jem_tbin_count(&own->bins[7]), 0);
    return NULL;
}

static void
thread_switches_its_cache(void **state)
{
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, switch_cache, NULL), 0);
    pthread_join(thread, NULL);
}

/* An explicit cache begins anew in the child, and an arena goes on. */
static void
child_of_fork_goes_on(void **state)
{
    unsigned arena = create_arena();
    unsigned cache = read_unsigned_of("tcache.create");
    int flags = JEM_MALLOCX_ARENA(arena) | JEM_MALLOCX_TCACHE(cache);
    int status;
    (void)state;
    jem_dallocx(jem_mallocx(64, flags), flags);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        jem_dallocx(jem_mallocx(64, flags), flags);
        jem_heap_check(jem_heap_main());
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(
        jem_mallctl("tcache.destroy", NULL, NULL, &cache, sizeof cache), 0);
    assert_int_equal(act_on("arena.%u.destroy", arena), 0);
}

/* ---- the statistics */

static char report[1 << 20];

static void
append(void *arg, const char *text)
{
    size_t *size = arg;
    assert_true(*size + strlen(text) < sizeof report);
    strcpy(report + *size, text);
    *size += strlen(text);
}

static const char *
print_with(const char *letters)
{
    size_t size = 0;
    report[0] = '\0';
    jem_malloc_stats_print(append, &size, letters);
    return report;
}

static void
report_is_balanced_json(void **state)
{
    int depth = 0;
    char last = ' ';
    (void)state;
    (void)jem_malloc(100);
    for (const char *c = print_with("J"); *c != '\0'; c++) {
        depth += (*c == '{') - (*c == '}');
        assert_false(*c == '}' && last == ',');
        assert_true(depth > 0 || c[1] == '\n' || c[1] == '\0');
        last = *c > ' ' ? *c : last;
    }
    assert_int_equal(depth, 0);
    assert_non_null(strstr(report, "\"dirty_decay_ms\": 10000"));
    assert_non_null(strstr(report, "\"merged\": {"));
}

static void
report_leaves_out_what_letters_say(void **state)
{
    (void)state;
    const char *all = print_with("");
    assert_non_null(strstr(all, "opt:"));
    assert_non_null(strstr(all, "merged:"));
    assert_non_null(strstr(all, " 0:"));
    assert_non_null(strstr(all, " bins:"));
    assert_null(strstr(print_with("g"), "opt:"));
    assert_null(strstr(print_with("m"), "merged:"));
    assert_null(strstr(print_with("b"), " bins:"));
    assert_null(strstr(print_with("l"), " lextents:"));
    assert_null(strstr(print_with("e"), " extents:"));
    assert_null(strstr(print_with("gmda"), "pactive"));
    assert_non_null(strstr(print_with("gmda"), "allocated"));
}

static void
zero_reallocs_are_counted(void **state)
{
    (void)state;
    refresh();
    size_t before = read_size_t_of("stats.zero_reallocs");
    assert_null(jem_realloc(jem_malloc(10), 0));
    refresh();
    assert_int_equal(read_size_t_of("stats.zero_reallocs"), before + 1);
}

/* Without a profile there is nothing to switch. */
static void
profile_is_not_switched_when_it_is_off(void **state)
{
    bool on = true;
    (void)state;
    assert_false(read_bool_of("prof.active"));
    assert_true(read_bool_of("opt.prof_active"));
    assert_int_equal(
        jem_mallctl("prof.active", NULL, NULL, &on, sizeof on), ENOENT);
    assert_int_equal(read_size_t_of("prof.lg_sample"), 0);
    assert_int_equal(read_uint64_t_of("prof.interval"), 0);
}

static void
report_agrees_with_the_heap(void **state)
{
    struct alloc_stats stats;
    (void)state;
    refresh();
    jem_ops.stats(NULL, &stats);
    assert_int_equal(read_size_t_of("stats.allocated"), stats.used_size);
    assert_int_equal(read_size_t_of("stats.metadata"), stats.meta_size);
    assert_int_equal(
        read_size_t_of("stats.mapped") + read_size_t_of("stats.retained"),
        stats.mapped_size);
    assert_true(
        read_size_t_of("stats.active") >= read_size_t_of("stats.allocated"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ctl_table_is_in_order),
        cmocka_unit_test(ctl_finds_every_name),
        cmocka_unit_test(ctl_refuses_what_is_no_name),
        cmocka_unit_test(ctl_reports_each_documented_error),
        /* Before arenas are made, so that only the automatic ones exist. */
        cmocka_unit_test(ctl_tells_what_is_fixed),
        cmocka_unit_test(ctl_reports_no_memory),
        cmocka_unit_test(ctl_mib_varies_its_index),
        cmocka_unit_test(arena_statistics_are_exact),
        cmocka_unit_test(arena_tells_of_extents_and_purges),
        cmocka_unit_test(arena_tells_of_slabs),
        cmocka_unit_test(arena_grows_up_to_its_limit),
        cmocka_unit_test(arena_is_reset_and_destroyed),
        cmocka_unit_test(arena_decay_times_are_set),
        cmocka_unit_test(thread_lives_in_the_arena_it_names),
        cmocka_unit_test(thread_counts_its_bytes_once_asked),
        cmocka_unit_test(thread_switches_its_cache),
        cmocka_unit_test(child_of_fork_goes_on),
        cmocka_unit_test(report_is_balanced_json),
        cmocka_unit_test(report_leaves_out_what_letters_say),
        cmocka_unit_test(report_agrees_with_the_heap),
        cmocka_unit_test(zero_reallocs_are_counted),
        cmocka_unit_test(profile_is_not_switched_when_it_is_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
