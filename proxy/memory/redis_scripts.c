/* See redis_scripts.h.  Static memory, against the rule: the store must outlive workers' and
 * snapshots' memory, and be one for all workers.  A lock guards lists and counters only; bodies are
 * copied out under it.  EVAL of a body seen before costs a look-up by XXH3, not a SHA1. */
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proxy/base/list.h"
#include "proxy/base/mem.h"
#include "proxy/memory/redis_scripts.h"

enum { BUCKETS = 1024, SCRIPT_OVERHEAD_BYTES = 128 };

struct script {
    struct list by_age;                  /* of redis_scripts.by_age, the oldest first */
    struct script *next_sha, *next_body; /* borrowed: the bucket's chain */
    uint8_t sha[REDIS_SHA_BYTES];
    uint64_t body_hash;
    size_t len;
    uint8_t body[];
};

struct redis_scripts {
    struct redis_scripts *next; /* borrowed: the list of stores */
    char *pool;
    uint32_t refs;
    pthread_mutex_t lock; /* guards all below */
    struct list by_age;   /* owns the scripts */
    struct script *by_sha[BUCKETS], *by_body[BUCKETS];
    uint64_t bytes, most_bytes;
};

static pthread_mutex_t stores_lock = PTHREAD_MUTEX_INITIALIZER;
static struct redis_scripts *stores; /* under stores_lock, with their refs */

struct redis_scripts *redis_scripts_open(const char *pool, uint64_t most_bytes)
{
    struct redis_scripts *s;

    pthread_mutex_lock(&stores_lock);
    for (s = stores; s != NULL && strcmp(s->pool, pool) != 0;)
        s = s->next;
    if (s == NULL) {
        s = mem_new(sizeof(*s));
        s->pool = mem_text(pool);
        s->next = stores;
        stores = s;
        list_init(&s->by_age);
        pthread_mutex_init(&s->lock, NULL);
    }
    s->refs++;
    pthread_mutex_unlock(&stores_lock);
    pthread_mutex_lock(&s->lock);
    s->most_bytes = most_bytes;
    pthread_mutex_unlock(&s->lock);
    return s;
}

static size_t bucket_of(const uint8_t *sha)
{
    uint32_t word;

    memcpy(&word, sha, sizeof(word));
    return word % BUCKETS;
}

static void unchain(struct redis_scripts *s, struct script *script)
{
    struct script **link = &s->by_sha[bucket_of(script->sha)];

    while (*link != script)
        link = &(*link)->next_sha;
    *link = script->next_sha;
    link = &s->by_body[script->body_hash % BUCKETS];
    while (*link != script)
        link = &(*link)->next_body;
    *link = script->next_body;
}

static void drop(struct redis_scripts *s, struct script *script)
{
    unchain(s, script);
    list_remove(&script->by_age);
    s->bytes -= script->len + SCRIPT_OVERHEAD_BYTES;
    free(script);
}

static void drop_all(struct redis_scripts *s)
{
    LIST_EACH (&s->by_age, link) {
        drop(s, LIST_ITEM(link, struct script, by_age));
    }
}

void redis_scripts_forget(struct redis_scripts *s)
{
    pthread_mutex_lock(&s->lock);
    drop_all(s);
    pthread_mutex_unlock(&s->lock);
}

void redis_scripts_close(struct redis_scripts **scripts)
{
    struct redis_scripts *s = *scripts, **link = &stores;

    *scripts = NULL;
    pthread_mutex_lock(&stores_lock);
    if (--s->refs > 0) {
        pthread_mutex_unlock(&stores_lock);
        return;
    }
    while (*link != s)
        link = &(*link)->next;
    *link = s->next;
    pthread_mutex_unlock(&stores_lock);
    drop_all(s);
    pthread_mutex_destroy(&s->lock);
    free(s->pool);
    free(s);
}

static struct script *find_body(struct redis_scripts *s, struct slice body, uint64_t hash)
{
    struct script *script = s->by_body[hash % BUCKETS];

    while (script != NULL &&
           (script->body_hash != hash || !slice_is(slice_of(script->body, script->len), body)))
        script = script->next_body;
    return script;
}

static void touch(struct redis_scripts *s, struct script *script)
{
    list_remove(&script->by_age);
    list_append(&s->by_age, &script->by_age);
}

static void add(struct redis_scripts *s, struct slice body, uint64_t hash)
{
    struct script *script = mem_new(sizeof(*script) + body.len), **bucket;

    memcpy(script->body, body.at, body.len);
    script->len = body.len;
    script->body_hash = hash;
    SHA1(body.at, body.len, script->sha);
    bucket = &s->by_sha[bucket_of(script->sha)];
    script->next_sha = *bucket;
    *bucket = script;
    bucket = &s->by_body[hash % BUCKETS];
    script->next_body = *bucket;
    *bucket = script;
    list_append(&s->by_age, &script->by_age);
    s->bytes += body.len + SCRIPT_OVERHEAD_BYTES;
}

/* Drops the oldest until another of `len` bytes has its place. */
static void make_room(struct redis_scripts *s, size_t len)
{
    LIST_EACH (&s->by_age, link) {
        if (s->bytes + len + SCRIPT_OVERHEAD_BYTES <= s->most_bytes)
            return;
        drop(s, LIST_ITEM(link, struct script, by_age));
    }
}

void redis_scripts_remember(struct redis_scripts *s, struct slice body)
{
    uint64_t hash = XXH3_64bits(body.at, body.len);
    struct script *script;

    pthread_mutex_lock(&s->lock);
    script = find_body(s, body, hash);
    if (script != NULL) {
        touch(s, script);
    } else if (body.len > 0 && body.len + SCRIPT_OVERHEAD_BYTES <= s->most_bytes) {
        make_room(s, body.len);
        add(s, body, hash);
    }
    pthread_mutex_unlock(&s->lock);
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_sha(struct slice text, uint8_t *sha)
{
    if (text.len != REDIS_SHA_BYTES * 2)
        return false;
    for (size_t i = 0; i < REDIS_SHA_BYTES; i++) {
        int high = digit(text.at[i * 2]), low = digit(text.at[i * 2 + 1]);

        if (high < 0 || low < 0)
            return false;
        sha[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool redis_scripts_find(struct redis_scripts *s, struct slice text, struct arena *arena,
                        struct slice *body)
{
    uint8_t sha[REDIS_SHA_BYTES];
    struct script *script;

    if (!read_sha(text, sha))
        return false;
    pthread_mutex_lock(&s->lock);
    script = s->by_sha[bucket_of(sha)];
    while (script != NULL && memcmp(script->sha, sha, sizeof(sha)) != 0)
        script = script->next_sha;
    if (script != NULL) {
        *body = arena_copy(arena, slice_of(script->body, script->len));
        touch(s, script);
    }
    pthread_mutex_unlock(&s->lock);
    return script != NULL;
}
