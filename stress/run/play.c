/*
 * play.c - plays one operation (contract: play.h)
 *
 * One call is: note how far we are, tell the observers, set errno, call the
 * allocator, read errno, update the block, tell the observers. The allocator's
 * functions are called from one switch.
 */
#include "run/play.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

#define TIME_MAX_US 20000 /* OP_TIME sleeps no longer */

static void
set_relaxed(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static void
set_phase(struct player *player, enum progress_phase phase)
{
    if (player->progress != NULL) {
        atomic_store_explicit(
            &player->progress->phase, phase, memory_order_relaxed);
    }
}

static struct block *
block_in_hand(struct player *player)
{
    return &player->runner->run->blocks[player->hand];
}

bool
play_stopped(const struct player *player)
{
    return atomic_load_explicit(
        &player->runner->run->stop, memory_order_relaxed);
}

static bool
stop(struct player *player)
{
    atomic_store_explicit(
        &player->runner->run->stop, true, memory_order_relaxed);
    return false;
}

static void
note_progress(struct player *player, const struct call *call)
{
    struct progress *progress = player->progress;
    if (progress == NULL) {
        return;
    }
    uint64_t count =
        atomic_load_explicit(&progress->call_count, memory_order_relaxed);
    set_relaxed(&progress->call_count, count + 1);
    set_relaxed(&progress->op_index, call->op_index);
    set_relaxed(&progress->work_size, call->size + call->old_size);
    atomic_store_explicit(&progress->op_kind, call->kind, memory_order_relaxed);
}

/* The call is complete but for its arguments; false: an observer stops it. */
static bool
begin_call(struct player *player, struct call *call)
{
    struct observer **observers = player->runner->observers;
    struct block *block = block_in_hand(player);
    call->thread = player->thread;
    call->op_index = player->op_index;
    call->block = block;
    call->old_addr = block->addr;
    call->old_size = block->size;
    note_progress(player, call);
    for (int i = 0; i < RUNNER_OBSERVERS_MAX && observers[i] != NULL; i++) {
        if (!observers[i]->before(observers[i], call)) {
            return stop(player);
        }
    }
    errno = CALL_ERRNO;
    return true;
}

static bool
end_call(struct player *player, struct call *call)
{
    struct observer **observers = player->runner->observers;
    for (int i = 0; i < RUNNER_OBSERVERS_MAX && observers[i] != NULL; i++) {
        if (!observers[i]->after(observers[i], call)) {
            return stop(player);
        }
    }
    return true;
}

static uint8_t
log2_of(size_t align)
{
    return align == 0 ? 0 : (uint8_t)(63 - __builtin_clzl(align));
}

/* What the block in hand is after a call that may have made it. */
static void
note_result(struct call *call, size_t size)
{
    struct block *block = call->block;
    bool is_realloc = call->kind == OP_REALLOC || call->kind == OP_REALLOCARRAY;
    if (call->result != NULL && call->code == 0) {
        block->addr = call->result;
        block->size = size;
        block->made_by = (uint8_t)call->kind;
        block->align_log2 = log2_of(call->align);
    } else if (is_realloc && size == 0 && call->error != ENOMEM) {
        block->addr = NULL; /* realloc(block, 0) that frees, as in glibc */
    }
}

/* Makes the call for the kinds that allocate, realloc among them. */
static void
call_allocator(struct runner *runner, struct call *call)
{
    const struct alloc_ops *ops = runner->ops;
    struct heap *heap = runner->heap;
    switch (call->kind) {
    case OP_MALLOC:
        call->result = ops->malloc(heap, call->size);
        break;
    case OP_CALLOC:
        call->result = ops->calloc(heap, call->count, call->size);
        break;
    case OP_REALLOC:
        call->result = ops->realloc(heap, call->old_addr, call->size);
        break;
    case OP_REALLOCARRAY:
        call->result =
            ops->reallocarray(heap, call->old_addr, call->count, call->size);
        break;
    case OP_MEMALIGN:
        call->result = ops->memalign(heap, call->align, call->size);
        break;
    case OP_ALIGNED_ALLOC:
        call->result = ops->aligned_alloc(heap, call->align, call->size);
        break;
    case OP_POSIX_MEMALIGN:
        call->result = CALL_POISON;
        call->code =
            ops->posix_memalign(heap, &call->result, call->align, call->size);
        break;
    case OP_VALLOC:
        call->result = ops->valloc(heap, call->size);
        break;
    case OP_PVALLOC:
        call->result = ops->pvalloc(heap, call->size);
        break;
    default:
        check_failed("a kind that allocates", __FILE__, __LINE__);
    }
    call->error = errno;
    faults_advance(&runner->run->faults);
}

static bool
allocate(struct player *player, struct call *call)
{
    size_t size;
    if (__builtin_mul_overflow(call->size,
            op_shapes[call->kind].has_count ? call->count : 1, &size)) {
        size = SIZE_MAX;
    }
    if (!begin_call(player, call)) {
        return false;
    }
    call_allocator(player->runner, call);
    note_result(call, size);
    return end_call(player, call);
}

/* C23 lets free_sized take what malloc, calloc and realloc return, and
 * free_aligned_sized what aligned_alloc does; all else goes to free. */
static enum op_kind
allowed_free(const struct block *block, enum op_kind kind)
{
    bool is_aligned = block->made_by == OP_ALIGNED_ALLOC;
    bool is_plain =
        block->made_by == OP_MALLOC || block->made_by == OP_CALLOC ||
        block->made_by == OP_REALLOC || block->made_by == OP_REALLOCARRAY;
    bool allowed = (kind == OP_FREE_SIZED && is_plain) ||
                   (kind == OP_FREE_ALIGNED_SIZED && is_aligned);
    return allowed && block->addr != NULL ? kind : OP_FREE;
}

static bool
free_in_hand(struct player *player, enum op_kind kind)
{
    const struct alloc_ops *ops = player->runner->ops;
    struct heap *heap = player->runner->heap;
    struct block *block = block_in_hand(player);
    struct call call = {.kind = allowed_free(block, kind)};
    call.size = block->size;
    if (!begin_call(player, &call)) {
        return false;
    }
    if (call.kind == OP_FREE_SIZED) {
        ops->free_sized(heap, block->addr, block->size);
    } else if (call.kind == OP_FREE_ALIGNED_SIZED) {
        call.align = (size_t)1 << block->align_log2;
        ops->free_aligned_sized(heap, block->addr, call.align, block->size);
    } else {
        ops->free(heap, block->addr);
    }
    call.error = errno;
    block->addr = NULL;
    block->size = 0;
    return end_call(player, &call);
}

static void
take(struct player *player, uint32_t slot)
{
    struct run *run = player->runner->run;
    uint32_t was = atomic_exchange_explicit(
        &run->slots[slot], player->hand, memory_order_acq_rel);
    player->hand = was & ~SLOT_FULL;
}

/* The block that another player put there meanwhile is freed. */
static bool
put(struct player *player, uint32_t slot)
{
    struct run *run = player->runner->run;
    bool is_full = block_in_hand(player)->addr != NULL;
    uint32_t was = atomic_exchange_explicit(&run->slots[slot],
        player->hand | (is_full ? SLOT_FULL : 0), memory_order_acq_rel);
    player->hand = was & ~SLOT_FULL;
    return (was & SLOT_FULL) == 0 || free_in_hand(player, OP_FREE);
}

bool
play_slot_is_full(const struct run *run, uint32_t slot)
{
    return (atomic_load_explicit(&run->slots[slot], memory_order_relaxed) &
               SLOT_FULL) != 0;
}

static bool
play_usable_size(struct player *player)
{
    struct runner *runner = player->runner;
    struct call call = {.kind = OP_USABLE_SIZE};
    if (!begin_call(player, &call)) {
        return false;
    }
    call.value = runner->ops->usable_size(runner->heap, call.old_addr);
    call.error = errno;
    return end_call(player, &call);
}

static bool
play_touch(struct player *player)
{
    struct call call = {.kind = OP_TOUCH, .error = CALL_ERRNO};
    return begin_call(player, &call) && end_call(player, &call);
}

/* An operation on the block of a slot. */
static bool
play_block(struct player *player, const struct op *op)
{
    struct call call = {.kind = (enum op_kind)op->kind,
        .size = op->size,
        .count = op->count,
        .align = op->align};
    switch (op->kind) {
    case OP_FREE:
    case OP_FREE_SIZED:
    case OP_FREE_ALIGNED_SIZED:
        return free_in_hand(player, (enum op_kind)op->kind);
    case OP_USABLE_SIZE:
        return play_usable_size(player);
    case OP_TOUCH:
        return play_touch(player);
    case OP_REALLOC:
    case OP_REALLOCARRAY:
        return allocate(player, &call);
    default:
        if (block_in_hand(player)->addr != NULL &&
            !free_in_hand(player, OP_FREE)) {
            return false;
        }
        return allocate(player, &call);
    }
}

static bool
play_heap(struct player *player, const struct op *op)
{
    struct runner *runner = player->runner;
    struct call call = {.kind = (enum op_kind)op->kind, .size = op->size};
    struct alloc_stats stats;
    if (!begin_call(player, &call)) {
        return false;
    }
    if (op->kind == OP_TRIM) {
        call.value = runner->ops->trim(runner->heap, op->size);
    } else if (runner->ops->stats != NULL) {
        runner->ops->stats(runner->heap, &stats);
    } else if (runner->ask_stats != NULL) {
        runner->ask_stats();
    }
    call.error = errno;
    return end_call(player, &call);
}

static void
sleep_us(uint64_t us)
{
    us = us < TIME_MAX_US ? us : TIME_MAX_US;
    struct timespec time = {0, (long)us * 1000};
    nanosleep(&time, NULL);
}

/* OP_YIELD and OP_TIME call nothing, but are progress. To yield is the runner's
 * part: the inline one has nobody to yield to. */
static void
play_pause(struct player *player, const struct op *op)
{
    struct call call = {.kind = (enum op_kind)op->kind};
    call.op_index = player->op_index;
    note_progress(player, &call);
    if (op->kind == OP_TIME && player->runner->pass_time != NULL) {
        player->runner->pass_time(op->size);
    } else if (op->kind == OP_TIME) {
        sleep_us(op->size);
    }
}

static bool
tell_forked(struct player *player, struct call *call, int status)
{
    struct observer **observers = player->runner->observers;
    for (int i = 0; i < RUNNER_OBSERVERS_MAX && observers[i] != NULL; i++) {
        if (observers[i]->forked != NULL &&
            !observers[i]->forked(observers[i], call, status)) {
            return stop(player);
        }
    }
    return true;
}

/* In the forked child: some of each size, then blocks that the parent made. */
static bool
play_in_child(struct player *player)
{
    static const struct op ops[] = {
        {.kind = OP_MALLOC, .size = 24},
        {.kind = OP_CALLOC, .count = 10, .size = 40},
        {.kind = OP_REALLOC, .size = 5000},
        {.kind = OP_MEMALIGN, .align = 256, .size = 700},
        {.kind = OP_MALLOC, .size = 70000},
        {.kind = OP_REALLOC, .size = 200000},
        {.kind = OP_CALLOC, .count = 1, .size = 1 << 20},
        {.kind = OP_FREE},
    };
    struct run *run = player->runner->run;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (!play_block(player, &ops[i])) {
            return false;
        }
    }
    for (uint32_t slot = 0; slot < run->slot_count && slot < 64; slot++) {
        if (!play_slot_is_full(run, slot)) {
            continue;
        }
        take(player, slot);
        if (!free_in_hand(player, OP_FREE)) {
            return false;
        }
    }
    return true;
}

static _Noreturn void
be_forked_child(struct player *player, struct call *call)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bool good = true;
    if (!player->runner->fork_only_exits) {
        /* The parent's block in hand stays the parent's. */
        player->hand = player->runner->run->slot_count + PROGRAM_THREADS_MAX +
                       player->thread;
        good = tell_forked(player, call, OBSERVER_IN_CHILD) &&
               play_in_child(player);
    }
    _exit(good ? 0 : 1);
}

static bool
play_fork(struct player *player)
{
    struct call call = {.kind = OP_FORK};
    if (!begin_call(player, &call)) {
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        be_forked_child(player, &call);
    }
    int status = 0;
    if (pid > 0) {
        if (player->progress != NULL) {
            atomic_store(&player->progress->fork_pid, pid);
        }
        set_phase(player, PROGRESS_FORK);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        play_attach(player);
        if (player->progress != NULL) {
            atomic_store(&player->progress->fork_pid, 0);
        }
    }
    call.error = errno;
    return tell_forked(player, &call, status) && end_call(player, &call);
}

enum play_result
play_op(struct player *player, const struct op *op)
{
    struct run *run = player->runner->run;
    const struct op_shape *shape = &op_shapes[op->kind];
    bool goes_on = true;
    switch (op->kind) {
    case OP_WAIT:
        return play_slot_is_full(run, op->slot) ? PLAY_NEXT : PLAY_WAIT;
    case OP_EXIT:
        return PLAY_EXIT;
    case OP_YIELD:
    case OP_TIME:
        play_pause(player, op);
        break;
    case OP_TRIM:
    case OP_STATS:
        goes_on = play_heap(player, op);
        break;
    case OP_FORK:
        goes_on = play_fork(player);
        break;
    default:
        ASSERT(shape->has_slot);
        take(player, op->slot);
        goes_on = play_block(player, op) && put(player, op->slot);
        break;
    }
    return goes_on ? PLAY_NEXT : PLAY_STOP;
}

void
play_begin(struct runner *runner, const struct program *program)
{
    struct run *run = runner->run;
    uint32_t block_count = program->slot_count + 2 * PROGRAM_THREADS_MAX;
    run->slot_count = program->slot_count;
    atomic_store_explicit(&run->stop, false, memory_order_relaxed);
    for (uint32_t i = 0; i < block_count; i++) {
        run->blocks[i].id = i + 1;
        run->blocks[i].addr = NULL;
        run->blocks[i].size = 0;
    }
    for (uint32_t slot = 0; slot < program->slot_count; slot++) {
        atomic_store_explicit(&run->slots[slot], slot, memory_order_relaxed);
    }
    for (int i = 0; i < RUNNER_OBSERVERS_MAX; i++) {
        struct observer *observer = runner->observers[i];
        if (observer != NULL && observer->begin != NULL) {
            observer->begin(observer, run->blocks);
        }
    }
    if (runner->injects_faults) {
        faults_begin(&run->faults, program);
    }
}

void
play_set_up(struct player *player, struct runner *runner, unsigned thread)
{
    struct run *run = runner->run;
    *player = (struct player){
        .runner = runner,
        .progress = runner->progress == NULL ? NULL : &runner->progress[thread],
        .thread = thread,
        .hand = run->slot_count + thread,
    };
}

void
play_attach(struct player *player)
{
    set_phase(player, PROGRESS_CALL);
    if (player->progress != NULL) {
        atomic_store_explicit(
            &player->progress->tid, gettid(), memory_order_relaxed);
    }
}

void
play_set_phase(struct player *player, enum progress_phase phase)
{
    set_phase(player, phase);
}

bool
play_end(struct player *player)
{
    struct runner *runner = player->runner;
    struct run *run = runner->run;
    faults_end(&run->faults);
    for (uint32_t slot = 0; slot < run->slot_count; slot++) {
        if (!play_slot_is_full(run, slot)) {
            continue;
        }
        take(player, slot);
        if (!free_in_hand(player, OP_FREE)) {
            return false;
        }
    }
    for (int i = 0; i < RUNNER_OBSERVERS_MAX; i++) {
        struct observer *observer = runner->observers[i];
        if (observer != NULL && observer->end != NULL &&
            !observer->end(observer)) {
            return stop(player);
        }
    }
    set_phase(player, PROGRESS_IDLE);
    return true;
}
