/*
 * claims.h - who owns each byte of the address space
 *
 *     oracle --> claims: address --> id of the block that holds it
 *
 * A sparse map over all 48 bits of user addresses, by granules of 8 bytes, and
 * by larger units where a block covers them whole, so that a block of a
 * gigabyte costs some hundred words and not a hundred million:
 *
 *     64 GiB --> 256 MiB --> 1 MiB --> 4 KiB --> 8 B
 *
 * A range is claimed after malloc returns it, and given back before free is
 * called; whoever claims a granule that is taken, or finds at the end that a
 * granule is no longer its own, has found two owners.
 *
 * Concurrency: any thread, any range. Two threads that claim one range at the
 * same moment may both succeed; then one of them fails to give it back.
 * Failure: claims_init returns false when the map cannot be reserved; a leaf
 * that cannot be mapped leaves its range unwatched.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLAIMS_NOBODY 0u          /* owner: was taken, now nobody's */
#define CLAIMS_ID_MAX 0x3fffffffu /* ids are 1 .. this */

struct claims {
    struct claims_root *root;
};

struct claims_clash {
    uintptr_t addr; /* the first byte in question */
    uint32_t owner; /* id that the map holds for it, or CLAIMS_NOBODY */
};

bool claims_init(struct claims *claims);
void claims_fini(struct claims *claims);

/* False: a part belongs to another; *clash says which. The rest may be claimed
 * or not: the heap is broken. */
bool claims_take(struct claims *claims, const void *addr, size_t size,
    uint32_t id, struct claims_clash *clash);
/* False: a part is no longer the id's. */
bool claims_give(struct claims *claims, const void *addr, size_t size,
    uint32_t id, struct claims_clash *clash);

/* The id that owns the byte, or CLAIMS_NOBODY. */
uint32_t claims_owner(struct claims *claims, const void *addr);
