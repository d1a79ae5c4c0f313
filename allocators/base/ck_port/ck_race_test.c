/*
 * ck_race_test.c - ThreadSanitizer judges CK's structures through the ck_pr port
 *
 * Each program of ck_race.h runs in a process of its own: as it is, and then it
 * must be silent; and under ThreadSanitizer once for each order taken away
 * (ck_weaken.h), and then a data race must be reported. Without ThreadSanitizer
 * only the first kind runs, for the results.
 *
 *     ck_race_test                          all, as tests
 *     ck_race_test PROGRAM [ORDERS ROLES]   one program, in this process
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/ck_port/ck_race.h"

enum { TSAN_STATUS = 66, LIMIT_S = 30, TESTS_MAX = 128 };

/*
 * The child: one program, here and now.
 */

/* All start together. Relaxed, so that nothing else is ordered by it. */
static void
wait_for_all(unsigned threads)
{
    static _Atomic unsigned here;

    atomic_fetch_add_explicit(&here, 1, memory_order_relaxed);
    while (atomic_load_explicit(&here, memory_order_relaxed) < threads) {
        (void)sched_yield();
    }
}

static int
run_program(const struct race_program *program)
{
    (void)alarm(LIMIT_S);
    race_run(program, wait_for_all);
    return 0;
}

/*
 * The judge: one program, in a child whose stderr it reads.
 */
struct verdict {
    int status; /* as wait has it */
    char said[16384];
};

static void
become_child(const char *name, unsigned orders, unsigned roles)
{
    char set[16], who[16];

    (void)snprintf(set, sizeof set, "%u", orders);
    (void)snprintf(who, sizeof who, "%u", roles);
    (void)setenv(
        "TSAN_OPTIONS", "exitcode=66:halt_on_error=1:atexit_sleep_ms=0", 1);
    (void)execl("/proc/self/exe", "ck_race_test", name, set, who, (char *)NULL);
    _exit(127);
}

static void
judge(
    const char *name, unsigned orders, unsigned roles, struct verdict *verdict)
{
    FILE *said = tmpfile();
    pid_t child;
    size_t length;

    assert_non_null(said);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(fileno(said), STDERR_FILENO);
        become_child(name, orders, roles);
    }
    while (waitpid(child, &verdict->status, 0) < 0) {
        assert_int_equal(errno, EINTR);
    }
    rewind(said);
    length = fread(verdict->said, 1, sizeof verdict->said - 1, said);
    verdict->said[length] = '\0';
    (void)fclose(said);
}

static void
program_is_silent(void **state)
{
    const struct race_program *program = *state;
    struct verdict verdict;

    judge(program->name, 0, 0, &verdict);
    if (verdict.status != 0) {
        fail_msg("%s: %s", program->name, verdict.said);
    }
}

#ifdef CK_PORT_TSAN
/* The threads must meet at the place, which is up to the machine: they get a few
 * chances. Most take the first. */
static void
weakened_program_is_reported(void **state)
{
    const struct race_weakening *weakening = *state;
    struct verdict verdict;
    unsigned chances = 10;

    do {
        judge(
            weakening->program, weakening->orders, weakening->roles, &verdict);
    } while (verdict.status == 0 && --chances > 0);
    assert_true(WIFEXITED(verdict.status));
    assert_int_equal(WEXITSTATUS(verdict.status), TSAN_STATUS);
    assert_non_null(strstr(verdict.said, "ThreadSanitizer: data race"));
}
#else
static void
weakened_program_is_reported(void **state)
{
    (void)state;
    skip();
}
#endif

#define NAME_ORDER(name) #name,

static const char *
name_weakening(const struct race_weakening *weakening)
{
    static const char *const orders[] = {WEAKEN_EACH(NAME_ORDER)};
    static const char *const roles[] = {"", "giver", "taker", "anyone"};
    char *name = NULL, *longer;

    CHECK(asprintf(&name, "%s is reported when %s's", weakening->program,
              roles[weakening->roles]) > 0);
    for (unsigned i = 0; i < weaken_count; i++) {
        if ((weakening->orders & 1u << i) != 0) {
            CHECK(asprintf(&longer, "%s %s", name, orders[i]) > 0);
            free(name);
            name = longer;
        }
    }
    CHECK(asprintf(&longer, "%s is left out", name) > 0);
    free(name);
    return longer;
}

int
main(int argc, char **argv)
{
    static struct CMUnitTest tests[TESTS_MAX];
    unsigned count = 0;

    if (argc > 1) {
        const struct race_program *program = race_find(argv[1]);

        if (program == NULL) {
            (void)fprintf(stderr, "ck_race_test: no program %s\n", argv[1]);
            return 2;
        }
        weaken_orders = argc > 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
        weaken_roles = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
        return run_program(program);
    }
    CHECK(race_weakening_count <= TESTS_MAX / 2);
    for (unsigned i = 0; race_lists[i] != NULL; i++) {
        const struct race_program *p = race_lists[i];
        for (; p->name != NULL && count < TESTS_MAX / 2; p++) {
            tests[count++] = (struct CMUnitTest){.name = p->name,
                .test_func = program_is_silent,
                .initial_state = (void *)(uintptr_t)p};
        }
    }
    for (unsigned i = 0; i < race_weakening_count; i++) {
        tests[count++] =
            (struct CMUnitTest){.name = name_weakening(&race_weakenings[i]),
                .test_func = weakened_program_is_reported,
                .initial_state = (void *)(uintptr_t)&race_weakenings[i]};
    }
    return _cmocka_run_group_tests("ck_race", tests, count, NULL, NULL);
}
