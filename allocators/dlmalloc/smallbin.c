/*
 * smallbin.c - the lists of small free chunks (contract: smallbin.h)
 *
 * 64 bins, 16 bytes apart, make the map one word, so that "the best that fits"
 * is a shift and a bit scan. Twice as many would serve sizes up to 2 KiB, but
 * chunks of that size are few and the tries are quick with them.
 *
 * Invariants, whenever the heap's lock is free:
 *   I1  Bit i of the map is set if and only if bins[i] is not empty.
 *   I2  Every chunk of bins[i] is free, of 16 * i bytes, its foot the same.
 *   I3  bins[0] and bins[1] are empty: no chunk is that small.
 */
#include "dlmalloc/smallbin.h"

#include "base/print.h"

void
dlm_smallbin_init(struct dlm_smallbins *small)
{
    small->map = 0;
    for (unsigned i = 0; i < DLM_SMALL_COUNT; i++) {
        list_init(&small->bins[i]);
    }
}

static size_t
check_bin(const struct list *bin, size_t size)
{
    size_t count = 0;
    const struct list *link;

    LIST_EACH (link, bin) {
        const struct chunk *chunk = chunk_of_link(link);

        CHECK(list_joined(link));
        CHECK(chunk->head == (size | CHUNK_PREV_USED)); /* I2 */
        CHECK(chunk_foot_matches(chunk));               /* I2 */
        count++;
    }
    return count;
}

size_t
dlm_smallbin_check(const struct dlm_smallbins *small)
{
    uint64_t map = small->map;
    unsigned filled_count = 0;
    size_t count = 0;

    CHECK((map & 3) == 0); /* I3 */
    for (unsigned i = 0; i < DLM_SMALL_COUNT; i++) {
        filled_count += !list_empty(&small->bins[i]);
    }
    CHECK(filled_count == (unsigned)__builtin_popcountll(map)); /* I1 */
    for (; map != 0; map &= map - 1) {
        unsigned i = (unsigned)__builtin_ctzll(map);

        CHECK(!list_empty(&small->bins[i])); /* I1 */
        count += check_bin(&small->bins[i], i * CHUNK_ALIGN);
    }
    return count;
}

void
dlm_smallbin_dump(const struct dlm_smallbins *small, int fd)
{
    struct print print;

    print_init(&print, fd);
    for (unsigned i = 0; i < DLM_SMALL_COUNT; i++) {
        size_t count = list_count(&small->bins[i]);

        if (count > 0) {
            print_format(&print, "  small bin %u: %zu of %zu bytes\n", i, count,
                i * CHUNK_ALIGN);
        }
    }
    print_flush(&print);
}
