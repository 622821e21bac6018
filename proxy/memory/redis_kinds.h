/* The plan functions, one for each kind of command; redis_plan.c calls them after its checks. */
#pragma once

#include "proxy/memory/redis_front.h"

void redis_plan_split(struct redis_call *call);    /* redis_split.c */
void redis_plan_database(struct redis_call *call); /* redis_database.c */
void redis_plan_swapdb(struct redis_call *call);
void redis_plan_every_shard(struct redis_call *call); /* redis_every_shard.c */
void redis_plan_any_shard(struct redis_call *call);
void redis_plan_admin(struct redis_call *call);
void redis_plan_scan(struct redis_call *call);        /* redis_stamp.c */
void redis_plan_local(struct redis_call *call);       /* redis_local.c */
void redis_plan_script(struct redis_call *call);      /* redis_script.c */
void redis_plan_transaction(struct redis_call *call); /* redis_transaction.c */

/* A command that is not in the table (redis_learn.c): one that was learned, or the way to learn. */
const struct redis_command *redis_learn_find(const struct redis_shared *shared,
                                             const struct slice *words, size_t count);
void redis_plan_learn(struct redis_call *call);

/* All keys on one shard: the request as it came (redis_plan.c). */
void redis_plan_keyed(struct redis_call *call);

/* The words of COPY or MOVE as the shard's server must hear them, in the arena.  False: answered
 * with an error. */
bool redis_database_words(struct redis_call *call, uint32_t shard, const struct slice **words);

/* Remembers the body of EVAL.  False: answered, for this user may run no scripts. */
bool redis_script_admits(struct redis_call *call);
