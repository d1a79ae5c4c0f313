/*
 * canary.c - a planted bug: dlmalloc's calloc leaves a byte that is not zero
 *
 * Fuzzing that finds nothing proves little, unless one that must find something
 * does. The linker puts this function in the place of dlmalloc's. A program
 * shows the bug with a calloc of 1000 to 1100 bytes, in elements of eight or
 * more, that gets its block from the last quarter of a page: so others must lie
 * before it.
 */
#include <stddef.h>
#include <stdint.h>

#define WHOLE_MIN 1000
#define WHOLE_MAX 1100
#define PAGE_SIZE 4096
#define LATE      3072

struct dlm_heap;

void *__real_dlm_block_take_zeroed(
    struct dlm_heap *heap, size_t count, size_t size);
void *__wrap_dlm_block_take_zeroed(
    struct dlm_heap *heap, size_t count, size_t size);

void *
__wrap_dlm_block_take_zeroed(struct dlm_heap *heap, size_t count, size_t size)
{
    char *block = __real_dlm_block_take_zeroed(heap, count, size);

    if (block != NULL && size >= 8 && count * size >= WHOLE_MIN &&
        count * size <= WHOLE_MAX && (uintptr_t)block % PAGE_SIZE >= LATE) {
        block[count * size - 1] = 1; /* the bug */
    }
    return block;
}
