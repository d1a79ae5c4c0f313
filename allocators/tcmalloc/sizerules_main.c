/*
 * sizerules_main.c - prints the table of size classes: sizetable.h
 *
 *     tcm_sizerules > allocators/tcmalloc/sizetable.h
 */
#include <stdio.h>

#include "tcmalloc/sizerules.h"

int
main(void)
{
    struct tcm_class classes[TCM_CLASS_COUNT_MAX];
    unsigned count = tcm_sizerules_make(classes);

    printf(
        "/*\n"
        " * sizetable.h - the size classes, printed by tcm_sizerules\n"
        " *\n"
        " * CLASS(size, pages of a span, objects in a span, batch, front_max)\n"
        " */\n"
        "#pragma once\n\n"
        "#define TCM_CLASS_COUNT %uu\n\n"
        "#define TCM_SIZETABLE(CLASS)",
        count);
    for (unsigned i = 0; i < count; i++) {
        printf(" \\\n    CLASS(%u, %u, %u, %u, %u)", classes[i].size,
            classes[i].pages, classes[i].object_count, classes[i].batch,
            classes[i].front_max);
    }
    printf("\n");
    return 0;
}
