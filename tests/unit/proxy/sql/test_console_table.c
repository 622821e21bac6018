/* The console's tables: rows of several workers, and what a client gets of them. */
#include "proxy/sql/console_table.h"
#include "proxy/wire/pgwire_write.h"
#include "tests/unit/check.h"

static void put_list(struct buf *rows, const char *name, uint64_t items)
{
    struct console_row row = { .table = console_table(CONSOLE_TABLE_LISTS) };

    console_row_text(&row, name);
    console_row_number(&row, items);
    console_row_end(&row, rows);
    console_row_fini(&row);
}

/* As it is read: "a 1 | b 2 | ". */
static void tell(struct slice rows, struct buf *out)
{
    struct pg_frame f;
    struct pg_row row;

    for (; pg_frame_read(rows, &f) == ERR_NONE; rows = slice_from(rows, f.bytes)) {
        CHECK_INT(f.type, PG_BACK_DATA_ROW);
        CHECK_INT(pg_read_row(pg_frame_body(rows, f), &row), ERR_NONE);
        for (size_t i = 0; i < row.count; i++) {
            struct pg_value v = pg_row_value(&row, i);

            if (v.is_null)
                buf_text(out, "NULL");
            buf_slice(out, v.bytes);
            buf_text(out, " ");
        }
        buf_text(out, "| ");
    }
}

static void check_rows(enum console_table_number table, struct buf *rows, size_t count,
                       const char *expected)
{
    struct buf out = { 0 }, told = { 0 };

    CHECK_INT(console_table_put_rows(console_table(table), buf_all(rows), NULL, &out), count);
    tell(buf_all(&out), &told);
    CHECK_BYTES(buf_all(&told), slice_text(expected));
    buf_fini(&out);
    buf_fini(&told);
    buf_clear(rows);
}

static void rows_of_one_key_are_added_up(void)
{
    struct buf rows = { 0 };

    put_list(&rows, "users", 2);
    put_list(&rows, "pools", 3);
    put_list(&rows, "users", 40);
    put_list(&rows, "user", 1);
    check_rows(CONSOLE_TABLE_LISTS, &rows, 3, "pools 3 | user 1 | users 42 | ");
    check_rows(CONSOLE_TABLE_LISTS, &rows, 0, "");
    buf_fini(&rows);
}

static void of_texts_the_greatest_is_kept(void)
{
    struct console_row row = { .table = console_table(CONSOLE_TABLE_STATE) };
    struct buf rows = { 0 };
    static const char *const VALUES[] = { "no", "yes", "no" };

    for (int i = 0; i < 3; i++) {
        console_row_text(&row, "paused");
        console_row_text(&row, VALUES[i]);
        console_row_end(&row, &rows);
    }
    check_rows(CONSOLE_TABLE_STATE, &rows, 1, "paused yes | ");
    console_row_fini(&row);
    buf_fini(&rows);
}

static void rows_that_are_not_of_the_table_are_left_out(void)
{
    struct pg_value one = { .bytes = slice_text("alone") };
    struct buf rows = { 0 };

    pg_put_row(&rows, &one, 1);
    put_list(&rows, "a", 1);
    buf_put(&rows, "D\0\0", 3);
    check_rows(CONSOLE_TABLE_LISTS, &rows, 1, "a 1 | ");
    buf_fini(&rows);
}

static void nulls_stay_nulls(void)
{
    struct console_row row = { .table = console_table(CONSOLE_TABLE_VERSION) };
    struct buf rows = { 0 };

    console_row_null(&row);
    console_row_end(&row, &rows);
    check_rows(CONSOLE_TABLE_VERSION, &rows, 1, "NULL | ");
    console_row_fini(&row);
    buf_fini(&rows);
}

static void numbers_are_binary_where_they_are_wanted_so(void)
{
    struct console_formats all = { .list = { 1 }, .count = 1 };
    struct console_formats first = { .list = { 1, 0 }, .count = 2 };
    struct buf rows = { 0 }, out = { 0 };

    put_list(&rows, "a", 258);
    console_table_put_rows(console_table(CONSOLE_TABLE_LISTS), buf_all(&rows), &all, &out);
    CHECK_BYTES(buf_all(&out), bytes("D\0\0\0\27\0\2\0\0\0\1a\0\0\0\10\0\0\0\0\0\0\1\2"));
    buf_clear(&out);
    console_table_put_rows(console_table(CONSOLE_TABLE_LISTS), buf_all(&rows), &first, &out);
    CHECK_BYTES(buf_all(&out), bytes("D\0\0\0\22\0\2\0\0\0\1a\0\0\0\3"
                                     "258"));
    buf_fini(&rows);
    buf_fini(&out);
}

static void columns_tell_their_types_and_formats(void)
{
    struct console_formats all = { .list = { 1 }, .count = 1 };
    struct pg_columns columns;
    struct pg_column column;
    struct buf out = { 0 };
    struct pg_frame f;

    console_table_put_columns(console_table(CONSOLE_TABLE_LISTS), &all, &out);
    CHECK_INT(pg_frame_read(buf_all(&out), &f), ERR_NONE);
    CHECK_INT(pg_read_columns(pg_frame_body(buf_all(&out), f), &columns), ERR_NONE);
    CHECK(pg_column_next(&columns, &column));
    CHECK_BYTES(column.name, slice_text("list"));
    CHECK_INT(column.type, PG_TYPE_TEXT);
    CHECK(pg_column_next(&columns, &column));
    CHECK_BYTES(column.name, slice_text("items"));
    CHECK_INT(column.type, PG_TYPE_INT8);
    CHECK_INT(column.format, 1);
    CHECK(!pg_column_next(&columns, &column));
    buf_fini(&out);
}

/* Programs read them by name; keys come first, since rows are sorted by them. */
static void tables_are_sound(void)
{
    for (int i = 0; i < CONSOLE_TABLES; i++) {
        const struct console_table *t = console_table((enum console_table_number)i);
        bool keys_ended = false;

        CHECK(t->count <= CONSOLE_COLUMNS_MOST);
        CHECK_INT(console_table_find(t->name), i);
        CHECK(!t->merges || t->columns[0].merge == CONSOLE_KEY);
        for (size_t k = 0; k < t->count; k++) {
            CHECK(t->columns[k].merge != CONSOLE_KEY || !keys_ended);
            keys_ended |= t->columns[k].merge != CONSOLE_KEY;
            for (size_t other = 0; other < k; other++)
                CHECK(strcmp(t->columns[k].name, t->columns[other].name) != 0);
        }
        CHECK(keys_ended);
    }
    CHECK_INT(console_table_find("pools"), CONSOLE_TABLE_POOLS);
    CHECK_INT(console_table_find("nothing"), CONSOLE_TABLES);
}

int main(void)
{
    RUN(rows_of_one_key_are_added_up);
    RUN(of_texts_the_greatest_is_kept);
    RUN(rows_that_are_not_of_the_table_are_left_out);
    RUN(nulls_stay_nulls);
    RUN(numbers_are_binary_where_they_are_wanted_so);
    RUN(columns_tell_their_types_and_formats);
    RUN(tables_are_sound);
    return check_report();
}
