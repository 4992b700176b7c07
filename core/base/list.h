/* Doubly linked intrusive lists. A node is in at most one list; an unlinked node points to itself, so that
 * removing twice is harmless. */
#ifndef TG_BASE_LIST_H
#define TG_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct tg_list {
    struct tg_list *next, *previous;
};

#define TG_CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static inline void tg_list_init(struct tg_list *list)
{
    list->next = list->previous = list;
}

static inline bool tg_list_empty(const struct tg_list *list)
{
    return list->next == list;
}

static inline void tg_list_insert_before(struct tg_list *place, struct tg_list *node)
{
    node->previous = place->previous;
    node->next = place;
    place->previous->next = node;
    place->previous = node;
}

static inline void tg_list_append(struct tg_list *list, struct tg_list *node)
{
    tg_list_insert_before(list, node);
}

static inline void tg_list_prepend(struct tg_list *list, struct tg_list *node)
{
    tg_list_insert_before(list->next, node);
}

static inline void tg_list_remove(struct tg_list *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    tg_list_init(node);
}

/* The first node, or NULL. */
static inline struct tg_list *tg_list_first(const struct tg_list *list)
{
    return tg_list_empty(list) ? NULL : list->next;
}

#endif
