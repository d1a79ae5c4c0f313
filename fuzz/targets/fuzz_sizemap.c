/*
 * fuzz_sizemap.c - tcmalloc/sizemap.h against a search through the classes
 *
 * A step draws a size and an alignment, then an offset into a span of the class.
 */
#include "base/check.h"
#include "fuzz/input.h"

#include FUZZ_SUBJECT

/* The least class that holds size at that alignment, or 0. */
static unsigned
find_class(size_t size, size_t align)
{
    for (unsigned i = 1; i < TCM_CLASS_COUNT && align <= TCM_PAGE; i++) {
        if (tcm_classes[i].size >= size && tcm_classes[i].size % align == 0) {
            return i;
        }
    }
    return 0;
}

static void
check_class(size_t size, size_t align)
{
    unsigned expected = find_class(size, align);

    CHECK(tcm_sizemap_class_aligned(size, align) == expected);
    if (size <= TCM_CLASS_SIZE_MAX) {
        CHECK(tcm_sizemap_class(size) == find_class(size, 1));
    }
}

/* A span begins at a page; which one does not matter. */
static void
check_offset(unsigned size_class, size_t offset)
{
    const struct tcm_class *class = &tcm_classes[size_class];
    size_t index = offset / class->size;
    char *span = (char *)((uintptr_t)1234567 << TCM_PAGE_SHIFT);

    CHECK(tcm_sizemap_index(size_class, offset) == index);
    if (index < class->object_count) {
        CHECK(tcm_sizemap_starts(size_class, span + index * class->size));
    }
    if (class->pages == 1) {
        CHECK(tcm_sizemap_starts(size_class, span + offset) ==
              (offset % class->size == 0));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct input input = {bytes, size};

    while (input_more(&input)) {
        unsigned shift = input_below(&input, 64);
        size_t wanted = (size_t)(input_word(&input) >> shift);
        unsigned size_class = 1 + input_below(&input, TCM_CLASS_COUNT - 1);
        size_t span_size = tcm_classes[size_class].pages * TCM_PAGE;

        check_class(wanted, (size_t)1 << input_below(&input, 64));
        check_offset(size_class, (size_t)input_word(&input) % span_size);
    }
    return 0;
}
