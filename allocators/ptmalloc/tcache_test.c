/*
 * tcache_test.c - what a cache keeps, fetches and gives back
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alloc.h"
#include "ptmalloc/block.h"
#include "ptmalloc/inspect.h"
#include "ptmalloc/returned.h"
#include "ptmalloc/testheap.h"

#define SIZE ((size_t)112) /* the chunk of a request of 100 */
#define BIN  ((unsigned)(SIZE / CHUNK_ALIGN))

static struct ptm_tcache *tcache;

static int
set_up(void **state)
{
    if (open_heap(state) != 0) {
        return 1;
    }
    tcache = ptm_heap_tcache(heap);
    return 0;
}

static void *
take(size_t size)
{
    void *block = NULL;
    size_t chunk_bytes = chunk_size_for(size, CHUNK_HEAD_SIZE);
    unsigned bin = ptm_cache_bin(chunk_bytes);

    if (bin < PTM_SMALL_COUNT && tcache->bins[bin].head != 0) {
        block = ptm_tcache_pop(&tcache->bins[bin]);
    } else {
        block = ptm_block_take(heap, tcache, size, 1, false);
    }
    ptm_tcache_check(tcache);
    return block;
}

static void
give(void *block)
{
    ptm_block_give(heap, tcache, block);
    ptm_tcache_check(tcache);
}

static unsigned
count_of(unsigned bin)
{
    return ptm_tbin_count(&tcache->bins[bin]);
}

static void
last_freed_is_first_taken(void **state)
{
    (void)state;
    void *one = take(100), *two = take(100);

    give(one);
    give(two);
    assert_ptr_equal(take(100), two);
    assert_ptr_equal(take(100), one);
}

/* A thread that keeps asking comes less often: 1, 2, 4 ... chunks a refill. */
static void
refills_grow(void **state)
{
    (void)state;
    for (unsigned batch = 1; batch <= 16; batch *= 2) {
        assert_int_equal(count_of(BIN), 0);
        (void)take(100);
        assert_int_equal(count_of(BIN), batch - 1);
        for (unsigned i = 1; i < batch; i++) {
            (void)take(100);
        }
    }
}

static void
a_full_bin_returns_its_older_half(void **state)
{
    (void)state;
    unsigned limit = tcache->bins[BIN].limit;
    void *blocks[200];

    assert_in_range(limit, 8, 190);
    for (unsigned i = 0; i <= limit; i++) {
        blocks[i] = take(100);
    }
    unsigned left = count_of(BIN); /* of the last refill */
    ptm_tcache_drain(tcache);
    assert_int_equal(count_of(BIN), 0);
    for (unsigned i = 0; i < limit; i++) {
        give(blocks[i]);
    }
    assert_int_equal(count_of(BIN), limit);
    give(blocks[limit]);
    assert_int_equal(count_of(BIN), limit / 2 + 1);
    assert_int_equal(atomic_load(&tcache->arena->returned_size),
        (left + limit - limit / 2) * SIZE);
    for (unsigned i = 0; i <= limit / 2; i++) { /* the newer ones stayed */
        assert_ptr_equal(take(100), blocks[limit - i]);
    }
}

/* What the first pop off an empty bin finds is what another spill left. */
static void
a_returned_batch_becomes_the_list(void **state)
{
    (void)state;
    void *blocks[5];

    for (unsigned i = 0; i < 5; i++) {
        blocks[i] = take(100);
    }
    ptm_tcache_drain(tcache);
    for (unsigned i = 0; i < 5; i++) {
        give(blocks[i]);
    }
    ptm_tcache_drain(tcache);
    assert_ptr_equal(take(100), blocks[4]);
    assert_int_equal(count_of(BIN), 4);
}

static void *
free_in_thread(void *block)
{
    struct ptm_tcache *own = ptm_heap_tcache(heap);

    own->fresh = false; /* It stays with its own arena. */
    ptm_block_give(heap, own, block);
    assert_ptr_not_equal(own->arena, tcache->arena);
    assert_int_equal(ptm_tbin_count(&own->bins[BIN]), 1);
    return own;
}

/* The other thread's cache is drained at its end, to the chunk's arena. */
static void
a_chunk_goes_back_to_its_own_arena(void **state)
{
    (void)state;
    void *block = take(100);
    void *other;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, free_in_thread, block), 0);
    pthread_join(thread, &other);
    assert_int_equal(
        ptm_tbin_count(&((struct ptm_tcache *)other)->bins[BIN]), 0);
    assert_int_equal(atomic_load(&tcache->arena->returned_size), SIZE);
    assert_ptr_equal(take(100), block);
    ptm_heap_check(heap);
}

static void
large_bins_serve_what_fits(void **state)
{
    (void)state;
    unsigned bin = ptm_cache_bin(5008);
    void *block = take(5000);
    size_t count, size;

    give(block);
    ptm_tcache_count(tcache, &count, &size);
    assert_int_equal(count, 1);
    assert_int_equal(size, 5008);
    assert_int_equal(count_of(bin), 1);
    assert_ptr_not_equal(take(5050), block); /* the bin's, but too large */
    assert_ptr_equal(take(4900), block);
    ptm_tcache_count(tcache, &count, &size);
    assert_int_equal(size, 0);
}

static void
cache_bins_go_by_size(void **state)
{
    (void)state;
    unsigned last = ptm_cache_bin(CHUNK_MIN_SIZE);

    for (size_t size = CHUNK_MIN_SIZE; size <= PTM_CACHE_MAX; size += 16) {
        unsigned bin = ptm_cache_bin(size);
        assert_in_range(bin, last, last + 1);
        assert_true(ptm_cache_bin_size(bin) <= size);
        assert_true(size <= PTM_SMALL_MAX || bin + 1 == PTM_CACHE_BINS ||
                    size < ptm_cache_bin_size(bin + 1));
        last = bin;
    }
    assert_int_equal(last, PTM_CACHE_BINS - 1);
}

static void
links_do_not_show_addresses(void **state)
{
    (void)state;
    struct ptm_cached *one = take(100), *two = take(100);

    give(one);
    give(two);
    assert_int_not_equal(two->next, (uintptr_t)one);
    assert_int_equal(ptm_mangle(&two->next, two->next), (uintptr_t)one);
}

/* ---- each invariant broken */

static void
break_tcache(void *which)
{
    void *small = take(100), *large = take(5000);

    give(small);
    give(large);
    switch (*(unsigned *)which) {
    case 0:
        ptm_tbin_add(&tcache->bins[BIN], 1); /* I1 */
        break;
    case 1:
        tcache->bins[BIN].limit = 0; /* I1 */
        break;
    case 2:
        tcache->large_size -= 16; /* I1 */
        break;
    case 3:
        chunk_of_block(small)->head += 2 * CHUNK_ALIGN; /* I2 */
        break;
    default:
        ((struct ptm_cached *)small)->key++; /* I3 */
    }
    ptm_tcache_check(tcache);
}

static void
check_finds_each_broken_invariant(void **state)
{
    (void)state;
    assert_all_found(break_tcache, 5);
}

static void
dump(void *unused)
{
    (void)unused;
    give(take(100));
    give(take(5000));
    ptm_tcache_dump(tcache, STDERR_FILENO);
}

static void
dump_tells_each_bin_in_use(void **state)
{
    (void)state;
    char text[DEATH_TEXT_MAX];

    (void)death_capture(dump, NULL, text);
    assert_non_null(strstr(text, "tcache of arena 0: 5120 in 2 chunks\n"));
    assert_non_null(strstr(text, "bin 112: 1 of 109\n"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HEAP_TEST(last_freed_is_first_taken, set_up),
        HEAP_TEST(refills_grow, set_up),
        HEAP_TEST(a_full_bin_returns_its_older_half, set_up),
        HEAP_TEST(a_returned_batch_becomes_the_list, set_up),
        HEAP_TEST(a_chunk_goes_back_to_its_own_arena, set_up),
        HEAP_TEST(large_bins_serve_what_fits, set_up),
        cmocka_unit_test(cache_bins_go_by_size),
        HEAP_TEST(links_do_not_show_addresses, set_up),
        HEAP_TEST(check_finds_each_broken_invariant, set_up),
        HEAP_TEST(dump_tells_each_bin_in_use, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
