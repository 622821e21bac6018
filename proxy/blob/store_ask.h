/* Asks the store of a blob pool's shard and waits for the answer: for commands, which have no loop.
 * What is asked and answered is what the flow's backs ask and answer (blob.h), over libcurl or by
 * the folder's own code.
 *
 *     struct store_ask *store = NULL;
 *     TRY(store_ask_open(endpoint, &store, &why));
 *     TRY(store_ask(store, &ask, false, &answer, &why));          as often as wanted
 *     store_answer_fini(&answer);
 *     store_ask_close(&store);
 *
 * One thread at a time. */
#pragma once

#include <stdint.h>

#include "config/snapshot.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/blob/blob.h"

enum {
    STORE_ANSWER_MOST = 16 * 1024 * 1024, /* a page of the longest keys has less */
    STORE_TRIES = 4,
};

struct store_ask;

struct store_answer {
    uint16_t status;
    struct buf body;
};

enum err store_ask_open(const struct endpoint_settings *endpoint, struct store_ask **out,
                        struct buf *why) MUST_CHECK;
/* Asks again, after a while, what was not answered or answered with 5xx: only questions that change
 * nothing are asked so.  On failure `why` is a sentence, and there is no answer. */
enum err store_ask(struct store_ask *store, const struct blob_ask *ask, bool is_stamp,
                   struct store_answer *answer, struct buf *why) MUST_CHECK;
void store_answer_fini(struct store_answer *answer);
void store_ask_close(struct store_ask **where);
