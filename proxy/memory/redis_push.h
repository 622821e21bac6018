/* The words of publish and subscribe: what servers push, and what subscribers are told.
 *
 * A frame is the same in RESP2 and RESP3 but for its first byte ('*' or '>'), so messages pass from
 * one to the other as they are.  Confirmations do not: each server counts what it knows of, and a
 * session's subscriptions stand on many. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

/* The three name spaces; a session counts the third apart from the first two. */
enum redis_space { REDIS_CHANNELS, REDIS_PATTERNS, REDIS_SHARD_CHANNELS, REDIS_SPACES };

enum redis_push_kind {
    REDIS_PUSH_OTHER,        /* an answer to PING, or what we have no word for */
    REDIS_PUSH_MESSAGE,      /* `space` and `name` tell what it came by */
    REDIS_PUSH_CONFIRMATION, /* of one name */
    REDIS_PUSH_ERROR,        /* a whole command is refused */
};

struct redis_push {
    enum redis_push_kind kind;
    enum redis_space space;
    struct slice name; /* channel or pattern; borrowed from the frame */
};

/* One of the six commands. */
struct redis_subscribing {
    enum redis_space space;
    bool ends; /* UNSUBSCRIBE and its like */
};

/* What a whole frame is; anything may be given. */
void redis_push_read(struct slice frame, struct redis_push *out);

/* `command` is its name in lower case; it must be one of the six. */
struct redis_subscribing redis_subscribing_of(const char *command);
/* Keyspace events are told by the server that has the key, whatever the channel's own hash says. */
bool redis_channel_is_of_all_servers(struct slice channel);

/* `what` for one name with the session's count; a name of NULL is the answer to UNSUBSCRIBE without
 * anything subscribed.  `version` is 2 or 3. */
void redis_push_confirm(struct buf *out, unsigned version, struct redis_subscribing what,
                        struct slice name, uint64_t count);
char redis_push_first_byte(unsigned version);

/* A command, in two steps: its names one by one into a buffer, then all of it. */
void redis_push_put_name(struct buf *names, struct slice name);
void redis_push_put_command(struct buf *out, struct redis_subscribing what, size_t count,
                            struct slice names);
struct slice redis_push_ping(void);
