/* See mailbox.h.  The lock is held for list surgery only; an eventfd wakes the loop. */
#include "proxy/io/mailbox.h"

#include <event2/event_struct.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proxy/base/mem.h"

struct letter {
    struct letter *next;
    mail_f *run;
    void *content;
};

struct mailbox {
    struct event event;
    void *owner;
    int fd;
    struct {
        pthread_mutex_t lock;
        struct letter *first, *last; /* lock */
    } shared;
};

static struct letter *take_all(struct mailbox *box)
{
    struct letter *letters;

    pthread_mutex_lock(&box->shared.lock);
    letters = box->shared.first;
    box->shared.first = box->shared.last = NULL;
    pthread_mutex_unlock(&box->shared.lock);
    return letters;
}

void mailbox_empty(struct mailbox *box)
{
    struct letter *letters = take_all(box);

    while (letters != NULL) {
        struct letter *letter = letters;

        letters = letter->next;
        letter->run(box->owner, letter->content);
        free(letter);
    }
}

static void on_mail(evutil_socket_t fd, short what, void *arg)
{
    uint64_t count;

    (void)what;
    if (read((int)fd, &count, sizeof(count)) == sizeof(count)) /* else another wake-up took it */
        mailbox_empty(arg);
}

enum err mailbox_open(struct event_base *base, void *owner, struct mailbox **out)
{
    struct mailbox *box;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    if (fd < 0)
        return ERR_SYSTEM;
    box = mem_new(sizeof(*box));
    box->fd = fd;
    box->owner = owner;
    pthread_mutex_init(&box->shared.lock, NULL);
    event_assign(&box->event, base, fd, EV_READ | EV_PERSIST, on_mail, box);
    event_add(&box->event, NULL);
    *out = box;
    return ERR_NONE;
}

void mailbox_close(struct mailbox **where)
{
    struct mailbox *box = *where;
    struct letter *letters;

    *where = NULL;
    if (box == NULL)
        return;
    letters = take_all(box);
    while (letters != NULL) {
        struct letter *letter = letters;

        letters = letter->next;
        free(letter);
    }
    event_del(&box->event);
    close(box->fd);
    pthread_mutex_destroy(&box->shared.lock);
    free(box);
}

void mailbox_post(struct mailbox *box, mail_f *run, void *content)
{
    struct letter *letter = mem_new(sizeof(*letter));
    uint64_t one = 1;

    letter->run = run;
    letter->content = content;
    pthread_mutex_lock(&box->shared.lock);
    if (box->shared.last == NULL)
        box->shared.first = letter;
    else
        box->shared.last->next = letter;
    box->shared.last = letter;
    pthread_mutex_unlock(&box->shared.lock);
    if (write(box->fd, &one, sizeof(one)) != sizeof(one))
        return; /* the counter is full: the loop is awake anyway */
}
