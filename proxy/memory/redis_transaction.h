/* MULTI, EXEC, DISCARD, WATCH, UNWATCH.  See redis_transaction.c. */
#pragma once

#include <stdbool.h>

#include "proxy/memory/redis_front.h"

/* Does the session stand in MULTI, and is this command one that is kept for EXEC? */
bool redis_transaction_queues(const struct redis_call *call);
void redis_transaction_queue(struct redis_call *call);
/* How many commands it has queued; -1: it does not stand in MULTI. */
int64_t redis_transaction_queued(const struct redis_session *session);
bool redis_transaction_watches(const struct redis_session *session);
/* An error was answered: within MULTI, EXEC must refuse. */
void redis_transaction_spoil(struct redis_session *session);
/* The command was refused before anything of it was done, with the error at `answered` in the
 * answer: if it was EXEC, its transaction is over. */
void redis_transaction_rejected(struct redis_call *call, size_t answered);
/* RESET, and the end: as if it had never begun.  The upstream that watches is given back by
 * op->end_leases. */
void redis_transaction_forget(struct redis_session *session);
