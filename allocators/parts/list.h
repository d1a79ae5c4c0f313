/*
 * list.h - doubly linked circular list, its links inside its elements
 *
 *     struct list head --> link --> link --> ... --> link --> head
 *                          (each in an element)
 *
 * The head is a link too, so no operation asks whether it meets an end. An
 * element that is on no list has a link that points to itself after
 * list_remove; a fresh link is made so by list_init.
 *
 * Concurrency: none of its own; whoever guards the list guards its links.
 * Failure: none. A broken neighbour aborts in debug builds.
 * Design: Knuth, "The Art of Computer Programming" 1, 2.2.5.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

struct list {
    struct list *next, *prev;
};

/* The element that holds this link. */
#define LIST_OF(link, type, member)                                            \
    ((type *)((uintptr_t)(link)-offsetof(type, member)))

/* Every link of the list, first to last; the body must not change the list. */
#define LIST_EACH(link, list)                                                  \
    for (link = (list)->next; link != (list); link = link->next)

static inline void
list_init(struct list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool
list_empty(const struct list *list)
{
    return list->next == list;
}

/* The first or last link, or NULL. */
static inline struct list *
list_first(const struct list *list)
{
    return list_empty(list) ? NULL : list->next;
}

static inline struct list *
list_last(const struct list *list)
{
    return list_empty(list) ? NULL : list->prev;
}

/* Both neighbours point back: costs two loads, finds an overwritten link. */
static inline bool
list_joined(const struct list *link)
{
    return link->next->prev == link && link->prev->next == link;
}

/* Puts link behind place, which may be the head. */
static inline void
list_insert(struct list *place, struct list *link)
{
    ASSERT(list_joined(place));
    link->prev = place;
    link->next = place->next;
    place->next->prev = link;
    place->next = link;
}

/* In front, or at the end. */
static inline void
list_push(struct list *list, struct list *link)
{
    list_insert(list, link);
}

static inline void
list_push_last(struct list *list, struct list *link)
{
    list_insert(list->prev, link);
}

/* Takes link off its list; of a link on no list it changes nothing. */
static inline void
list_remove(struct list *link)
{
    ASSERT(list_joined(link));
    link->next->prev = link->prev;
    link->prev->next = link->next;
    list_init(link);
}

/* From its list to the front of another. */
static inline void
list_move(struct list *list, struct list *link)
{
    list_remove(link);
    list_push(list, link);
}

/* Takes off the first or last link; NULL when there is none. */
static inline struct list *
list_pop(struct list *list)
{
    struct list *link = list_first(list);

    if (link != NULL) {
        list_remove(link);
    }
    return link;
}

static inline struct list *
list_pop_last(struct list *list)
{
    struct list *link = list_last(list);

    if (link != NULL) {
        list_remove(link);
    }
    return link;
}

/* Moves all of `from` behind the last of list. */
static inline void
list_append(struct list *list, struct list *from)
{
    if (!list_empty(from)) {
        from->next->prev = list->prev;
        from->prev->next = list;
        list->prev->next = from->next;
        list->prev = from->prev;
        list_init(from);
    }
}

size_t list_count(const struct list *list); /* walks it */

void list_check(const struct list *list);        /* aborts if broken */
void list_dump(const struct list *list, int fd); /* the links' addresses */
