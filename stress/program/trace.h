/*
 * trace.h - what a recorded process asked of malloc, and its heap program
 *
 *     recorded process --> struct trace, in a file --> trace_convert
 *                                                         \--> struct program
 *
 * A trace is an array of events in one global order, shared by a file between
 * the recorded process, whose recorder (run/recorder.c) writes it, and the
 * command. Whatever ends that process, what it has written stays.
 *
 * The order is such that memory is seen to be given back before it is given
 * out again: an event that gives a block back takes its place before the call,
 * one that brings a block after it, and a resize takes two.
 *
 * Concurrency: writers claim places by trace.event_count; readers come after
 * the process has ended. trace_convert is pure but for its program.
 * Failure: trace_convert returns false when memory runs out.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "program/program.h"

#define TRACE_EVENTS_MAX ((size_t)8 << 20) /* 256 MiB */

/* The kinds of event beside enum op_kind's. */
enum { TRACE_RESIZE = OP_KIND_COUNT, TRACE_THREAD_END };

struct trace_event {
    uint64_t addr;  /* the block given back, or brought; 0: refused */
    uint64_t size;  /* as asked for */
    uint64_t extra; /* alignment, or count */
    uint32_t thread;
    _Atomic uint32_t tag; /* written last, see trace_tag; 0: never written */
};

struct trace {
    uint32_t pid;   /* the process to record; others that inherit are not */
    uint32_t image; /* how many programs it has executed */
    _Atomic uint64_t event_count; /* places claimed, may be past the maximum */
    _Atomic uint32_t thread_count;
    struct trace_event events[TRACE_EVENTS_MAX];
};

/* A tag holds the kind and the image, so that events of a program that the
 * process executed earlier need not be erased. */
static inline uint32_t
trace_tag(uint32_t kind, uint32_t image)
{
    return image << 8 | (kind + 1);
}

static inline void
trace_write(struct trace *trace, const struct trace_event *event, uint32_t kind)
{
    uint64_t index =
        atomic_load_explicit(&trace->event_count, memory_order_relaxed);

    if (index >= TRACE_EVENTS_MAX) {
        return; /* Full: what is there is a prefix of the whole. */
    }
    index =
        atomic_fetch_add_explicit(&trace->event_count, 1, memory_order_relaxed);
    if (index < TRACE_EVENTS_MAX) {
        struct trace_event *place = &trace->events[index];
        place->addr = event->addr;
        place->size = event->size;
        place->extra = event->extra;
        place->thread = event->thread;
        atomic_store_explicit(
            &place->tag, trace_tag(kind, trace->image), memory_order_release);
    }
}

struct trace_summary {
    unsigned thread_count; /* that called malloc */
    size_t ticket_count;   /* blocks of one byte that the trace had not */
    bool is_cut;           /* it is full: the process may have gone on */
};

/*
 * Makes the program that does the same: every thread its calls in their order,
 * every call on the block that it had, under every schedule. Waits order what
 * passes between threads. A block that one thread resized and another takes on
 * costs a ticket, a block of one byte. Left out are calls that failed, free of
 * NULL, and blocks from before the recording. With more than 256 threads alive
 * some share a list. program comes cleared.
 */
bool trace_convert(struct program *program, const struct trace *trace,
    struct trace_summary *summary);
