/*
 * extent.c - the owner map (contract: extent.h)
 *
 * One map serves all heaps, since addresses are the process's: an extent says
 * which arena it is of, and the arena which heap. A slab enters all its pages,
 * since any region may be freed; a large block its first, which is its address;
 * a free extent its first and last, where its neighbours look.
 */
#include "jemalloc/extent.h"

#include "base/check.h"

struct pagemap jem_owners;

void
jem_owner_init(void)
{
    pagemap_init(&jem_owners, JEM_PAGE_SHIFT);
}

bool
jem_owner_reserve(const void *addr, size_t size)
{
    return pagemap_reserve(&jem_owners, addr, size);
}

static void
set_pages(const struct jem_extent *extent, void *entry)
{
    if (jem_extent_is_slab(extent)) {
        pagemap_set(&jem_owners, extent->addr, extent->size, entry);
        return;
    }
    pagemap_set(&jem_owners, extent->addr, 1, entry);
    if (extent->size_class == JEM_CLASS_NONE) {
        pagemap_set(&jem_owners, extent->addr + extent->size - 1, 1, entry);
    }
}

void
jem_owner_set(struct jem_extent *extent, unsigned size_class, unsigned shard)
{
    uintptr_t word = (uintptr_t)extent;
    ASSERT((word & ~JEM_OWNER_EXTENT_MASK) == 0);
    ASSERT(shard < JEM_OWNER_SHARDS_MAX);
    extent->size_class = (uint8_t)size_class;
    extent->shard = (uint8_t)shard;
    word |= ((uintptr_t)size_class + 1) << JEM_OWNER_CLASS_SHIFT;
    word |= (uintptr_t)(extent->arena_index >> 4) << 48;
    word |= (uintptr_t)(extent->arena_index & 0xf) << 2;
    word |= shard;
    set_pages(extent, (void *)word);
}

void
jem_owner_clear(const struct jem_extent *extent)
{
    set_pages(extent, NULL);
}

void
jem_owner_forget(const void *addr, size_t size)
{
    pagemap_set(&jem_owners, addr, size, NULL);
}
