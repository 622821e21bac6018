/* Tables that the console shows.  Each worker puts rows, as DataRow messages in text form; rows of
 * the same keys are made one where a table says so, and put as the client wants them.
 *
 *     struct console_row row = { .table = table };
 *
 *     console_row_text(&row, side->name);
 *     console_row_number(&row, 5);
 *     console_row_end(&row, &rows);
 *     ...
 *     console_table_put_columns(table, &formats, &out);
 *     count = console_table_put_rows(table, buf_all(&rows), &formats, &out);
 *
 * Names of columns are PgBouncer's in its order, then ours; programs read them by name. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"
#include "proxy/wire/pgwire.h"

enum { CONSOLE_COLUMNS_MOST = 40 };

/* What a cell becomes where two rows have the same keys. */
enum console_merge { CONSOLE_KEY, CONSOLE_FIRST, CONSOLE_SUM, CONSOLE_MAX };

struct console_column {
    const char *name;
    bool is_number;
    enum console_merge merge;
};

struct console_table {
    const char *name; /* "pools" */
    const char *text; /* for SHOW HELP */
    const struct console_column *columns;
    size_t count;
    bool merges;  /* rows of the same keys are one */
    bool is_ours; /* all workers would say the same: one is enough */
};

enum console_table_number {
#define TABLE(name, merges, is_ours, text) CONSOLE_TABLE_##name,
#include "proxy/sql/console_tables.def"
#undef TABLE
    CONSOLE_TABLES,
};

/* CONSOLE_TABLES: there is none of this name. */
enum console_table_number console_table_find(const char *name);
const struct console_table *console_table(enum console_table_number number);

/* Of a Bind: none (all are texts), one for all, or one for each column. */
struct console_formats {
    uint16_t list[CONSOLE_COLUMNS_MOST];
    size_t count;
};

struct console_row {
    const struct console_table *table;
    struct buf cells; /* of one row, behind each other */
    size_t ends[CONSOLE_COLUMNS_MOST];
    bool nulls[CONSOLE_COLUMNS_MOST];
    size_t count;
};

void console_row_slice(struct console_row *row, struct slice value);
void console_row_text(struct console_row *row, const char *value); /* NULL is NULL */
void console_row_number(struct console_row *row, uint64_t value);
void console_row_null(struct console_row *row);
void console_row_empty(struct console_row *row, size_t cells); /* 0 or "" */
/* All columns are there. */
void console_row_end(struct console_row *row, struct buf *out);
void console_row_fini(struct console_row *row);

void console_table_put_columns(const struct console_table *t, const struct console_formats *formats,
                               struct buf *out);
/* How many there were. */
size_t console_table_put_rows(const struct console_table *t, struct slice rows,
                              const struct console_formats *formats, struct buf *out);
