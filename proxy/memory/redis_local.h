/* What the pool answers by itself: each file has a table of commands, redis_local.c looks in it. */
#pragma once

#include "proxy/memory/redis_front.h"

struct redis_local {
    const char *name; /* as in the command table; NULL ends the list */
    void (*plan)(struct redis_call *call);
};

extern const struct redis_local REDIS_LOCAL_SESSION[]; /* redis_local.c: HELLO, PING ... */
extern const struct redis_local REDIS_LOCAL_CLIENT[];  /* redis_local_client.c: CLIENT ... */
extern const struct redis_local REDIS_LOCAL_SERVER[];  /* redis_local_server.c: CONFIG GET ... */

#define REDIS_SERVER_VERSION "7.0.15" /* whose behaviour and words the front has */

/* 7-bit, visible, no space: as Redis wants of names. */
bool redis_local_is_name(struct slice name);
/* One of the texts that the session keeps; a value that is empty makes it NULL. */
void redis_local_set(struct redis_session *session, char **text, struct slice value);
