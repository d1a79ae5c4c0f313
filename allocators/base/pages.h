/*
 * pages.h - memory from the OS, by the page
 *
 *     a design's back tier --> pages --> machine.map, .advise, ...
 *
 * Sizes and addresses are multiples of pages_os_size() unless said otherwise;
 * sizes are never 0. Memory comes zeroed.
 *
 * Concurrency: any thread, any time; no lock is taken.
 * Failure: NULL or false when the OS refuses, with nothing changed but where a
 * call says so. errno is kept by every call.
 * Design: mmap(2), madvise(2), mremap(2).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGES_HUGE_SIZE ((size_t)2 << 20)

size_t pages_os_size(void);         /* usually 4096 */
size_t pages_round_up(size_t size); /* to OS pages; 0 on overflow */

/* Usable, zeroed memory whose address is a multiple of align (a power of two,
 * at least an OS page). */
void *pages_map(size_t size, size_t align);
/* The same range of addresses, inaccessible until pages_commit. */
void *pages_reserve(size_t size, size_t align);
bool pages_commit(void *addr, size_t size);
/* Inaccessible again, memory given back. False: still accessible; the pages
 * hold what they held, or zeroes. */
bool pages_decommit(void *addr, size_t size);
/* Gives addresses and memory back. False: the range is still mapped. */
bool pages_unmap(void *addr, size_t size);

/* Gives the memory back but keeps the addresses: the pages read as zero. When
 * it returns false they hold what they held: do not assume zeroes. */
bool pages_purge(void *addr, size_t size);
/* The kernel may take the memory when it wants; until then the pages hold what
 * they held, and afterwards zeroes. */
bool pages_purge_lazily(void *addr, size_t size);
/* Advice: back by huge pages, or not. */
bool pages_huge(void *addr, size_t size, bool huge);

/* Grows or shrinks a mapping; it may move when may_move. NULL: unchanged. */
void *pages_remap(void *addr, size_t old_size, size_t new_size, bool may_move);

/*
 * The fault seam. The n-th call from now (1 is the next) that asks the OS for
 * something fails, once; with every true, all from then on fail. 0 ends it.
 * pages_call_count() counts the calls since the last pages_fail_at(). Which
 * call is the n-th is exact when one thread calls.
 */
void pages_fail_at(uint64_t n, bool every);
uint64_t pages_call_count(void);
