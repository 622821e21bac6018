/* What a server answers of a COMMIT, before it and after it was lost: rows of any bytes. */
#include <stdlib.h>
#include <string.h>

#include "proxy/sql/pg_commit.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void read_mark(struct slice body)
{
    struct pg_commit_mark mark = { .xid = 77, .lsn = 78 };

    if (pg_commit_read_mark(body, &mark) != ERR_NONE) {
        must(mark.xid == 77 && mark.lsn == 78);
        return;
    }
    must(mark.lsn != 0);
    must(strnlen(mark.life.started, sizeof(mark.life.started)) < sizeof(mark.life.started));
}

/* Nobody hears that a COMMIT was done of whom nothing is known. */
static void read_rows(struct slice body)
{
    struct pg_commit_mark mark = { .xid = 77, .lsn = 0x78, .life = { .started = "2026" } };
    struct pg_commit_found found = { 0 };
    enum err err = pg_commit_read_row(body, &found);

    if (!found.is_read) {
        must(err != ERR_NONE && pg_commit_judge(&mark, &found) == PG_COMMIT_UNDER_WAY);
        return;
    }
    if (err == ERR_NONE)
        must(pg_commit_judge(&mark, &found) != PG_COMMIT_DONE);
    if (pg_commit_read_row(body, &found) == ERR_NONE)
        must(found.status <= PG_COMMIT_STATUS_IN_PROGRESS);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    uint8_t *copy = malloc(size + 1); /* ends where the row does: a look beyond it is seen */
    struct slice body = slice_of(copy + 1, size);

    if (size > 0)
        memcpy(copy + 1, at, size);
    read_mark(body);
    read_rows(body);
    free(copy);
    return 0;
}
