/* See steward_keys.h. */
#include "proxy/steward_keys.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/core/keyring.h"

/* How a file looks. */
struct look {
    dev_t device;
    ino_t inode;
    off_t len;
    struct timespec changed;
};

/* One that changes may be written just now: it is read when it looks as it did a second ago. */
struct watch {
    struct look seen, read;
};

struct steward_keys {
    struct assembly *assembly; /* borrowed */
    struct watch *watches;     /* by endpoint number */
};

struct steward_keys *steward_keys_new(void)
{
    return mem_new(sizeof(struct steward_keys));
}

void steward_keys_free(struct steward_keys **where)
{
    struct steward_keys *k = *where;

    *where = NULL;
    if (k == NULL)
        return;
    free(k->watches);
    free(k);
}

/* All are read once more: they may have changed since the configuration was loaded. */
void steward_keys_follow(struct steward_keys *k, struct assembly *assembly)
{
    free(k->watches);
    k->assembly = assembly;
    k->watches = mem_new(assembly->snapshot->endpoint_count * sizeof(*k->watches));
}

static struct look look_at(const char *file)
{
    struct stat stat_;

    if (stat(file, &stat_) != 0)
        return (struct look){ .len = -1 };
    return (struct look){ stat_.st_dev, stat_.st_ino, stat_.st_size, stat_.st_mtim };
}

static bool are_same(const struct look *a, const struct look *b)
{
    return a->device == b->device && a->inode == b->inode && a->len == b->len &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static void read_again(const struct endpoint_settings *e, struct keyring *ring)
{
    struct aws_keys keys = { 0 };
    struct buf why = { 0 };
    enum err err = aws_keys_read(e->store.credentials_file, &keys, &why);

    buf_put(&why, "", 1);
    if (err != ERR_NONE)
        log_event(LOG_WARN, "a file of keys can't be used: those read before are kept",
                  log_text("file", e->store.credentials_file), log_text("endpoint", e->name),
                  log_text("pool", e->pool->name), log_text("why", (const char *)why.at));
    else if (keyring_put(ring, &keys))
        log_event(LOG_INFO, "new keys were read", log_text("file", e->store.credentials_file),
                  log_text("endpoint", e->name), log_text("pool", e->pool->name));
    explicit_bzero(&keys, sizeof(keys));
    buf_fini(&why);
}

void steward_keys_tick(struct steward_keys *k)
{
    const struct snapshot *s = k->assembly->snapshot;

    for (uint32_t i = 0; i < s->endpoint_count; i++) {
        const struct endpoint_settings *e = &s->endpoints[i];
        struct watch *watch = &k->watches[i];
        struct look now;
        bool rests;

        if (e->store.credentials != BLOB_CREDENTIALS_FILE)
            continue;
        now = look_at(e->store.credentials_file);
        rests = are_same(&now, &watch->seen);
        watch->seen = now;
        if (!rests || are_same(&now, &watch->read))
            continue;
        watch->read = now;
        read_again(e, k->assembly->keyrings[i]);
    }
}
