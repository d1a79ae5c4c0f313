/*
 * shared.c - the memory that a supervisor and its child share (contract:
 * shared.h)
 */
#include "run/shared.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static size_t
flat_size(const struct flat_program *flat)
{
    size_t size =
        flat->schedule_count + flat->fault_count * sizeof(struct fault);
    for (unsigned i = 0; i < flat->thread_count; i++) {
        size += flat->op_counts[i] * sizeof(struct op);
    }
    return size;
}

static void
describe(struct flat_program *flat, const struct program *program)
{
    *flat = (struct flat_program){
        .thread_count = program->thread_count,
        .slot_count = program->slot_count,
        .schedule_count = program->schedule_count,
        .fault_count = program->fault_count,
    };
    for (unsigned i = 0; i < program->thread_count; i++) {
        flat->op_counts[i] = program->threads[i].op_count;
    }
}

size_t
shared_size(const struct program *program)
{
    struct flat_program flat = {0};
    if (program != NULL) {
        describe(&flat, program);
    }
    return sizeof(struct shared) + flat_size(&flat);
}

struct shared *
shared_map(int fd, size_t *size)
{
    struct stat status;
    if (fstat(fd, &status) != 0 ||
        (size_t)status.st_size < sizeof(struct shared)) {
        return NULL;
    }
    *size = (size_t)status.st_size;
    void *addr = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return addr == MAP_FAILED ? NULL : addr;
}

void
shared_write_program(struct shared *shared, const struct program *program)
{
    describe(&shared->program, program);
    char *out = (char *)(&shared->program + 1);
    for (unsigned i = 0; i < program->thread_count; i++) {
        size_t size = program->threads[i].op_count * sizeof(struct op);
        if (size > 0) {
            memcpy(out, program->threads[i].ops, size);
            out += size;
        }
    }
    size_t faults_size = program->fault_count * sizeof(struct fault);
    if (faults_size > 0) {
        memcpy(out, program->faults, faults_size);
    }
    if (program->schedule_count > 0) {
        memcpy(out + faults_size, program->schedule, program->schedule_count);
    }
}

bool
shared_read_program(
    const struct shared *shared, size_t size, struct program *program)
{
    const struct flat_program *flat = &shared->program;
    const char *in = (const char *)(flat + 1);
    if (flat->thread_count > PROGRAM_THREADS_MAX ||
        flat_size(flat) > size - sizeof *shared) {
        return false;
    }
    bool good = true;
    for (unsigned i = 0; i < flat->thread_count; i++) {
        const struct op *ops = (const struct op *)(const void *)in;
        for (uint64_t j = 0; j < flat->op_counts[i]; j++) {
            good = good && program_add(program, i, &ops[j]);
        }
        in += flat->op_counts[i] * sizeof(struct op);
    }
    const struct fault *faults = (const struct fault *)(const void *)in;
    for (uint64_t i = 0; i < flat->fault_count; i++) {
        good = good && program_add_fault(program, &faults[i]);
    }
    in += flat->fault_count * sizeof(struct fault);
    for (uint64_t i = 0; i < flat->schedule_count; i++) {
        good = good && program_add_schedule(program, (uint8_t)in[i]);
    }
    program->thread_count = flat->thread_count;
    program->slot_count = flat->slot_count;
    return good;
}
