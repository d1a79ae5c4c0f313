/*
 * ck_stack.h - CK's stack, with its accesses to shared links spelt out for tools
 *
 *     our code --> <ck_stack.h>: this --> CK's own, which includes <ck_pr.h>
 *
 * A pop of several reads the link of an entry that another thread may have taken
 * and pushed again; its exchange then fails, by the generation. CK reads and
 * writes that link with plain accesses, which is a race in C11. Here the four
 * operations that may meet there use relaxed ones. CK allows for that: each of
 * its operations can be given by the machine. All else is CK's.
 *
 * Concurrency: as the suffix of each function says.
 * Failure: an empty stack gives NULL.
 * Design: Treiber, "Systems Programming: Coping with Parallelism" (1986); the
 * manual pages of CK's stack.
 */
#pragma once

#include <ck_pr.h>

#define CK_F_STACK_PUSH_UPMC
#define CK_F_STACK_TRYPUSH_UPMC
#define CK_F_STACK_POP_MPMC
#define CK_F_STACK_TRYPOP_MPMC

struct ck_stack;
struct ck_stack_entry;

static inline void ck_stack_push_upmc(
    struct ck_stack *stack, struct ck_stack_entry *entry);
static inline bool ck_stack_trypush_upmc(
    struct ck_stack *stack, struct ck_stack_entry *entry);

#include_next <ck_stack.h>

static inline bool
ck_stack_trypush_upmc(struct ck_stack *stack, struct ck_stack_entry *entry)
{
    struct ck_stack_entry *head = ck_pr_load_ptr(&stack->head);

    ck_pr_store_ptr(&entry->next, head);
    ck_pr_fence_store();
    return ck_pr_cas_ptr(&stack->head, head, entry);
}

static inline void
ck_stack_push_upmc(struct ck_stack *stack, struct ck_stack_entry *entry)
{
    while (!ck_stack_trypush_upmc(stack, entry)) {
    }
}

/* One attempt, from what *seen says to its successor. Another thread's success
 * leaves *seen up to date. */
static inline bool
ck_stack_take_head(struct ck_stack *stack, struct ck_stack *seen)
{
    struct ck_stack next;

    ck_pr_fence_load();
    next.head = ck_pr_load_ptr(&seen->head->next);
    next.generation = (char *)((uintptr_t)seen->generation + 1);
    return ck_pr_cas_ptr_2_value(stack, seen, &next, seen);
}

/* The generation first: if it is old, so may the head be, and the exchange
 * fails. */
static inline struct ck_stack
ck_stack_look(const struct ck_stack *stack)
{
    struct ck_stack seen;

    seen.generation = ck_pr_load_ptr(&stack->generation);
    ck_pr_fence_load();
    seen.head = ck_pr_load_ptr(&stack->head);
    return seen;
}

static inline struct ck_stack_entry *
ck_stack_pop_mpmc(struct ck_stack *stack)
{
    struct ck_stack seen = ck_stack_look(stack);

    while (seen.head != NULL && !ck_stack_take_head(stack, &seen)) {
    }
    return seen.head;
}

static inline bool
ck_stack_trypop_mpmc(struct ck_stack *stack, struct ck_stack_entry **popped)
{
    struct ck_stack seen = ck_stack_look(stack);

    if (seen.head == NULL || !ck_stack_take_head(stack, &seen)) {
        return false;
    }
    *popped = seen.head;
    return true;
}
