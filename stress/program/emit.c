/*
 * emit.c - a C program from a heap program (contract: emit.h)
 *
 * The checker is C source of its own, emitted*.inc, which the build turns into
 * strings: it can be read, formatted and compiled as what it is. What is written
 * here is one line for each operation, with the call itself in it, so that the
 * reader of a bug report sees malloc(100) and not an interpreter's table.
 *
 * With one thread it is known from the text alone which slots may hold a block,
 * so the free that precedes an allocation into a full slot is a line too.
 */
#include "program/emit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "program/emitted_text.inc"

#define ROUNDS       1000
#define TIME_MAX_US  20000 /* as the runners have it */
#define VALLOC_ALIGN 4096

const struct emit_rules emit_rules_glibc = {
    .align_asked = true,
    .align_fit = true,
    .overflow = true,
    .size_max = true,
    .null_modest = true,
    .errno_null = true,
    .errno_free = true,
    .errno_success = true,
    .memalign_code = true,
    .memalign_out = true,
    .usable = true,
};

struct emitter {
    const struct program *program;
    struct buffer *out;
    bool threaded; /* more than one list */
    bool grows;    /* the finding is what it takes when it is repeated */
    bool failed;   /* out of memory */

    /* With one thread: the slots that may hold a block. */
    bool *full;
    size_t full_capacity;
};

static void put(struct emitter *emitter, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
put(struct emitter *emitter, const char *format, ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    emitter->failed |= !buffer_add_text(emitter->out, line);
}

/* A number as an argument: large ones in hexadecimal, and those that compilers
 * refuse hidden from them. */
struct argument {
    char text[40];
};

static struct argument
argument(uint64_t value, bool is_odd)
{
    struct argument argument;
    const char *format = value < UINT64_C(4294967296) ? "%s%lu%s" : "%s%#lx%s";

    is_odd = is_odd || value > PTRDIFF_MAX;
    snprintf(argument.text, sizeof(argument.text), format, is_odd ? "odd(" : "",
        (unsigned long)value, is_odd ? ")" : "");
    return argument;
}

static bool
is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static struct argument
align_argument(const struct op *op)
{
    return argument(op->align, !is_power_of_two(op->align));
}

/* The count, which compilers refuse when its product with the size is too
 * large for any object. */
static struct argument
count_argument(const struct op *op)
{
    uint64_t size;
    bool is_odd = __builtin_mul_overflow(op->count, op->size, &size) ||
                  size > PTRDIFF_MAX;

    return argument(op->count, is_odd);
}

/* The bytes that the call asks for, as the checker is told. */
static struct argument
size_argument(const struct op *op)
{
    uint64_t size = op->size;

    if (op_shapes[op->kind].has_count &&
        __builtin_mul_overflow(op->count, op->size, &size)) {
        return (struct argument){"TOO_LARGE"};
    }
    return argument(size, false);
}

/* How the block of a slot reads: b[3], or b[h] where threads share slots. */
static struct argument
block_name(const struct emitter *emitter, const struct op *op)
{
    struct argument name = {"b[h]"};

    if (!emitter->threaded) {
        snprintf(name.text, sizeof(name.text), "b[%u]", op->slot);
    }
    return name;
}

static void
put_make(struct emitter *emitter, const struct op *op)
{
    const char *name = op_shapes[op->kind].name;
    struct argument bytes = size_argument(op);
    struct argument size = argument(op->size, false);

    put(emitter, "    MAKE(%u, %s, ", op->slot, bytes.text);
    if (op->kind == OP_CALLOC) {
        put(emitter, "0, PLAIN | ZEROED, calloc(%s, %s));\n",
            count_argument(op).text, size.text);
    } else if (op->kind == OP_MALLOC) {
        put(emitter, "0, PLAIN, malloc(%s));\n", size.text);
    } else if (op->kind == OP_VALLOC || op->kind == OP_PVALLOC) {
        put(emitter, "%d, 0, %s(%s));\n", VALLOC_ALIGN, name, size.text);
    } else {
        struct argument align = align_argument(op);

        put(emitter, "%s, %s, %s(%s, %s));\n",
            is_power_of_two(op->align) ? align.text : "BAD_ALIGN",
            op->kind == OP_ALIGNED_ALLOC ? "ALIGNED" : "0", name, align.text,
            size.text);
    }
}

static void
put_posix(struct emitter *emitter, const struct op *op)
{
    struct argument block = block_name(emitter, op);
    struct argument size = argument(op->size, false);
    struct argument align = align_argument(op);

    put(emitter, "    POSIX(%u, %s, %s, posix_memalign(&%s, %s, %s));\n",
        op->slot, size.text, align.text, block.text, align.text, size.text);
}

static void
put_realloc(struct emitter *emitter, const struct op *op)
{
    struct argument block = block_name(emitter, op);
    struct argument size = argument(op->size, false);

    put(emitter, "    REALLOC(%u, %s, ", op->slot, size_argument(op).text);
    if (op->kind == OP_REALLOC) {
        put(emitter, "realloc(%s, %s));\n", block.text, size.text);
    } else {
        put(emitter, "reallocarray(%s, %s, %s));\n", block.text,
            count_argument(op).text, size.text);
    }
}

static void
put_free(struct emitter *emitter, const struct op *op)
{
    struct argument block = block_name(emitter, op);
    const char *k = emitter->threaded ? "h" : block.text + 2; /* "3]" */
    int length = (int)strcspn(k, "]");

    if (op->kind == OP_FREE_SIZED) {
        put(emitter, "    FREE(%u, sized_free(%.*s));\n", op->slot, length, k);
    } else if (op->kind == OP_FREE_ALIGNED_SIZED) {
        put(emitter, "    FREE(%u, aligned_sized_free(%.*s));\n", op->slot,
            length, k);
    } else {
        put(emitter, "    FREE(%u, free(%s));\n", op->slot, block.text);
    }
}

/* An operation that concerns no block. */
static void
put_other(struct emitter *emitter, const struct op *op)
{
    uint64_t us = op->size < TIME_MAX_US ? op->size : TIME_MAX_US;

    switch (op->kind) {
    case OP_WAIT:
        if (emitter->threaded) {
            put(emitter, "    await(%u);\n", op->slot);
        }
        break;
    case OP_TRIM:
        put(emitter, "    malloc_trim(%s);\n", argument(op->size, false).text);
        break;
    case OP_STATS:
        put(emitter, "    mallinfo2();\n");
        break;
    case OP_YIELD:
        put(emitter, "    sched_yield();\n");
        break;
    case OP_TIME:
        put(emitter, "    usleep(%lu);\n", (unsigned long)us);
        break;
    case OP_FORK:
        put(emitter, "    FORK();\n");
        break;
    default:
        break;
    }
}

static bool
is_realloc(const struct op *op)
{
    return op->kind == OP_REALLOC || op->kind == OP_REALLOCARRAY;
}

static bool
is_free(const struct op *op)
{
    return op->kind == OP_FREE || op->kind == OP_FREE_SIZED ||
           op->kind == OP_FREE_ALIGNED_SIZED;
}

/* With one thread: frees what the slot may hold, and notes what it holds
 * afterwards. */
static void
track_slot(struct emitter *emitter, const struct op *op)
{
    struct op before = {.kind = OP_FREE, .slot = op->slot};
    bool allocates = op_shapes[op->kind].allocates;

    if (emitter->threaded) {
        return;
    }
    if (allocates && !is_realloc(op) && emitter->full[op->slot]) {
        put_free(emitter, &before);
    }
    if (allocates || is_free(op)) {
        emitter->full[op->slot] = allocates;
    }
}

static void
put_op(struct emitter *emitter, const struct op *op)
{
    track_slot(emitter, op);
    if (op->kind == OP_POSIX_MEMALIGN) {
        put_posix(emitter, op);
    } else if (is_realloc(op)) {
        put_realloc(emitter, op);
    } else if (op_shapes[op->kind].allocates) {
        put_make(emitter, op);
    } else if (is_free(op)) {
        put_free(emitter, op);
    } else if (op->kind == OP_USABLE_SIZE) {
        put(emitter, "    SIZE(%u, malloc_usable_size(%s));\n", op->slot,
            block_name(emitter, op).text);
    } else if (op->kind == OP_TOUCH) {
        put(emitter, "    TOUCH(%u);\n", op->slot);
    } else {
        put_other(emitter, op);
    }
}

static bool
has_exit(const struct thread_ops *list)
{
    for (size_t i = 0; i < list->op_count; i++) {
        if (list->ops[i].kind == OP_EXIT) {
            return true;
        }
    }
    return false;
}

static void
put_hand(struct emitter *emitter, unsigned thread, bool give)
{
    if (emitter->threaded) {
        put(emitter, give ? "    hands[%u] = h;\n" : "    h = hands[%u];\n",
            thread);
    }
}

/* The stretches of a list between its exits, each a function for a thread of
 * its own; returns how many. */
static unsigned
put_parts(struct emitter *emitter, unsigned thread)
{
    const struct thread_ops *list = &emitter->program->threads[thread];
    unsigned part_count = 0;
    size_t i = 0;

    do {
        put(emitter, "static void *\npart_%u_%u(void *arg)\n{\n", thread,
            part_count++);
        put_hand(emitter, thread, false);
        for (; i < list->op_count && list->ops[i].kind != OP_EXIT; i++) {
            put_op(emitter, &list->ops[i]);
        }
        put_hand(emitter, thread, true);
        put(emitter, "    return arg;\n}\n\n");
    } while (i++ < list->op_count);
    return part_count;
}

/* The lines of a function's body that play one list. */
static void
put_list(struct emitter *emitter, unsigned thread, unsigned part_count)
{
    const struct thread_ops *list = &emitter->program->threads[thread];

    for (unsigned part = 0; part < part_count; part++) {
        put(emitter, "    play(part_%u_%u);\n", thread, part);
    }
    if (part_count == 0) {
        put_hand(emitter, thread, false);
        for (size_t i = 0; i < list->op_count; i++) {
            put_op(emitter, &list->ops[i]);
        }
        put_hand(emitter, thread, true);
    }
}

static unsigned
put_parts_if_any(struct emitter *emitter, unsigned thread)
{
    return has_exit(&emitter->program->threads[thread])
               ? put_parts(emitter, thread)
               : 0;
}

/* What ends a program that shows growth. */
static void
put_repeat(struct emitter *emitter)
{
    if (emitter->grows) {
        put(emitter,
            "int\nmain(void)\n{\n    repeat(once, %zu);\n"
            "    return 0;\n}\n",
            program_asked_size(emitter->program));
    }
}

static void
put_one_thread(struct emitter *emitter)
{
    unsigned part_count = 0;

    emitter->failed |= !buffer_add_text(emitter->out, emitted_line_text);
    if (emitter->program->thread_count > 0) {
        part_count = put_parts_if_any(emitter, 0);
    }
    put(emitter, emitter->grows ? "static void\nonce(void)\n{\n"
                                : "int\nmain(void)\n{\n");
    if (emitter->program->thread_count > 0) {
        put_list(emitter, 0, part_count);
    }
    for (uint32_t slot = 0; slot < emitter->program->slot_count; slot++) {
        if (emitter->full[slot]) {
            put_free(emitter, &(struct op){.kind = OP_FREE, .slot = slot});
        }
    }
    put(emitter, emitter->grows ? "}\n\n" : "    return 0;\n}\n");
    put_repeat(emitter);
}

static void
put_threads(struct emitter *emitter)
{
    unsigned thread_count = emitter->program->thread_count;

    emitter->failed |= !buffer_add_text(emitter->out, emitted_threads_text);
    for (unsigned i = 0; i < thread_count; i++) {
        unsigned part_count = put_parts_if_any(emitter, i);

        put(emitter,
            "static void *\nlist_%u(void *arg)\n{\n"
            "    pthread_barrier_wait(&start);\n",
            i);
        put_list(emitter, i, part_count);
        put(emitter, "    atomic_fetch_add(&idle, 1);\n    return arg;\n}\n\n");
    }
    put(emitter,
        "%s"
        "    static void *(*const lists[THREADS])(void *) = {",
        emitter->grows ? "static void\nonce(void)\n{\n"
                       : "int\nmain(int argc, char **argv)\n{\n");
    for (unsigned i = 0; i < thread_count; i++) {
        put(emitter, "%s\n        list_%u", i == 0 ? "" : ",", i);
    }
    if (emitter->grows) {
        put(emitter, "};\n\n    play_together(lists);\n}\n\n");
        put_repeat(emitter);
        return;
    }
    put(emitter,
        "};\n"
        "    int rounds = argc > 1 ? atoi(argv[1]) : %d;\n"
        "    time_t end = time(NULL) + 10;\n\n"
        "    for (int i = 0; i < rounds && time(NULL) < end; i++) {\n"
        "        play_together(lists);\n"
        "    }\n"
        "    return 0;\n}\n",
        ROUNDS);
}

/* What to preload: a library's path or name, or nothing for libc's malloc. */
static void
put_title(struct emitter *emitter)
{
    const struct program *program = emitter->program;
    char target[PROGRAM_NAME_MAX];

    strcpy(target, program->target);
    for (char *c = target; *c != '\0'; c++) {
        *c = *c == '*' ? '?' : *c; /* it must not end the comment */
    }
    bool is_path = strchr(target, '/') != NULL || strstr(target, ".so") != NULL;
    bool is_libc = target[0] == '\0' || strcmp(target, "system") == 0;

    put(emitter, "/*\n * Found by malstrom: %s%s%s.\n",
        program->finding[0] != '\0' ? program->finding : "a heap program",
        is_libc ? "" : " in ", is_libc ? "" : target);
    put(emitter, " *\n *     cc -g -pthread -o bug THIS.c\n *     ");
    if (!is_libc) {
        put(emitter, "LD_PRELOAD=%s%s%s ", is_path ? "" : "libmalstrom-",
            target, is_path ? "" : ".so");
    }
    put(emitter,
        "./bug\n *\n"
        " * The calls are at the end%s.\n"
        " * Status 1: one line names the call, what was expected and what was"
        " seen.\n"
        " * Status 0: nothing was wrong. A crash is a finding as it is.\n",
        emitter->grows      ? ", in once()"
        : emitter->threaded ? "; ./bug N plays them N times"
                            : ", in main()");
    if (program->fault_count > 0) {
        put(emitter, " * In the run, calls to the OS were made to fail; here"
                     " they are not.\n");
    }
    put(emitter, " */\n");
}

static void
put_rule(struct emitter *emitter, const char *name, bool judged)
{
    put(emitter, "#define RULE_%-13s %d\n", name, judged);
}

static void
put_constants(struct emitter *emitter, const struct emit_rules *rules)
{
    const struct program *program = emitter->program;
    unsigned slot_count = program->slot_count;
    unsigned thread_count = program->thread_count;

    put(emitter, "#define _GNU_SOURCE\n\n");
    if (emitter->threaded) {
        put(emitter, "#define THREADS %u\n#define SLOTS   %u\n", thread_count,
            slot_count);
        put(emitter, "#define BLOCKS  (SLOTS + THREADS)\n\n");
    } else {
        put(emitter, "#define BLOCKS %u\n\n", slot_count > 0 ? slot_count : 1);
    }
    put(emitter, "/* Which clauses are judged. */\n");
    put_rule(emitter, "ALIGN_ASKED", rules->align_asked);
    put_rule(emitter, "ALIGN_FIT", rules->align_fit);
    put_rule(emitter, "ALIGN_16", rules->align_16);
    put_rule(emitter, "OVERFLOW", rules->overflow);
    put_rule(emitter, "SIZE_MAX", rules->size_max);
    put_rule(emitter, "NULL_MODEST", rules->null_modest);
    put_rule(emitter, "ZERO_UNIQUE", rules->zero_unique);
    put_rule(emitter, "REALLOC_FREES", rules->realloc_frees);
    put_rule(emitter, "ERRNO_NULL", rules->errno_null);
    put_rule(emitter, "ERRNO_ABSURD", rules->errno_absurd);
    put_rule(emitter, "ERRNO_FREE", rules->errno_free);
    put_rule(emitter, "ERRNO_SUCCESS", rules->errno_success);
    put_rule(emitter, "MEMALIGN_CODE", rules->memalign_code);
    put_rule(emitter, "MEMALIGN_OUT", rules->memalign_out);
    put_rule(emitter, "USABLE", rules->usable);
    put(emitter, "\n");
}

bool
emit_c(const struct program *program, const struct emit_rules *rules,
    struct buffer *out)
{
    struct emitter emitter = {
        .program = program,
        .out = out,
        .threaded = program->thread_count > 1,
        .grows = strcmp(program->finding, "growth") == 0,
    };

    if (!mapped_grow(&emitter.full, &emitter.full_capacity,
            program->slot_count + 1, sizeof(bool))) {
        return false;
    }
    put_title(&emitter);
    put_constants(&emitter, rules);
    emitter.failed |= !buffer_add_text(out, emitted_text);
    if (emitter.grows) {
        emitter.failed |= !buffer_add_text(out, emitted_growth_text);
    }
    if (emitter.threaded) {
        put_threads(&emitter);
    } else {
        put_one_thread(&emitter);
    }
    mapped_drop(&emitter.full, &emitter.full_capacity, sizeof(bool));
    return !emitter.failed;
}
