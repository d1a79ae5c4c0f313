/*
 * alloc.c - the registry of designs (contract: alloc.h)
 */
#include "alloc.h"

#include <string.h>

#include "designs.h" /* made by CMake: DESIGNS(X) is X(dlm_ops) ... */

#define DECLARE(ops) extern const struct alloc_ops ops;
#define ENTER(ops)   &ops,

DESIGNS(DECLARE)

const struct alloc_ops *const alloc_all[] = {DESIGNS(ENTER) NULL};

const struct alloc_ops *
alloc_find(const char *name)
{
    for (const struct alloc_ops *const *ops = alloc_all; *ops != NULL; ops++) {
        if (strcmp((*ops)->name, name) == 0) {
            return *ops;
        }
    }
    return NULL;
}
