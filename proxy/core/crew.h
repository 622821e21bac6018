/* The workers of the process, as they know each other: for letters from one to another, and for
 * what may be read of all.  A session belongs to its worker alone; who wants to know something of
 * another worker's sessions sends a letter. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/core/worker.h"
#include "proxy/io/mailbox.h"

/* Runs in the thread of the worker that the letter was sent to. */
typedef void crew_letter_f(struct worker *w, void *content);

/* Before the worker's thread begins.  The box is borrowed until crew_leave(). */
void crew_join(struct worker *w, struct mailbox *box);
/* From then on nothing is sent to it.  What was sent before lies in its box. */
void crew_leave(struct worker *w);
/* False: there is no such worker (any more), and the content is still the caller's.  Any thread. */
bool crew_send(uint32_t index, crew_letter_f *run, void *content);
/* A letter that goes around: to the next worker from number `from` on that is there, in the order
 * of their numbers, but to the one who asked at last.  False: he has left, and it is the
 * caller's. */
bool crew_send_around(uint32_t from, uint32_t count, uint32_t asker, crew_letter_f *run,
                      void *content);

/* Reads the configuration again, in the thread of its box; false: nothing was changed, and why. */
typedef bool crew_reload_f(void *leader, struct buf *why);
/* Who does that, until it is told with a box that is NULL; box and leader are borrowed. */
void crew_follow(struct mailbox *box, void *leader, crew_reload_f *reload);
/* How it went. */
struct crew_reload {
    bool done;
    struct buf why; /* owned by whom it is handed to */
};
/* Asks for a reload; then the letter runs in this worker, with `reload` filled in; with a worker
 * that is NULL, if it left meanwhile.  False: there is nobody to ask, and it is still the
 * caller's. */
bool crew_ask_reload(uint32_t index, crew_letter_f *run, struct crew_reload *reload);

/* Of all workers' buffers, as of their last ticks.  Any thread. */
uint64_t crew_held_bytes(void);
/* Since the first worker came.  Any thread. */
uint64_t crew_uptime_s(void);
