/*
 * faults.c - makes the OS calls fail that a program names (contract: faults.h)
 *
 * Faults are taken in the program's order; one whose call has passed already
 * is skipped.
 */
#include "run/faults.h"

#include <stddef.h>

#include "base/pages.h"

/* Sets fault `index`, or the first after it whose call is still to come. */
static void
set_from(struct faults *faults, uint64_t index)
{
    const struct program *program = faults->program;
    for (; index < program->fault_count; index++) {
        const struct fault *fault = &program->faults[index];
        if (fault->kind == FAULT_OS && fault->n > faults->base) {
            pages_fail_at(fault->n - faults->base, fault->every);
            break;
        }
    }
    atomic_store_explicit(&faults->pending, index, memory_order_release);
}

void
faults_begin(struct faults *faults, const struct program *program)
{
    *faults = (struct faults){0};
    if (program->fault_count > 0) {
        faults->program = program;
        set_from(faults, 0);
    }
}

void
faults_end(struct faults *faults)
{
    if (faults->program != NULL) {
        pages_fail_at(0, false);
        faults->program = NULL;
    }
}

void
faults_advance_slow(struct faults *faults)
{
    const struct program *program = faults->program;
    uint64_t index =
        atomic_load_explicit(&faults->pending, memory_order_acquire);
    if (index >= program->fault_count || program->faults[index].every ||
        pages_call_count() < program->faults[index].n - faults->base) {
        return;
    }
    /* One thread moves on; the others see that nothing is set. */
    uint64_t none = program->fault_count;
    if (atomic_compare_exchange_strong(&faults->pending, &index, none)) {
        faults->base += pages_call_count();
        set_from(faults, index + 1);
    }
}
