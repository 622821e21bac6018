/* What became of a COMMIT.  See pg_commit.h. */
#include "proxy/sql/pg_commit.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/wire/pgwire.h"
#include "replica/position.h"

/* A standby would refuse to say. */
#define STANDS                                                                                     \
    "CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_insert_lsn() END"

/* The timeline is the first part of a segment's name.  The start is in digits, whatever DateStyle
 * and TimeZone say; two servers don't start in one microsecond. */
#define LIFE                                                                                       \
    "pg_catalog.pg_last_wal_replay_lsn(),"                                                         \
    "pg_catalog.substr(pg_catalog.pg_walfile_name(" STANDS "),1,8),"                               \
    "pg_catalog.to_char(pg_catalog.timezone('UTC',pg_catalog.pg_postmaster_start_time()),"         \
    "'YYYYMMDDHH24MISSUS')"

struct slice pg_commit_mark_query(void)
{
    return slice_text("SELECT pg_catalog.pg_current_xact_id_if_assigned()," STANDS "," LIFE);
}

/* The second may fail, of a number that was never given: the first is told all the same. */
void pg_commit_put_query(struct buf *out, const struct pg_commit_mark *mark)
{
    buf_format(out,
               "SELECT pg_catalog.pg_is_in_recovery()," LIFE
               ";SELECT pg_catalog.pg_xact_status('%llu'::pg_catalog.xid8)",
               (unsigned long long)mark->xid);
}

static bool read_hex(struct slice text, uint32_t *out)
{
    char digits[9] = "", *end;

    if (text.len != sizeof(digits) - 1)
        return false;
    memcpy(digits, text.at, text.len);
    *out = (uint32_t)strtoul(digits, &end, 16);
    return *end == '\0';
}

static enum err read_lsn(struct pg_value value, uint64_t *out)
{
    *out = 0;
    return value.is_null ? ERR_NONE : position_parse_lsn(value.bytes, out);
}

/* Three columns, from this one.  A standby has no timeline of its own. */
static enum err read_life(const struct pg_row *row, size_t from, struct pg_commit_life *out)
{
    struct pg_value timeline = pg_row_value(row, from + 1);
    struct slice started = pg_row_value(row, from + 2).bytes;

    out->timeline = 0;
    if (started.len == 0 || started.len >= sizeof(out->started) ||
        (!timeline.is_null && !read_hex(timeline.bytes, &out->timeline)))
        return ERR_PROTOCOL;
    memset(out->started, 0, sizeof(out->started));
    memcpy(out->started, started.at, started.len);
    return read_lsn(pg_row_value(row, from), &out->recovered);
}

enum err pg_commit_read_mark(struct slice body, struct pg_commit_mark *out)
{
    struct pg_commit_mark mark = { 0 };
    struct pg_value xid;
    struct pg_row row;

    if (pg_read_row(body, &row) != ERR_NONE || row.count != 5)
        return ERR_PROTOCOL;
    xid = pg_row_value(&row, 0);
    if ((!xid.is_null && !slice_to_u64(xid.bytes, &mark.xid)) ||
        read_lsn(pg_row_value(&row, 1), &mark.lsn) != ERR_NONE || mark.lsn == 0 ||
        read_life(&row, 2, &mark.life) != ERR_NONE)
        return ERR_PROTOCOL;
    *out = mark;
    return ERR_NONE;
}

static enum pg_commit_status status_of(struct pg_value value)
{
    if (slice_is_text(value.bytes, "committed"))
        return PG_COMMIT_STATUS_COMMITTED;
    if (slice_is_text(value.bytes, "aborted"))
        return PG_COMMIT_STATUS_ABORTED;
    if (slice_is_text(value.bytes, "in progress"))
        return PG_COMMIT_STATUS_IN_PROGRESS;
    return PG_COMMIT_STATUS_NONE;
}

enum err pg_commit_read_row(struct slice body, struct pg_commit_found *found)
{
    struct pg_row row;

    if (pg_read_row(body, &row) != ERR_NONE || row.count != (found->is_read ? 1 : 4))
        return ERR_PROTOCOL;
    if (found->is_read) {
        found->status = status_of(pg_row_value(&row, 0));
        return ERR_NONE;
    }
    found->in_recovery = slice_is_text(pg_row_value(&row, 0).bytes, "t");
    found->is_read = read_life(&row, 1, &found->life) == ERR_NONE;
    return found->is_read ? ERR_NONE : ERR_PROTOCOL;
}

static bool is_same_life(const struct pg_commit_life *a, const struct pg_commit_life *b)
{
    return a->recovered == b->recovered && a->timeline == b->timeline &&
           strcmp(a->started, b->started) == 0;
}

static enum pg_commit by_status(uint8_t status)
{
    switch (status) {
    case PG_COMMIT_STATUS_COMMITTED:
        return PG_COMMIT_DONE;
    case PG_COMMIT_STATUS_ABORTED:
        return PG_COMMIT_UNDONE;
    case PG_COMMIT_STATUS_IN_PROGRESS:
        return PG_COMMIT_UNDER_WAY;
    }
    return PG_COMMIT_UNKNOWN;
}

enum pg_commit pg_commit_judge(const struct pg_commit_mark *mark,
                               const struct pg_commit_found *found)
{
    if (!found->is_read || found->in_recovery)
        return PG_COMMIT_UNDER_WAY;
    if (is_same_life(&mark->life, &found->life))
        return by_status(found->status);
    if (found->life.recovered == 0 || found->life.timeline < mark->life.timeline ||
        found->life.timeline > mark->life.timeline + 1)
        return PG_COMMIT_UNKNOWN;
    if (found->life.recovered < mark->lsn)
        return PG_COMMIT_UNDONE;
    return by_status(found->status);
}
