/*
 * pprof.h - a profile as a file that other tools read
 *
 *     struct profile --> profile.proto, gzip framed     pprof, perf tools
 *                   \--> heap_v2, text                  jeprof, pprof
 *
 * Concurrency: the caller's lock guards the profile; writing marks its codes.
 * Failure: false when the file could not be written or the mappings read.
 * Design: google/pprof's proto/profile.proto and its README; jemalloc(3), "HEAP
 * PROFILE FORMAT".
 */
#pragma once

#include "parts/profile.h"

/* Four values a stack, as full counts: alloc_objects, alloc_space,
 * inuse_objects, inuse_space. */
bool pprof_write_proto(const struct profile *profile, int fd);
/* Counts as sampled; the reader scales. */
bool pprof_write_text(const struct profile *profile, int fd);
