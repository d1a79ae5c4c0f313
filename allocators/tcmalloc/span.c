/*
 * span.c - a run of pages with one use (contract: span.h)
 *
 * Invariants, of a small span:
 *   I1  free_count is the number of set bits.
 *   I2  Bits past the last object are clear.
 */
#include "tcmalloc/span.h"

#include <assert.h>

#include "base/print.h"
#include "tcmalloc/misuse.h"

/* The page map's word has room for both. */
static_assert(TCM_CLASS_COUNT_MAX <= 1u << (64 - TCM_OWNER_CLASS_SHIFT), "");
static_assert(PAGEMAP_ADDR_BITS <= TCM_OWNER_CLASS_SHIFT, "");

void
tcm_span_init_objects(struct tcm_span *span)
{
    size_t count = tcm_span_object_count(span);

    bitmap_init(span->free_bits, count);
    bitmap_set_run(span->free_bits, 0, count);
    span->free_count = (uint16_t)count;
}

size_t
tcm_span_take(struct tcm_span *span, void **batch, size_t count)
{
    size_t size = tcm_classes[span->size_class].size;
    size_t taken = 0;

    count = count < span->free_count ? count : span->free_count;
    for (size_t i = 0; taken < count; i++) {
        uint64_t word = span->free_bits[i];
        char *base = span->addr + i * BITMAP_WORD_BITS * size;

        while (word != 0 && taken < count) {
            batch[taken++] = base + (size_t)__builtin_ctzll(word) * size;
            word &= word - 1;
        }
        span->free_bits[i] = word;
    }
    span->free_count -= (uint16_t)count;
    return count;
}

/* Which object of the span this is; misuse when it is none. */
static size_t
index_of(const struct tcm_span *span, const void *object)
{
    size_t offset = (size_t)((const char *)object - span->addr);
    size_t index = tcm_sizemap_index(span->size_class, offset);

    if (index * tcm_classes[span->size_class].size != offset ||
        index >= tcm_span_object_count(span)) {
        tcm_misuse(TCM_INVALID, object);
    }
    return index;
}

void
tcm_span_give(struct tcm_span *span, void *object)
{
    size_t index = index_of(span, object);

    if (bitmap_get(span->free_bits, index)) {
        tcm_misuse(TCM_DOUBLE_FREE, object);
    }
    bitmap_set(span->free_bits, index);
    span->free_count++;
}

bool
tcm_span_is_free(const struct tcm_span *span, const void *object)
{
    return bitmap_get(span->free_bits, index_of(span, object));
}

void
tcm_span_check(const struct tcm_span *span)
{
    size_t count = tcm_span_object_count(span);

    CHECK(((uintptr_t)span->addr & (TCM_PAGE - 1)) == 0);
    CHECK(span->page_count > 0);
    if (span->size_class != 0) {
        CHECK(span->page_count == tcm_classes[span->size_class].pages);
        CHECK(bitmap_count(span->free_bits, count) == span->free_count);
        bitmap_check(span->free_bits, count); /* I2 */
    }
}

void
tcm_span_dump(const struct tcm_span *span, int fd)
{
    struct print print;

    print_init(&print, fd);
    print_format(
        &print, "span %p: %u pages", (void *)span->addr, span->page_count);
    if (span->size_class != 0) {
        print_format(&print, ", class %u of %u bytes, %u of %zu objects free",
            (unsigned)span->size_class, tcm_classes[span->size_class].size,
            (unsigned)span->free_count, tcm_span_object_count(span));
    }
    print_text(&print, "\n");
    print_flush(&print);
}
