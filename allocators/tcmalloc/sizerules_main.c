/*
 * sizerules_main.c - prints the table of size classes: sizetable.h
 *
 *     tcm_sizerules > allocators/tcmalloc/sizetable.h
 */
#include <stdio.h>

#include "tcmalloc/sizerules.h"

static void
print_classes(const struct tcm_class *classes, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        printf(" \\\n    CLASS(%u, %u, %u, %u, %u, %u, %u)", i,
            classes[i - 1].size, classes[i].size, classes[i].pages,
            classes[i].object_count, classes[i].batch, classes[i].front_max);
    }
    printf("\n");
}

int
main(void)
{
    struct tcm_class classes[TCM_CLASS_COUNT_MAX];
    unsigned count = tcm_sizerules_make(classes);
    unsigned small = 1;

    while (small < count && classes[small].size <= TCM_SMALL_MAX) {
        small++;
    }
    printf("/*\n"
           " * sizetable.h - the size classes, printed by tcm_sizerules\n"
           " *\n"
           " * CLASS(class, size of the class before, size, pages of a span,\n"
           " *     objects in a span, batch, front_max)\n"
           " */\n"
           "#pragma once\n\n"
           "#define TCM_CLASS_COUNT %uu\n\n"
           "/* up to TCM_SMALL_MAX */\n"
           "#define TCM_SMALL_CLASSES(CLASS)",
        count);
    print_classes(classes, 1, small);
    printf("\n#define TCM_LARGE_CLASSES(CLASS)");
    print_classes(classes, small, count);
    return 0;
}
