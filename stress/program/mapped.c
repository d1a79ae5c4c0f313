/*
 * mapped.c - storage that grows (contract: mapped.h)
 *
 * Each growth at least doubles, and moves pages instead of bytes. A private
 * allocator over one large mapping would save system calls, and needs more code
 * than there are growths: programs are cleared and filled again, not made anew.
 */
#include "program/mapped.h"

#include <string.h>

#include "base/machine.h"
#include "base/pages.h"

/* The bytes that hold so many elements, in OS pages; 0 on overflow. */
static size_t
pages_for(size_t capacity, size_t element_size)
{
    size_t size;

    if (__builtin_mul_overflow(capacity, element_size, &size)) {
        return 0;
    }
    return pages_round_up(size);
}

bool
mapped_grow(void *data, size_t *capacity, size_t count, size_t element_size)
{
    void *old;
    void *grown;

    if (count <= *capacity) {
        return true;
    }
    size_t wanted = count > *capacity * 2 ? count : *capacity * 2;
    size_t new_size = pages_for(wanted, element_size);
    if (new_size == 0) {
        return false;
    }
    memcpy(&old, data, sizeof(old));
    if (old == NULL) {
        grown = machine_kernel.map(NULL, new_size, true);
    } else {
        size_t old_size = pages_for(*capacity, element_size);
        grown = machine_kernel.remap(old, old_size, new_size, true);
    }
    if (grown == NULL) {
        return false;
    }
    memcpy(data, &grown, sizeof(grown));
    *capacity = new_size / element_size;
    return true;
}

void
mapped_drop(void *data, size_t *capacity, size_t element_size)
{
    void *old;

    memcpy(&old, data, sizeof(old));
    if (old != NULL) {
        machine_kernel.unmap(old, pages_for(*capacity, element_size));
    }
    memset(data, 0, sizeof(old));
    *capacity = 0;
}

bool
buffer_reserve(struct buffer *buffer, size_t more_size)
{
    size_t size;

    return !__builtin_add_overflow(buffer->size, more_size, &size) &&
           mapped_grow(&buffer->data, &buffer->capacity, size, 1);
}

bool
buffer_add(struct buffer *buffer, const void *bytes, size_t size)
{
    if (!buffer_reserve(buffer, size)) {
        return false;
    }
    memcpy(buffer->data + buffer->size, bytes, size);
    buffer->size += size;
    return true;
}

bool
buffer_add_text(struct buffer *buffer, const char *text)
{
    return buffer_add(buffer, text, strlen(text));
}

void
buffer_fini(struct buffer *buffer)
{
    mapped_drop(&buffer->data, &buffer->capacity, 1);
    buffer->size = 0;
}
