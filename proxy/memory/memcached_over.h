/* memcached clients over Redis and embedded shards: what the front wants to ask servers, in text
 * and meta commands, becomes Redis's requests here, and their replies become the text replies that
 * the front's merges know.  What each command becomes stands in memcached_over.def, how values are
 * kept in memcached_kept.h.
 *
 *     memcached_over.c         the table; requests
 *     memcached_over_reply.c   replies
 *     memcached_script.c       what Redis has no command for; embedded stores: verbs_memcached.c */
#pragma once

#include "proxy/memory/memcached_front.h"

/* Which replies a request has. */
enum memcached_over_answer {
    MEMCACHED_OVER_VALUES, /* an array of values: MGET */
    MEMCACHED_OVER_VALUE,  /* one value for each key: GETEX */
    MEMCACHED_OVER_DONE,   /* OK, or nothing: it was not stored */
    MEMCACHED_OVER_COUNT,  /* 1, or 0: it is not there */
    MEMCACHED_OVER_SCRIPT,
};

/* One command as the front wrote it, and how it is answered. */
struct memcached_over_ask {
    enum memcached_verb verb;
    enum memcached_over_answer answer;
    struct slice line; /* in the arena, with its CR LF behind it */
    uint64_t cas;      /* the value's, if it is stored */
    int64_t now_s;     /* when it was asked, since 1970 */
};

enum { MEMCACHED_OVER_ASKS = 2, MEMCACHED_OVER_WORDS = 16 };

struct memcached_over_part {
    struct memcached_over_ask asks[MEMCACHED_OVER_ASKS];
    uint32_t count;
};

struct memcached_over_note {
    memory_merge_f *merge; /* the front's own; NULL: the reply goes as it is */
    void *note;
    struct memcached_over_part *parts;
    bool runs_script, has_sent_script;
    bool is_text;  /* or meta: not binary */
    bool has_made; /* a number that was not there, of which quiet clients are told, too */
};

/* After the front's plan: turns the parts into Redis's, or refuses. */
void memcached_over_translate(struct memcached_call *call);
void memcached_over_merge(struct memory_merge *m);

/* The flag's word behind the first ones of a meta command's line; .at is NULL: it is not there. */
struct slice memcached_over_flag(struct slice line, enum memcached_verb verb, char flag);
