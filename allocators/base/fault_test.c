/*
 * fault_test.c - a watcher hears of the fault, the handler before it hears next,
 * and the process ends as it would have
 *
 * Each case is a child. A sanitizer has handlers of its own: each begins with
 * the action that it is about.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/mman.h>

#include "base/death.h"
#include "base/fault.h"

static void
say(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
}

static void
watch(const void *addr, void *arg)
{
    say(addr == arg ? "watched\n" : "another address\n");
}

static void
handle(int signal_number)
{
    (void)signal_number;
    say("handler before\n");
    _exit(3);
}

/* A page that nobody may touch. */
static char *
closed_page(void)
{
    char *page =
        mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED) {
        _exit(1);
    }
    return page;
}

static void
touch_watched(void (*before)(int))
{
    char *page = closed_page();

    (void)signal(SIGSEGV, before);
    (void)signal(SIGBUS, before);
    if (!fault_watch(watch, page)) {
        _exit(1);
    }
    *page = 1;
}

static void
touch_by_default(void *arg)
{
    (void)arg;
    touch_watched(SIG_DFL);
}

static void
touch_ignored(void *arg)
{
    (void)arg;
    touch_watched(SIG_IGN);
}

static void
touch_handled(void *arg)
{
    (void)arg;
    touch_watched(handle);
}

/* Nobody touched anything: the watcher is not asked. */
static void
send(void *before)
{
    (void)signal(SIGSEGV, *(void (**)(int))before);
    if (fault_watch(watch, NULL)) {
        (void)kill(getpid(), SIGSEGV);
        say("lives\n");
    }
    _exit(0);
}

static void
fault_kills_after_the_watcher_heard(void **state)
{
    char text[DEATH_TEXT_MAX];

    (void)state;
    int status = death_capture(touch_by_default, NULL, text);
    assert_string_equal(text, "watched\n");
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    status = death_capture(touch_ignored, NULL, text);
    assert_string_equal(text, "watched\n");
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void
handler_before_hears_next(void **state)
{
    char text[DEATH_TEXT_MAX];

    (void)state;
    int status = death_capture(touch_handled, NULL, text);
    assert_string_equal(text, "watched\nhandler before\n");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

static void
signal_that_was_sent_is_no_fault(void **state)
{
    char text[DEATH_TEXT_MAX];
    void (*before)(int) = SIG_DFL;

    (void)state;
    int status = death_capture(send, &before, text);
    assert_string_equal(text, "");
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    before = SIG_IGN;
    status = death_capture(send, &before, text);
    assert_string_equal(text, "lives\n");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_kills_after_the_watcher_heard),
        cmocka_unit_test(handler_before_hears_next),
        cmocka_unit_test(signal_that_was_sent_is_no_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
