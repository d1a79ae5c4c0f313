/*
 * emit_test.c - emitted programs compile cleanly, run clean on libc's malloc,
 * and name the call on a malloc that is wrong
 *
 * usage: emit_test CC WRONG_MALLOC.so
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "program/emit.h"
#include "program/file.h"
#include "program/text.h"

static const char *compiler;
static const char *wrong_malloc;
static char directory[64];
static char output[4096];

static int
set_up(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/malstrom-emit-XXXXXX");
    return mkdtemp(directory) == NULL;
}

static int
tear_down(void **state)
{
    static const char *const names[] = {"bug.c", "bug", "output"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

/* Runs argv in the test's directory; what it prints goes to output. */
static int
run(const char *const *argv, const char *wrong)
{
    char path[128];
    int status;

    snprintf(path, sizeof(path), "%s/output", directory);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        if (chdir(directory) != 0) {
            _exit(126);
        }
        unsetenv("LD_PRELOAD");
        if (wrong != NULL) {
            setenv("WRONG", wrong, 1);
            setenv("LD_PRELOAD", wrong_malloc, 1);
        }
        alarm(40);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    FILE *file = fopen(path, "r");
    output[fread(output, 1, sizeof(output) - 1, file)] = '\0';
    fclose(file);
    return status;
}

static void
compile(const struct program *program, const char *level)
{
    const char *const argv[] = {compiler, "-Wall", "-Wextra", "-Werror", level,
        "-pthread", "-o", "bug", "bug.c", NULL};
    static struct file_error error;
    struct buffer text = {0};
    char path[128];

    snprintf(path, sizeof(path), "%s/bug.c", directory);
    assert_true(emit_c(program, &emit_rules_glibc, &text));
    assert_true(file_write(path, text.data, text.size, &error));
    buffer_fini(&text);
    if (run(argv, NULL) != 0) {
        fail_msg("%s", output);
    }
}

static struct program *
read_text(const char *text)
{
    struct program *program = program_new();
    struct text_error error;

    assert_non_null(program);
    if (!text_read(program, text, strlen(text), &error)) {
        fail_msg("%zu: %s", error.line, error.reason);
    }
    return program;
}

/* Runs the compiled program, which must find nothing. */
static void
assert_clean(void)
{
    static const char *const argv[] = {"./bug", "20", NULL};

    if (run(argv, NULL) != 0 || output[0] != '\0') {
        fail_msg("libc's malloc is not to be blamed: %s", output);
    }
}

static const char everything[] = "malstrom heap program 1\n"
                                 "finding overlap\n"
                                 "target ./lib*/wrong.so\n"
                                 "slots 9\n"
                                 "thread 0\n"
                                 "  malloc 0 3000\n"
                                 "  malloc 0 100\n"
                                 "  calloc 1 10 16\n"
                                 "  calloc 1 0x100000000 0x100000000\n"
                                 "  realloc 0 5000\n"
                                 "  realloc 2 10\n"
                                 "  realloc 0 0\n"
                                 "  realloc 3 50\n"
                                 "  realloc 3 0xffffffffffffff00\n"
                                 "  reallocarray 3 3 50\n"
                                 "  reallocarray 3 0x100000000 0x100000000\n"
                                 "  memalign 4 4096 1000\n"
                                 "  memalign 5 0 1000\n"
                                 "  memalign 5 48 1000\n"
                                 "  aligned_alloc 6 64 128\n"
                                 "  aligned_alloc 6 64 100\n"
                                 "  posix_memalign 7 256 100\n"
                                 "  posix_memalign 7 256 100\n"
                                 "  posix_memalign 7 4 100\n"
                                 "  posix_memalign 7 0 100\n"
                                 "  posix_memalign 7 0x8000000000000000 100\n"
                                 "  posix_memalign 7 16 0x7fffffffffffffff\n"
                                 "  valloc 8 100\n"
                                 "  pvalloc 8 5000\n"
                                 "  usable_size 8\n"
                                 "  usable_size 7\n"
                                 "  touch 8\n"
                                 "  touch 7\n"
                                 "  malloc 7 0\n"
                                 "  malloc 7 3000000\n"
                                 "  realloc 7 9000000\n"
                                 "  realloc 7 1000000\n"
                                 "  malloc 7 0x100000000000\n"
                                 "  malloc 7 0xffffffffffffffff\n"
                                 "  free 8\n"
                                 "  free_sized 1\n"
                                 "  free_aligned_sized 6\n"
                                 "  free 6\n"
                                 "  wait 6\n"
                                 "  trim 4096\n"
                                 "  stats\n"
                                 "  yield\n"
                                 "  time 100\n"
                                 "  fork\n";

static void
emitted_program_of_every_operation_is_clean(void **state)
{
    char text[sizeof(everything) + 64];

    (void)state;
    snprintf(text, sizeof(text), "%send\n", everything);
    struct program *program = read_text(text);
    compile(program, "-O2");
    assert_clean();
    program_delete(program);
}

/* What shows growth is played again and again, by one thread and by two. */
static void
emitted_program_of_growth_is_clean(void **state)
{
    static const char head[] = "malstrom heap program 1\nfinding growth\n"
                               "thread 0\n  malloc 0 300000\n  malloc 1 10\n";
    static const char *const tails[] = {
        "end\n", "thread 1\n  wait 1\n  realloc 1 70000\nend\n"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        char text[sizeof(head) + 64];

        snprintf(text, sizeof(text), "%s%s", head, tails[i]);
        struct program *program = read_text(text);
        compile(program, "-O2");
        assert_clean();
        program_delete(program);
    }
}

/* The same with the list cut into three threads' lives, and again with a second
 * list that shares its slots. */
static void
emitted_program_of_threads_is_clean(void **state)
{
    static const char *const tails[] = {
        "  exit\n  malloc 0 10\n  exit\nend\n",
        "thread 1\n  wait 4\n  free 4\n  malloc 0 77\n  realloc 3 99\n"
        "  exit\n  calloc 1 7 7\n  wait 8\nfault os 3\nend\n",
    };
    char text[sizeof(everything) + 256];

    (void)state;
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof(text), "%s%s", everything, tails[i]);
        struct program *program = read_text(text);
        /* Rounds with a fork each take too long. */
        program->threads[0].op_count -= i == 1;
        compile(program, "-O2");
        assert_clean();
        program_delete(program);
    }
}

static void
make_random(struct program *program, struct random *random, unsigned threads)
{
    static const uint8_t slow_kinds[] = {OP_FORK, OP_TIME, OP_EXIT};
    unsigned slow_max = threads > 1 ? 0 : sizeof(slow_kinds);

    program_clear(program);
    for (int i = 0; i < 150; i++) {
        struct op op = {
            .kind = (uint8_t)random_below(random, OP_KIND_COUNT),
            .slot = (uint32_t)random_below(random, 12),
            .size = random_log_between(random, 0, 1 << 18),
            .count = random_log_between(random, 0, 20),
            .align = random_one_in(random, 9)
                         ? random_below(random, 100)
                         : UINT64_C(1) << random_below(random, 14),
        };
        if (random_one_in(random, 30)) {
            op.size = UINT64_MAX - random_below(random, UINT64_C(1) << 63);
        }
        if (memchr(slow_kinds, op.kind, sizeof(slow_kinds)) != NULL) {
            op.kind =
                slow_max > 0 && random_one_in(random, 4) ? op.kind : OP_MALLOC;
        }
        assert_true(
            program_add(program, (unsigned)random_below(random, threads), &op));
    }
}

static void
emitted_random_programs_are_clean(void **state)
{
    struct program *program = program_new();

    (void)state;
    assert_non_null(program);
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct random random;

        random_seed(&random, seed);
        make_random(program, &random, seed < 2 ? 1 : 3);
        compile(program, "-O1");
        assert_clean();
    }
    program_delete(program);
}

static void
emitted_program_may_be_empty(void **state)
{
    struct program *program = program_new();

    (void)state;
    compile(program, "-O2");
    assert_clean();
    program_delete(program);
}

/* What each of these lines must show when the malloc makes the mistake. The
 * first one that a mistake concerns is named. */
static const char mistaken[] = "malstrom heap program 1\n"
                               "thread 0\n"
                               "  malloc 0 100\n"
                               "  malloc 1 100\n"
                               "  memalign 2 4096 10\n"
                               "  calloc 3 5 7\n"
                               "  realloc 0 50\n"
                               "  malloc 4 0x1000000000\n"
                               "  free 1\n"
                               "  malloc 5 3000\n"
                               "  calloc 6 0x100000000 0x100000000\n"
                               "  posix_memalign 7 24 10\n"
                               "  posix_memalign 8 32 0x1000000000\n"
                               "end\n";

struct mistake {
    const char *wrong;    /* as wrong_malloc.c names it */
    const char *expected; /* what the emitted program prints, in part */
};

static const struct mistake mistakes[] = {
    {"alignment", "b[0] = malloc(100): expected a multiple of 16; seen"},
    {"memalign", "b[2] = memalign(4096, 10): expected a multiple of 4096"},
    {"overlap", "b[1] = malloc(100): expected bytes of its own"},
    {"zeroing", "b[3] = calloc(5, 7): expected zeroes; seen 0x01 in byte 34"},
    {"content", "b[0] = realloc(b[0], 50): the block of 100 bytes at"},
    {"usable", "b[0] = malloc(100): expected malloc_usable_size of at least "
               "100; seen 99"},
    {"errno", "b[4] = malloc(0x1000000000): expected errno 12 (ENOMEM) with "
              "NULL; seen 11"},
    {"free-errno", "free(b[1]): expected errno to be kept, 4242; seen 22"},
    {"null", "b[5] = malloc(3000): expected a block of 3000 bytes; seen NULL"},
    {"product", "b[6] = calloc(odd(0x100000000), 0x100000000): expected NULL: "
                "no object is that large; seen"},
    {"code", "posix_memalign(&b[7], odd(24), 10): expected EINVAL (22) or "
             "ENOMEM (12); seen -1"},
    {"out", "posix_memalign(&b[8], 32, 0x1000000000): expected the pointer to "
            "be kept, 0x5a50; seen (nil)"},
};

static void
emitted_program_names_each_mistake(void **state)
{
    static const char *const argv[] = {"./bug", NULL};
    struct program *program = read_text(mistaken);

    (void)state;
    compile(program, "-O0");
    program_delete(program);
    if (run(argv, "nothing") != 0) { /* that malloc without a mistake */
        fail_msg("%s", output);
    }
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        int status = run(argv, mistakes[i].wrong);

        if (!WIFEXITED(status) || WEXITSTATUS(status) != 1 ||
            strstr(output, mistakes[i].expected) == NULL) {
            fail_msg("%s: status %#x: %s", mistakes[i].wrong, (unsigned)status,
                output);
        }
        assert_int_equal(strchr(output, '\n') - output, strlen(output) - 1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(emitted_program_of_every_operation_is_clean),
        TEST(emitted_program_of_growth_is_clean),
        TEST(emitted_program_of_threads_is_clean),
        TEST(emitted_random_programs_are_clean),
        TEST(emitted_program_may_be_empty),
        TEST(emitted_program_names_each_mistake),
    };

    if (argc != 3) {
        return 2;
    }
    compiler = argv[1];
    wrong_malloc = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
