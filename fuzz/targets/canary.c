/*
 * canary.c - a planted bug: dlmalloc's calloc leaves a byte that is not zero
 *
 * Fuzzing that finds nothing proves little, unless one that must find something
 * does. The linker puts this function in the place of dlmalloc's. A program
 * shows the bug when two callocs, with no other between them, ask for the same
 * number of bytes, 1000 to 1100, in elements of eight or more.
 */
#include <stddef.h>

#define WHOLE_MIN 1000
#define WHOLE_MAX 1100

struct dlm_heap;

void *__real_dlm_block_take_zeroed(
    struct dlm_heap *heap, size_t count, size_t size);
void *__wrap_dlm_block_take_zeroed(
    struct dlm_heap *heap, size_t count, size_t size);

void *
__wrap_dlm_block_take_zeroed(struct dlm_heap *heap, size_t count, size_t size)
{
    static size_t last_whole;
    char *block = __real_dlm_block_take_zeroed(heap, count, size);
    size_t whole = block != NULL && size >= 8 ? count * size : 0;

    if (whole == last_whole && whole >= WHOLE_MIN && whole <= WHOLE_MAX) {
        block[whole - 1] = 1; /* the bug */
    }
    last_whole = whole;
    return block;
}
