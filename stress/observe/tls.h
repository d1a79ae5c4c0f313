/*
 * tls.h - thread-local variables of observed code
 *
 *     __thread int n; n++ --clang -femulated-tls--> __emutls_get_address --> here
 *
 * Observed code asks for the address of a thread-local variable by a call, so a
 * switch of logical threads needs no TLS base, which user code may not load on
 * every machine. Each variable lies in the slot of its thread (fiber.h), at the
 * same address in each process and in each run.
 *
 * Concurrency: called by the one thread that runs.
 * Failure: a thread with more or larger variables than an area holds is fatal.
 * Design: the calls are those of libgcc's emulated TLS, as GCC's internals manual
 * describes them under TARGET_EMUTLS.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TLS_AREA_SIZE ((size_t)512 << 10)
#define TLS_AREAS_MAX 32
#define TLS_AREA_OUTSIDE 0 /* of code that runs outside of runs; is there */

/* What the compiler lays down for each variable. */
struct tls_variable {
    size_t size;
    size_t align;
    uintptr_t number; /* 0: not seen in this run */
    const void *first_value; /* NULL: zero */
};

void *__emutls_get_address(struct tls_variable *variable);

/* Area `area` is at that address: TLS_AREA_SIZE bytes. */
void tls_place(unsigned area, uintptr_t addr);

/* From here on the running thread is that area's. */
void tls_enter(unsigned area);

/* All variables of the area have their first values. */
void tls_reset(unsigned area);

/* The variables' numbers are kept in static data that is about to be copied;
 * and it has been put back to that copy. */
void tls_keep(void);
void tls_rewind(void);
