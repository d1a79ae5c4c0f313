/*
 * growth.h - does a program that runs again and again take ever more memory?
 *
 *     child, between two runs --> growth --> what of the process is resident
 *
 * Two steps. A campaign only suspects: its programs all differ, and a correct
 * allocator too keeps memory for the next ones. What it suspects is proved in a
 * process of its own, where nothing but that program runs: after some runs equal
 * ones need no more memory than they needed before. Proof is so much more that
 * neither caches nor fragmentation nor memory that is given back late explain
 * it. Only a good part of what a program asks for shows so; a leak of some bytes
 * a thread does not.
 *
 * Concurrency: one thread, and no run under way.
 * Failure: where /proc cannot be read nothing is suspected. In a sanitizer's
 * build nothing is, either: its runtime takes memory of its own.
 * Design: Berger et al., "Hoard" (2000), blowup: memory is bounded by a multiple
 * of what the program needs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oracle/verdict.h"
#include "program/program.h"

/* What a child is to do about growth. */
enum growth_task { GROWTH_IGNORE, GROWTH_SUSPECT, GROWTH_PROVE };

#define GROWTH_SUSPECT_MIN ((size_t)64 << 20)

struct growth {
    bool has_begun;
    size_t resident_size; /* at the first look, or when the proof began */
    uint64_t looked_ns;   /* the last look's time */
    uint64_t run_count;   /* of the proof */
};

/* Has the process grown by more than size since the first look? Looks at most a
 * hundred times a second. */
bool growth_is_suspect(struct growth *growth, size_t size, uint64_t now_ns);

enum growth_proof { GROWTH_OPEN, GROWTH_NONE, GROWTH_PROVED };

/* After each run of the program. OPEN: run it again. PROVED fills finding. */
enum growth_proof growth_prove(struct growth *growth,
    const struct program *program, struct finding *finding);
