/* Why a session holds its server.  See pg_pins.h.
 *
 * The question names the schema of all that it uses, operators too: it runs as the session, whose
 * search_path may lead anywhere.  Temporary objects are what depends on the session's own schema
 * for them, of whatever kind: that schema stays when they are gone, and the index of pg_depend
 * knows without a look at all of the catalog. */
#include "proxy/sql/pg_pins.h"

#include "proxy/sql/pg_settings_pool.h"
#include "proxy/wire/pgwire.h"

enum cleared_by { CLEARED_PROBE, CLEARED_DISCARD, CLEARED_NEVER, CLEARED_TRANSACTION };

static const struct {
    const char *label, *text;
    enum cleared_by cleared_by;
} PINS[] = {
#define PIN(name, label, cleared_by, text) { label, text, CLEARED_##cleared_by },
#include "proxy/sql/pg_pins.def"
#undef PIN
};

/* The letters of the answer's first row, in their order. */
static const unsigned ANSWERS[] = { PG_PIN_TEMP, PG_PIN_ADVISORY_LOCK, PG_PIN_HOLD_CURSOR,
                                    PG_PIN_LISTEN, PG_PIN_SQL_PREPARE };

_Static_assert(PG_SETTINGS_VALUE_BYTES == 16384, "else VALUE() is another");
enum { ANSWER_COUNT = sizeof(ANSWERS) / sizeof(ANSWERS[0]) };

#define EQUAL "OPERATOR(pg_catalog.=)"
#define STATE                                                                                      \
    "SELECT pg_catalog.concat("                                                                    \
    "pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0 AND EXISTS("                         \
    "SELECT FROM pg_catalog.pg_depend WHERE refclassid " EQUAL " 2615 "                            \
    "AND refobjid " EQUAL " pg_catalog.pg_my_temp_schema()),"                                      \
    "EXISTS(SELECT FROM pg_catalog.pg_locks WHERE locktype " EQUAL " 'advisory' "                  \
    "AND pid " EQUAL " pg_catalog.pg_backend_pid()),"                                              \
    "EXISTS(SELECT FROM pg_catalog.pg_cursors WHERE is_holdable),"                                 \
    "EXISTS(SELECT FROM pg_catalog.pg_listening_channels()),"                                      \
    "EXISTS(SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql "                         \
    "AND NOT pg_catalog.starts_with(name,'_sheaf_')),"                                             \
    "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statements "                          \
    "WHERE pg_catalog.starts_with(name,'_sheaf_') AND pg_catalog.length(name) " EQUAL " 23))"
/* Of a value that is too long to be kept, as much as shows it: PG_SETTINGS_VALUE_BYTES and one. */
#define VALUE(value)  "pg_catalog.substr(" value ",1,16385)"
#define LISTED_VALUES VALUE("setting") "," VALUE("pg_catalog.current_setting(name)")
#define NAMED_VALUE   VALUE("pg_catalog.current_setting(n,true)")
/* role and session_authorization are in no list, but can be asked for. */
#define SETTINGS                                                                                   \
    ",NULL::pg_catalog.text,NULL::pg_catalog.text,NULL::pg_catalog.text "                          \
    "UNION ALL SELECT NULL,name," LISTED_VALUES " FROM pg_catalog.pg_settings "                    \
    "WHERE source " EQUAL " 'session' "                                                            \
    "UNION ALL SELECT NULL,n," NAMED_VALUE ",NULL "                                                \
    "FROM pg_catalog.unnest(ARRAY['role','session_authorization'"
#define SETTINGS_END "]) n"

struct slice pg_pins_query(bool settings)
{
    return slice_text(settings ? STATE SETTINGS SETTINGS_END : STATE);
}

void pg_pins_put_query(struct buf *out, const struct pg_settings *known, const struct slice *names,
                       size_t count)
{
    buf_text(out, STATE SETTINGS);
    for (size_t i = 0; i < pg_settings_count(known); i++) {
        struct slice name = pg_settings_at(known, i).name;

        if (memchr(name.at, '.', name.len) == NULL || pg_settings_traits(name) & PG_TRAIT_OWN)
            continue;
        buf_text(out, ",");
        pg_settings_put_string(out, name);
    }
    for (size_t i = 0; i < count; i++) {
        buf_text(out, ",");
        pg_settings_put_string(out, names[i]);
    }
    buf_text(out, SETTINGS_END);
}

static enum err read_letters(struct slice letters, unsigned *pins, uint64_t *prepared)
{
    unsigned found = 0;

    if (letters.len <= ANSWER_COUNT || !slice_to_u64(slice_from(letters, ANSWER_COUNT), prepared))
        return ERR_PROTOCOL;
    for (size_t i = 0; i < ANSWER_COUNT; i++) {
        if (letters.at[i] == 't')
            found |= ANSWERS[i];
        else if (letters.at[i] != 'f')
            return ERR_PROTOCOL;
    }
    *pins = found;
    return ERR_NONE;
}

enum err pg_pins_read_row(struct slice body, struct pg_pins_row *out)
{
    struct pg_value letters, name, value, shown;
    struct pg_pins_row result = { 0 };
    struct pg_row row;

    TRY(pg_read_row(body, &row));
    if (row.count != 1 && row.count != 4)
        return ERR_PROTOCOL;
    letters = pg_row_value(&row, 0);
    if (!letters.is_null) {
        TRY(read_letters(letters.bytes, &result.pins, &result.prepared));
        *out = result;
        return ERR_NONE;
    }
    if (row.count == 1)
        return ERR_PROTOCOL;
    name = pg_row_value(&row, 1);
    value = pg_row_value(&row, 2);
    shown = pg_row_value(&row, 3);
    if (name.is_null)
        return ERR_PROTOCOL;
    *out = (struct pg_pins_row){
        .is_setting = true,
        .name = name.bytes,
        .value = value.is_null ? slice_text("") : value.bytes,
        .shown = shown.is_null ? (value.is_null ? slice_text("") : value.bytes) : shown.bytes,
    };
    return ERR_NONE;
}

static unsigned all_of(enum cleared_by cleared_by)
{
    unsigned pins = 0;

    for (unsigned i = 0; i < PG_PIN_COUNT; i++)
        if (PINS[i].cleared_by == cleared_by)
            pins |= 1u << i;
    return pins;
}

unsigned pg_pins_after_probe(unsigned pins, unsigned found)
{
    return (pins & ~all_of(CLEARED_PROBE)) | found;
}

unsigned pg_pins_after_discard(unsigned pins)
{
    return pins & ~(all_of(CLEARED_PROBE) | all_of(CLEARED_DISCARD));
}

const char *pg_pins_text(enum pg_pin_number pin)
{
    return PINS[pin].text;
}

const char *pg_pins_label(enum pg_pin_number pin)
{
    return PINS[pin].label;
}

void pg_pins_put_text(struct buf *out, unsigned pins)
{
    const char *between = "";

    for (unsigned i = 0; i < PG_PIN_COUNT; i++)
        if (pins & 1u << i) {
            buf_text(out, between);
            buf_text(out, PINS[i].text);
            between = ", ";
        }
}
