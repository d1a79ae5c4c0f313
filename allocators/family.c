/*
 * family.c - the calls of the malloc family that follow from the others
 * (contract: family.h)
 *
 * Argument checks come first and set errno themselves; the design's own call
 * then sets ENOMEM where it must. posix_memalign alone returns its error and
 * keeps errno, as POSIX has it.
 */
#include "family.h"

#include <errno.h>
#include <stdint.h>

#include "base/pages.h"

bool
family_product(size_t count, size_t size, size_t *product)
{
    return !__builtin_mul_overflow(count, size, product);
}

static bool
is_power_of_two(size_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

bool
family_round_align(size_t align, size_t *power)
{
    if (align > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return false;
    }
    *power = 1;
    while (*power < align) {
        *power *= 2;
    }
    return true;
}

void *
family_aligned_alloc(
    const struct alloc_ops *ops, struct heap *heap, size_t align, size_t size)
{
    if (!is_power_of_two(align)) {
        errno = EINVAL;
        return NULL;
    }
    return ops->memalign(heap, align, size);
}

int
family_posix_memalign(const struct alloc_ops *ops, struct heap *heap,
    void **out, size_t align, size_t size)
{
    if (!is_power_of_two(align) || align % sizeof(void *) != 0) {
        return EINVAL;
    }
    int saved_errno = errno;
    void *block = ops->memalign(heap, align, size);
    errno = saved_errno;
    if (block == NULL) {
        return ENOMEM;
    }
    *out = block;
    return 0;
}

void *
family_valloc(const struct alloc_ops *ops, struct heap *heap, size_t size)
{
    return ops->memalign(heap, pages_os_size(), size);
}

void *
family_pvalloc(const struct alloc_ops *ops, struct heap *heap, size_t size)
{
    size_t page_size = pages_os_size();
    size_t rounded;
    if (__builtin_add_overflow(size, page_size - 1, &rounded)) {
        errno = ENOMEM;
        return NULL;
    }
    rounded &= ~(page_size - 1);
    return ops->memalign(heap, page_size, rounded);
}

void *
family_reallocarray(const struct alloc_ops *ops, struct heap *heap, void *block,
    size_t count, size_t size)
{
    size_t product;
    if (!family_product(count, size, &product)) {
        errno = ENOMEM;
        return NULL;
    }
    return ops->realloc(heap, block, product);
}

int
family_malloc_info(const struct alloc_ops *ops, int options, FILE *stream)
{
    struct alloc_stats stats;
    if (options != 0) {
        errno = EINVAL;
        return -1;
    }
    ops->stats(NULL, &stats);
    size_t heap_size = stats.mapped_size - stats.direct_size;
    fprintf(stream,
        "<malloc version=\"1\">\n"
        "<total type=\"fast\" count=\"0\" size=\"0\"/>\n"
        "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n"
        "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n"
        "<system type=\"current\" size=\"%zu\"/>\n"
        "<system type=\"max\" size=\"%zu\"/>\n"
        "<aspace type=\"total\" size=\"%zu\"/>\n"
        "<aspace type=\"mprotect\" size=\"%zu\"/>\n"
        "</malloc>\n",
        stats.free_count, stats.free_size, stats.direct_count,
        stats.direct_size, heap_size, stats.mapped_peak, heap_size, heap_size);
    return ferror(stream) ? -1 : 0;
}
