/* Letters to a thread's loop from others.  A letter is carried out in the thread of the mailbox, in
 * the order of posting. */
#pragma once

#include <event2/event.h>
#include <stdbool.h>

#include "proxy/base/err.h"

struct mailbox;

/* Runs in the mailbox's thread. */
typedef void mail_f(void *owner, void *content);

/* `owner` is handed to each letter: what the thread works on. */
enum err mailbox_open(struct event_base *base, void *owner, struct mailbox **out) MUST_CHECK;
/* Carries out what lies in it now, in the thread of the mailbox, as its loop would. */
void mailbox_empty(struct mailbox *box);
/* Letters that were not carried out are dropped. */
void mailbox_close(struct mailbox **where);
/* Any thread.  `content` passes to the letter's function. */
void mailbox_post(struct mailbox *box, mail_f *run, void *content);
