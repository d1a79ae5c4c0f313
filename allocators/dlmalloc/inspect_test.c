/*
 * inspect_test.c - walks and figures agree, and each broken heap is found
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/random.h"
#include "dlmalloc/block.h"
#include "dlmalloc/inspect.h"

#define BLOCKS 200

/* A heap that holds everything there can be: both kinds of bins, a victim, top,
 * two segments, mappings. */
static struct dlm_heap *
full_heap(void **blocks)
{
    struct dlm_heap *heap = dlm_heap_open();
    struct random random;

    random_seed(&random, 3);
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] =
            dlm_block_take(heap, random_one_in(&random, 20)
                                     ? (size_t)1 << 20
                                     : random_log_between(&random, 1, 200000));
    }
    heap->tuning.mmap_threshold = DLM_OFF;
    (void)dlm_block_take(heap, (size_t)70 << 20); /* another segment */
    for (unsigned i = 0; i < BLOCKS; i += 2) {
        dlm_block_give(heap, blocks[i]);
        blocks[i] = NULL;
    }
    for (size_t size = 1; heap->victim == NULL; size += 16) {
        assert_non_null(dlm_block_take(heap, size)); /* until one is cut */
    }
    return heap;
}

/* What a walk has seen. */
struct seen {
    const char *region_end;
    const char *next; /* where the next piece must begin */
    size_t sizes[ALLOC_PIECE_META + 1];
    size_t counts[ALLOC_PIECE_META + 1];
};

/* Pieces lie end to end but for heads: a used piece is the user's bytes. */
static void
see(const struct alloc_piece *piece, void *arg)
{
    struct seen *seen = arg;
    const char *addr = piece->addr;

    seen->sizes[piece->kind] += piece->size;
    seen->counts[piece->kind]++;
    assert_non_null(piece->owner);
    if (piece->kind == ALLOC_PIECE_REGION) {
        assert_ptr_equal(seen->next, seen->region_end);
        seen->region_end = addr + piece->size;
        seen->next = addr;
        return;
    }
    size_t head_size = piece->kind == ALLOC_PIECE_USED ? DLM_OVERHEAD : 0;
    assert_true(addr >= seen->next + head_size);
    assert_true(addr + piece->size <= seen->region_end);
    seen->next = addr + piece->size;
    if (strcmp(piece->owner, "mapping") == 0 &&
        piece->kind == ALLOC_PIECE_USED) {
        seen->next = seen->region_end;
    }
}

static void
walk_and_figures_agree(void **state)
{
    (void)state;
    void *blocks[BLOCKS];
    struct dlm_heap *heap = full_heap(blocks);
    struct seen seen = {0};
    struct alloc_stats stats;

    dlm_inspect_check(heap);
    dlm_inspect_stats(heap, &stats);
    dlm_inspect_walk(heap, see, &seen);
    assert_int_equal(seen.sizes[ALLOC_PIECE_REGION], stats.mapped_size);
    assert_int_equal(seen.sizes[ALLOC_PIECE_USED], stats.used_size);
    assert_int_equal(seen.counts[ALLOC_PIECE_USED], stats.used_count);
    assert_true(seen.counts[ALLOC_PIECE_USED] > BLOCKS / 2);
    assert_int_equal(seen.sizes[ALLOC_PIECE_FREE], stats.free_size);
    assert_int_equal(seen.counts[ALLOC_PIECE_FREE], stats.free_count);
    assert_int_equal(
        stats.mapped_size, stats.used_size + stats.free_size + stats.meta_size);
    assert_true(stats.direct_count > 0);
    assert_int_equal(list_count(&heap->segments), 2);
    dlm_heap_close(heap);
}

static void
dump_heap(void *unused)
{
    void *blocks[BLOCKS];

    (void)unused;
    dlm_inspect_dump(full_heap(blocks), STDERR_FILENO);
}

static void
dump_names_each_part(void **state)
{
    (void)state;
    const char *const parts[] = {"dlmalloc: mapped ", "\n  used ",
        " with mappings", "\n  free ", "victim ", "segment 0x", "small bin ",
        "tree bin "};
    char text[DEATH_TEXT_MAX];

    (void)death_capture(dump_heap, NULL, text);
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        assert_non_null(strstr(text, parts[i]));
    }
}

static struct chunk *
some_used(void **blocks)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        struct chunk *chunk = chunk_of_block(blocks[i]);

        if (blocks[i] != NULL && (chunk->head & DLM_DIRECT) == 0) {
            return chunk;
        }
    }
    return NULL;
}

/* Breaks the heap in one of the ways; then the check must die. */
static void
check_broken(void *arg)
{
    void *blocks[BLOCKS];
    struct dlm_heap *heap = full_heap(blocks);
    struct chunk *used = some_used(blocks);
    struct chunk *end = dlm_segment_end(heap->top_segment);
    struct dlm_direct *direct = dlm_direct_of(tree_first(&heap->directs));

    switch (*(int *)arg) {
    case 0:
        *chunk_foot(used, chunk_size(used)) ^= 1;
        break;
    case 1:
        used->head |= DLM_DIRECT;
        break;
    case 2:
        heap->top_size += 16;
        break;
    case 3:
        heap->victim_size -= 16;
        break;
    case 4:
        heap->mapped_size += 4096;
        break;
    case 5:
        heap->direct_size += 4096;
        break;
    case 6: /* a chunk that is in no bin */
        heap->small.map = 0;
        for (unsigned i = 0; i < DLM_SMALL_COUNT; i++) {
            list_init(&heap->small.bins[i]);
        }
        break;
    case 7:
        end->head = 0;
        break;
    case 8:
        direct->chunk->head += 16;
        break;
    case 9:
        heap->span -= 4096;
        break;
    case 10:
        used->head = 16 | DLM_USED | CHUNK_PREV_USED;
        break;
    }
    dlm_inspect_check(heap);
}

static void
check_finds_each_breach(void **state)
{
    (void)state;
    const char *const lines[] = {
        "check failed: *chunk_foot(chunk, size) == dlm_footer(heap, size)",
        "check failed: (chunk->head & DLM_DIRECT) == 0",
        "check failed: heap->top->head == (heap->top_size | CHUNK_PREV_USED)",
        "check failed: victim->head == (heap->victim_size | CHUNK_PREV_USED)",
        "check failed: heap->mapped_size == census.mapped_size",
        "check failed: size == heap->direct_size",
        "check failed: in_bins + (heap->victim != NULL) == census.free_count",
        "check failed: (end->head & ~CHUNK_PREV_USED) == ",
        "check failed: dlm_direct_is_sound(heap, direct)",
        "check failed: (uintptr_t)end <= heap->low + heap->span",
        "check failed: size >= CHUNK_MIN_SIZE",
    };

    for (int way = 0; way < 11; way++) {
        assert_dies(check_broken, &way, lines[way]);
    }
}

static void
heap_that_was_never_used_is_empty(void **state)
{
    (void)state;
    static struct dlm_heap heap; /* zeroes, as dlm_main begins */
    struct alloc_stats stats;

    dlm_inspect_check(&heap);
    dlm_inspect_stats(&heap, &stats);
    assert_int_equal(stats.mapped_size, 0);
    assert_int_equal(stats.used_count + stats.free_count, 0);
    assert_false(dlm_block_trim(&heap, 0));
    dlm_block_give(&heap, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walk_and_figures_agree),
        cmocka_unit_test(dump_names_each_part),
        cmocka_unit_test(check_finds_each_breach),
        cmocka_unit_test(heap_that_was_never_used_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
