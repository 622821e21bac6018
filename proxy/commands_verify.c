/* See commands.h: verify.  A few threads walk the shards, each one at a time; this one tells how
 * far they are.  What is found goes to standard output as it is found, progress to stderr. */
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/mem.h"
#include "proxy/blob/verify.h"
#include "proxy/commands.h"
#include "proxy/commands_pool.h"
#include "shard/stamp.h"

enum {
    THREADS_MOST = 16,
    SCREEN_US = 200 * 1000,     /* how often progress is told: on a terminal, */
    LINES_US = 10 * 1000 * 1000 /* elsewhere */
};

struct verification {
    const struct pool_settings *pool;
    struct shard_map *map;
    struct slice bucket, prefix;
    bool as_json;
    struct verify_shard *shards; /* owned, as the next */
    struct buf *stamps;
    atomic_uint next;     /* to be walked */
    pthread_mutex_t lock; /* of standard output */
    sem_t walked;
};

struct totals {
    unsigned long long objects, bytes, misplaced, bad_stamps, missing_stamps;
    uint32_t done, failed;
};

/* ---- what is found ---- */

/* What could steer a terminal or end the line is percent-coded. */
static void put_name(struct buf *out, struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.at[i] < ' ' || name.at[i] == 0x7f || name.at[i] == '%')
            buf_format(out, "%%%02X", name.at[i]);
        else
            buf_put(out, &name.at[i], 1);
    }
}

static const char *name_of(const struct verification *all, uint32_t shard)
{
    return all->pool->endpoints[shard]->name;
}

static void put_text(cJSON *json, const char *name, struct slice value)
{
    struct buf text = { 0 };

    buf_slice(&text, value);
    buf_put(&text, "", 1);
    cJSON_AddStringToObject(json, name, (const char *)text.at);
    buf_fini(&text);
}

static void print_json(cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);

    puts(text);
    cJSON_free(text);
    cJSON_Delete(json);
}

static void tell_as_json(const struct verify_shard *v, const struct verify_finding *f)
{
    const struct verification *all = v->owner;
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "found", f->stamp.len > 0 ? "stamp" : "misplaced");
    put_text(json, "bucket", f->bucket);
    put_text(json, "key", f->key);
    cJSON_AddNumberToObject(json, "shard", v->endpoint->shard);
    cJSON_AddStringToObject(json, "endpoint", v->endpoint->name);
    if (f->stamp.len > 0) {
        put_text(json, "why", f->stamp);
    } else {
        cJSON_AddNumberToObject(json, "belongs_on", f->belongs_on);
        cJSON_AddStringToObject(json, "belongs_on_endpoint", name_of(all, f->belongs_on));
        cJSON_AddNumberToObject(json, "bytes", (double)f->size);
    }
    print_json(json);
}

static void tell_as_text(const struct verify_shard *v, const struct verify_finding *f)
{
    const struct verification *all = v->owner;
    struct buf line = { 0 };

    if (f->stamp.len > 0) {
        buf_format(&line, "stamp\tshard %u (%s)", v->endpoint->shard, v->endpoint->name);
        if (f->bucket.len > 0) {
            buf_text(&line, ", bucket ");
            put_name(&line, f->bucket);
        }
        buf_text(&line, ":\t");
        buf_slice(&line, f->stamp);
    } else {
        buf_text(&line, "misplaced\t");
        put_name(&line, f->bucket);
        buf_text(&line, "/");
        put_name(&line, f->key);
        buf_format(&line, "\tis on shard %u (%s)\tbelongs on shard %u (%s)", v->endpoint->shard,
                   v->endpoint->name, f->belongs_on, name_of(all, f->belongs_on));
    }
    printf("%.*s\n", (int)line.len, (const char *)line.at);
    buf_fini(&line);
}

static void found(struct verify_shard *v, const struct verify_finding *finding)
{
    struct verification *all = v->owner;

    pthread_mutex_lock(&all->lock);
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr); /* the line of progress */
    if (all->as_json)
        tell_as_json(v, finding);
    else
        tell_as_text(v, finding);
    fflush(stdout);
    pthread_mutex_unlock(&all->lock);
}

/* ---- how far it is ---- */

static struct totals add_up(const struct verification *all)
{
    struct totals t = { 0 };

    for (uint32_t i = 0; i < all->pool->endpoint_count; i++) {
        const struct verify_shard *v = &all->shards[i];
        bool is_done = atomic_load(&v->is_done);

        t.objects += atomic_load(&v->objects);
        t.bytes += atomic_load(&v->bytes);
        t.misplaced += atomic_load(&v->misplaced);
        t.bad_stamps += atomic_load(&v->bad_stamps);
        t.missing_stamps += atomic_load(&v->missing_stamps);
        t.done += is_done;
        t.failed += is_done && v->err != ERR_NONE;
    }
    return t;
}

static void tell_progress(struct verification *all, bool on_terminal)
{
    struct totals t = add_up(all);

    pthread_mutex_lock(&all->lock);
    fprintf(stderr, "%ssheaf verify: %llu objects seen, %llu misplaced; %u of %u shards done%s",
            on_terminal ? "\r\033[K" : "", t.objects, t.misplaced, t.done,
            all->pool->endpoint_count, on_terminal ? "" : "\n");
    fflush(stderr);
    pthread_mutex_unlock(&all->lock);
}

/* Until so many walks have ended. */
static void watch(struct verification *all, uint32_t threads)
{
    bool on_terminal = isatty(STDERR_FILENO);
    uint64_t every_us = on_terminal ? SCREEN_US : LINES_US;

    while (threads > 0) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += (time_t)(every_us / 1000000);
        until.tv_nsec += (long)(every_us % 1000000) * 1000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (sem_timedwait(&all->walked, &until) == 0)
            threads--;
        else if (errno == ETIMEDOUT)
            tell_progress(all, on_terminal);
    }
    if (on_terminal)
        fputs("\r\033[K", stderr);
}

/* ---- the outcome ---- */

static void put_figures(cJSON *json, const struct totals *t)
{
    cJSON_AddNumberToObject(json, "objects", (double)t->objects);
    cJSON_AddNumberToObject(json, "bytes", (double)t->bytes);
    cJSON_AddNumberToObject(json, "misplaced", (double)t->misplaced);
    cJSON_AddNumberToObject(json, "bad_stamps", (double)t->bad_stamps);
    cJSON_AddNumberToObject(json, "missing_stamps", (double)t->missing_stamps);
}

static void conclude_shard(const struct verification *all, const struct verify_shard *v)
{
    struct totals t = { .objects = atomic_load(&v->objects),
                        .bytes = atomic_load(&v->bytes),
                        .misplaced = atomic_load(&v->misplaced),
                        .bad_stamps = atomic_load(&v->bad_stamps),
                        .missing_stamps = atomic_load(&v->missing_stamps) };

    if (all->as_json) {
        cJSON *json = cJSON_CreateObject();

        cJSON_AddNumberToObject(json, "shard", v->endpoint->shard);
        cJSON_AddStringToObject(json, "endpoint", v->endpoint->name);
        cJSON_AddNumberToObject(json, "buckets", (double)atomic_load(&v->buckets));
        put_figures(json, &t);
        if (v->err != ERR_NONE)
            put_text(json, "failed", buf_all(&v->why));
        print_json(json);
        return;
    }
    printf("shard %u (%s): %llu objects of %llu bytes, in %llu buckets: %llu misplaced, %s\n",
           v->endpoint->shard, v->endpoint->name, t.objects, t.bytes,
           (unsigned long long)atomic_load(&v->buckets), t.misplaced,
           v->stamp.len == 0      ? "stamps are off"
           : t.bad_stamps > 0     ? "of another place by its stamp"
           : t.missing_stamps > 0 ? "not stamped yet"
           : v->err != ERR_NONE   ? "of its stamp all is not known"
                                  : "its stamp is right");
    if (v->err != ERR_NONE)
        printf("shard %u (%s): NOT WALKED TO ITS END: %.*s\n", v->endpoint->shard,
               v->endpoint->name, (int)v->why.len, (const char *)v->why.at);
}

static int conclude(const struct verification *all)
{
    struct totals t = add_up(all);
    bool is_fine = t.misplaced == 0 && t.bad_stamps == 0 && t.failed == 0;

    for (uint32_t i = 0; i < all->pool->endpoint_count; i++)
        conclude_shard(all, &all->shards[i]);
    if (all->as_json) {
        cJSON *json = cJSON_CreateObject();

        cJSON_AddStringToObject(json, "pool", all->pool->name);
        cJSON_AddNumberToObject(json, "shards", all->pool->endpoint_count);
        put_figures(json, &t);
        cJSON_AddNumberToObject(json, "failed_shards", t.failed);
        cJSON_AddBoolToObject(json, "fine", is_fine);
        print_json(json);
    } else {
        printf("pool %s: %llu objects of %llu bytes, %llu misplaced%s\n", all->pool->name,
               t.objects, t.bytes, t.misplaced,
               t.failed > 0 ? "; NOT ALL SHARDS WERE WALKED TO THEIR END" : "");
    }
    return is_fine ? COMMANDS_FINE : COMMANDS_FAILED;
}

/* ---- walking ---- */

static void *walk(void *arg)
{
    struct verification *all = arg;
    uint32_t i;

    while ((i = atomic_fetch_add(&all->next, 1)) < all->pool->endpoint_count)
        verify_shard_walk(&all->shards[i]);
    sem_post(&all->walked);
    return NULL;
}

static enum err prepare(struct verification *all)
{
    const struct pool_settings *pool = all->pool;

    TRY(commands_make_map("verify", pool, &all->map));
    all->shards = mem_new(pool->endpoint_count * sizeof(*all->shards));
    all->stamps = mem_new(pool->endpoint_count * sizeof(*all->stamps));
    for (uint32_t i = 0; i < pool->endpoint_count; i++) {
        struct verify_shard *v = &all->shards[i];
        struct stamp stamp;

        if (blob_pool_of(pool)->stamp) {
            TRY(stamp_expect(&stamp, pool->name, all->map, i, 1));
            stamp_write(&stamp, &all->stamps[i]);
        }
        v->endpoint = pool->endpoints[i];
        v->map = all->map;
        v->stamp = buf_all(&all->stamps[i]);
        v->bucket = all->bucket;
        v->prefix = all->prefix;
        v->found = found;
        v->owner = all;
    }
    return ERR_NONE;
}

static void finish(struct verification *all)
{
    for (uint32_t i = 0; i < all->pool->endpoint_count && all->shards != NULL; i++) {
        verify_shard_fini(&all->shards[i]);
        buf_fini(&all->stamps[i]);
    }
    free(all->shards);
    free(all->stamps);
    shard_map_free(&all->map);
}

static int verify(struct verification *all)
{
    pthread_t threads[THREADS_MOST];
    uint32_t count = all->pool->endpoint_count, started = 0;
    int code = COMMANDS_USAGE;

    if (prepare(all) == ERR_NONE) {
        curl_global_init(CURL_GLOBAL_DEFAULT);
        sem_init(&all->walked, 0, 0);
        pthread_mutex_init(&all->lock, NULL);
        while (started < count && started < THREADS_MOST &&
               pthread_create(&threads[started], NULL, walk, all) == 0)
            started++;
        watch(all, started);
        for (uint32_t i = 0; i < started; i++)
            pthread_join(threads[i], NULL);
        code = started == 0 ? COMMANDS_FAILED : conclude(all);
        pthread_mutex_destroy(&all->lock);
        sem_destroy(&all->walked);
    }
    finish(all);
    return code;
}

/* ---- the command line ---- */

static int usage(void)
{
    fputs(
        "usage: sheaf verify [--json] [--bucket NAME] [--prefix TEXT] FILE POOL\n"
        "Walks the shards of a blob pool, whether Sheaf runs or not, and tells which objects lie\n"
        "where the pool's map does not look for them, and shards that are stamped as another's.\n"
        "It changes nothing.  Exit code 1: there is such, or a shard could not be walked.\n",
        stderr);
    return COMMANDS_USAGE;
}

static bool take_options(struct verification *all, int count, char **words, int *at)
{
    for (*at = 1; *at < count && words[*at][0] == '-'; ++*at) {
        bool has_value = *at + 1 < count;

        if (strcmp(words[*at], "--json") == 0)
            all->as_json = true;
        else if (strcmp(words[*at], "--bucket") == 0 && has_value)
            all->bucket = slice_text(words[++*at]);
        else if (strcmp(words[*at], "--prefix") == 0 && has_value)
            all->prefix = slice_text(words[++*at]);
        else
            return false;
    }
    return count - *at == 2;
}

int command_verify(int count, char **words)
{
    struct verification all = { 0 };
    struct snapshot *snapshot;
    int at, code = COMMANDS_USAGE;

    if (!take_options(&all, count, words, &at))
        return usage();
    snapshot = commands_load(words[at]);
    if (snapshot == NULL)
        return COMMANDS_USAGE;
    all.pool = commands_find_pool("verify", snapshot, words[at + 1], "it has no shards");
    if (all.pool != NULL && all.pool->kind == POOL_BLOB)
        code = verify(&all);
    else if (all.pool != NULL)
        fprintf(stderr, "sheaf verify: pool \"%s\" is of the kind %s; blob pools can be verified\n",
                all.pool->name, pool_kind_name(all.pool->kind));
    snapshot_free(&snapshot);
    return code;
}
