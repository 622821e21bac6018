/* Pins: what the server's answer leaves of them. */
#include <stdlib.h>

#include "proxy/sql/pg_pins.h"
#include "tests/unit/check.h"

static void a_row_of_states_is_read(void)
{
    struct pg_pins_row row;

    CHECK_INT(pg_pins_read_row(bytes("\0\1\0\0\0\6tffft3"), &row), ERR_NONE);
    CHECK(!row.is_setting);
    CHECK_INT(row.pins, PG_PIN_TEMP | PG_PIN_SQL_PREPARE);
    CHECK_INT(row.prepared, 3);
    CHECK_INT(pg_pins_read_row(bytes("\0\4\0\0\0\6fttff0\377\377\377\377\377\377\377\377"
                                     "\377\377\377\377"),
                               &row),
              ERR_NONE);
    CHECK_INT(row.pins, PG_PIN_ADVISORY_LOCK | PG_PIN_HOLD_CURSOR);
}

static void statements_of_ours_are_counted(void)
{
    struct pg_pins_row row;

    CHECK_INT(pg_pins_read_row(bytes("\0\1\0\0\0\31fffff18446744073709551615"), &row), ERR_NONE);
    CHECK_INT(row.pins, 0);
    CHECK(row.prepared == UINT64_MAX);
    CHECK_INT(pg_pins_read_row(bytes("\0\1\0\0\0\7fffff20"), &row), ERR_NONE);
    CHECK_INT(row.prepared, 20);
}

static void a_row_of_a_setting_is_read(void)
{
    struct pg_pins_row row;

    CHECK_INT(pg_pins_read_row(bytes("\0\4\377\377\377\377\0\0\0\10work_mem\0\0\0\5"
                                     "65536\0\0\0\4"
                                     "64MB"),
                               &row),
              ERR_NONE);
    CHECK(row.is_setting);
    CHECK_BYTES(row.name, slice_text("work_mem"));
    CHECK_BYTES(row.value, slice_text("65536"));
    CHECK_BYTES(row.shown, slice_text("64MB"));
    CHECK_INT(pg_pins_read_row(bytes("\0\4\377\377\377\377\0\0\0\5app.x\377\377\377\377\377\377"
                                     "\377\377"),
                               &row),
              ERR_NONE);
    CHECK_BYTES(row.value, slice_text(""));
    CHECK_BYTES(row.shown, slice_text(""));
}

static void what_is_no_answer_is_refused(void)
{
    static const struct slice BAD[] = {
        { (const uint8_t *)"", 0 },
        { (const uint8_t *)"\0\1\0\0\0\4tfff", 10 },
        { (const uint8_t *)"\0\1\0\0\0\5tfffx", 11 },
        { (const uint8_t *)"\0\1\0\0\0\5tffft", 11 },
        { (const uint8_t *)"\0\1\0\0\0\6tffftx", 12 },
        { (const uint8_t *)"\0\1\0\0\0\31tffft18446744073709551616", 31 },
        { (const uint8_t *)"\0\1\377\377\377\377", 6 },
        { (const uint8_t *)"\0\2\0\0\0\5fffff\377\377\377\377", 15 },
        { (const uint8_t *)"\0\4\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377",
          18 },
    };
    struct pg_pins_row row = { .pins = 77 };

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        CHECK_INT(pg_pins_read_row(BAD[i], &row), ERR_PROTOCOL);
    CHECK_INT(row.pins, 77);
}

static void a_probe_decides_about_what_it_can_see(void)
{
    CHECK_INT(pg_pins_after_probe(PG_PIN_OPAQUE, 0), 0);
    CHECK_INT(pg_pins_after_probe(PG_PIN_OPAQUE | PG_PIN_LISTEN, PG_PIN_TEMP), PG_PIN_TEMP);
    CHECK_INT(pg_pins_after_probe(PG_PIN_SEED | PG_PIN_TEMP | PG_PIN_TRANSACTION, PG_PIN_TEMP),
              PG_PIN_SEED | PG_PIN_TEMP | PG_PIN_TRANSACTION);
    CHECK_INT(pg_pins_after_discard(PG_PIN_TEMP | PG_PIN_SEQUENCE | PG_PIN_LOAD), PG_PIN_LOAD);
}

static void pins_have_words(void)
{
    struct buf out = { 0 };

    pg_pins_put_text(&out, PG_PIN_TEMP | PG_PIN_LISTEN | PG_PIN_SEED);
    CHECK_BYTES(buf_all(&out), slice_text("temporary objects, LISTEN, setseed()"));
    buf_clear(&out);
    pg_pins_put_text(&out, 0);
    CHECK_INT(out.len, 0);
    CHECK_TEXT(pg_pins_label(PG_PIN_NUMBER_ADVISORY_LOCK), "advisory_lock");
    CHECK_TEXT(pg_pins_text(PG_PIN_NUMBER_OPAQUE), "code that may have left anything");
    buf_fini(&out);
}

static bool has(struct slice text, const char *part)
{
    return memmem(text.at, text.len, part, strlen(part)) != NULL;
}

static void the_question_names_settings_that_no_list_has(void)
{
    struct pg_settings_pool *pool = pg_settings_pool_new(&(struct pg_settings_limits){ 0 });
    const struct pg_settings *v = NULL;
    struct slice more[] = { slice_text("its.name"), slice_text("o'b.x") };
    struct buf out = { 0 };

    CHECK_INT(pg_settings_set(pool, &v, slice_text("app.tenant"), slice_text("1")), ERR_NONE);
    CHECK_INT(pg_settings_set(pool, &v, slice_text("work_mem"), slice_text("1MB")), ERR_NONE);
    CHECK_INT(pg_settings_set(pool, &v, slice_text("sheaf.route"), slice_text("any")), ERR_NONE);
    pg_pins_put_query(&out, v, more, 2);
    CHECK(has(buf_all(&out), "'session_authorization','app.tenant','its.name','o''b.x']) n"));
    CHECK(!has(buf_all(&out), "work_mem"));
    buf_clear(&out);
    pg_pins_put_query(&out, NULL, NULL, 0);
    CHECK_BYTES(buf_all(&out), pg_pins_query(true));
    CHECK(slice_starts(pg_pins_query(true), pg_pins_query(false)));
    pg_settings_unref(pool, &v);
    pg_settings_pool_free(&pool);
    buf_fini(&out);
}

int main(void)
{
    RUN(a_row_of_states_is_read);
    RUN(statements_of_ours_are_counted);
    RUN(a_row_of_a_setting_is_read);
    RUN(what_is_no_answer_is_refused);
    RUN(a_probe_decides_about_what_it_can_see);
    RUN(pins_have_words);
    RUN(the_question_names_settings_that_no_list_has);
    return check_report();
}
