/*
 * fuzz_filler.c - tcmalloc/filler.h against a table of pages, on real memory
 *
 * The model knows whose each page is. A page is written when it is taken, so one
 * that is said to read as zero can be asked. Where a span goes is checked too:
 * the first kind that has room, and there the shortest free run that will do.
 */
#include "base/check.h"
#include "base/pages.h"
#include "fuzz/input.h"

#include FUZZ_SUBJECT

#define HUGEPAGES 4
#define SPANS     256
#define FREE      0 /* else the span's index + 1 */

struct span {
    bool used;
    bool donor; /* the end of a large block: at a hugepage's beginning */
    unsigned home;
    size_t first, pages;
};

static struct model {
    struct tcm_filler filler;
    struct tcm_hugepage hugepages[HUGEPAGES];
    bool present[HUGEPAGES];
    uint16_t owners[HUGEPAGES][TCM_HUGEPAGE_PAGES];
    struct span spans[SPANS];
} model;

static char *memory; /* of all hugepages, for all inputs */

static size_t
longest_run(unsigned home)
{
    size_t longest = 0, run = 0;

    for (size_t i = 0; i < TCM_HUGEPAGE_PAGES; i++) {
        run = model.owners[home][i] == FREE ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

/* What a page says at its beginning; its owner's sign is written there. */
static char *
sign_of(unsigned home, size_t page)
{
    return memory + home * TCM_HUGEPAGE + (page << TCM_PAGE_SHIFT);
}

static struct span *
free_span(void)
{
    for (unsigned i = 0; i < SPANS; i++) {
        if (!model.spans[i].used) {
            return &model.spans[i];
        }
    }
    return NULL;
}

/* Pages from first on are the span's; they were free, and zero if said so. */
static void
own(struct span *span, size_t first, size_t pages, bool zeroed)
{
    uint16_t owner = (uint16_t)(span - model.spans + 1);

    for (size_t i = first; i < first + pages; i++) {
        CHECK(model.owners[span->home][i] == FREE);
        CHECK(!zeroed || *sign_of(span->home, i) == 0);
        model.owners[span->home][i] = owner;
        *sign_of(span->home, i) = 'x';
    }
}

/* Puts in a hugepage with a span at its beginning. */
static void
add_hugepage(struct input *input, struct span *span, size_t pages)
{
    unsigned home = 0;
    bool zeroed;

    while (home < HUGEPAGES && model.present[home]) {
        home++;
    }
    if (home == HUGEPAGES) {
        return;
    }
    struct tcm_hugepage *hugepage = &model.hugepages[home];
    bool donated = input_below(input, 2) == 1;
    CHECK(pages_purge(memory + home * TCM_HUGEPAGE, TCM_HUGEPAGE));
    tcm_hugepage_init(hugepage, memory + home * TCM_HUGEPAGE, true);
    CHECK(tcm_hugepage_take(hugepage, pages, 1, &zeroed) == 0 && zeroed);
    tcm_filler_add(&model.filler, hugepage,
        donated ? TCM_FILLER_DONATED : TCM_FILLER_REGULAR);
    model.present[home] = true;
    *span = (struct span){true, donated, home, 0, pages};
    own(span, 0, pages, true);
}

/* No hugepage that comes before the one that was chosen would have done. */
static void
check_choice(size_t wanted, const struct tcm_hugepage *chosen, size_t longest)
{
    for (unsigned i = 0; i < HUGEPAGES; i++) {
        const struct tcm_hugepage *other = &model.hugepages[i];

        if (model.present[i] && other != chosen && longest_run(i) >= wanted) {
            CHECK(chosen != NULL && chosen->kind <= other->kind);
            CHECK(chosen->kind < other->kind || longest <= longest_run(i));
        }
    }
}

static void
step_take(struct input *input)
{
    size_t pages = 1 + input_byte(input) % (TCM_HUGEPAGE_PAGES - 1);
    size_t align = (size_t)1 << input_below(input, 8);
    struct span *span = free_span();
    struct tcm_hugepage *home = NULL;
    bool zeroed;
    size_t longest[HUGEPAGES];

    if (span == NULL) {
        return;
    }
    for (unsigned i = 0; i < HUGEPAGES; i++) {
        longest[i] = model.present[i] ? longest_run(i) : 0;
    }
    char *addr = tcm_filler_take(&model.filler, pages, align, &home, &zeroed);
    if (addr == NULL) {
        check_choice(pages + align - 1, NULL, 0);
        add_hugepage(input, span, pages);
        return;
    }
    unsigned index = (unsigned)(home - model.hugepages);
    CHECK(index < HUGEPAGES && model.present[index]);
    check_choice(pages + align - 1, home, longest[index]);
    size_t first = tcm_hugepage_index(home, addr);
    CHECK(first % align == 0 && first + pages <= TCM_HUGEPAGE_PAGES);
    *span = (struct span){true, false, index, first, pages};
    own(span, first, pages, zeroed);
}

static void
step_give(struct input *input)
{
    struct span *span = &model.spans[input_byte(input)];

    if (!span->used) {
        return;
    }
    struct tcm_hugepage *home = &model.hugepages[span->home];
    for (size_t i = 0; i < span->pages; i++) {
        model.owners[span->home][span->first + i] = FREE;
    }
    bool empty = longest_run(span->home) == TCM_HUGEPAGE_PAGES;
    CHECK(tcm_filler_give(&model.filler, home, span->first, span->pages) ==
          empty);
    if (empty) {
        model.present[span->home] = false;
    } else if (span->donor) {
        tcm_filler_adopt(&model.filler, home);
        CHECK(home->kind != TCM_FILLER_DONATED);
    }
    span->used = false;
}

static void
step_extend(struct input *input)
{
    struct span *span = &model.spans[input_byte(input)];
    size_t more = 1 + input_byte(input);

    if (!span->used) {
        return;
    }
    size_t end = span->first + span->pages;
    bool possible = end + more <= TCM_HUGEPAGE_PAGES;
    for (size_t i = end; possible && i < end + more; i++) {
        possible = model.owners[span->home][i] == FREE;
    }
    CHECK(tcm_filler_extend(&model.filler, &model.hugepages[span->home],
              span->first, span->pages, more) == possible);
    if (possible) {
        own(span, end, more, false);
        span->pages += more;
    }
}

/* At least as much as asked for, or all there is; none too much in kind: only
 * from hugepages that it was needed of. */
static void
step_release(struct input *input)
{
    size_t pages = 1 + input_byte(input);
    size_t dirty =
        tcm_filler_free_pages(&model.filler) - model.filler.clean_pages;
    size_t got = tcm_filler_release(&model.filler, pages);

    CHECK(got >= (dirty < pages ? dirty : pages) && got <= dirty);
    CHECK(tcm_filler_free_pages(&model.filler) - model.filler.clean_pages ==
          dirty - got);
}

/* The bitmaps say what the model says, and clean pages read as zero. */
static void
check_pages(void)
{
    size_t used_pages = 0, present = 0;

    tcm_filler_check(&model.filler);
    for (unsigned home = 0; home < HUGEPAGES; home++) {
        const struct tcm_hugepage *hugepage = &model.hugepages[home];

        for (size_t i = 0; model.present[home] && i < TCM_HUGEPAGE_PAGES; i++) {
            bool used = model.owners[home][i] != FREE;

            used_pages += used;
            CHECK(bitmap_get(hugepage->used, i) == used);
            CHECK(!bitmap_get(hugepage->clean, i) ||
                  (!used && *sign_of(home, i) == 0));
        }
        present += model.present[home];
    }
    CHECK(model.filler.used_pages == used_pages);
    CHECK(model.filler.hugepage_count == present);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct input input = {bytes, size < 600 ? size : 600};

    if (memory == NULL) {
        memory = pages_map(HUGEPAGES * TCM_HUGEPAGE, TCM_HUGEPAGE);
        CHECK(memory != NULL);
        (void)pages_huge(memory, HUGEPAGES * TCM_HUGEPAGE, false);
    }
    model = (struct model){0};
    tcm_filler_init(&model.filler);
    while (input_more(&input)) {
        switch (input_below(&input, 8)) {
        case 0:
        case 1:
            step_give(&input);
            break;
        case 2:
            step_extend(&input);
            break;
        case 3:
            step_release(&input);
            break;
        default:
            step_take(&input);
        }
        check_pages();
    }
    return 0;
}
