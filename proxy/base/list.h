/* Doubly linked ring, embedded in its elements.  A link knows its neighbours, so it can leave a
 * list without being told which; a link that is on no list points to itself or is all zero. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev; /* borrowed: the ring */
};

#define LIST_ITEM(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

/* Walks the ring; the current element may leave the list inside the body. */
#define LIST_EACH(head, link)                                                                      \
    for (struct list *link = (head)->next, *link##_next_ = link->next; link != (head);             \
         link = link##_next_, link##_next_ = link->next)

static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head || head->next == NULL;
}

/* Is this link on some list? */
static inline bool list_is_linked(const struct list *link)
{
    return !list_is_empty(link);
}

static inline void list_remove(struct list *link)
{
    if (link->next != NULL) {
        link->next->prev = link->prev;
        link->prev->next = link->next;
    }
    link->next = link->prev = link;
}

/* The link must be on no list. */
static inline void list_append(struct list *head, struct list *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void list_prepend(struct list *head, struct list *link)
{
    list_append(head->next, link); /* before the one that was the first */
}

static inline struct list *list_first(struct list *head)
{
    /* What was freed left the list before, which the analyzer does not follow:
     * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    return list_is_empty(head) ? NULL : head->next;
}
