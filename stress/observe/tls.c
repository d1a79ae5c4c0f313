/*
 * tls.c - thread-local variables of observed code (contract: tls.h)
 *
 * A variable gets a number and a place in all areas when the first thread of a
 * run asks for it, and a thread's copy of it its first value when that thread
 * does. Numbers lie in the target's static data and are rewound with it, so
 * that they depend on the run alone.
 *
 * Invariants:
 *   I1  Numbers 1 to variable_count are given; offsets[n] is the place of n.
 *   I2  address[n] is NULL or the copy of n in that area. address[0] is NULL.
 */
#include "observe/tls.h"

#include <string.h>

#include "base/check.h"

#define VARIABLES_MAX 512

struct area {
    uintptr_t addr;
    void *address[VARIABLES_MAX]; /* I2 */
};

static _Alignas(4096) char outside[TLS_AREA_SIZE];
static struct area areas[TLS_AREAS_MAX] = {
    [TLS_AREA_OUTSIDE] = {.addr = (uintptr_t)outside}};
static struct area *running = &areas[TLS_AREA_OUTSIDE];
static size_t offsets[VARIABLES_MAX];
static uintptr_t variable_count, kept_count;
static size_t used_size, kept_size;

static void
number(struct tls_variable *variable)
{
    size_t align = variable->align > 1 ? variable->align : 1;
    size_t offset = (used_size + align - 1) & ~(align - 1);
    CHECK(variable_count + 1 < VARIABLES_MAX);
    CHECK(offset <= TLS_AREA_SIZE && variable->size <= TLS_AREA_SIZE - offset);
    used_size = offset + variable->size;
    variable->number = ++variable_count; /* I1 */
    offsets[variable_count] = offset;
}

static void *
make_copy(struct tls_variable *variable)
{
    CHECK(running->addr != 0);
    if (variable->number == 0) {
        number(variable);
    }
    void *copy = (void *)(running->addr + offsets[variable->number]);
    if (variable->first_value != NULL) {
        memcpy(copy, variable->first_value, variable->size);
    } else {
        memset(copy, 0, variable->size);
    }
    running->address[variable->number] = copy;
    return copy;
}

void *
__emutls_get_address(struct tls_variable *variable)
{
    void *copy = running->address[variable->number];
    return __builtin_expect(copy != NULL, 1) ? copy : make_copy(variable);
}

void
tls_place(unsigned area, uintptr_t addr)
{
    CHECK(area < TLS_AREAS_MAX);
    areas[area].addr = addr;
}

void
tls_enter(unsigned area)
{
    running = &areas[area];
}

void
tls_reset(unsigned area)
{
    memset(areas[area].address, 0, (variable_count + 1) * sizeof(void *));
}

void
tls_keep(void)
{
    kept_count = variable_count;
    kept_size = used_size;
}

void
tls_rewind(void)
{
    for (unsigned i = 0; i < TLS_AREAS_MAX; i++) {
        if (areas[i].addr != 0) {
            tls_reset(i);
        }
    }
    variable_count = kept_count;
    used_size = kept_size;
}
