/*
 * report.c - the statistics as text and as JSON (contract: jemalloc.h)
 *
 * What is printed is the table of names, made a tree: the parts of a pattern
 * between dots are objects, a % is one object for each index that there is. So
 * what can be asked by name is what is printed, and one walk serves both forms.
 */
#include <string.h>
#include <unistd.h>

#include "base/print.h"
#include "jemalloc/ctl.h"
#include "jemalloc/heap.h"
#include "jemalloc/jemalloc.h"

#define INDENT 2

struct report {
    struct print print;
    const char *letters;
    bool json;
    bool first; /* JSON: no comma yet in this object; text: of a line */
    bool one_line;
    unsigned depth;
    struct jem_ctl_call call; /* with the indexes of where the walk is */
    unsigned index_count;
};

static bool
has_letter(const struct report *report, char letter)
{
    return strchr(report->letters, letter) != NULL;
}

/* ---- the two forms */

static void
indent(struct report *report)
{
    print_text(&report->print, "\n");
    for (unsigned i = 0; i < report->depth * INDENT; i++) {
        print_text(&report->print, " ");
    }
}

static void
print_name(struct report *report, const char *name, size_t size)
{
    struct print *print = &report->print;
    if (report->json) {
        print_text(print, report->first ? "" : ",");
        indent(report);
        print_text(print, "\"");
        print_chars(print, name, size);
        print_text(print, "\": ");
    } else if (report->one_line) {
        print_text(print, report->first ? "" : ", ");
        print_chars(print, name, size);
        print_text(print, " ");
    } else {
        indent(report);
        print_chars(print, name, size);
        print_text(print, ": ");
    }
    report->first = false;
}

static void
print_quoted(struct print *print, const char *text)
{
    print_text(print, "\"");
    for (; *text != '\0'; text++) {
        bool is_plain = *text >= ' ' && *text != '"' && *text != '\\';
        print_format(print, "%c", is_plain ? *text : '?');
    }
    print_text(print, "\"");
}

static void
print_value(struct report *report, enum jem_ctl_kind kind, uint64_t value)
{
    struct print *print = &report->print;
    switch (kind) {
    case JEM_CTL_FLAG:
        print_text(print, value != 0 ? "true" : "false");
        break;
    case JEM_CTL_TEXT:
        print_quoted(print, (const char *)value);
        break;
    case JEM_CTL_SSIZE:
        print_signed(print, (int64_t)value);
        break;
    default:
        print_decimal(print, value);
    }
}

static void
open_object(struct report *report, const char *name, size_t size)
{
    print_name(report, name, size);
    print_text(&report->print, report->json ? "{" : "");
    report->first = true;
    report->depth++;
}

static void
close_object(struct report *report)
{
    report->depth--;
    report->first = false;
    if (report->json) {
        indent(report);
        print_text(&report->print, "}");
    }
}

/* ---- what is left out */

static bool
is_part(const char *part, size_t size, const char *word)
{
    return size == strlen(word) && memcmp(part, word, size) == 0;
}

static bool
is_one_of(const char *part, size_t size, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (is_part(part, size, *words)) {
            return true;
        }
    }
    return false;
}

static bool
leaves_out(const struct report *report, const char *part, size_t size)
{
    static const char *const never[] = {
        "epoch", "thread", "tcache", "arena", NULL};
    static const char *const general[] = {
        "version", "config", "opt", "arenas", "max_background_threads", NULL};
    if (report->depth == 1) {
        return is_one_of(part, size, never) ||
               (has_letter(report, 'g') && is_one_of(part, size, general));
    }
    return (is_part(part, size, "bins") && has_letter(report, 'b')) ||
           (is_part(part, size, "lextents") && has_letter(report, 'l')) ||
           (is_part(part, size, "extents") && has_letter(report, 'e'));
}

static bool
leaves_out_arena(const struct report *report, size_t index)
{
    switch (index) {
    case JEM_MALLCTL_ARENAS_ALL:
        return has_letter(report, 'm');
    case JEM_MALLCTL_ARENAS_DESTROYED:
        return has_letter(report, 'd');
    default:
        return has_letter(report, 'a');
    }
}

/* ---- the walk over rows [begin, end), whose patterns agree up to offset */

static void print_rows(
    struct report *report, unsigned begin, unsigned end, size_t offset);

static void
print_leaf(struct report *report, const struct jem_ctl_row *row, size_t offset)
{
    const char *name = row->pattern + offset;
    uint64_t value;
    report->call.row = row;
    if (row->get != NULL && row->order == JEM_CTL_GET_FIRST &&
        jem_ctl_get(&report->call, &value) == 0) {
        print_name(report, name, strlen(name));
        print_value(report, row->kind, value);
    }
}

/* Whether the rows end behind offset: an object without objects. */
static bool
are_leaves(unsigned begin, unsigned end, size_t offset)
{
    for (unsigned r = begin; r < end; r++) {
        if (strchr(jem_ctl_rows[r].pattern + offset, '.') != NULL) {
            return false;
        }
    }
    return true;
}

static void
print_object(struct report *report, const char *name, size_t size,
    unsigned begin, unsigned end, size_t offset)
{
    bool outer_line = report->one_line;
    open_object(report, name, size);
    report->one_line =
        !report->json && report->index_count > 0 &&
        (report->index_count == 2 || are_leaves(begin, end, offset));
    print_rows(report, begin, end, offset);
    report->one_line = outer_line;
    close_object(report);
}

/* Whether there is something of that index: its first number exists and, of a
 * size class in an arena, not all are 0. */
static bool
is_there(struct report *report, unsigned begin, unsigned end)
{
    for (unsigned row = begin; row < end; row++) {
        uint64_t value;
        report->call.row = &jem_ctl_rows[row];
        if (jem_ctl_get(&report->call, &value) != 0) {
            return false;
        }
        if (report->index_count < 2 || value != 0) {
            return true;
        }
    }
    return false;
}

static void
print_index(struct report *report, unsigned begin, unsigned end, size_t offset,
    size_t index)
{
    bool is_arena = strncmp(jem_ctl_rows[begin].pattern, "stats.", 6) == 0 &&
                    report->index_count == 1;
    char digits[20];
    size_t at = sizeof digits;
    if (is_arena && leaves_out_arena(report, index)) {
        return;
    }
    if (is_arena && index >= JEM_MALLCTL_ARENAS_ALL) {
        const char *name =
            index == JEM_MALLCTL_ARENAS_ALL ? "merged" : "destroyed";
        print_object(report, name, strlen(name), begin, end, offset);
        return;
    }
    do {
        digits[--at] = (char)('0' + index % 10);
        index /= 10;
    } while (index != 0);
    print_object(report, digits + at, sizeof digits - at, begin, end, offset);
}

static void
print_indexes(
    struct report *report, unsigned begin, unsigned end, size_t offset)
{
    size_t *index = &report->call.index[report->index_count];
    size_t index_end = report->index_count == 0
                           ? JEM_MALLCTL_ARENAS_DESTROYED + 1
                           : JEM_CLASS_COUNT;
    report->index_count++;
    for (*index = 0; *index < index_end; (*index)++) {
        if (is_there(report, begin, end)) {
            print_index(report, begin, end, offset, *index);
        }
    }
    report->index_count--;
}

static void
print_rows(struct report *report, unsigned begin, unsigned end, size_t offset)
{
    for (unsigned r = begin; r < end;) {
        const char *part = jem_ctl_rows[r].pattern + offset;
        size_t size = strcspn(part, ".");
        unsigned next = r + 1;
        while (
            part[size] == '.' && next < end &&
            strncmp(jem_ctl_rows[next].pattern + offset, part, size + 1) == 0) {
            next++;
        }
        if (leaves_out(report, part, size)) {
            r = next;
            continue;
        }
        if (part[size] == '\0') {
            print_leaf(report, &jem_ctl_rows[r], offset);
        } else if (*part == '%') {
            print_indexes(report, r, next, offset + size + 1);
        } else {
            print_object(report, part, size, r, next, offset + size + 1);
        }
        r = next;
    }
}

/* ---- the public call */

void
jem_malloc_stats_print(
    void (*write)(void *arg, const char *text), void *arg, const char *letters)
{
    struct report report = {
        .letters = letters != NULL ? letters : "",
        .first = true,
        .call = {.heap = jem_heap_main()},
    };
    uint64_t any = 1;
    if (jem_mallctl("epoch", NULL, NULL, &any, sizeof any) != 0) {
        return; /* No memory for a heap. */
    }
    report.json = has_letter(&report, 'J');
    if (write != NULL) {
        print_init_sink(&report.print, write, arg);
    } else {
        print_init(&report.print, STDERR_FILENO);
    }
    print_text(&report.print, report.json ? "{" : "--- statistics begin ---");
    print_object(&report, JEM_NAME, strlen(JEM_NAME), 0, jem_ctl_row_count, 0);
    print_text(
        &report.print, report.json ? "}\n" : "\n--- statistics end ---\n");
    print_flush(&report.print);
}

__attribute__((destructor)) static void
print_at_exit(void)
{
    const struct jem_options *options = jem_heap_options();
    if (options->stats_print) {
        jem_malloc_stats_print(NULL, NULL, options->stats_letters);
    }
}
