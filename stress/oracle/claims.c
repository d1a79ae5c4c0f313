/*
 * claims.c - who owns each byte of the address space (contract: claims.h)
 *
 * Six levels of words, each word for one unit of its level:
 *
 *     level   unit      word          holds
 *     5       64 GiB    in the root   0, MIXED, or the id of the block that
 *     4       256 MiB   in the root     covers the whole unit
 *     3       1 MiB     in a leaf
 *     2       4 KiB     in a leaf
 *     1       256 B     in a leaf
 *     0       8 B       in a leaf     0 or the id
 *
 * A range is cut into the largest units that it covers whole, so a claim
 * touches at most some hundred words of each level. A leaf is for 256 MiB, and
 * its memory is touched only where blocks are: half the heap's own size.
 *
 * The words are read and written by relaxed loads and stores, not exchanged: a
 * locked instruction for each granule costs more than the malloc it watches.
 * Nothing is lost by it. Of two owners that claim a granule at once the one
 * that wrote first finds, when it gives the granule back, that it holds
 * another's id or 0; and where one claimed a unit and one a part of it, the
 * unit's word holds both marks, or has lost the part's. In a correct allocator a
 * granule's next owner comes after its last, ordered by the allocator's own
 * hand-over of the memory.
 *
 * Both ends of a range are rounded up to a granule. Disjoint ranges then have
 * disjoint claims even in an allocator that packs blocks of four bytes.
 *
 * Invariants, for the words of a unit that no call is working on:
 *   I1  A word that is not 0 has MIXED in the words of all units around it.
 *   I2  Below a word that holds an id all words are 0.
 *   I3  MIXED alone says nothing: the claims below may have been given back.
 */
#include "oracle/claims.h"

#include <sys/mman.h>

#define LEVELS    6
#define ADDR_BITS 48
#define LEAF_BITS 28
#define MIXED     0x80000000u

static const unsigned level_shift[LEVELS] = {3, 8, 12, 20, 28, 36};

struct leaf {
    _Atomic uint32_t words3[1u << (LEAF_BITS - 20)];
    _Atomic uint32_t words2[1u << (LEAF_BITS - 12)];
    _Atomic uint32_t words1[1u << (LEAF_BITS - 8)];
    _Atomic uint32_t words0[1u << (LEAF_BITS - 3)];
    struct leaf *before; /* the leaf that was made before this one */
};

struct claims_root {
    _Atomic uint32_t words5[1u << (ADDR_BITS - 36)];
    _Atomic uint32_t words4[1u << (ADDR_BITS - LEAF_BITS)];
    struct leaf *_Atomic leaves[1u << (ADDR_BITS - LEAF_BITS)];
    struct leaf *_Atomic last_made; /* heads the list of all leaves */
};

/* One claim: who claims, and the first clash met. */
struct work {
    struct claims_root *root;
    uint32_t id;
    bool give;
    bool clashed;
    struct claims_clash clash;
};

static void *
map_zeroed(size_t size)
{
    void *addr = mmap(NULL, size, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return addr == MAP_FAILED ? NULL : addr;
}

bool
claims_init(struct claims *claims)
{
    claims->root = map_zeroed(sizeof(struct claims_root));
    return claims->root != NULL;
}

void
claims_fini(struct claims *claims)
{
    struct leaf *leaf =
        atomic_load_explicit(&claims->root->last_made, memory_order_acquire);
    while (leaf != NULL) {
        struct leaf *before = leaf->before;
        munmap(leaf, sizeof *leaf);
        leaf = before;
    }
    munmap(claims->root, sizeof *claims->root);
    claims->root = NULL;
}

static uint32_t
load(const _Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void
store(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* For claims_fini, which would else look at a million places. */
static void
list_leaf(struct claims_root *root, struct leaf *leaf)
{
    leaf->before = atomic_load_explicit(&root->last_made, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&root->last_made,
        &leaf->before, leaf, memory_order_release, memory_order_relaxed)) {
    }
}

/* The leaf for addr; made when make. NULL: none, or no memory for it. */
static struct leaf *
find_leaf(struct claims_root *root, uintptr_t addr, bool make)
{
    struct leaf *_Atomic *entry = &root->leaves[addr >> LEAF_BITS];
    struct leaf *leaf = atomic_load_explicit(entry, memory_order_acquire);
    if (leaf != NULL || !make) {
        return leaf;
    }
    struct leaf *fresh = map_zeroed(sizeof *fresh);
    if (fresh == NULL) {
        return NULL;
    }
    /* Pairs with the acquire above: the leaf's words are zero. */
    if (atomic_compare_exchange_strong_explicit(
            entry, &leaf, fresh, memory_order_acq_rel, memory_order_acquire)) {
        list_leaf(root, fresh);
        return fresh;
    }
    munmap(fresh, sizeof *fresh);
    return leaf;
}

/* The word for the unit of that level that holds addr; or NULL. The words of
 * one larger unit lie side by side. */
static _Atomic uint32_t *
find_word(struct claims_root *root, unsigned level, uintptr_t addr, bool make)
{
    if (level == 5) {
        return &root->words5[addr >> level_shift[5]];
    }
    if (level == 4) {
        return &root->words4[addr >> level_shift[4]];
    }
    struct leaf *leaf = find_leaf(root, addr, make);
    size_t index =
        (addr & (((uintptr_t)1 << LEAF_BITS) - 1)) >> level_shift[level];
    if (leaf == NULL) {
        return NULL;
    }
    return level == 3   ? &leaf->words3[index]
           : level == 2 ? &leaf->words2[index]
           : level == 1 ? &leaf->words1[index]
                        : &leaf->words0[index];
}

static void
note_clash(struct work *work, uintptr_t addr, uint32_t word)
{
    if (!work->clashed) {
        work->clashed = true;
        work->clash.addr = addr;
        work->clash.owner = word & ~MIXED;
    }
}

/* Looks for claims in [from, to), at `level` and below, clears what is stale
 * (I3), and notes a clash for the first claim. */
static void
scan_below(struct work *work, unsigned level, uintptr_t from, uintptr_t to)
{
    _Atomic uint32_t *word = find_word(work->root, level, from, false);
    uintptr_t unit = (uintptr_t)1 << level_shift[level];
    for (; word != NULL && from < to; from += unit, word++) {
        uint32_t value = load(word);
        if (value == MIXED) {
            scan_below(work, level - 1, from, from + unit);
            store(word, 0);
        } else if (value != 0) {
            note_clash(work, from, value);
        }
    }
}

/* Keeps I1: marks the units around addr, above that level. */
static void
mark_above(struct work *work, unsigned level, uintptr_t addr)
{
    while (++level < LEVELS) {
        _Atomic uint32_t *word = find_word(work->root, level, addr, true);
        uint32_t value = word == NULL ? MIXED : load(word);
        if (value == MIXED) {
            return; /* I1: so are all above */
        }
        value = atomic_fetch_or_explicit(word, MIXED, memory_order_relaxed);
        if ((value & ~MIXED) != 0) {
            note_clash(work, addr, value);
        }
    }
}

/* Sees to I1: a claim of the whole unit around addr takes the mark away. */
static void
check_above(struct work *work, unsigned level, uintptr_t addr)
{
    _Atomic uint32_t *word = find_word(work->root, level + 1, addr, false);

    if (word != NULL && load(word) != MIXED) {
        note_clash(work, addr, load(word));
    }
}

/* [from, to) lies within one unit of the next level. */
static void
take_units(struct work *work, unsigned level, uintptr_t from, uintptr_t to)
{
    mark_above(work, level, from);
    _Atomic uint32_t *word = find_word(work->root, level, from, true);
    uintptr_t unit = (uintptr_t)1 << level_shift[level];
    for (; word != NULL && from < to; from += unit, word++) {
        uint32_t value = load(word);
        if (value == MIXED) {
            scan_below(work, level - 1, from, from + unit); /* I2 */
        } else if (value != 0) {
            note_clash(work, from, value);
        }
        store(word, work->id);
    }
}

static void
give_units(struct work *work, unsigned level, uintptr_t from, uintptr_t to)
{
    if (level + 1 < LEVELS) {
        check_above(work, level, from);
    }
    _Atomic uint32_t *word = find_word(work->root, level, from, false);
    uintptr_t unit = (uintptr_t)1 << level_shift[level];
    for (; word != NULL && from < to; from += unit, word++) {
        uint32_t value = load(word);
        if (value == (work->id | MIXED)) {
            scan_below(work, level - 1, from, from + unit);
            note_clash(work, from, CLAIMS_NOBODY);
        } else if (value != work->id) {
            note_clash(work, from, value);
        }
        store(word, 0);
    }
}

/* Cuts [from, to), which lies within one unit of the next level, into the
 * largest units. */
static void
cut(struct work *work, unsigned level, uintptr_t from, uintptr_t to)
{
    uintptr_t mask = ((uintptr_t)1 << level_shift[level]) - 1;
    uintptr_t first = (from + mask) & ~mask;
    uintptr_t last = to & ~mask;
    if (first > last) {
        cut(work, level - 1, from, to); /* within one unit */
        return;
    }
    if (from < first) {
        cut(work, level - 1, from, first);
    }
    if (first < last && work->give) {
        give_units(work, level, first, last);
    } else if (first < last) {
        take_units(work, level, first, last);
    }
    if (last < to) {
        cut(work, level - 1, last, to);
    }
}

static bool
do_range(struct work *work, const void *addr, size_t size,
    struct claims_clash *clash)
{
    uintptr_t mask = ((uintptr_t)1 << level_shift[0]) - 1;
    uintptr_t from = ((uintptr_t)addr + mask) & ~mask;
    uintptr_t to = ((uintptr_t)addr + size + mask) & ~mask;
    if (from < to && to < (uintptr_t)1 << ADDR_BITS) {
        bool one_page = from >> level_shift[2] == (to - 1) >> level_shift[2];
        cut(work, one_page ? 2 : LEVELS - 1, from, to);
    }
    *clash = work->clash;
    return !work->clashed;
}

bool
claims_take(struct claims *claims, const void *addr, size_t size, uint32_t id,
    struct claims_clash *clash)
{
    struct work work = {.root = claims->root, .id = id};
    return do_range(&work, addr, size, clash);
}

bool
claims_give(struct claims *claims, const void *addr, size_t size, uint32_t id,
    struct claims_clash *clash)
{
    struct work work = {.root = claims->root, .id = id, .give = true};
    return do_range(&work, addr, size, clash);
}

uint32_t
claims_owner(struct claims *claims, const void *addr)
{
    uintptr_t at = (uintptr_t)addr;
    uint32_t owner = CLAIMS_NOBODY;
    for (unsigned level = LEVELS; level-- > 0 && owner == CLAIMS_NOBODY;) {
        _Atomic uint32_t *word =
            at >> ADDR_BITS != 0 ? NULL
                                 : find_word(claims->root, level, at, false);
        owner = word == NULL ? CLAIMS_NOBODY : load(word) & ~MIXED;
    }
    return owner;
}
