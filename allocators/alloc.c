/*
 * alloc.c - the registry of designs (contract: alloc.h)
 */
#include "alloc.h"

#include <string.h>

#include "dlmalloc/dlmalloc.h"

const struct alloc_ops *const alloc_all[] = {
    &dlm_ops,
    NULL,
};

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
