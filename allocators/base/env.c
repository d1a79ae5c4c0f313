/*
 * env.c - options from the environment (contract: env.h)
 *
 * A drop-in library's constructor runs before the C library's own, so `environ`
 * may still be empty when a design starts. The loader hands the strings to every
 * constructor; ours keeps them.
 */
#include "base/env.h"

#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/print.h"

/* A piece of the variable's text: not terminated. */
struct span {
    const char *chars;
    size_t size;
};

/* Where the text comes from, for complaints. */
struct source {
    const char *design;
    const char *variable;
};

static char **loader_environ;

/* Before constructors without a priority, which may read options. */
__attribute__((constructor(101))) static void
keep_environ(int argc, char **argv, char **envp)
{
    (void)argc;
    (void)argv;
    loader_environ = envp;
}

static const char *
find_variable(const char *variable)
{
    char **entries = environ != NULL ? environ : loader_environ;
    size_t size = strlen(variable);

    if (getauxval(AT_SECURE) != 0) {
        return NULL; /* The caller of a set-user-ID program sets nothing. */
    }
    for (; entries != NULL && *entries != NULL; entries++) {
        if (strncmp(*entries, variable, size) == 0 && (*entries)[size] == '=') {
            return *entries + size + 1;
        }
    }
    return NULL;
}

static void
complain(const struct source *source, const char *what, const struct span *pair)
{
    struct print print;

    print_init(&print, STDERR_FILENO);
    print_format(&print, "malstrom-%s: %s: %s: \"", source->design,
        source->variable, what);
    print_chars(&print, pair->chars, pair->size);
    print_text(&print, "\"\n");
    print_flush(&print);
}

static bool
is_text(const struct span *span, const char *text)
{
    return span->size == strlen(text) &&
           memcmp(span->chars, text, span->size) == 0;
}

/* Digits only, at least one; false on overflow. */
static bool
parse_digits(const struct span *span, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < span->size; i++) {
        char c = span->chars[i];

        if (c < '0' || c > '9' ||
            __builtin_mul_overflow(*value, (uint64_t)10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(c - '0'), value)) {
            return false;
        }
    }
    return span->size > 0;
}

static unsigned
suffix_shift(char suffix)
{
    switch (suffix) {
    case 'k':
    case 'K':
        return 10;
    case 'm':
    case 'M':
        return 20;
    case 'g':
    case 'G':
        return 30;
    default:
        return 0;
    }
}

static bool
parse_size(const struct span *span, uint64_t *value)
{
    struct span digits = *span;
    unsigned shift = 0;

    if (is_text(span, "off")) {
        *value = UINT64_MAX;
        return true;
    }
    if (span->size > 0) {
        shift = suffix_shift(span->chars[span->size - 1]);
        digits.size -= shift > 0;
    }
    if (!parse_digits(&digits, value) || *value > UINT64_MAX >> shift) {
        return false;
    }
    *value <<= shift;
    return true;
}

static bool
parse_number(const struct span *span, int64_t *value)
{
    struct span digits = *span;
    bool negative = span->size > 0 && span->chars[0] == '-';
    uint64_t magnitude;

    if (negative) {
        digits.chars++;
        digits.size--;
    }
    if (!parse_digits(&digits, &magnitude) ||
        magnitude > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *value = (int64_t)(negative ? -magnitude : magnitude);
    return true;
}

static bool
parse_flag(const struct span *span, bool *value)
{
    *value = is_text(span, "true") || is_text(span, "on") || is_text(span, "1");
    return *value || is_text(span, "false") || is_text(span, "off") ||
           is_text(span, "0");
}

static const char *
set_choice(struct env_choice *choice, const struct span *value)
{
    for (unsigned i = 0; choice->names[i] != NULL; i++) {
        if (is_text(value, choice->names[i])) {
            choice->chosen = i;
            return NULL;
        }
    }
    return "not one of the choices";
}

/* Stores the value; NULL, or what is wrong with it. */
static const char *
set_option(const struct env_option *option, const struct span *value)
{
    uint64_t size;
    int64_t number;
    bool flag;

    switch (option->kind) {
    case ENV_SIZE:
        if (!parse_size(value, &size)) {
            return "not a size";
        }
        if (size < option->min || size > option->max) {
            return "out of range";
        }
        *(uint64_t *)option->value = size;
        return NULL;
    case ENV_NUMBER:
        if (!parse_number(value, &number)) {
            return "not a number";
        }
        if (number < (int64_t)option->min || number > (int64_t)option->max) {
            return "out of range";
        }
        *(int64_t *)option->value = number;
        return NULL;
    case ENV_FLAG:
        if (!parse_flag(value, &flag)) {
            return "neither on nor off";
        }
        *(bool *)option->value = flag;
        return NULL;
    case ENV_TEXT:
        *(const char **)option->value = value->chars;
        *option->length = value->size;
        return NULL;
    case ENV_CHOICE:
        return set_choice(option->value, value);
    }
    return "unknown option";
}

static const char *
read_pair(const struct span *pair, const struct env_option *options,
    unsigned option_count)
{
    const char *colon = memchr(pair->chars, ':', pair->size);

    if (colon == NULL) {
        return "no \":\" in option";
    }
    struct span name = {pair->chars, (size_t)(colon - pair->chars)};
    struct span value = {colon + 1, pair->size - name.size - 1};
    for (unsigned i = 0; i < option_count; i++) {
        if (is_text(&name, options[i].name)) {
            return set_option(&options[i], &value);
        }
    }
    return "unknown option";
}

unsigned
env_read_counting(const char *design, const char *variable,
    const struct env_option *options, unsigned option_count,
    unsigned *bad_count)
{
    struct source source = {design, variable};
    const char *text = find_variable(variable);
    unsigned set_count = 0;

    *bad_count = 0;
    while (text != NULL && *text != '\0') {
        struct span pair = {text, strcspn(text, ",")};
        const char *wrong = NULL;

        if (pair.size > 0) {
            wrong = read_pair(&pair, options, option_count);
            set_count += wrong == NULL;
        }
        if (wrong != NULL) {
            complain(&source, wrong, &pair);
            (*bad_count)++;
        }
        text += pair.size + (text[pair.size] == ',');
    }
    return set_count;
}

unsigned
env_read(const char *design, const char *variable,
    const struct env_option *options, unsigned option_count)
{
    unsigned bad_count;

    return env_read_counting(
        design, variable, options, option_count, &bad_count);
}
