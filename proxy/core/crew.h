/* The workers of the process, as they know each other: for letters from one to another, and for
 * what may be read of all.  A session belongs to its worker alone; who wants to know something of
 * another worker's sessions sends a letter. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

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

/* Of all workers' buffers, as of their last ticks.  Any thread. */
uint64_t crew_held_bytes(void);
/* Since the first worker came.  Any thread. */
uint64_t crew_uptime_s(void);
