/* See steward_keys_service.h.  The environment names one service, so all stores have the same keys.
 *
 *     got --before they end--> asks --got--> all rings have them
 *                               |  \--failed--> asks again, a little later each time
 *                               \--they ended meanwhile--> the rings are emptied
 */
#include "proxy/steward_keys_service.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/core/keyring.h"
#include "proxy/steward_keys_fetch.h"
#include "proxy/wire/http_date.h"

enum {
    AHEAD_S = 15 * 60,    /* of their end, but not in their first half */
    UNENDING_S = 15 * 60, /* how often keys without an end are asked for */
    WAIT_LEAST_S = 1,     /* after a failure; then twice that, and so on */
    WAIT_MOST_S = 60,
};

struct keys_service {
    struct keys_fetch *fetch; /* owned; NULL: nothing was asked yet */
    pthread_t thread;
    bool runs;
    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;    /* by the monotonic clock */
        struct assembly *assembly; /* counted reference; NULL: no store of it wants keys */
        struct aws_keys keys;
        bool has_keys, stops;
    } shared; /* all by the lock */
    /* The thread's. */
    int64_t ends_s, next_s; /* since 1970 */
    unsigned wait_s;
};

/* ---- rings ---- */

static bool wants(const struct endpoint_settings *e)
{
    return e->store.credentials == BLOB_CREDENTIALS_METADATA;
}

static bool any_wants(const struct snapshot *s)
{
    for (uint32_t i = 0; i < s->endpoint_count; i++)
        if (wants(&s->endpoints[i]))
            return true;
    return false;
}

/* With the lock held. */
static void put_keys(struct keys_service *k)
{
    struct assembly *a = k->shared.assembly;

    for (uint32_t i = 0; a != NULL && i < a->snapshot->endpoint_count; i++)
        if (wants(&a->snapshot->endpoints[i]))
            (void)keyring_put(a->keyrings[i], &k->shared.keys);
}

static void set_keys(struct keys_service *k, const struct aws_keys *keys)
{
    pthread_mutex_lock(&k->shared.lock);
    explicit_bzero(&k->shared.keys, sizeof(k->shared.keys));
    k->shared.has_keys = keys != NULL;
    if (keys != NULL)
        k->shared.keys = *keys;
    put_keys(k);
    pthread_mutex_unlock(&k->shared.lock);
}

static bool stops(struct keys_service *k)
{
    bool stops;

    pthread_mutex_lock(&k->shared.lock);
    stops = k->shared.stops;
    pthread_mutex_unlock(&k->shared.lock);
    return stops;
}

/* ---- the schedule ---- */

static void write_time(int64_t seconds, char out[ISO_EXTENDED_BYTES + 1])
{
    iso_extended_write(seconds * 1000, (uint8_t *)out);
    out[ISO_EXTENDED_BYTES] = '\0';
}

static void log_got(const struct keys_service *k)
{
    char ends[ISO_EXTENDED_BYTES + 1] = "never";

    if (k->ends_s != INT64_MAX)
        write_time(k->ends_s, ends);
    log_event(LOG_INFO, "keys came from a metadata service",
              log_text("from", keys_fetch_name(k->fetch)), log_text("end", ends));
}

static void got(struct keys_service *k, const struct aws_keys *keys, int64_t ends_s)
{
    int64_t now_s = clock_wall_s(), lasts_s = ends_s == INT64_MAX ? INT64_MAX : ends_s - now_s;

    k->ends_s = ends_s;
    k->wait_s = 0;
    k->next_s = lasts_s == INT64_MAX    ? now_s + UNENDING_S
                : lasts_s > 2 * AHEAD_S ? ends_s - AHEAD_S
                                        : now_s + lasts_s / 2;
    if (k->next_s < now_s + WAIT_LEAST_S)
        k->next_s = now_s + WAIT_LEAST_S;
    set_keys(k, keys);
    log_got(k);
}

static void failed(struct keys_service *k, const char *why)
{
    bool has_keys = k->ends_s > 0;
    char ends[ISO_EXTENDED_BYTES + 1] = "never";

    k->wait_s = k->wait_s == 0 ? WAIT_LEAST_S : k->wait_s * 2;
    if (k->wait_s > WAIT_MOST_S)
        k->wait_s = WAIT_MOST_S;
    k->next_s = clock_wall_s() + k->wait_s;
    if (has_keys && k->ends_s != INT64_MAX)
        write_time(k->ends_s, ends);
    log_event(LOG_WARN,
              has_keys ? "keys can't be got anew: those got before are used until they end"
                       : "keys can't be got: their stores can't be asked",
              log_text("from", keys_fetch_name(k->fetch)), log_text("why", why),
              log_text("end", has_keys ? ends : ""), log_number("again_in_s", k->wait_s));
}

static void fetch(struct keys_service *k)
{
    struct aws_keys keys = { 0 };
    struct buf why = { 0 };
    int64_t ends_s = 0;
    enum err err = keys_fetch_ask(k->fetch, &keys, &ends_s, &why);

    if (err == ERR_NONE && ends_s <= clock_wall_s()) {
        buf_text(&why, "the keys that it gives have ended already");
        err = ERR_TIMEOUT;
    }
    buf_put(&why, "", 1);
    if (err == ERR_NONE)
        got(k, &keys, ends_s);
    else if (!stops(k))
        failed(k, (const char *)why.at);
    explicit_bzero(&keys, sizeof(keys));
    buf_fini(&why);
}

static void end_keys(struct keys_service *k)
{
    log_event(LOG_ERROR, "keys have ended, and there are no others: their stores can't be asked",
              log_text("from", keys_fetch_name(k->fetch)));
    k->ends_s = 0;
    set_keys(k, NULL);
}

static int64_t due_s(const struct keys_service *k)
{
    return k->ends_s > 0 && k->ends_s < k->next_s ? k->ends_s : k->next_s;
}

/* With the lock held: until it is due, or something changed; clocks are set, so not for long. */
static void wait_a_while(struct keys_service *k)
{
    int64_t left_s = due_s(k) - clock_wall_s();
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += left_s < WAIT_MOST_S ? left_s : WAIT_MOST_S;
    pthread_cond_timedwait(&k->shared.changed, &k->shared.lock, &until);
}

static void do_what_is_due(struct keys_service *k)
{
    int64_t now_s = clock_wall_s();

    if (k->ends_s > 0 && now_s >= k->ends_s)
        end_keys(k);
    if (now_s >= k->next_s)
        fetch(k);
}

static void *serve(void *arg)
{
    struct keys_service *k = arg;

    pthread_mutex_lock(&k->shared.lock);
    while (!k->shared.stops) {
        if (k->shared.assembly == NULL) { /* nobody wants them, until a reload changes that */
            k->next_s = 0;
            pthread_cond_wait(&k->shared.changed, &k->shared.lock);
        } else if (clock_wall_s() < due_s(k)) {
            wait_a_while(k);
        } else {
            pthread_mutex_unlock(&k->shared.lock);
            do_what_is_due(k);
            pthread_mutex_lock(&k->shared.lock);
        }
    }
    pthread_mutex_unlock(&k->shared.lock);
    return NULL;
}

/* ---- life ---- */

struct keys_service *keys_service_new(void)
{
    struct keys_service *k = mem_new(sizeof(*k));
    pthread_condattr_t clock;

    pthread_mutex_init(&k->shared.lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&k->shared.changed, &clock);
    pthread_condattr_destroy(&clock);
    return k;
}

static void start(struct keys_service *k)
{
    k->fetch = keys_fetch_new();
    if (k->fetch != NULL)
        k->runs = pthread_create(&k->thread, NULL, serve, k) == 0;
    if (!k->runs)
        log_event(LOG_ERROR, "the thread that asks for keys does not start");
}

void keys_service_follow(struct keys_service *k, struct assembly *assembly)
{
    bool wanted = any_wants(assembly->snapshot);

    pthread_mutex_lock(&k->shared.lock);
    assembly_unref(&k->shared.assembly);
    k->shared.assembly = wanted ? assembly_ref(assembly) : NULL;
    if (k->shared.has_keys)
        put_keys(k);
    pthread_cond_signal(&k->shared.changed);
    pthread_mutex_unlock(&k->shared.lock);
    if (wanted && !k->runs)
        start(k);
}

void keys_service_free(struct keys_service **where)
{
    struct keys_service *k = *where;

    *where = NULL;
    if (k == NULL)
        return;
    pthread_mutex_lock(&k->shared.lock);
    k->shared.stops = true;
    pthread_cond_signal(&k->shared.changed);
    pthread_mutex_unlock(&k->shared.lock);
    if (k->runs) {
        keys_fetch_cancel(k->fetch);
        pthread_join(k->thread, NULL);
    }
    keys_fetch_free(&k->fetch);
    assembly_unref(&k->shared.assembly);
    pthread_cond_destroy(&k->shared.changed);
    pthread_mutex_destroy(&k->shared.lock);
    explicit_bzero(k, sizeof(*k));
    free(k);
}
