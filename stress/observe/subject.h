/*
 * subject.h - instrumented code that tests run, right and wrong
 *
 *     subject.c, observed --> runtime_test.c, abi_test.c
 *
 * Concurrency: bodies run as logical threads. Failure: abi_* return the line of
 * the first wrong result, or 0.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Every call that the compiler inserts, against plain arithmetic. */
int abi_plain(void);
int abi_atomics(void);
int abi_wide_atomics(void);
int abi_copies(void);

/* pthreads and the OS, as the runtime has them; bodies of one thread or two. */
struct subject {
    const char *name;
    unsigned thread_count;
    void (*body)(unsigned thread);
};
extern const struct subject subject_all[];
extern int subject_value;         /* what a body leaves for the test */
extern _Atomic int subject_order; /* counts steps of several threads */

/* Memory that a harness hands to and from a user. */
char *subject_map(size_t size);
void subject_unmap(char *addr, size_t size);
void subject_purge(char *addr, size_t size);
void subject_write(char *addr, size_t size);
int subject_read(const char *addr);
