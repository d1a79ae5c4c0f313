/*
 * list.c - doubly linked circular list: what walks it (contract: list.h)
 *
 * Invariants, between calls:
 *   I1  link->next->prev == link, for every link and the head.
 *   I2  Following next from the head leads back to it.
 */
#include "parts/list.h"

#include "base/print.h"

size_t
list_count(const struct list *list)
{
    const struct list *link;
    size_t count = 0;

    LIST_EACH (link, list) {
        count++;
    }
    return count;
}

/* I1 at every step means that no link is met twice but the head: two links
 * would have to share a successor, whose prev names only one. Hence I2. */
void
list_check(const struct list *list)
{
    const struct list *link = list;

    do {
        CHECK(link->next != NULL);
        CHECK(link->next->prev == link); /* I1 */
        link = link->next;
    } while (link != list); /* I2 */
}

void
list_dump(const struct list *list, int fd)
{
    struct print print;
    const struct list *link;

    print_init(&print, fd);
    print_format(&print, "list %p:", (const void *)list);
    LIST_EACH (link, list) {
        print_format(&print, " %p", (const void *)link);
    }
    print_text(&print, "\n");
    print_flush(&print);
}
