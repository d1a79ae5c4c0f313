/*
 * text.c - the text form of a heap program (contract: text.h)
 *
 * A line is a keyword and its words, so the reader is one pass over the bytes
 * with no tree and no token list; a line of a trace costs some 100 ns. The
 * words that an operation takes come from op_shapes, for the reader and for the
 * writer, so that the two cannot differ.
 *
 * JSON or another ready-made syntax would save the reader, but not its checks,
 * and people edit these files by hand.
 */
#include "program/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FIRST_WORDS  "malstrom heap program"
#define LINE_SIZE    76 /* where the writer wraps a schedule */
#define RUN_MIN      4  /* equal choices that are written as one word */
#define SCHEDULE_MAX (1u << 26)
#define HEX_FROM     4294967296u

struct word {
    const char *chars;
    size_t length;
};

struct reader {
    const char *at;  /* the rest of the line at hand */
    const char *eol; /* its newline, or the end of the text */
    const char *end;
    struct program *program;
    struct text_error *error;
    unsigned thread;
    bool in_thread; /* an operation may come */
    bool has_slots; /* slot_count is fixed */
    bool ended;
};

static bool fail(struct reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool
fail(struct reader *reader, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(
        reader->error->reason, sizeof(reader->error->reason), format, args);
    va_end(args);
    return false;
}

/* A word as an error message may show it: short, and nothing unprintable. */
struct shown {
    char text[36];
};

static struct shown
show(struct word word)
{
    struct shown shown;
    size_t length = word.length < 32 ? word.length : 32;

    for (size_t i = 0; i < length; i++) {
        char c = word.chars[i];
        shown.text[i] = c > ' ' && c < 127 ? c : '?';
    }
    strcpy(shown.text + length, length < word.length ? "..." : "");
    return shown;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* False at the end of the line or at a comment. */
static bool
next_word(struct reader *reader, struct word *word)
{
    const char *at = reader->at;
    const char *eol = reader->eol;

    while (at < eol && is_blank(*at)) {
        at++;
    }
    word->chars = at;
    if (at < eol && *at != '#') {
        while (at < eol && !is_blank(*at)) {
            at++;
        }
    }
    word->length = (size_t)(at - word->chars);
    reader->at = at;
    return word->length > 0;
}

static bool
word_is(struct word word, const char *text)
{
    return word.length == strlen(text) &&
           memcmp(word.chars, text, word.length) == 0;
}

static bool
line_ends(struct reader *reader)
{
    struct word word;

    return !next_word(reader, &word) ||
           fail(reader, "unexpected '%s'", show(word).text);
}

static bool
parse_hex(struct word word, uint64_t *value)
{
    uint64_t sum = 0;

    if (word.length < 3 || word.length > 18) {
        return false;
    }
    for (size_t i = 2; i < word.length; i++) {
        char c = word.chars[i];
        char lower = (char)(c | 0x20);

        if (c >= '0' && c <= '9') {
            sum = sum << 4 | (uint64_t)(c - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            sum = sum << 4 | (uint64_t)(lower - 'a' + 10);
        } else {
            return false;
        }
    }
    *value = sum;
    return true;
}

static bool
parse_number(struct word word, uint64_t *value)
{
    uint64_t sum = 0;

    if (word.length > 1 && word.chars[0] == '0' &&
        (word.chars[1] | 0x20) == 'x') {
        return parse_hex(word, value);
    }
    for (size_t i = 0; i < word.length; i++) {
        unsigned digit = (unsigned)(unsigned char)word.chars[i] - '0';

        if (digit > 9 || __builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, digit, &sum)) {
            return false;
        }
    }
    *value = sum;
    return true;
}

static bool
read_number(struct reader *reader, const char *what, uint64_t *value)
{
    struct word word;

    if (!next_word(reader, &word)) {
        return fail(reader, "%s is missing", what);
    }
    if (!parse_number(word, value)) {
        return fail(reader, "%s '%s' is not a number below 2^64", what,
            show(word).text);
    }
    return true;
}

static bool
read_below(
    struct reader *reader, const char *what, uint64_t bound, uint64_t *value)
{
    if (!read_number(reader, what, value)) {
        return false;
    }
    if (*value >= bound) {
        return bound == 0
                   ? fail(reader, "%s %lu out of range (there is none)", what,
                         (unsigned long)*value)
                   : fail(reader, "%s %lu out of range (0..%lu)", what,
                         (unsigned long)*value, (unsigned long)bound - 1);
    }
    return true;
}

static bool
is_control(char c)
{
    return (unsigned char)c < ' ' || c == 127;
}

static bool
is_printable(const char *chars, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (is_control(chars[i])) {
            return false;
        }
    }
    return true;
}

/* The rest of a header's line, without the blanks around it. */
static bool
read_name(struct reader *reader, const char *what, char *name, size_t size)
{
    const char *first = reader->at;
    const char *last = reader->eol;

    while (first < last && is_blank(*first)) {
        first++;
    }
    while (first < last && is_blank(last[-1])) {
        last--;
    }
    size_t length = (size_t)(last - first);
    if (length == 0 || length >= size || !is_printable(first, length)) {
        return fail(
            reader, "%s wants a name of 1 to %zu characters", what, size - 1);
    }
    memcpy(name, first, length);
    name[length] = '\0';
    reader->at = reader->eol;
    return true;
}

static bool
read_slots(struct reader *reader)
{
    uint64_t count;

    if (!read_below(reader, "slots", PROGRAM_SLOTS_MAX + 1, &count)) {
        return false;
    }
    reader->program->slot_count = (uint32_t)count;
    reader->has_slots = true;
    return true;
}

static bool
read_seed(struct reader *reader)
{
    reader->program->has_seed = true;
    return read_number(reader, "seed", &reader->program->seed);
}

static bool
read_thread(struct reader *reader)
{
    uint64_t thread;

    if (!read_below(reader, "thread", PROGRAM_THREADS_MAX, &thread)) {
        return false;
    }
    reader->thread = (unsigned)thread;
    reader->in_thread = true;
    if (reader->program->thread_count <= thread) {
        reader->program->thread_count = (unsigned)thread + 1;
    }
    return true;
}

/* "3" is one choice, "0*312" so many equal ones. */
static bool
parse_choices(struct word word, uint64_t *choice, uint64_t *count)
{
    const char *star = memchr(word.chars, '*', word.length);
    struct word first = word;

    *count = 1;
    if (star != NULL) {
        first.length = (size_t)(star - word.chars);
        struct word rest = {star + 1, word.length - first.length - 1};
        if (rest.length == 0 || !parse_number(rest, count)) {
            return false;
        }
    }
    return first.length > 0 && parse_number(first, choice) &&
           *choice <= UINT8_MAX && *count >= 1 && *count <= SCHEDULE_MAX;
}

static bool
read_schedule(struct reader *reader)
{
    struct word word;

    while (next_word(reader, &word)) {
        uint64_t choice, count;

        if (!parse_choices(word, &choice, &count)) {
            return fail(reader, "schedule '%s' is not a number in 0..255",
                show(word).text);
        }
        if (count > SCHEDULE_MAX - reader->program->schedule_count) {
            return fail(reader, "schedule is longer than %u", SCHEDULE_MAX);
        }
        for (; count > 0; count--) {
            if (!program_add_schedule(reader->program, (uint8_t)choice)) {
                return fail(reader, "out of memory");
            }
        }
    }
    return true;
}

static bool
read_fault(struct reader *reader)
{
    struct fault fault = {.kind = FAULT_OS};
    struct word word;

    next_word(reader, &word);
    if (!word_is(word, "os")) {
        return fail(reader, "unknown fault '%s' (known: os)", show(word).text);
    }
    if (!read_number(reader, "fault", &fault.n)) {
        return false;
    }
    if (fault.n == 0) {
        return fail(reader, "fault 0: calls count from 1");
    }
    const char *before = reader->at;
    if (next_word(reader, &word)) {
        fault.every = word_is(word, "every");
        reader->at = fault.every ? reader->at : before;
    }
    return program_add_fault(reader->program, &fault) ||
           fail(reader, "out of memory");
}

static bool
read_end(struct reader *reader)
{
    reader->ended = true;
    return true;
}

/* A keyword that is no operation; *known says that it is one. */
static bool
read_keyword(struct reader *reader, struct word keyword, bool *known)
{
    struct program *program = reader->program;

    *known = true;
    if (word_is(keyword, "thread")) {
        return read_thread(reader);
    } else if (word_is(keyword, "schedule")) {
        return read_schedule(reader);
    } else if (word_is(keyword, "fault")) {
        return read_fault(reader);
    } else if (word_is(keyword, "end")) {
        return read_end(reader);
    } else if (word_is(keyword, "slots")) {
        return reader->in_thread
                   ? fail(reader, "slots must come before the first thread")
                   : read_slots(reader);
    } else if (word_is(keyword, "seed")) {
        return read_seed(reader);
    } else if (word_is(keyword, "target")) {
        return read_name(
            reader, "target", program->target, sizeof(program->target));
    } else if (word_is(keyword, "scenario")) {
        return read_name(
            reader, "scenario", program->scenario, sizeof(program->scenario));
    } else if (word_is(keyword, "policy")) {
        return read_name(
            reader, "policy", program->policy, sizeof(program->policy));
    } else if (word_is(keyword, "finding")) {
        return read_name(
            reader, "finding", program->finding, sizeof(program->finding));
    }
    *known = false;
    return true;
}

static int
find_kind(struct word keyword)
{
    for (int kind = 0; kind < OP_KIND_COUNT; kind++) {
        const char *name = op_shapes[kind].name;

        if (name[0] == keyword.chars[0] && word_is(keyword, name)) {
            return kind;
        }
    }
    return -1;
}

static bool
read_op(struct reader *reader, int kind)
{
    const struct op_shape *shape = &op_shapes[kind];
    struct op op = {.kind = (uint8_t)kind};
    uint64_t slot = 0;
    uint64_t slot_bound =
        reader->has_slots ? reader->program->slot_count : PROGRAM_SLOTS_MAX;

    if (!reader->in_thread) {
        return fail(reader, "%s before the first thread", shape->name);
    }
    if ((shape->has_slot && !read_below(reader, "slot", slot_bound, &slot)) ||
        (shape->has_align && !read_number(reader, "align", &op.align)) ||
        (shape->has_count && !read_number(reader, "count", &op.count)) ||
        (shape->has_size && !read_number(reader, "size", &op.size))) {
        return false;
    }
    op.slot = (uint32_t)slot;
    return program_add(reader->program, reader->thread, &op) ||
           fail(reader, "out of memory");
}

static bool
read_line(struct reader *reader)
{
    struct word keyword;
    bool known = true;

    if (!next_word(reader, &keyword)) {
        return true;
    }
    if (reader->ended) {
        return fail(
            reader, "unexpected '%s' after the end", show(keyword).text);
    }
    int kind = find_kind(keyword);
    if (kind >= 0 ? !read_op(reader, kind)
                  : !read_keyword(reader, keyword, &known)) {
        return false;
    }
    return known ? line_ends(reader)
                 : fail(reader, "unknown word '%s'", show(keyword).text);
}

/* Brings the next line to hand; false when there is none. */
static bool
next_line(struct reader *reader)
{
    reader->at = reader->error->line == 0 ? reader->at : reader->eol + 1;
    if (reader->at >= reader->end) {
        return false;
    }
    size_t rest = (size_t)(reader->end - reader->at);
    const char *newline = memchr(reader->at, '\n', rest);

    reader->eol = newline != NULL ? newline : reader->end;
    reader->error->line++;
    return true;
}

bool
text_is(const char *chars, size_t size)
{
    size_t length = strlen(FIRST_WORDS);

    return size > length && memcmp(chars, FIRST_WORDS, length) == 0 &&
           is_blank(chars[length]);
}

static bool
read_first_line(struct reader *reader)
{
    uint64_t version;

    next_line(reader);
    reader->error->line = 1;
    if (!text_is(reader->at, (size_t)(reader->end - reader->at))) {
        return fail(reader, "not a heap program: the first line is not '%s %d'",
            FIRST_WORDS, PROGRAM_VERSION);
    }
    reader->at += strlen(FIRST_WORDS);
    if (!read_number(reader, "version", &version)) {
        return false;
    }
    if (version != PROGRAM_VERSION) {
        return fail(reader, "version %lu is not known here (%d is)",
            (unsigned long)version, PROGRAM_VERSION);
    }
    return line_ends(reader);
}

bool
text_read(struct program *program, const char *chars, size_t size,
    struct text_error *error)
{
    struct reader reader = {
        .at = chars,
        .end = chars + size,
        .eol = chars,
        .program = program,
        .error = error,
    };

    memset(error, 0, sizeof(*error));
    program_clear(program);
    if (!read_first_line(&reader)) {
        return false;
    }
    while (next_line(&reader)) {
        if (!read_line(&reader)) {
            return false;
        }
    }
    return reader.ended || fail(&reader, "cut short: there is no 'end' line");
}

static bool add_format(struct buffer *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool
add_format(struct buffer *out, const char *format, ...)
{
    char line[PROGRAM_NAME_MAX + 32];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    return buffer_add_text(out, line);
}

/* A name is the rest of a line, so it must be one. */
static bool
write_name(struct buffer *out, const char *keyword, const char *name)
{
    size_t first = out->size + strlen(keyword) + 1;

    if (name[0] == '\0') {
        return true;
    }
    if (!add_format(out, "%s %s\n", keyword, name)) {
        return false;
    }
    for (size_t i = first; i + 1 < out->size; i++) {
        out->data[i] = is_control(out->data[i]) ? '?' : out->data[i];
    }
    return true;
}

static bool
write_headers(const struct program *program, struct buffer *out)
{
    return add_format(out, "%s %d\n", FIRST_WORDS, PROGRAM_VERSION) &&
           write_name(out, "target", program->target) &&
           write_name(out, "scenario", program->scenario) &&
           write_name(out, "policy", program->policy) &&
           write_name(out, "finding", program->finding) &&
           (!program->has_seed ||
               add_format(out, "seed %lu\n", (unsigned long)program->seed)) &&
           add_format(out, "slots %u\n", program->slot_count);
}

/* Decimal is for people; from 2^32 on the edges show better in hex. */
static char *
put_number(char *at, uint64_t value)
{
    static const char digits[] = "0123456789abcdef";
    unsigned base = value < HEX_FROM ? 10 : 16;
    char reversed[24];
    size_t length = 0;

    do {
        reversed[length++] = digits[value % base];
        value /= base;
    } while (value > 0);
    if (base == 16) {
        *at++ = '0';
        *at++ = 'x';
    }
    while (length > 0) {
        *at++ = reversed[--length];
    }
    return at;
}

static char *
put_parameter(char *at, bool has, uint64_t value)
{
    if (!has) {
        return at;
    }
    *at++ = ' ';
    return put_number(at, value);
}

/* The line of an operation, which has at most 20 + 3 * 20 characters; returns
 * its end. */
static char *
put_op(char *at, const struct op *op)
{
    const struct op_shape *shape = &op_shapes[op->kind];

    at = stpcpy(at, shape->name);
    at = put_parameter(at, shape->has_slot, op->slot);
    at = put_parameter(at, shape->has_align, op->align);
    at = put_parameter(at, shape->has_count, op->count);
    return put_parameter(at, shape->has_size, op->size);
}

void
text_op(const struct op *op, char *line, size_t size)
{
    char whole[128];

    *put_op(whole, op) = '\0';
    snprintf(line, size, "%s", whole);
}

static bool
write_thread(const struct program *program, unsigned index, struct buffer *out)
{
    const struct thread_ops *thread = &program->threads[index];

    if (!add_format(out, "thread %u\n", index)) {
        return false;
    }
    for (size_t i = 0; i < thread->op_count; i++) {
        if (!buffer_reserve(out, 128)) {
            return false;
        }
        char *at = out->data + out->size;

        *at++ = ' ';
        *at++ = ' ';
        at = put_op(at, &thread->ops[i]);
        *at++ = '\n';
        out->size = (size_t)(at - out->data);
    }
    return true;
}

/* How many choices from there on are the same. */
static size_t
equal_choices(const struct program *program, size_t from)
{
    size_t at = from + 1;

    while (at < program->schedule_count &&
           program->schedule[at] == program->schedule[from]) {
        at++;
    }
    return at - from;
}

static bool
write_schedule(const struct program *program, struct buffer *out)
{
    size_t line_start = out->size;

    for (size_t i = 0; i < program->schedule_count;) {
        size_t count = equal_choices(program, i);
        const char *before = out->size == line_start ? "schedule" : "";
        unsigned choice = program->schedule[i];
        bool good = count >= RUN_MIN
                        ? add_format(out, "%s %u*%zu", before, choice, count)
                        : add_format(out, "%s %u", before, choice);

        i += count >= RUN_MIN ? count : 1;
        bool is_last = i == program->schedule_count;
        if (good && (is_last || out->size - line_start >= LINE_SIZE)) {
            good = buffer_add_text(out, "\n");
            line_start = out->size;
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

static bool
write_faults(const struct program *program, struct buffer *out)
{
    for (size_t i = 0; i < program->fault_count; i++) {
        const struct fault *fault = &program->faults[i];

        if (!add_format(out, "fault os %lu%s\n", (unsigned long)fault->n,
                fault->every ? " every" : "")) {
            return false;
        }
    }
    return true;
}

bool
text_write(const struct program *program, struct buffer *out)
{
    if (!write_headers(program, out)) {
        return false;
    }
    for (unsigned i = 0; i < program->thread_count; i++) {
        if (!write_thread(program, i, out)) {
            return false;
        }
    }
    return write_schedule(program, out) && write_faults(program, out) &&
           buffer_add_text(out, "end\n");
}
