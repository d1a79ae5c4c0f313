/*
 * filler.c - packs spans into hugepages (contract: filler.h)
 *
 * A hugepage's place in its tree is its key, kept beside the facts that it is
 * made of, so that a change of the facts moves it only when the key changes.
 * The number of spans counts by its logarithm: one span more or less does not
 * tell which of two hugepages drains first.
 *
 *     key:   longest run | 15 - log2(spans)
 *
 * Rejected: a list for each key. It is faster and needs 8 KiB to begin with,
 * which a heap of a few blocks would pay for.
 *
 * Invariants:
 *   I1  A hugepage stands in the tree of its kind, under the key of its facts.
 *   I2  used_pages, clean_pages and hugepage_count are sums over the trees.
 *   I3  No hugepage here is wholly free.
 */
#include "tcmalloc/filler.h"

#include "base/check.h"
#include "base/print.h"

#define CHUNK_BITS 4

static struct tcm_hugepage *
hugepage_of(const struct tree_node *node)
{
    return node == NULL ? NULL : TREE_OF(node, struct tcm_hugepage, node);
}

static uint32_t
key_of(const struct tcm_hugepage *hugepage)
{
    uint32_t spans = hugepage->span_count;
    uint32_t chunk = spans == 0 ? 0 : 31 - (uint32_t)__builtin_clz(spans);

    return (uint32_t)hugepage->longest << CHUNK_BITS |
           (((uint32_t)1 << CHUNK_BITS) - 1 - chunk);
}

static int
compare_fit(const struct tree_node *a, const struct tree_node *b)
{
    const struct tcm_hugepage *left = hugepage_of(a);
    const struct tcm_hugepage *right = hugepage_of(b);

    if (left->key != right->key) {
        return left->key < right->key ? -1 : 1;
    }
    return left->addr < right->addr ? -1 : left->addr > right->addr;
}

/* Never equal: the least of those with a run that is long enough. */
static int
probe_longest(const struct tree_node *node, const void *key)
{
    return hugepage_of(node)->longest < *(const size_t *)key ? -1 : 1;
}

void
tcm_filler_init(struct tcm_filler *filler)
{
    *filler = (struct tcm_filler){0};
    for (unsigned kind = 0; kind < TCM_FILLER_KINDS; kind++) {
        tree_init(&filler->fit[kind], compare_fit);
    }
}

static void
enter(struct tcm_filler *filler, struct tcm_hugepage *hugepage,
    enum tcm_filler_kind kind)
{
    hugepage->kind = (uint8_t)kind;
    hugepage->key = key_of(hugepage);
    tree_insert(&filler->fit[kind], &hugepage->node);
}

static void
leave(struct tcm_filler *filler, struct tcm_hugepage *hugepage)
{
    tree_remove(&filler->fit[hugepage->kind], &hugepage->node);
}

/* After a change of the hugepage's facts. */
static void
settle(struct tcm_filler *filler, struct tcm_hugepage *hugepage,
    enum tcm_filler_kind kind)
{
    if (hugepage->key != key_of(hugepage) || hugepage->kind != kind) {
        leave(filler, hugepage);
        enter(filler, hugepage, kind);
    }
}

/* The hugepage's free pages count no more. */
static void
discount(struct tcm_filler *filler, const struct tcm_hugepage *hugepage)
{
    filler->used_pages -= hugepage->used_pages;
    filler->clean_pages -= hugepage->clean_pages;
}

static void
count(struct tcm_filler *filler, const struct tcm_hugepage *hugepage)
{
    filler->used_pages += hugepage->used_pages;
    filler->clean_pages += hugepage->clean_pages;
}

static char *
take_from(struct tcm_filler *filler, struct tcm_hugepage *hugepage,
    size_t pages, size_t align_pages, bool *zeroed)
{
    discount(filler, hugepage);
    size_t first = tcm_hugepage_take(hugepage, pages, align_pages, zeroed);
    count(filler, hugepage);

    if (first == TCM_HUGEPAGE_NONE) {
        return NULL;
    }
    settle(filler, hugepage, hugepage->kind);
    return tcm_hugepage_addr(hugepage, first);
}

char *
tcm_filler_take(struct tcm_filler *filler, size_t pages, size_t align_pages,
    struct tcm_hugepage **home, bool *zeroed)
{
    size_t wanted = pages + align_pages - 1; /* holds an aligned run for sure */

    for (unsigned kind = 0; kind < TCM_FILLER_KINDS; kind++) {
        struct tcm_hugepage *hugepage = hugepage_of(
            tree_at_least(&filler->fit[kind], probe_longest, &wanted));

        if (hugepage != NULL) {
            *home = hugepage;
            return take_from(filler, hugepage, pages, align_pages, zeroed);
        }
    }
    return NULL;
}

void
tcm_filler_add(struct tcm_filler *filler, struct tcm_hugepage *hugepage,
    enum tcm_filler_kind kind)
{
    filler->hugepage_count++;
    count(filler, hugepage);
    enter(filler, hugepage, kind);
}

bool
tcm_filler_give(struct tcm_filler *filler, struct tcm_hugepage *hugepage,
    size_t first, size_t pages)
{
    discount(filler, hugepage);
    tcm_hugepage_give(hugepage, first, pages);
    if (hugepage->used_pages == 0) {
        leave(filler, hugepage);
        filler->hugepage_count--;
        return true;
    }
    count(filler, hugepage);
    settle(filler, hugepage, hugepage->kind);
    return false;
}

void
tcm_filler_adopt(struct tcm_filler *filler, struct tcm_hugepage *hugepage)
{
    if (hugepage->kind == TCM_FILLER_DONATED) {
        settle(filler, hugepage, TCM_FILLER_REGULAR);
    }
}

bool
tcm_filler_extend(struct tcm_filler *filler, struct tcm_hugepage *hugepage,
    size_t first, size_t pages, size_t more)
{
    discount(filler, hugepage);
    bool done = tcm_hugepage_extend(hugepage, first, pages, more);
    count(filler, hugepage);

    settle(filler, hugepage, hugepage->kind);
    return done;
}

/* ---- release */

static size_t
dirty_pages(const struct tcm_hugepage *hugepage)
{
    return tcm_hugepage_free_pages(hugepage) - hugepage->clean_pages;
}

/* The most pages in use that a hugepage may have to be among the emptiest ones
 * that together have so many dirty pages. */
static size_t
find_cutoff(const struct tcm_filler *filler, size_t pages)
{
    size_t dirty[TCM_HUGEPAGE_PAGES + 1] = {0}; /* by pages in use */
    const struct tcm_hugepage *hugepage;
    size_t used = 0;

    for (unsigned kind = 0; kind < TCM_FILLER_KINDS; kind++) {
        TCM_FILLER_EACH (hugepage, filler, kind) {
            dirty[hugepage->used_pages] += dirty_pages(hugepage);
        }
    }
    while (used < TCM_HUGEPAGE_PAGES && dirty[used] < pages) {
        pages -= dirty[used];
        used++;
    }
    return used;
}

static size_t
purge(struct tcm_filler *filler, struct tcm_hugepage *hugepage)
{
    size_t purged = tcm_hugepage_purge(hugepage);

    filler->clean_pages += purged;
    if (purged > 0) {
        settle(filler, hugepage, TCM_FILLER_RELEASED);
    }
    return purged;
}

size_t
tcm_filler_release(struct tcm_filler *filler, size_t pages)
{
    size_t cutoff = find_cutoff(filler, pages);
    size_t purged = 0;

    for (unsigned kind = 0; kind < TCM_FILLER_KINDS; kind++) {
        struct tcm_hugepage *hugepage = tcm_filler_first(filler, kind);

        while (hugepage != NULL && purged < pages) {
            struct tcm_hugepage *next = tcm_filler_next(hugepage);

            if (hugepage->used_pages <= cutoff && dirty_pages(hugepage) > 0) {
                purged += purge(filler, hugepage);
            }
            hugepage = next;
        }
    }
    return purged;
}

/* ---- walking */

struct tcm_hugepage *
tcm_filler_first(const struct tcm_filler *filler, enum tcm_filler_kind kind)
{
    return hugepage_of(tree_first(&filler->fit[kind]));
}

struct tcm_hugepage *
tcm_filler_next(const struct tcm_hugepage *hugepage)
{
    return hugepage_of(tree_next(&hugepage->node));
}

void
tcm_filler_check(const struct tcm_filler *filler)
{
    size_t used_pages = 0, clean_pages = 0, hugepage_count = 0;
    const struct tcm_hugepage *hugepage;

    for (unsigned kind = 0; kind < TCM_FILLER_KINDS; kind++) {
        tree_check(&filler->fit[kind]);
        TCM_FILLER_EACH (hugepage, filler, kind) {
            tcm_hugepage_check(hugepage);
            CHECK(hugepage->kind == kind);            /* I1 */
            CHECK(hugepage->key == key_of(hugepage)); /* I1 */
            CHECK(hugepage->used_pages > 0);          /* I3 */
            used_pages += hugepage->used_pages;
            clean_pages += hugepage->clean_pages;
            hugepage_count++;
        }
    }
    CHECK(used_pages == filler->used_pages); /* I2 */
    CHECK(clean_pages == filler->clean_pages);
    CHECK(hugepage_count == filler->hugepage_count);
}

void
tcm_filler_dump(const struct tcm_filler *filler, int fd)
{
    static const char *const names[] = {"regular", "donated", "released"};
    const struct tcm_hugepage *hugepage;
    struct print print;

    print_init(&print, fd);
    print_format(&print,
        "filler: %zu hugepages, %zu pages used, %zu free, %zu of them clean\n",
        filler->hugepage_count, filler->used_pages,
        tcm_filler_free_pages(filler), filler->clean_pages);
    print_flush(&print);
    for (unsigned kind = 0; kind < TCM_FILLER_KINDS; kind++) {
        TCM_FILLER_EACH (hugepage, filler, kind) {
            print_text(&print, names[kind]);
            print_text(&print, " ");
            print_flush(&print);
            tcm_hugepage_dump(hugepage, fd);
        }
    }
}
