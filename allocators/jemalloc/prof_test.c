/*
 * prof_test.c - the sampled profile of the jemalloc design
 *
 * The options are read when the program is loaded, so each case is this program
 * again, with its options in the environment and its name as an argument. What
 * it finds wrong it says, and exits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <pthread.h>
#include <unistd.h>

#include "base/death.h"
#include "base/machine.h"
#include "jemalloc/heap.h"
#include "jemalloc/jemalloc.h"

#define BLOCKS 10000

static char folder[] = "/tmp/malstrom-prof-XXXXXX";

static uint64_t
same_bits(void)
{
    return 20231129;
}

static struct profile_sums
live(void)
{
    return sampled_live(&jem_heap_main()->sampled);
}

static void
require_near(const char *what, uint64_t value, uint64_t exact, unsigned percent)
{
    if (value < exact - exact / 100 * percent ||
        value > exact + exact / 100 * percent) {
        dprintf(
            2, "%s is %zu and not %zu\n", what, (size_t)value, (size_t)exact);
        _exit(1);
    }
}

static void
count_blocks(void)
{
    static void *blocks[BLOCKS];
    uint64_t size = 0;

    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = i % 3 == 0 ? jem_calloc(1, i % 900 + 1)
                               : jem_malloc(i % 50 == 0 ? 200000 : i % 900 + 1);
        memset(blocks[i], (int)i, i % 900 + 1);
        size +=
            jem_nallocx(i % 3 != 0 && i % 50 == 0 ? 200000 : i % 900 + 1, 0);
    }
    require_near("live", live().full_size, size, 3);
    require_near("count", live().full_count / SAMPLER_UNIT, BLOCKS, 20);
    jem_heap_check(jem_heap_main());
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (*(unsigned char *)blocks[i] != (i & 0xff)) {
            abort();
        }
        blocks[i] = jem_realloc(blocks[i], 5000 + i);
    }
    require_near("after realloc", live().full_size,
        (uint64_t)BLOCKS * (5000 + BLOCKS / 2), 15);
    for (unsigned i = 0; i < BLOCKS; i++) {
        jem_free(blocks[i]);
    }
    require_near("after free", live().full_size, 0, 0);
    jem_heap_check(jem_heap_main());
}

static void *
take_and_leave(void *unused)
{
    for (unsigned i = 0; i < 200000; i++) {
        jem_sdallocx(jem_mallocx(112, 0), 112, 0);
    }
    return unused;
}

static void
count_loops(void)
{
    pthread_t threads[3];

    for (unsigned i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, take_and_leave, NULL);
    }
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    struct sampled *sampled = &jem_heap_main()->sampled;
    require_near("all", sampled->profile.all.full_size, 3 * 200000 * 112, 10);
    require_near("live", live().count, 0, 0);
}

static void
reset_arena(void)
{
    unsigned arena;
    size_t size = sizeof arena;
    char name[40];

    if (jem_mallctl("arenas.create", &arena, &size, NULL, 0) != 0) {
        abort();
    }
    for (unsigned i = 0; i < 1000; i++) {
        if (jem_mallocx(1000,
                JEM_MALLOCX_ARENA(arena) | JEM_MALLOCX_TCACHE_NONE) == NULL) {
            abort();
        }
    }
    require_near("before", live().full_size, 1024 * 1000, 10);
    snprintf(name, sizeof name, "arena.%u.destroy", arena);
    if (jem_mallctl(name, NULL, NULL, NULL, 0) != 0) {
        abort();
    }
    require_near("after", live().full_size, 0, 0);
}

/* Reads the file's first two lines, then removes it. */
static void
require_profile(const char *path)
{
    char line[200];
    FILE *file = fopen(path, "r");
    size_t count = 0;

    if (file == NULL || fgets(line, sizeof line, file) == NULL ||
        strcmp(line, "heap_v2/4096\n") != 0 ||
        fscanf(file, " t*: %zu:", &count) != 1 || count == 0) {
        dprintf(2, "%s is no profile\n", path);
        _exit(1);
    }
    fclose(file);
    remove(path);
}

static void
write_files(void)
{
    char path[200];
    const char *named = path;
    const char *in_turn = NULL;

    (void)jem_malloc(1 << 20);
    snprintf(path, sizeof path, "%s/named.heap", folder);
    if (jem_mallctl("prof.dump", NULL, NULL, &named, sizeof named) != 0 ||
        jem_mallctl("prof.dump", NULL, NULL, &in_turn, sizeof in_turn) != 0) {
        abort();
    }
    require_profile(path);
    snprintf(path, sizeof path, "%s/p.%d.0.heap", folder, (int)getpid());
    require_profile(path);
}

static void
take_counted(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (jem_malloc(1000) == NULL) {
            abort();
        }
    }
}

static void
switch_to(bool on)
{
    bool was;
    size_t size = sizeof was;

    if (jem_mallctl("prof.active", &was, &size, &on, sizeof on) != 0 ||
        was == on) {
        abort();
    }
}

static void
switch_sampling(void)
{
    take_counted(5000);
    require_near("before", live().full_size, 0, 0);
    switch_to(true);
    take_counted(1000);
    require_near("active", live().full_size, 1024 * 1000, 10);
    switch_to(false);
    take_counted(5000);
    require_near("after", live().full_size, 1024 * 1000, 10);
}

static void
stay_off(void)
{
    const char *path = "/tmp/never";

    jem_free(jem_malloc(100000));
    if (jem_heap_main()->sampled.on ||
        jem_mallctl("prof.dump", NULL, NULL, &path, sizeof path) == 0) {
        abort();
    }
}

static const struct prof_case {
    const char *name;
    const char *options; /* prof_prefix is added */
    void (*run)(void);
} cases[] = {
    {"count_blocks", "prof:true,lg_prof_sample:12", count_blocks},
    {"count_loops", "prof:true,lg_prof_sample:14", count_loops},
    {"reset_arena", "prof:true,lg_prof_sample:10", reset_arena},
    {"switch_sampling", "prof:true,prof_active:false,lg_prof_sample:10",
        switch_sampling},
    {"write_files", "prof:true,lg_prof_sample:12,prof_final:true", write_files},
    {"stay_off", "", stay_off},
};

/* This program again, as that case. */
static void
execute(void *arg)
{
    const struct prof_case *which = arg;
    char options[200];

    snprintf(
        options, sizeof options, "%s,prof_prefix:%s/p", which->options, folder);
    setenv("JEM_OPTIONS", options, 1);
    execl("/proc/self/exe", "prof_test", which->name, folder, NULL);
    _exit(127);
}

static int
run_case(const char *name)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(cases[i].name, name) == 0) {
            machine.random = same_bits; /* The same samples each time. */
            cases[i].run();
            return 0;
        }
    }
    return 2;
}

/* What the case that ended last has written at its exit. */
static void
require_final_file(void)
{
    DIR *directory = opendir(folder);
    struct dirent *entry;
    unsigned count = 0;

    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] != '.') {
            char path[400];

            assert_non_null(strstr(entry->d_name, ".1.heap"));
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            require_profile(path);
            count++;
        }
    }
    closedir(directory);
    assert_int_equal(count, 1);
}

static void
prof_passes_each_case(void **state)
{
    char text[DEATH_TEXT_MAX];

    (void)state;
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct prof_case which = cases[i];
        int status = death_capture(execute, &which, text);

        if (status != 0 || text[0] != '\0') {
            fail_msg(
                "%s: status %#x, \"%s\"", which.name, (unsigned)status, text);
        }
    }
    require_final_file();
    assert_int_equal(rmdir(folder), 0);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prof_passes_each_case),
    };

    if (argc == 3) {
        snprintf(folder, sizeof folder, "%s", argv[2]);
        return run_case(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
