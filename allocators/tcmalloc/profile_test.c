/*
 * profile_test.c - the sampled profile of the tcmalloc design
 *
 * The options are read at the first call, so each case is a child that has set
 * them before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/machine.h"
#include "tcmalloc/cpucache.h"
#include "tcmalloc/heap.h"
#include "tcmalloc/inspect.h"
#include "tcmalloc/tcmalloc.h"

#define BLOCKS 20000

static void *blocks[BLOCKS];

static uint64_t
same_bits(void)
{
    return 20231129;
}

/* Runs a case in a child with those options, and the same samples each time. */
static void
run_with(const char *with, void (*fn)(void))
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        machine.random = same_bits;
        setenv("TCM_OPTIONS", with, 1);
        fn();
        fflush(NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void
require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "profile_test: not so: %s\n", what);
        _exit(1);
    }
}
#define REQUIRE(condition) require(condition, #condition)

static const struct profile *
profile(void)
{
    return &tcm_heap_process.sampled.profile;
}

static size_t
size_of(unsigned i)
{
    return i % 50 == 0 ? 300000 : i % 700 + 1;
}

static void
fill(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] =
            i % 3 == 0 ? tcm_calloc(1, size_of(i)) : tcm_malloc(size_of(i));
        REQUIRE(blocks[i] != NULL);
        memset(blocks[i], (int)i, size_of(i));
    }
}

static void
empty(unsigned from, unsigned step)
{
    for (unsigned i = from; i < BLOCKS; i += step) {
        REQUIRE(*(unsigned char *)blocks[i] == (i & 0xff));
        tcm_free(blocks[i]);
        blocks[i] = NULL;
    }
}

static bool
is_near(uint64_t value, uint64_t exact, unsigned percent)
{
    return value >= exact - exact / 100 * percent &&
           value <= exact + exact / 100 * percent;
}

/* Of small blocks one in 16 is sampled, of large ones all. */
static void
counts_what_lives(void)
{
    uint64_t size = 0;

    fill();
    for (unsigned i = 0; i < BLOCKS; i++) {
        size += size_of(i);
    }
    tcm_inspect_check(&tcm_heap_process);
    REQUIRE(is_near(profile()->live.full_size, size, 3));
    REQUIRE(is_near(profile()->live.full_count / SAMPLER_UNIT, BLOCKS, 30));
    empty(0, 2);
    tcm_inspect_check(&tcm_heap_process);
    REQUIRE(profile()->all.full_size > profile()->live.full_size);
    empty(1, 2);
    REQUIRE(profile()->live.count == 0 && profile()->live.full_size == 0);
    REQUIRE(is_near(profile()->all.full_size, size, 3));
    tcm_inspect_check(&tcm_heap_process);
}

static void
profile_counts_what_lives_and_what_was(void **state)
{
    (void)state;
    run_with("profile:4k", counts_what_lives);
}

/* A loop that never leaves the cache is counted all the same. */
static void
counts_a_loop(void)
{
    for (unsigned i = 0; i < 1000000; i++) {
        tcm_free(tcm_malloc(100));
    }
    REQUIRE(is_near(profile()->all.full_size, 100000000, 10));
    REQUIRE(profile()->live.count == 0);
}

static void
profile_counts_a_loop_of_malloc_and_free(void **state)
{
    (void)state;
    run_with("profile:64k", counts_a_loop);
}

/* Sampled or not, a block is one to every call. */
static void
moves_blocks(void)
{
    for (unsigned i = 0; i < 2000; i++) {
        void *block = tcm_memalign(256, 1 + i);
        REQUIRE(((uintptr_t)block & 255) == 0);
        REQUIRE(tcm_malloc_usable_size(block) >= 1 + i);
        memset(block, 7, 1 + i);
        block = tcm_realloc(block, 3 * (1 + i));
        REQUIRE(((char *)block)[i] == 7);
        block = tcm_realloc(block, 1 + i / 2);
        REQUIRE(((char *)block)[i / 2] == 7);
        tcm_free_sized(block, 1 + i / 2);
    }
    REQUIRE(profile()->all.count > 4000 && profile()->live.count == 0);
    tcm_inspect_check(&tcm_heap_process);
}

static void
profile_leaves_every_call_as_it_is(void **state)
{
    (void)state;
    run_with("profile:16", moves_blocks);
}

static void *
take_and_leave(void *arg)
{
    void **taken = arg;

    for (unsigned i = 0; i < 20000; i++) {
        void **place = &taken[i % 100];
        tcm_free(*place);
        *place = tcm_malloc(i % 1000);
    }
    return NULL;
}

static void
counts_threads(void)
{
    static void *taken[4][100];
    pthread_t threads[4];

    for (unsigned i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, take_and_leave, taken[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < 400; i++) {
        tcm_free(taken[i / 100][i % 100]);
    }
    REQUIRE(is_near(profile()->all.full_size, (uint64_t)4 * 20000 * 500, 10));
    REQUIRE(profile()->live.count == 0);
}

static void
profile_counts_blocks_of_all_threads(void **state)
{
    (void)state;
    run_with("profile:4k", counts_threads);
}

static void
find_used(struct tcm_front *front, void *arg)
{
    bool *found = arg;

    *found = *found || tcm_front_cached_size(front) > 0;
}

/* Where there are caches of CPUs, they serve all that is not sampled. */
static void
counts_on_cpus(void)
{
    bool found = false;

    counts_threads();
    tcm_cpucache_each(find_used, &found);
    REQUIRE(found == tcm_heap_process.has_cpu_caches);
    REQUIRE(rseq_start() == tcm_heap_process.has_cpu_caches);
    tcm_inspect_check(&tcm_heap_process);
}

static void
profile_counts_blocks_of_cpu_caches(void **state)
{
    (void)state;
    run_with("profile:4k,own_caches:0", counts_on_cpus);
}

/* ---- files */

static char folder[] = "/tmp/malstrom-profile-XXXXXX";
static char options[200];

static bool
is_gzip(const char *path)
{
    unsigned char magic[2] = {0};
    FILE *file = fopen(path, "r");

    if (file == NULL) {
        return false;
    }
    size_t count = fread(magic, 1, 2, file);
    fclose(file);
    remove(path);
    return count == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
}

static void
writes_files(void)
{
    char path[300];

    fill(); /* 126 MB are due three files of 40. */
    for (unsigned i = 0; i < 3; i++) {
        snprintf(
            path, sizeof path, "%s/p.%d.%u.pb.gz", folder, (int)getpid(), i);
        REQUIRE(is_gzip(path));
    }
    snprintf(path, sizeof path, "%s/by_call.pb.gz", folder);
    REQUIRE(sampled_write(&tcm_heap_process.sampled, path));
    REQUIRE(is_gzip(path));
    REQUIRE(!sampled_write(&tcm_heap_process.sampled, "/nowhere/at/all"));
    sampled_end(&tcm_heap_process.sampled);
    snprintf(path, sizeof path, "%s/p.%d.3.pb.gz", folder, (int)getpid());
    REQUIRE(is_gzip(path));
}

static void
profile_files_are_written_by_call_by_size_and_at_the_end(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(options, sizeof options,
        "profile:4k,profile_final:on,profile_interval:38m,profile_prefix:%s/p",
        folder);
    run_with(options, writes_files);
    assert_int_equal(rmdir(folder), 0);
}

static void
stays_off(void)
{
    fill();
    empty(0, 1);
    REQUIRE(!tcm_heap_process.sampled.on);
    REQUIRE(!sampled_write(&tcm_heap_process.sampled, NULL));
}

static void
profile_is_off_unless_asked_for(void **state)
{
    (void)state;
    run_with("", stays_off);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profile_counts_what_lives_and_what_was),
        cmocka_unit_test(profile_counts_a_loop_of_malloc_and_free),
        cmocka_unit_test(profile_leaves_every_call_as_it_is),
        cmocka_unit_test(profile_counts_blocks_of_all_threads),
        cmocka_unit_test(profile_counts_blocks_of_cpu_caches),
        cmocka_unit_test(
            profile_files_are_written_by_call_by_size_and_at_the_end),
        cmocka_unit_test(profile_is_off_unless_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
