/* See store_sqlite_log.h.  A VFS that is SQLite's own but for logs: what is written to one is kept
 * while each write goes on where the last one ended, up to the last frame of a transaction.  That
 * one's head tells that it is (it has the size of the file in pages, others 0), and behind it
 * nothing is kept: so whoever comes back from COMMIT, or hears from it that the disk is full,
 * leaves nothing here.  Whatever else is done to the log is done after what is kept was written. */
#include "proxy/memory/store_sqlite_log.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"

enum {
    KEPT_BYTES = 128 * 1024,
    HEAD_BYTES = 24, /* of a frame: page number, size of the file, salts, checksums */
    SIZE_AT = 4,
};

struct log_file {
    sqlite3_file base;
    sqlite3_file *real; /* in the same piece of memory, behind this */
    uint8_t *kept;      /* owned */
    int len;
    sqlite3_int64 at; /* where that is to be */
    bool ends;        /* a transaction's last frame has begun */
    /* Since the last write: a head may be that of a frame that is there and whose checksums were
     * reckoned anew, and no page comes behind it. */
    bool was_read;
};

static sqlite3_vfs ours;
static sqlite3_vfs *theirs; /* SQLite's */

static struct log_file *log_of(sqlite3_file *file)
{
    return (struct log_file *)file;
}

/* ---- writing ---- */

/* What could not be written is forgotten: who is told so takes all of the transaction back. */
static int flush(struct log_file *log)
{
    int len = log->len;

    log->len = 0;
    return len == 0 ? SQLITE_OK : log->real->pMethods->xWrite(log->real, log->kept, len, log->at);
}

/* Of a frame's head. */
static bool is_of_the_last(const void *head)
{
    static const uint8_t NONE[4];

    return memcmp((const uint8_t *)head + SIZE_AT, NONE, sizeof(NONE)) != 0;
}

static int log_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    struct log_file *log = log_of(file);
    bool was_read = log->was_read;
    int is = SQLITE_OK;

    log->was_read = false;
    if (len == HEAD_BYTES)
        log->ends = is_of_the_last(bytes);
    if (log->len > 0 && (at != log->at + log->len || len > KEPT_BYTES - log->len))
        is = flush(log);
    if (is != SQLITE_OK)
        return is;
    if (len > KEPT_BYTES)
        return log->real->pMethods->xWrite(log->real, bytes, len, at);
    if (log->len == 0)
        log->at = at;
    memcpy(log->kept + log->len, bytes, (size_t)len);
    log->len += len;
    return log->ends && (len != HEAD_BYTES || was_read) ? flush(log) : SQLITE_OK;
}

/* ---- the rest ---- */

static int log_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 at)
{
    struct log_file *log = log_of(file);
    int is = flush(log);

    log->was_read = true;
    return is == SQLITE_OK ? log->real->pMethods->xRead(log->real, bytes, len, at) : is;
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct log_file *log = log_of(file);
    int is = flush(log);

    return is == SQLITE_OK ? log->real->pMethods->xTruncate(log->real, size) : is;
}

static int log_sync(sqlite3_file *file, int flags)
{
    struct log_file *log = log_of(file);
    int is = flush(log);

    return is == SQLITE_OK ? log->real->pMethods->xSync(log->real, flags) : is;
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size)
{
    struct log_file *log = log_of(file);
    int is = flush(log);

    return is == SQLITE_OK ? log->real->pMethods->xFileSize(log->real, size) : is;
}

static int log_close(sqlite3_file *file)
{
    struct log_file *log = log_of(file);
    int is = flush(log), then = log->real->pMethods->xClose(log->real);

    free(log->kept);
    log->kept = NULL;
    return is == SQLITE_OK ? then : is;
}

static int log_lock(sqlite3_file *file, int lock)
{
    return log_of(file)->real->pMethods->xLock(log_of(file)->real, lock);
}

static int log_unlock(sqlite3_file *file, int lock)
{
    return log_of(file)->real->pMethods->xUnlock(log_of(file)->real, lock);
}

static int log_is_reserved(sqlite3_file *file, int *out)
{
    return log_of(file)->real->pMethods->xCheckReservedLock(log_of(file)->real, out);
}

static int log_control(sqlite3_file *file, int what, void *arg)
{
    return log_of(file)->real->pMethods->xFileControl(log_of(file)->real, what, arg);
}

static int log_sector(sqlite3_file *file)
{
    return log_of(file)->real->pMethods->xSectorSize(log_of(file)->real);
}

static int log_device(sqlite3_file *file)
{
    return log_of(file)->real->pMethods->xDeviceCharacteristics(log_of(file)->real);
}

static const sqlite3_io_methods METHODS = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_is_reserved,
    .xFileControl = log_control,
    .xSectorSize = log_sector,
    .xDeviceCharacteristics = log_device,
};

static int open_log(const char *name, struct log_file *log, int flags, int *out_flags)
{
    int is;

    *log = (struct log_file){ .real = (sqlite3_file *)(log + 1) };
    is = theirs->xOpen(theirs, name, log->real, flags, out_flags);
    if (is != SQLITE_OK)
        return is;
    log->kept = mem_new(KEPT_BYTES);
    log->base.pMethods = &METHODS;
    return SQLITE_OK;
}

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                     int *out_flags)
{
    (void)vfs;
    if ((flags & SQLITE_OPEN_WAL) != 0)
        return open_log(name, log_of(file), flags, out_flags);
    return theirs->xOpen(theirs, name, file, flags, out_flags);
}

static void add(void)
{
    theirs = sqlite3_vfs_find(NULL);
    assert(theirs != NULL);
    ours = *theirs;
    ours.zName = "sheaf";
    ours.szOsFile = (int)sizeof(struct log_file) + theirs->szOsFile;
    ours.xOpen = open_file;
    sqlite3_vfs_register(&ours, 0);
}

const char *store_sqlite_log_name(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, add);
    return ours.zName;
}
