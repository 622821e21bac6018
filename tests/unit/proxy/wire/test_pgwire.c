#include "proxy/wire/pgwire.h"

#include <stdlib.h>

#include "proxy/wire/pgwire_write.h"
#include "tests/unit/check.h"
#include "tests/unit/proxy/wire/transcript.h"

/* --- Frames ---------------------------------------------------------------------------------- */

static void a_frame_is_its_type_and_all_of_its_bytes(void)
{
    struct slice in = bytes("D\x00\x00\x00\x0b\x00\x01\x00\x00\x00\x01"
                            "1Z\x00\x00\x00\x05I");
    struct pg_frame f;

    CHECK_INT(pg_frame_read(in, &f), ERR_NONE);
    CHECK_INT(f.type, PG_BACK_DATA_ROW);
    CHECK_INT(f.bytes, 12);
    CHECK(pg_frame_is_whole(in, f));
    CHECK(!pg_frame_is_whole(slice_of(in.at, 11), f));
    CHECK_BYTES(pg_frame_body(in, f), bytes("\x00\x01\x00\x00\x00\x01"
                                            "1"));
    in = slice_from(in, f.bytes);
    CHECK_INT(pg_frame_read(in, &f), ERR_NONE);
    CHECK_INT(f.type, PG_BACK_READY);
    CHECK_INT(f.bytes, in.len);
}

static void a_header_takes_five_bytes(void)
{
    struct slice in = bytes("S\x00\x00\x00\x04");
    struct pg_frame f;

    for (size_t n = 0; n < in.len; n++)
        CHECK_INT(pg_frame_read(slice_of(in.at, n), &f), ERR_AGAIN);
    CHECK_INT(pg_frame_read(in, &f), ERR_NONE);
    CHECK_INT(f.bytes, 5);
    CHECK_INT(pg_frame_body(in, f).len, 0);
}

static void a_length_is_from_4_to_2_gib(void)
{
    struct pg_frame f = { 0 };

    CHECK_INT(pg_frame_read(bytes("S\x00\x00\x00\x03"), &f), ERR_PROTOCOL);
    CHECK_INT(pg_frame_read(bytes("S\x00\x00\x00\x00"), &f), ERR_PROTOCOL);
    CHECK_INT(pg_frame_read(bytes("S\x80\x00\x00\x00"), &f), ERR_PROTOCOL);
    CHECK_INT(pg_frame_read(bytes("S\xff\xff\xff\xff"), &f), ERR_PROTOCOL);
    CHECK_INT(pg_frame_read(bytes("S\xff\xff\xff\xfe"), &f), ERR_PROTOCOL);
    CHECK_INT(f.bytes, 0);
    CHECK_INT(pg_frame_read(bytes("d\x7f\xff\xff\xff"), &f), ERR_NONE);
    CHECK_INT(f.bytes, 0x80000000u);
}

static void types_that_no_client_says_have_no_size(void)
{
    int known = 0;

    for (int type = 0; type < 256; type++)
        known += pg_front_max_bytes((uint8_t)type) > 0;
    CHECK_INT(known, 13);
    CHECK_INT(pg_front_max_bytes('Q'), 0x3fffffff);
    CHECK_INT(pg_front_max_bytes('S'), 10001);
    CHECK_INT(pg_front_max_bytes('p'), 0);
    CHECK_INT(pg_front_max_bytes('Z'), 0);
}

/* --- Recorded messages are read, and written again: the same bytes ---------------------------- */

static int seen[256];

static void write_asked_again(struct slice in, struct pg_frame f, struct buf *out)
{
    struct slice body = pg_frame_body(in, f), text;
    struct pg_parse parse;
    struct pg_bind bind, head;
    struct pg_target target;
    struct pg_execute execute;

    switch (f.type) {
    case PG_FRONT_QUERY:
        CHECK_INT(pg_read_query(body, &text), ERR_NONE);
        pg_put_query(out, text);
        return;
    case PG_FRONT_PARSE:
        CHECK_INT(pg_read_parse(body, &parse), ERR_NONE);
        pg_put_parse(out, parse.name, parse.text, parse.types);
        return;
    case PG_FRONT_BIND:
        CHECK_INT(pg_read_bind(body, &bind), ERR_NONE);
        CHECK_INT(pg_read_bind_head(body, &head), ERR_NONE);
        CHECK_BYTES(head.rest, bind.rest);
        pg_put_bind_head(out, bind.portal, bind.statement, bind.rest.len);
        buf_slice(out, bind.rest);
        return;
    case PG_FRONT_DESCRIBE:
        CHECK_INT(pg_read_target(body, &target), ERR_NONE);
        pg_put_describe(out, target.kind, target.name);
        return;
    case PG_FRONT_CLOSE:
        CHECK_INT(pg_read_target(body, &target), ERR_NONE);
        pg_put_close(out, target.kind, target.name);
        return;
    case PG_FRONT_EXECUTE:
        CHECK_INT(pg_read_execute(body, &execute), ERR_NONE);
        pg_put_execute(out, execute.portal, execute.max_rows);
        return;
    case PG_FRONT_SYNC:
        pg_put_sync(out);
        return;
    case PG_FRONT_FLUSH:
        pg_put_flush(out);
        return;
    case PG_FRONT_COPY_DONE:
        pg_put_copy_done(out);
        return;
    case PG_FRONT_COPY_FAIL:
        CHECK_INT(pg_read_query(body, &text), ERR_NONE);
        pg_put_copy_fail(out, text);
        return;
    }
    buf_put(out, in.at, f.bytes); /* copied data and the like: only passed */
}

static void write_auth_again(struct slice body, struct buf *out)
{
    const char *names[4];
    struct pg_auth auth = { 0 };
    struct slice name;
    size_t count = 0;

    CHECK_INT(pg_read_auth(body, &auth), ERR_NONE);
    switch (auth.kind) {
    case PG_AUTH_OK:
        pg_put_auth_ok(out);
        return;
    case PG_AUTH_CLEARTEXT:
        pg_put_auth_cleartext(out);
        return;
    case PG_AUTH_MD5:
        pg_put_auth_md5(out, auth.data.at);
        return;
    case PG_AUTH_SASL:
        while (count < 4 && pg_mechanism_next(&auth.data, &name))
            names[count++] = (const char *)name.at; /* terminated in the message */
        pg_put_auth_sasl(out, names, count);
        return;
    }
    CHECK(false);
}

static void write_rows_again(struct slice body, struct buf *out)
{
    struct pg_value values[16];
    struct pg_row row;

    CHECK_INT(pg_read_row(body, &row), ERR_NONE);
    CHECK(row.count <= 16);
    for (size_t i = 0; i < row.count; i++)
        values[i] = pg_row_value(&row, i);
    pg_put_row(out, values, row.count);
}

static void write_columns_again(struct slice body, struct buf *out)
{
    struct pg_column columns[16];
    struct pg_columns found;
    size_t count = 0;

    CHECK_INT(pg_read_columns(body, &found), ERR_NONE);
    while (count < 16 && pg_column_next(&found, &columns[count]))
        count++;
    CHECK_INT(count, found.count);
    pg_put_columns(out, columns, count);
}

static void write_types_again(struct slice body, struct buf *out)
{
    struct pg_types found;
    uint32_t types[16];

    CHECK_INT(pg_read_types(body, &found), ERR_NONE);
    CHECK(found.count <= 16);
    for (size_t i = 0; i < found.count; i++)
        types[i] = pg_type_at(found.types, i);
    pg_put_types(out, types, found.count);
}

static void write_negotiation_again(struct slice body, struct buf *out)
{
    struct pg_negotiation found;
    struct buf parameters = { 0 };
    struct slice name;

    CHECK_INT(pg_read_negotiation(body, &found), ERR_NONE);
    CHECK_INT(found.version, PG_VERSION_3_0);
    while (found.names.len > 0) {
        name = slice_text((const char *)found.names.at);
        buf_slice(&parameters, name);
        buf_put(&parameters, "\0value", 7);
        found.names = slice_from(found.names, name.len + 1);
    }
    buf_put(&parameters, "", 1);
    pg_put_negotiation(out, buf_all(&parameters));
    buf_fini(&parameters);
}

static void write_texts_again(uint8_t type, struct slice body, struct buf *out)
{
    struct pg_parameter parameter;
    struct pg_report report;
    struct slice tag;

    if (type == PG_BACK_PARAMETER_STATUS) {
        CHECK_INT(pg_read_parameter_status(body, &parameter), ERR_NONE);
        pg_put_parameter_status(out, parameter.name, parameter.value);
    } else if (type == PG_BACK_COMMAND_COMPLETE) {
        CHECK_INT(pg_read_complete(body, &tag), ERR_NONE);
        pg_put_complete(out, (const char *)tag.at);
    } else {
        CHECK_INT(pg_read_report(body, &report), ERR_NONE);
        CHECK_INT(report.sqlstate.len, PG_SQLSTATE_BYTES);
        (type == PG_BACK_ERROR ? pg_put_error : pg_put_notice)(out, &report);
    }
}

static void write_said_again(struct slice in, struct pg_frame f, struct buf *out)
{
    struct slice body = pg_frame_body(in, f);
    enum pg_status status;
    struct pg_key key;

    switch (f.type) {
    case PG_BACK_AUTHENTICATION:
        write_auth_again(body, out);
        return;
    case PG_BACK_KEY_DATA:
        CHECK_INT(pg_read_key(body, &key), ERR_NONE);
        pg_put_key(out, key.pid, key.secret);
        return;
    case PG_BACK_READY:
        CHECK_INT(pg_read_ready(body, &status), ERR_NONE);
        pg_put_ready(out, status);
        return;
    case PG_BACK_PARAMETER_STATUS:
    case PG_BACK_COMMAND_COMPLETE:
    case PG_BACK_ERROR:
    case PG_BACK_NOTICE:
        write_texts_again(f.type, body, out);
        return;
    case PG_BACK_DATA_ROW:
        write_rows_again(body, out);
        return;
    case PG_BACK_ROW_DESCRIPTION:
        write_columns_again(body, out);
        return;
    case PG_BACK_PARAMETER_DESCRIPTION:
        write_types_again(body, out);
        return;
    case PG_BACK_NEGOTIATE_VERSION:
        write_negotiation_again(body, out);
        return;
    case PG_BACK_PARSE_COMPLETE:
        pg_put_parse_complete(out);
        return;
    case PG_BACK_BIND_COMPLETE:
        pg_put_bind_complete(out);
        return;
    case PG_BACK_CLOSE_COMPLETE:
        pg_put_close_complete(out);
        return;
    case PG_BACK_NO_DATA:
        pg_put_no_data(out);
        return;
    case PG_BACK_EMPTY_QUERY:
        pg_put_empty_query(out);
        return;
    }
    buf_put(out, in.at, f.bytes);
}

static void check_messages(struct slice in,
                           void write_again(struct slice in, struct pg_frame f, struct buf *out))
{
    struct pg_frame f = { 0 };

    while (in.len > 0) {
        struct buf out = { 0 };

        CHECK(pg_frame_read(in, &f) == ERR_NONE && pg_frame_is_whole(in, f));
        if (pg_frame_read(in, &f) != ERR_NONE || !pg_frame_is_whole(in, f))
            return;
        seen[f.type]++;
        write_again(in, f, &out);
        CHECK_BYTES(buf_all(&out), slice_of(in.at, f.bytes));
        buf_fini(&out);
        in = slice_from(in, f.bytes);
    }
}

static void a_recorded_conversation_is_read_and_written_again(void)
{
    static const char said[] = "CDEGHINSTVZcdnst123", asked[] = "BCDEFHPQScdf";
    struct transcript t = transcript_open("postgresql/requests.txt");

    memset(seen, 0, sizeof(seen));
    while (transcript_next(&t))
        check_messages(buf_all(&t.reply), write_said_again);
    for (const char *type = said; *type != '\0'; type++)
        CHECK(seen[(uint8_t)*type] > 0);

    memset(seen, 0, sizeof(seen));
    t = transcript_open("postgresql/requests.txt");
    while (transcript_next(&t))
        check_messages(buf_all(&t.request), write_asked_again);
    for (const char *type = asked; *type != '\0'; type++)
        CHECK(seen[(uint8_t)*type] > 0);
}

static void recorded_logins_are_read_and_written_again(void)
{
    struct transcript t = transcript_open("postgresql/logins.txt");
    size_t old = 0;

    memset(seen, 0, sizeof(seen));
    while (transcript_next(&t)) {
        if (slice_starts(buf_all(&t.reply), bytes("EFATAL:"))) /* to a client before 3.0 */
            old++;
        else
            check_messages(buf_all(&t.reply), write_said_again);
    }
    CHECK_INT(old, 1);
    CHECK_INT(seen[PG_BACK_NEGOTIATE_VERSION], 1);
    CHECK(seen[PG_BACK_KEY_DATA] >= 2);
    CHECK(seen[PG_BACK_AUTHENTICATION] >= 5);
}

/* --- Bodies that are short, long or wrong ----------------------------------------------------- */

#define READER(name, type)                                                                         \
    static enum err read_##name(struct slice body)                                                 \
    {                                                                                              \
        type out;                                                                                  \
                                                                                                   \
        return pg_read_##name(body, &out);                                                         \
    }

READER(query, struct slice)
READER(parse, struct pg_parse)
READER(bind, struct pg_bind)
READER(target, struct pg_target)
READER(execute, struct pg_execute)
READER(password, struct slice)
READER(sasl_initial, struct pg_sasl_initial)
READER(auth, struct pg_auth)
READER(parameter_status, struct pg_parameter)
READER(key, struct pg_key)
READER(ready, enum pg_status)
READER(complete, struct slice)
READER(report, struct pg_report)
READER(negotiation, struct pg_negotiation)
READER(types, struct pg_types)
READER(columns, struct pg_columns)
READER(row, struct pg_row)

/* The body is right; all its beginnings, and itself with a byte more, are not.  Each is shown in
 * memory of just its size, so that a sanitizer sees what reads beyond. */
static void check_only_whole(enum err read(struct slice body), struct slice body)
{
    for (size_t len = 0; len <= body.len + 1; len++) {
        uint8_t *copy = calloc(1, len + 1);

        memcpy(copy + 1, body.at, len < body.len ? len : body.len);
        CHECK_INT(read(slice_of(copy + 1, len)), len == body.len ? ERR_NONE : ERR_PROTOCOL);
        free(copy);
    }
}

static void a_body_is_taken_only_whole(void)
{
    check_only_whole(read_query, bytes("SELECT 1\0"));
    check_only_whole(read_parse, bytes("s\0SELECT 1\0\0\2\0\0\0\x17\0\0\0\x19"));
    check_only_whole(read_bind, bytes("p\0s\0\0\1\0\1\0\2\0\0\0\1x\xff\xff\xff\xff\0\1\0\0"));
    check_only_whole(read_target, bytes("Sname\0"));
    check_only_whole(read_target, bytes("P\0"));
    check_only_whole(read_execute, bytes("p\0\0\0\0\1"));
    check_only_whole(read_password, bytes("secret\0"));
    check_only_whole(read_sasl_initial, bytes("SCRAM-SHA-256\0\0\0\0\2n,"));
    check_only_whole(read_sasl_initial, bytes("SCRAM-SHA-256\0\xff\xff\xff\xff"));
    check_only_whole(read_auth, bytes("\0\0\0\3"));
    check_only_whole(read_auth, bytes("\0\0\0\5salt"));
    check_only_whole(read_auth, bytes("\0\0\0\12SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"));
    check_only_whole(read_parameter_status, bytes("TimeZone\0UTC\0"));
    check_only_whole(read_ready, bytes("I"));
    check_only_whole(read_complete, bytes("SELECT 1\0"));
    check_only_whole(read_report, bytes("SERROR\0C42601\0Mno\0\0"));
    check_only_whole(read_report, bytes("\0"));
    check_only_whole(read_negotiation, bytes("\0\3\0\0\0\0\0\2_pq_.a\0_pq_.b\0"));
    check_only_whole(read_types, bytes("\0\2\0\0\0\x17\0\0\0\x19"));
    check_only_whole(read_columns, bytes("\0\1n\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"));
    check_only_whole(read_row, bytes("\0\3\0\0\0\1x\xff\xff\xff\xff\0\0\0\0"));
}

static void a_key_has_4_to_256_bytes(void)
{
    uint8_t body[4 + 300] = { 0, 0, 1, 2 };

    for (size_t len = 0; len < 300; len++) {
        bool may = len >= 4 && len <= 256;

        CHECK_INT(read_key(slice_of(body, 4 + len)), may ? ERR_NONE : ERR_PROTOCOL);
    }
}

static enum err read_asked(uint8_t type, struct slice body)
{
    switch (type) {
    case PG_FRONT_QUERY:
        return read_query(body);
    case PG_FRONT_PARSE:
        return read_parse(body);
    case PG_FRONT_BIND:
        return read_bind(body);
    case PG_FRONT_EXECUTE:
        return read_execute(body);
    }
    return read_target(body);
}

static void what_the_server_calls_malformed_is_refused(void)
{
    struct transcript t = transcript_open("postgresql/bad_requests.txt");
    size_t count = 0;

    for (; transcript_next(&t); count++) {
        struct slice in = buf_all(&t.request), reply = buf_all(&t.reply);
        struct pg_report report;
        struct pg_frame f;

        CHECK_INT(pg_frame_read(in, &f), ERR_NONE);
        CHECK_INT(read_asked(f.type, pg_frame_body(in, f)), ERR_PROTOCOL);
        CHECK_INT(pg_frame_read(reply, &f), ERR_NONE);
        CHECK_INT(pg_read_report(pg_frame_body(reply, f), &report), ERR_NONE);
        CHECK_BYTES(report.sqlstate, bytes("08P01"));
    }
    CHECK_INT(count, 14);
}

static void counts_that_lie_are_refused(void)
{
    CHECK_INT(read_parse(bytes("\0\0\xff\xff\0\0\0\0")), ERR_PROTOCOL);
    CHECK_INT(read_bind(bytes("\0\0\xff\xff\0\0\0\0")), ERR_PROTOCOL);
    CHECK_INT(read_bind(bytes("\0\0\0\0\xff\xff\0\0\0\0\0\0")), ERR_PROTOCOL);
    CHECK_INT(read_bind(bytes("\0\0\0\0\0\1\xff\xff\xff\xfe\0\0")), ERR_PROTOCOL);
    CHECK_INT(read_bind(bytes("\0\0\0\0\0\1\x7f\xff\xff\xff\0\0")), ERR_PROTOCOL);
    CHECK_INT(read_bind(bytes("\0\0\0\0\0\0\xff\xff\0\0")), ERR_PROTOCOL);
    CHECK_INT(read_negotiation(bytes("\0\3\0\0\xff\xff\xff\xff_pq_.a\0")), ERR_PROTOCOL);
    CHECK_INT(read_types(bytes("\xff\xff\0\0\0\x17")), ERR_PROTOCOL);
    CHECK_INT(read_columns(bytes("\xff\xffn\0\0\0\0\0")), ERR_PROTOCOL);
    CHECK_INT(read_row(bytes("\xff\xff\xff\xff\xff\xff")), ERR_PROTOCOL);
    CHECK_INT(read_row(bytes("\0\1\xff\xff\xff\xfe")), ERR_PROTOCOL);
}

static void what_is_none_of_the_words_is_refused(void)
{
    CHECK_INT(read_target(bytes("Xname\0")), ERR_PROTOCOL);
    CHECK_INT(read_ready(bytes("X")), ERR_PROTOCOL);
    CHECK_INT(read_query(bytes("SELECT\0; DROP\0")), ERR_PROTOCOL);
    CHECK_INT(read_auth(bytes("\0\0\0\0more")), ERR_PROTOCOL);
    CHECK_INT(read_auth(bytes("\0\0\0\12A\0\0B\0\0")), ERR_PROTOCOL);
}

static void a_reader_that_refuses_leaves_its_result(void)
{
    struct pg_parse parse = { .type_count = 77 };
    struct pg_row row = { .count = 77 };
    struct pg_bind bind = { .value_count = 77 };

    CHECK_INT(pg_read_parse(bytes("a\0b\0\0\1"), &parse), ERR_PROTOCOL);
    CHECK_INT(pg_read_row(bytes("\0\1"), &row), ERR_PROTOCOL);
    CHECK_INT(pg_read_bind(bytes("\0\0\0\1"), &bind), ERR_PROTOCOL);
    CHECK(parse.type_count == 77 && row.count == 77 && bind.value_count == 77);
}

/* --- What is in them ------------------------------------------------------------------------- */

static void a_parse_tells_name_text_and_types(void)
{
    struct pg_parse parse;
    struct slice name;

    CHECK_INT(pg_read_parse(bytes("s1\0SELECT $1\0\0\2\0\0\0\x17\xff\xff\xff\xff"), &parse),
              ERR_NONE);
    CHECK_BYTES(parse.name, bytes("s1"));
    CHECK_BYTES(parse.text, bytes("SELECT $1"));
    CHECK_INT(parse.type_count, 2);
    CHECK_INT(pg_type_at(parse.types, 0), 23);
    CHECK_INT(pg_type_at(parse.types, 1), 0xffffffffu);
    CHECK_INT(pg_read_parse_head(bytes("s"), &name), ERR_AGAIN);
    CHECK_INT(pg_read_parse_head(bytes("s1\0SEL"), &name), ERR_NONE);
    CHECK_BYTES(name, bytes("s1"));
}

static void a_bind_s_names_are_read_from_its_head(void)
{
    struct slice head = bytes("portal\0statement\0\0\1\0");
    struct pg_bind bind;

    for (size_t len = 0; len < 17; len++)
        CHECK_INT(pg_read_bind_head(slice_of(head.at, len), &bind), ERR_AGAIN);
    CHECK_INT(pg_read_bind_head(head, &bind), ERR_NONE);
    CHECK_BYTES(bind.portal, bytes("portal"));
    CHECK_BYTES(bind.statement, bytes("statement"));
    CHECK_BYTES(bind.rest, bytes("\0\1\0"));
}

static void a_bind_s_parameters_have_formats(void)
{
    static const char values[] = "\0\3\0\0\0\1x\xff\xff\xff\xff\0\0\0\0";
    static const struct {
        const char *formats;
        size_t len;
        uint16_t expected[3];
    } cases[] = {
        { "\0\0", 2, { 0, 0, 0 } },
        { "\0\1\0\1", 4, { 1, 1, 1 } },
        { "\0\3\0\1\0\0\0\1", 8, { 1, 0, 1 } },
        { "\0\2\0\1\0\1", 6, { 1, 1, 0 } }, /* the server will refuse it */
    };

    for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
        struct buf body = { 0 };
        struct pg_bind bind;

        buf_put(&body, "\0\0", 2);
        buf_put(&body, cases[c].formats, cases[c].len);
        buf_put(&body, values, sizeof(values) - 1);
        buf_put(&body, "\0\2\0\1\0\0", 6);
        CHECK_INT(pg_read_bind(buf_all(&body), &bind), ERR_NONE);
        CHECK_INT(bind.value_count, 3);
        CHECK_INT(bind.result_format_count, 2);
        CHECK_BYTES(bind.result_formats, bytes("\0\1\0\0"));
        for (size_t i = 0; i < 3; i++)
            CHECK_INT(pg_bind_value(&bind, i).format, cases[c].expected[i]);
        CHECK_BYTES(pg_bind_value(&bind, 0).value.bytes, bytes("x"));
        CHECK(!pg_bind_value(&bind, 0).value.is_null);
        CHECK(pg_bind_value(&bind, 1).value.is_null);
        CHECK_INT(pg_bind_value(&bind, 2).value.bytes.len, 0);
        CHECK(!pg_bind_value(&bind, 2).value.is_null);
        buf_fini(&body);
    }
}

static void a_report_tells_its_fields(void)
{
    struct pg_report report;

    CHECK_INT(
        pg_read_report(bytes("SFEHLER\0VERROR\0C42601\0Mm\0Dd\0Hh\0P7\0p8\0qq\0Ww\0ss\0tt\0cc\0"
                             "dd\0nn\0Ff\0L9\0Rr\0!new\0\0"),
                       &report),
        ERR_NONE);
    CHECK_BYTES(report.severity, bytes("ERROR"));
    CHECK_BYTES(report.severity_shown, bytes("FEHLER"));
    CHECK_BYTES(report.sqlstate, bytes("42601"));
    CHECK_BYTES(report.message, bytes("m"));
    CHECK_BYTES(report.detail, bytes("d"));
    CHECK_BYTES(report.hint, bytes("h"));
    CHECK_BYTES(report.position, bytes("7"));
    CHECK_BYTES(report.internal_position, bytes("8"));
    CHECK_BYTES(report.internal_query, bytes("q"));
    CHECK_BYTES(report.context, bytes("w"));
    CHECK_BYTES(report.schema, bytes("s"));
    CHECK_BYTES(report.table, bytes("t"));
    CHECK_BYTES(report.column, bytes("c"));
    CHECK_BYTES(report.type, bytes("d"));
    CHECK_BYTES(report.constraint, bytes("n"));
    CHECK_BYTES(report.file, bytes("f"));
    CHECK_BYTES(report.line, bytes("9"));
    CHECK_BYTES(report.routine, bytes("r"));
    CHECK_INT(pg_read_report(bytes("SFATAL\0\0"), &report), ERR_NONE); /* before 9.6: no V */
    CHECK_BYTES(report.severity, bytes("FATAL"));
}

static void mechanisms_are_listed(void)
{
    struct pg_auth auth;
    struct slice name;

    CHECK_INT(pg_read_auth(bytes("\0\0\0\12SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"), &auth),
              ERR_NONE);
    CHECK_INT(auth.kind, PG_AUTH_SASL);
    CHECK(pg_mechanism_next(&auth.data, &name));
    CHECK_BYTES(name, bytes("SCRAM-SHA-256-PLUS"));
    CHECK(pg_mechanism_next(&auth.data, &name));
    CHECK_BYTES(name, bytes("SCRAM-SHA-256"));
    CHECK(!pg_mechanism_next(&auth.data, &name));
    CHECK_INT(pg_read_auth(bytes("\0\0\0\x63what"), &auth), ERR_NONE); /* one of the future */
    CHECK_INT(auth.kind, 99);
    CHECK_BYTES(auth.data, bytes("what"));
}

int main(void)
{
    RUN(a_frame_is_its_type_and_all_of_its_bytes);
    RUN(a_header_takes_five_bytes);
    RUN(a_length_is_from_4_to_2_gib);
    RUN(types_that_no_client_says_have_no_size);
    RUN(a_recorded_conversation_is_read_and_written_again);
    RUN(recorded_logins_are_read_and_written_again);
    RUN(a_body_is_taken_only_whole);
    RUN(a_key_has_4_to_256_bytes);
    RUN(what_the_server_calls_malformed_is_refused);
    RUN(counts_that_lie_are_refused);
    RUN(what_is_none_of_the_words_is_refused);
    RUN(a_reader_that_refuses_leaves_its_result);
    RUN(a_parse_tells_name_text_and_types);
    RUN(a_bind_s_names_are_read_from_its_head);
    RUN(a_bind_s_parameters_have_formats);
    RUN(a_report_tells_its_fields);
    RUN(mechanisms_are_listed);
    return check_report();
}
