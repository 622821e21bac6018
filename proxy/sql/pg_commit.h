/* What became of a COMMIT whose answer was lost.
 *
 * In front of the COMMIT the server is asked pg_commit_mark_query(): the transaction's number, and
 * where the log stands.  Should the answer be lost, pg_commit_put_query() asks the primary, which
 * may be another server by then, or the same that has recovered, and pg_commit_judge() tells.
 *
 * pg_xact_status() alone would lie: what a server had not written to its log when it died is gone
 * with the numbers of its transactions, which are given again.  So where the server's last recovery
 * ended (pg_last_wal_replay_lsn(), which stays as it is once a server takes writes) is compared
 * with where the log stood at the mark, when the transaction had written, and not committed yet:
 *
 *     recovery ended before the mark     the COMMIT is not in this log: it was not done
 *     it ended at the mark or behind     the number is that of the transaction, and its status true
 *     the server is as it was            the same
 *     it was started anew, and had       nothing is known of what was before: that may have been
 *     nothing to recover                 a recovery
 *     another timeline than the mark's   the same, of a promotion
 *     or the next
 *
 * A server that has died twice before it is asked, or once after it was promoted, can't be told
 * from one that has once. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum {
    PG_COMMIT_SINCE_MAJOR = 13, /* servers that can be asked so */
    PG_COMMIT_STARTED_BYTES = 24,
};

/* A life of a server: from its start, or its last recovery. */
struct pg_commit_life {
    uint64_t recovered; /* where that ended in the log; 0: there was none */
    uint32_t timeline;
    char started[PG_COMMIT_STARTED_BYTES];
};

/* Zero: none. */
struct pg_commit_mark {
    uint64_t xid; /* 0: the transaction has none, as it has not written */
    uint64_t lsn;
    struct pg_commit_life life;
};

enum pg_commit_status {
    PG_COMMIT_STATUS_NONE, /* the server does not know any more */
    PG_COMMIT_STATUS_COMMITTED,
    PG_COMMIT_STATUS_ABORTED,
    PG_COMMIT_STATUS_IN_PROGRESS,
};

/* Zero: nothing is known yet. */
struct pg_commit_found {
    bool is_read; /* the first row came */
    bool in_recovery;
    struct pg_commit_life life;
    uint8_t status; /* enum pg_commit_status */
};

enum pg_commit {
    PG_COMMIT_UNKNOWN,
    PG_COMMIT_DONE,
    PG_COMMIT_UNDONE,
    PG_COMMIT_UNDER_WAY, /* to be asked again: no primary, or it is still being done */
};

/* Texts of Queries; they mean the same whatever is set in the session that asks. */
struct slice pg_commit_mark_query(void);
void pg_commit_put_query(struct buf *out, const struct pg_commit_mark *mark); /* two rows */

/* Bodies of DataRows.  ERR_PROTOCOL: it is something else. */
MUST_CHECK enum err pg_commit_read_mark(struct slice body, struct pg_commit_mark *out);
MUST_CHECK enum err pg_commit_read_row(struct slice body, struct pg_commit_found *found);

enum pg_commit pg_commit_judge(const struct pg_commit_mark *mark,
                               const struct pg_commit_found *found);
