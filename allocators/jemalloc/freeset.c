/*
 * freeset.c - the free extents of one kind (contract: freeset.h)
 *
 *   I1  pages is the sum over by_size, and that over classes; by_age holds the
 *       same extents.
 */
#include "jemalloc/freeset.h"

#include <assert.h>
#include <string.h>

#include "base/check.h"

/* Extents that are looked at, one by one, for an aligned place. */
#define ALIGNED_LOOKS 16

/* The size class of page class 0, if sizes had one. */
#define WHOLE_CLASS (JEM_SMALL_COUNT - 3)

static_assert(JEM_SMALL_MAX < 4 * JEM_PAGE, "from 4 pages on they are one's");

/* The least page class of extents that all have that size, whole pages. */
static unsigned
class_above(size_t size)
{
    return size < 4 * JEM_PAGE ? (unsigned)(size / JEM_PAGE) - 1
                               : jem_size_class(size) - WHOLE_CLASS;
}

/* The page class of an extent of that size: the largest not larger. */
static unsigned
class_below(size_t size)
{
    unsigned class = class_above(size);
    return class >= 3 && jem_class_size(class + WHOLE_CLASS) > size ? class - 1
                                                                    : class;
}

static int
compare_extents(const struct tree_node *a, const struct tree_node *b)
{
    const struct jem_extent *x = jem_extent_of(a);
    const struct jem_extent *y = jem_extent_of(b);
    unsigned class_x = class_below(x->size);
    unsigned class_y = class_below(y->size);
    if (class_x != class_y) {
        return class_x < class_y ? -1 : 1;
    }
    return (x->addr > y->addr) - (x->addr < y->addr);
}

/* Where an extent stands against the least address of the class *key. */
static int
probe_class(const struct tree_node *node, const void *key)
{
    const unsigned *class = key;
    return class_below(jem_extent_of(node)->size) < *class ? -1 : 1;
}

void
jem_freeset_init(struct jem_freeset *set)
{
    tree_init(&set->by_size, compare_extents);
    list_init(&set->by_age);
    memset(set->classes, 0, sizeof set->classes);
    atomic_init(&set->pages, 0);
}

static void
set_pages(struct jem_freeset *set, size_t pages)
{
    atomic_store_explicit(&set->pages, pages, memory_order_relaxed);
}

void
jem_freeset_insert(struct jem_freeset *set, struct jem_extent *extent)
{
    tree_insert(&set->by_size, &extent->node);
    list_push(&set->by_age, &extent->link);
    set->classes[class_below(extent->size)].count++;
    set->classes[class_below(extent->size)].size += extent->size;
    set_pages(set, jem_freeset_pages(set) + extent->size / JEM_PAGE);
}

void
jem_freeset_remove(struct jem_freeset *set, struct jem_extent *extent)
{
    tree_remove(&set->by_size, &extent->node);
    list_remove(&extent->link);
    set->classes[class_below(extent->size)].count--;
    set->classes[class_below(extent->size)].size -= extent->size;
    set_pages(set, jem_freeset_pages(set) - extent->size / JEM_PAGE);
}

struct jem_extent *
jem_freeset_fit(const struct jem_freeset *set, size_t size)
{
    unsigned class = class_above(size);
    return jem_extent_of(tree_at_least(&set->by_size, probe_class, &class));
}

struct jem_extent *
jem_freeset_fit_aligned(
    const struct jem_freeset *set, size_t size, size_t align)
{
    struct jem_extent *least = jem_freeset_fit(set, size);
    struct tree_node *node = least == NULL ? NULL : &least->node;
    for (int i = 0; i < ALIGNED_LOOKS && node != NULL; i++) {
        struct jem_extent *next = jem_extent_of(node);
        size_t offset = (size_t)(-(uintptr_t)next->addr & (align - 1));
        if (offset <= next->size && size <= next->size - offset) {
            return next;
        }
        node = tree_next(node);
    }
    return jem_freeset_fit(set, size + align - JEM_PAGE);
}

struct jem_extent *
jem_freeset_oldest(const struct jem_freeset *set)
{
    struct list *oldest = list_last(&set->by_age);
    return oldest == NULL ? NULL : LIST_OF(oldest, struct jem_extent, link);
}

void
jem_freeset_check(const struct jem_freeset *set)
{
    struct tree_node *node;
    size_t pages = 0;
    size_t count = 0;
    size_t size = 0;
    tree_check(&set->by_size);
    list_check(&set->by_age);
    TREE_EACH (node, &set->by_size) {
        pages += jem_extent_of(node)->size / JEM_PAGE;
    }
    for (unsigned i = 0; i < JEM_PAGE_CLASS_COUNT; i++) {
        count += set->classes[i].count;
        size += set->classes[i].size;
    }
    CHECK(jem_freeset_pages(set) == pages); /* I1 */
    CHECK(size == pages * JEM_PAGE && count == set->by_size.count);
    CHECK(list_count(&set->by_age) == set->by_size.count);
}
