/* rocksdb:///FOLDER: a store in a folder of RocksDB's.
 *
 * What is put waits in a batch that gets look into, too, and is written by commit in one piece: so
 * a crash leaves all of it or nothing.  Behind the keys' rows (store_row.h) stand those of a
 * database that nobody has, COUNTS: of each database how many keys it has.  Beside RocksDB's files
 * in the folder lies one of ours, store.lock (store_lock.h). */
#include <fcntl.h>
#include <inttypes.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/memory/memory.h"
#include "proxy/memory/store_counts.h"
#include "proxy/memory/store_disk.h"
#include "proxy/memory/store_lock.h"
#include "proxy/memory/store_row.h"

enum { DATABASES_MOST = 65536 };
#define COUNTS UINT32_MAX

struct store {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_readoptions_t *reads;
    rocksdb_writeoptions_t *writes, *synced_writes;
    rocksdb_writebatch_wi_t *batch;
    struct store_counts counts, committed; /* as in the batch, and as written down */
    struct buf row, value;
    char *found; /* of the last get; RocksDB's */
    char *path;
    bool has_failed; /* to write, when it was to last */
    int lock;
    char why[200];
};

/* ---- errors ---- */

static enum err failed(struct store *s, char *message)
{
    if (message == NULL)
        return ERR_NONE;
    snprintf(s->why, sizeof(s->why), "%s", message);
    rocksdb_free(message);
    return ERR_SYSTEM;
}

static const char *rocks_why(struct store *s)
{
    return s->why;
}

/* ---- rows ---- */

static struct slice key_row(struct store *s, const struct store_key *key)
{
    store_row_key(&s->row, key);
    return buf_all(&s->row);
}

static enum err look(struct store *s, struct slice row, struct slice *out)
{
    char *message = NULL;
    size_t len;

    rocksdb_free(s->found);
    s->found = rocksdb_writebatch_wi_get_from_batch_and_db(
        s->batch, s->db, s->reads, (const char *)row.at, row.len, &len, &message);
    TRY(failed(s, message));
    if (s->found == NULL)
        return ERR_NOT_FOUND;
    *out = slice_of(s->found, len);
    return ERR_NONE;
}

static enum err rocks_get(struct store *s, const struct store_key *key, struct store_value *out)
{
    struct slice row;

    TRY(look(s, key_row(s, key), &row));
    if (store_row_read_value(row, out))
        return ERR_NONE;
    snprintf(s->why, sizeof(s->why), "a row is not of this store's form");
    return ERR_SYSTEM;
}

static enum err rocks_put(struct store *s, const struct store_key *key,
                          const struct store_value *value)
{
    struct slice row, was;
    enum err err;

    store_row_value(&s->value, value); /* it may lie in what is looked at next */
    row = key_row(s, key);
    err = look(s, row, &was);
    if (err == ERR_NOT_FOUND)
        store_counts_add(&s->counts, key->database, 1);
    else if (err != ERR_NONE)
        return err;
    rocksdb_writebatch_wi_put(s->batch, (const char *)row.at, row.len, (const char *)s->value.at,
                              s->value.len);
    return ERR_NONE;
}

static enum err rocks_drop(struct store *s, const struct store_key *key)
{
    struct slice row = key_row(s, key), was;

    TRY(look(s, row, &was));
    rocksdb_writebatch_wi_delete(s->batch, (const char *)row.at, row.len);
    store_counts_add(&s->counts, key->database, -1);
    return ERR_NONE;
}

/* ---- walking ---- */

/* One row; false: enough. */
static bool walk_row(rocksdb_iterator_t *at, uint32_t database, uint64_t *place, bool *is_last,
                     bool *goes_on, store_visit_f *visit, void *arg)
{
    size_t key_len, value_len;
    const char *key = rocksdb_iter_key(at, &key_len), *bytes = rocksdb_iter_value(at, &value_len);
    struct store_value value;
    struct slice name;
    uint32_t here;
    uint64_t where;

    if (!store_row_read_key(slice_of(key, key_len), &here, &where, &name) || here != database) {
        *is_last = true;
        return false;
    }
    if (!*goes_on && where != *place) {
        *place = where;
        return false;
    }
    *place = where;
    if (store_row_read_value(slice_of(bytes, value_len), &value))
        *goes_on &= visit(arg, where, name, &value);
    return true;
}

static enum err rocks_walk(struct store *s, uint32_t database, uint64_t *place, uint64_t most,
                           store_visit_f *visit, void *arg)
{
    rocksdb_iterator_t *at = rocksdb_writebatch_wi_create_iterator_with_base(
        s->batch, rocksdb_create_iterator(s->db, s->reads));
    bool is_last = false, goes_on = true;
    char *message = NULL;

    store_row_begin(&s->row, database, *place);
    rocksdb_iter_seek(at, (const char *)s->row.at, s->row.len);
    for (uint64_t i = 0;; i++) {
        if (!rocksdb_iter_valid(at)) {
            is_last = true;
            break;
        }
        if (i >= most)
            goes_on = false;
        if (!walk_row(at, database, place, &is_last, &goes_on, visit, arg))
            break;
        rocksdb_iter_next(at);
    }
    rocksdb_iter_get_error(at, &message);
    rocksdb_iter_destroy(at);
    if (is_last)
        *place = 0;
    return failed(s, message);
}

/* ---- commit ---- */

typedef void put_count_f(void *batch, struct slice row, const char *count, size_t len);

static void put_count(void *batch, struct slice row, const char *count, size_t len)
{
    rocksdb_writebatch_wi_put(batch, (const char *)row.at, row.len, count, len);
}

static void put_count_plain(void *batch, struct slice row, const char *count, size_t len)
{
    rocksdb_writebatch_put(batch, (const char *)row.at, row.len, count, len);
}

static void put_counts(struct store *s, put_count_f *put, void *batch)
{
    for (uint32_t i = 0; i < s->counts.count; i++) {
        uint64_t now = s->counts.at[i], count = htobe64(now);
        uint32_t database = htobe32(i);
        struct store_key key = { COUNTS, 0, slice_of(&database, sizeof(database)) };

        if (now != store_counts_of(&s->committed, i))
            put(batch, key_row(s, &key), (const char *)&count, sizeof(count));
    }
}

static void copy_counts(struct store_counts *to, const struct store_counts *from)
{
    for (uint32_t i = 0; i < from->count; i++)
        store_counts_add(to, i, (int64_t)(from->at[i] - store_counts_of(to, i)));
    to->changed = false;
}

static enum err counts_are_written(struct store *s)
{
    if (s->counts.changed)
        copy_counts(&s->committed, &s->counts);
    s->counts.changed = false;
    return ERR_NONE;
}

/* RocksDB takes nothing any more once its log could not be written or synced, and its C interface
 * has no way to make it go on: it has to be opened anew. */
static enum err has_written(struct store *s, char *message)
{
    s->has_failed = message != NULL;
    return failed(s, message);
}

static enum err rocks_commit(struct store *s, bool sync)
{
    char *message = NULL;

    store_trim(&s->value);
    if (s->counts.changed)
        put_counts(s, put_count, s->batch);
    if (rocksdb_writebatch_wi_count(s->batch) > 0) {
        rocksdb_write_writebatch_wi(s->db, sync ? s->synced_writes : s->writes, s->batch, &message);
        rocksdb_writebatch_wi_clear(s->batch);
    } else if (sync) {
        rocksdb_flush_wal(s->db, 1, &message);
    } else {
        return counts_are_written(s);
    }
    TRY(has_written(s, message));
    return counts_are_written(s);
}

static void rocks_abandon(struct store *s)
{
    rocksdb_writebatch_wi_clear(s->batch);
    for (uint32_t i = 0; i < s->counts.count; i++)
        s->counts.at[i] = store_counts_of(&s->committed, i);
    s->counts.changed = false;
}

/* Ranges can't be deleted in a batch that gets look into, so what is in it goes first, and the
 * range with the new counts in a batch of its own. */
static enum err rocks_flush(struct store *s, int64_t database)
{
    bool all = database == STORE_ALL_DATABASES;
    rocksdb_writebatch_t *wipe;
    struct buf to = { 0 };
    char *message = NULL;

    TRY(rocks_commit(s, false));
    store_row_begin(&s->row, all ? 0 : (uint32_t)database, 0);
    store_row_begin(&to, all ? COUNTS : (uint32_t)database + 1, 0);
    for (uint32_t i = 0; i < s->counts.count; i++)
        if (all || database == i)
            store_counts_add(&s->counts, i, -(int64_t)s->counts.at[i]);
    wipe = rocksdb_writebatch_create();
    rocksdb_writebatch_delete_range(wipe, (const char *)s->row.at, s->row.len, (const char *)to.at,
                                    to.len);
    put_counts(s, put_count_plain, wipe);
    rocksdb_write(s->db, s->writes, wipe, &message);
    rocksdb_writebatch_destroy(wipe);
    buf_fini(&to);
    TRY(has_written(s, message));
    return counts_are_written(s);
}

/* ---- after a failure ---- */

/* When it is opened, what is in its log is written to a table. */
static bool rocks_is_lost(const struct store *s)
{
    enum { ROOM = 1024 * 1024 };
    uint64_t in_memory = 0;

    if (!s->has_failed ||
        rocksdb_property_int(s->db, "rocksdb.size-all-mem-tables", &in_memory) != 0)
        return false;
    return store_disk_takes(s->path, in_memory + ROOM);
}

static enum err rocks_tend(struct store *s)
{
    return rocks_is_lost(s) ? ERR_SYSTEM : ERR_NONE;
}

/* ---- figures ---- */

static void rocks_measure(struct store *s, uint32_t database, struct store_size *out)
{
    uint64_t bytes = 0;

    if (rocksdb_property_int(s->db, "rocksdb.total-sst-files-size", &bytes) != 0)
        bytes = 0;
    *out = (struct store_size){ .keys = store_counts_of(&s->counts, database), .bytes = bytes };
}

static uint32_t rocks_databases(struct store *s)
{
    return s->counts.count;
}

/* ---- opening ---- */

static void read_count(struct store *s, struct slice row, struct slice value)
{
    uint32_t number, database;
    uint64_t place, count;
    struct slice name;

    if (!store_row_read_key(row, &number, &place, &name) || name.len != sizeof(database) ||
        value.len != sizeof(count))
        return;
    memcpy(&database, name.at, sizeof(database));
    memcpy(&count, value.at, sizeof(count));
    if (be32toh(database) < DATABASES_MOST)
        store_counts_add(&s->counts, be32toh(database), (int64_t)be64toh(count));
}

static enum err read_counts(struct store *s)
{
    rocksdb_iterator_t *at = rocksdb_create_iterator(s->db, s->reads);
    char *message = NULL;

    store_row_begin(&s->row, COUNTS, 0);
    for (rocksdb_iter_seek(at, (const char *)s->row.at, s->row.len); rocksdb_iter_valid(at);
         rocksdb_iter_next(at)) {
        size_t key_len, len;
        const char *key = rocksdb_iter_key(at, &key_len), *value = rocksdb_iter_value(at, &len);

        read_count(s, slice_of(key, key_len), slice_of(value, len));
    }
    rocksdb_iter_get_error(at, &message);
    rocksdb_iter_destroy(at);
    copy_counts(&s->committed, &s->counts);
    s->counts.changed = false;
    return failed(s, message);
}

static void rocks_close(struct store **where)
{
    struct store *s = *where;

    *where = NULL;
    rocksdb_free(s->found);
    rocksdb_writebatch_wi_destroy(s->batch);
    if (s->db != NULL)
        rocksdb_close(s->db);
    rocksdb_readoptions_destroy(s->reads);
    rocksdb_writeoptions_destroy(s->writes);
    rocksdb_writeoptions_destroy(s->synced_writes);
    rocksdb_options_destroy(s->options);
    store_lock_give_up(s->lock);
    free(s->path);
    store_counts_fini(&s->counts);
    store_counts_fini(&s->committed);
    buf_fini(&s->row);
    buf_fini(&s->value);
    free(s);
}

static rocksdb_options_t *options_new(void)
{
    enum { NOTHING = 6, LOGS_KEPT = 1 };
    rocksdb_options_t *o = rocksdb_options_create();

    rocksdb_options_set_create_if_missing(o, 1);
    /* RocksDB 7.8 ends the process when its log's disk is full; what is wrong we tell ourselves. */
    rocksdb_options_set_info_log_level(o, NOTHING);
    rocksdb_options_set_keep_log_file_num(o, LOGS_KEPT);
    return o;
}

/* RocksDB sees to what is in the folder, but not to the folder's own name. */
static void sync_name(const char *path)
{
    struct buf name = { 0 };
    int parent;

    buf_format(&name, "%s/..%c", path, '\0');
    parent = open((const char *)name.at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    buf_fini(&name);
    if (parent < 0)
        return;
    (void)!fsync(parent);
    close(parent);
}

/* The folder is made here, for the lock lies in it; what is wrong with it the lock tells. */
static enum err lock_folder(struct store *s, const char *path, struct buf *why)
{
    struct buf name = { 0 };
    enum err err;

    if (mkdir(path, 0755) == 0)
        sync_name(path);
    buf_format(&name, "%s/store.lock%c", path, '\0');
    err = store_lock_take((const char *)name.at, "folder", &s->lock, why);
    buf_fini(&name);
    return err;
}

static enum err open_folder(struct store *s, const char *path, struct buf *why)
{
    char *message = NULL;

    TRY(lock_folder(s, path, why));
    s->db = rocksdb_open(s->options, path, &message);
    if (failed(s, message) == ERR_NONE && read_counts(s) == ERR_NONE)
        return ERR_NONE;
    buf_text(why, s->why);
    return ERR_SYSTEM;
}

static enum err rocks_open(const struct store_settings *settings, struct store **out,
                           struct buf *why)
{
    struct store *s = mem_new(sizeof(*s));
    enum err err;

    s->lock = -1;
    s->path = mem_text(settings->path);
    s->options = options_new();
    s->reads = rocksdb_readoptions_create();
    s->writes = rocksdb_writeoptions_create();
    s->synced_writes = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(s->synced_writes, 1);
    s->batch = rocksdb_writebatch_wi_create(0, 1);
    err = open_folder(s, settings->path, why);
    if (err == ERR_NONE)
        *out = s;
    else
        rocks_close(&s);
    return err;
}

static const struct store_engine engine = {
    .waits = true,
    .open = rocks_open,
    .close = rocks_close,
    .get = rocks_get,
    .put = rocks_put,
    .drop = rocks_drop,
    .walk = rocks_walk,
    .flush = rocks_flush,
    .measure = rocks_measure,
    .databases = rocks_databases,
    .commit = rocks_commit,
    .abandon = rocks_abandon,
    .why = rocks_why,
    .tend = rocks_tend,
    .is_lost = rocks_is_lost,
};

const struct memory_back memory_back_rocksdb = { .name = "rocksdb", .engine = &engine };
