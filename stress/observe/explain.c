/*
 * explain.c - a verdict as lines of evidence (contract: explain.h)
 *
 * All code addresses are collected first, so that their names are asked for
 * once.
 */
#include "observe/explain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "observe/runtime.h"
#include "observe/symbol.h"

#define STEPS_SHOWN  8
#define FRAMES_SHOWN 8
#define SYMBOLS_MAX  (2 * FRAMES_SHOWN + OBSERVE_THREADS_MAX * STEPS_SHOWN)

static struct symbol symbols[SYMBOLS_MAX];
static size_t symbol_count;

static void __attribute__((format(printf, 2, 3)))
add_line(struct explanation *explanation, const char *format, ...)
{
    if (explanation->line_count == EXPLAIN_LINES_MAX) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(explanation->lines[explanation->line_count++], EXPLAIN_LINE_SIZE,
        format, arguments);
    va_end(arguments);
}

static void
want(uintptr_t pc)
{
    for (size_t i = 0; i < symbol_count; i++) {
        if (symbols[i].pc == pc) {
            return;
        }
    }
    if (pc != 0 && symbol_count < SYMBOLS_MAX) {
        symbols[symbol_count++].pc = pc;
    }
}

static const char *
name_of(uintptr_t pc)
{
    for (size_t i = 0; i < symbol_count; i++) {
        if (symbols[i].pc == pc) {
            return symbols[i].name;
        }
    }
    return "";
}

static void
want_stack(const struct observe_access *access)
{
    for (unsigned i = 0; i < access->stack_count && i < FRAMES_SHOWN; i++) {
        want(access->stack[i]);
    }
}

/* The thread's last steps that a reader needs; returns how many. */
static unsigned
last_steps(unsigned thread, struct observe_step steps[OBSERVE_STEPS_MAX])
{
    unsigned count = observe_steps(thread, steps);
    unsigned first = count > STEPS_SHOWN ? count - STEPS_SHOWN : 0;
    memmove(steps, steps + first, (count - first) * sizeof(steps[0]));
    return count - first;
}

static void
collect(const struct observe_verdict *verdict)
{
    symbol_count = 0;
    want_stack(&verdict->access);
    want_stack(&verdict->other);
    for (unsigned i = 0; i < observe_thread_count(); i++) {
        struct observe_step steps[OBSERVE_STEPS_MAX];
        unsigned count = last_steps(i, steps);
        for (unsigned j = 0; j < count; j++) {
            want(steps[j].pc);
        }
    }
    symbol_find(symbols, symbol_count);
}

static void
add_stack(struct explanation *explanation, const struct observe_access *access)
{
    if (access->stack_count == 0) {
        add_line(
            explanation, "  in the program itself, as a user of the block");
    }
    for (unsigned i = 0; i < access->stack_count && i < FRAMES_SHOWN; i++) {
        add_line(explanation, "  #%u %s", i, name_of(access->stack[i]));
    }
}

static void
add_access(struct explanation *explanation, const char *when,
    const struct observe_access *access)
{
    add_line(explanation, "%s: thread %u %s%s %u bytes at 0x%lx", when,
        access->thread, access->atomic ? "atomically " : "",
        access->write ? "writes" : "reads", access->size,
        (unsigned long)access->addr);
    add_stack(explanation, access);
}

static void
describe(const struct observe_step *step, char *text, size_t size)
{
    static const char *const words[EVENT_KIND_COUNT] = {
        [EVENT_NONE] = "",
        [EVENT_READ] = "reads",
        [EVENT_WRITE] = "writes",
        [EVENT_LOAD] = "loads",
        [EVENT_LOAD_STALE] = "loads an older store of",
        [EVENT_STORE] = "stores to",
        [EVENT_RMW] = "changes",
        [EVENT_CAS_FAIL] = "fails to change",
        [EVENT_FENCE] = "fence",
        [EVENT_LOCK] = "takes the lock",
        [EVENT_UNLOCK] = "drops the lock",
        [EVENT_WAIT] = "waits on",
        [EVENT_WAKE] = "wakes",
        [EVENT_OP] = "operation",
        [EVENT_OS] = "asks the OS about",
        [EVENT_YIELD] = "yields",
        [EVENT_EXIT] = "ends",
    };
    const char *word = words[step->kind];
    if (step->kind == EVENT_OP) {
        snprintf(text, size, "operation %lu: %s", (unsigned long)step->value,
            step->text);
    } else if (step->kind >= EVENT_LOAD && step->kind <= EVENT_CAS_FAIL) {
        snprintf(text, size, "%s 0x%lx: 0x%lx", word, (unsigned long)step->addr,
            (unsigned long)step->value);
    } else if (step->addr != 0) {
        snprintf(text, size, "%s 0x%lx", word, (unsigned long)step->addr);
    } else {
        snprintf(text, size, "%s", word);
    }
}

static void
add_steps(struct explanation *explanation, unsigned thread)
{
    struct observe_step steps[OBSERVE_STEPS_MAX];
    unsigned count = last_steps(thread, steps);
    if (count > 0) {
        add_line(explanation, "thread %u's last steps:", thread);
    }
    for (unsigned i = 0; i < count; i++) {
        char text[100];
        describe(&steps[i], text, sizeof(text));
        add_line(explanation, "  %6u  %-48s %s", steps[i].number, text,
            steps[i].pc != 0 ? name_of(steps[i].pc) : "");
    }
}

void
explain(struct explanation *explanation, const struct observe_verdict *verdict,
    bool repeats)
{
    explanation->line_count = 0;
    if (!repeats) {
        add_line(explanation,
            "run again with the same choices it went another way: the target "
            "is not deterministic");
        return;
    }
    collect(verdict);
    if (verdict->has_other) {
        add_access(explanation, "later", &verdict->access);
        add_access(explanation, "earlier", &verdict->other);
    } else {
        add_line(explanation, "thread %u, in:", verdict->access.thread);
        add_stack(explanation, &verdict->access);
    }
    for (unsigned i = 0; i < observe_thread_count(); i++) {
        add_steps(explanation, i);
    }
}
