/*
 * local.h - what each thread has of its own on a heap: one object a thread
 *
 *     a design's front tier: tcache ... --> struct local in it --> local_set
 *
 * A set belongs to a heap. A thread's object is made when it first asks, and
 * given up when the thread ends; then it is spare, for the next thread. The
 * process's own heap finds a thread's object by a TLS variable of the design,
 * which the fast path reads; other heaps by a table over thread ids.
 *
 * Concurrency: local_get and local_drop concern the calling thread's object.
 * Each takes set.lock, of rank MTX_THREADS, where something is made or given
 * up. init and fini want the set to themselves, and no object in use by a
 * thread that still runs on it.
 * Failure: local_get returns NULL when the thread must do without: out of
 * memory, at its end, or with more threads than ids.
 * After fork the child's set holds the forking thread's object alone. The
 * others are spare, what they held is lost: fork may have caught their threads
 * in the middle of a change.
 * Design: docs/designs; POSIX.1-2017, pthread_key_create, pthread_atfork.
 */
#pragma once

#include <stddef.h>

#include "base/sync.h"
#include "base/thread.h"

/* Stands in a design's object. */
struct local {
    struct local *next, *prev; /* [set.lock] in used or spare */
};

struct local_set;

/* What a design does with its objects. */
struct local_kind {
    /* Makes an object ready; spare is one to use again, or NULL. With set.lock
     * held. NULL when out of memory, and then spare stays spare. */
    struct local *(*make)(struct local_set *set, struct local *spare);
    /* Gives back to the heap what the object holds. No lock is held. */
    void (*drain)(struct local *local);
    /* The object has lost its thread. With set.lock held. */
    void (*leave)(struct local *local);
};

struct local_set {
    struct mtx lock;
    const struct local_kind *kind;
    /* The calling thread's TLS variable, where the set is the process's own
     * heap's; else NULL. `none` is what it holds when there is no object. */
    struct local **(*place)(void);
    struct local *none;
    struct local used, spare;           /* [lock] heads of circular lists */
    struct local_set *next, *prev;      /* [the registry's lock] */
    unsigned id_end;                    /* [lock] ids below may have one */
    struct local *by_id[THREAD_ID_MAX]; /* each thread's its own */
};

/* The set's memory comes zeroed: the table is not touched. */
void local_set_init(struct local_set *set, const struct local_kind *kind,
    struct local **(*place)(void), struct local *none);
void local_set_fini(struct local_set *set);

struct local *local_get(struct local_set *set);  /* made if need be */
struct local *local_peek(struct local_set *set); /* or NULL */
/* Drains and gives up the calling thread's object, if it has one. */
void local_drop(struct local_set *set);

/* Every object in use; the body must not change the set. With set.lock held,
 * or the heap quiet. */
#define LOCAL_EACH(local, set)                                                 \
    for (local = (set)->used.next; local != &(set)->used; local = local->next)
