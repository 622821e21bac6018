/* Any bytes as messages of a client and of a server: what a reader takes can be walked without a
 * fault, says the same when written again, and is refused when shown short. */
#include <stdlib.h>

#include "proxy/wire/pgwire.h"
#include "proxy/wire/pgwire_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void must_be(struct buf *written, struct slice in, struct pg_frame f)
{
    must(slice_is(buf_all(written), slice_of(in.at, f.bytes)));
    buf_fini(written);
}

static uint64_t sum_of(struct slice s)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < s.len; i++)
        sum += s.at[i];
    return sum;
}

/* --- Clients --------------------------------------------------------------------------------- */

static void check_parse(struct slice in, struct pg_frame f)
{
    struct slice body = pg_frame_body(in, f), name;
    struct buf out = { 0 };
    struct pg_parse parse;

    if (pg_read_parse(body, &parse) != ERR_NONE)
        return;
    must(parse.types.len == 4u * parse.type_count);
    must(pg_read_parse_head(body, &name) == ERR_NONE && slice_is(name, parse.name));
    must(pg_read_parse(slice_of(body.at, body.len - 1), &parse) == ERR_PROTOCOL);
    pg_put_parse(&out, parse.name, parse.text, parse.types);
    must_be(&out, in, f);
}

static void check_bind(struct slice in, struct pg_frame f)
{
    struct slice body = pg_frame_body(in, f);
    struct buf out = { 0 };
    struct pg_bind bind, head;
    uint64_t sum = 0;

    if (pg_read_bind_head(body, &head) != ERR_NONE) {
        must(pg_read_bind(body, &bind) == ERR_PROTOCOL);
        return;
    }
    if (pg_read_bind(body, &bind) == ERR_NONE) {
        must(slice_is(bind.rest, head.rest));
        for (size_t i = 0; i < bind.value_count && i < 100; i++) {
            struct pg_bound bound = pg_bind_value(&bind, i);

            sum += sum_of(bound.value.bytes) + bound.format;
        }
        must(sum < UINT64_MAX);
        must(pg_read_bind(slice_of(body.at, body.len - 1), &bind) == ERR_PROTOCOL);
    }
    pg_put_bind_head(&out, head.portal, head.statement, head.rest.len);
    buf_slice(&out, head.rest);
    must_be(&out, in, f);
}

static void check_small(struct slice in, struct pg_frame f)
{
    struct slice body = pg_frame_body(in, f), text;
    struct buf out = { 0 };
    struct pg_sasl_initial initial;
    struct pg_target target;
    struct pg_execute execute;

    if (f.type == PG_FRONT_QUERY && pg_read_query(body, &text) == ERR_NONE)
        pg_put_query(&out, text);
    else if (f.type == PG_FRONT_DESCRIBE && pg_read_target(body, &target) == ERR_NONE)
        pg_put_describe(&out, target.kind, target.name);
    else if (f.type == PG_FRONT_CLOSE && pg_read_target(body, &target) == ERR_NONE)
        pg_put_close(&out, target.kind, target.name);
    else if (f.type == PG_FRONT_EXECUTE && pg_read_execute(body, &execute) == ERR_NONE)
        pg_put_execute(&out, execute.portal, execute.max_rows);
    else if (f.type == PG_FRONT_PASSWORD && pg_read_password(body, &text) == ERR_NONE)
        pg_put_password(&out, text);
    else if (f.type == PG_FRONT_PASSWORD && pg_read_sasl_initial(body, &initial) == ERR_NONE &&
             !initial.data.is_null)
        pg_put_sasl_initial(&out, initial.mechanism, initial.data.bytes);
    if (out.len > 0)
        must_be(&out, in, f);
}

static void check_asked(struct slice in, struct pg_frame f)
{
    if (f.type == PG_FRONT_PARSE)
        check_parse(in, f);
    else if (f.type == PG_FRONT_BIND)
        check_bind(in, f);
    else
        check_small(in, f);
}

/* --- Servers --------------------------------------------------------------------------------- */

static void check_row(struct slice in, struct pg_frame f)
{
    enum { MOST = 64 };
    struct pg_value values[MOST];
    struct buf out = { 0 };
    struct pg_row row;

    if (pg_read_row(pg_frame_body(in, f), &row) != ERR_NONE || row.count > MOST)
        return;
    for (size_t i = 0; i < row.count; i++)
        values[i] = pg_row_value(&row, i);
    pg_put_row(&out, values, row.count);
    must_be(&out, in, f);
}

static void check_columns(struct slice in, struct pg_frame f)
{
    enum { MOST = 64 };
    struct pg_column columns[MOST];
    struct buf out = { 0 };
    struct pg_columns found;
    size_t count = 0;

    if (pg_read_columns(pg_frame_body(in, f), &found) != ERR_NONE || found.count > MOST)
        return;
    while (count < MOST && pg_column_next(&found, &columns[count]))
        count++;
    must(count == found.count);
    pg_put_columns(&out, columns, count);
    must_be(&out, in, f);
}

/* Fields may come twice, in any order, or unknown: only what was read must be read again. */
static void check_report(struct slice body)
{
    struct pg_report report, again;
    struct buf out = { 0 };
    struct pg_frame f;

    if (pg_read_report(body, &report) != ERR_NONE)
        return;
    pg_put_error(&out, &report);
    must(pg_frame_read(buf_all(&out), &f) == ERR_NONE && f.bytes == out.len);
    must(pg_read_report(pg_frame_body(buf_all(&out), f), &again) == ERR_NONE);
    must(slice_is(report.severity, again.severity) && slice_is(report.message, again.message));
    must(slice_is(report.sqlstate, again.sqlstate) && slice_is(report.routine, again.routine));
    buf_fini(&out);
}

static void check_auth(struct slice body)
{
    struct pg_auth auth;
    struct slice name;
    size_t len = 0;

    if (pg_read_auth(body, &auth) != ERR_NONE || auth.kind != PG_AUTH_SASL)
        return;
    for (struct slice rest = auth.data; pg_mechanism_next(&rest, &name);)
        len += name.len + 1;
    must(len + 1 == auth.data.len);
}

static void check_said(struct slice in, struct pg_frame f)
{
    struct slice body = pg_frame_body(in, f), tag;
    struct buf out = { 0 };
    struct pg_parameter parameter;
    struct pg_negotiation negotiation;
    struct pg_types types;
    struct pg_key key;
    enum pg_status status;

    check_report(body);
    check_auth(body);
    if (f.type == PG_BACK_DATA_ROW)
        check_row(in, f);
    else if (f.type == PG_BACK_ROW_DESCRIPTION)
        check_columns(in, f);
    else if (f.type == PG_BACK_PARAMETER_STATUS &&
             pg_read_parameter_status(body, &parameter) == ERR_NONE)
        pg_put_parameter_status(&out, parameter.name, parameter.value);
    else if (f.type == PG_BACK_KEY_DATA && pg_read_key(body, &key) == ERR_NONE)
        pg_put_key(&out, key.pid, key.secret);
    else if (f.type == PG_BACK_READY && pg_read_ready(body, &status) == ERR_NONE)
        pg_put_ready(&out, status);
    else if (f.type == PG_BACK_COMMAND_COMPLETE && pg_read_complete(body, &tag) == ERR_NONE)
        must(tag.len + 1 == body.len);
    else if (f.type == PG_BACK_NEGOTIATE_VERSION &&
             pg_read_negotiation(body, &negotiation) == ERR_NONE)
        must(negotiation.names.len >= negotiation.name_count);
    else if (f.type == PG_BACK_PARAMETER_DESCRIPTION && pg_read_types(body, &types) == ERR_NONE)
        must(types.types.len == 4u * types.count);
    if (out.len > 0)
        must_be(&out, in, f);
}

/* --- What comes first ------------------------------------------------------------------------ */

static void check_options(struct slice options)
{
    struct buf pairs = { 0 };
    struct pg_parameter p;
    struct slice rest, word = { 0 };
    size_t len = 0;

    if (pg_options_split(options, &pairs, &word) != ERR_NONE)
        (void)sum_of(word);
    for (rest = buf_all(&pairs); pg_parameter_next(&rest, &p);) {
        must(p.name.len > 0);
        len += p.name.len + p.value.len + 2;
    }
    must(len == pairs.len && len <= 2 * options.len + 2);
    buf_fini(&pairs);
}

static void check_opening(struct slice in)
{
    struct pg_opening opening;
    struct pg_parameter p;
    enum err err = pg_opening_read(in, &opening);
    enum pg_replication replication;
    struct buf out = { 0 };
    size_t len = 0;

    if (err != ERR_NONE)
        return;
    must(opening.bytes >= 8 && opening.bytes <= in.len);
    must(pg_opening_read(slice_of(in.at, opening.bytes - 1), &opening) == ERR_AGAIN);
    if (opening.kind == PG_OPENING_CANCEL) {
        pg_put_cancel(&out, opening.pid, opening.secret);
        must(slice_is(buf_all(&out), slice_of(in.at, opening.bytes)));
    }
    if (opening.kind != PG_OPENING_STARTUP)
        goto done;
    for (struct slice rest = opening.parameters; pg_parameter_next(&rest, &p);) {
        len += p.name.len + p.value.len + 2;
        check_options(p.value);
        (void)!pg_replication_read(p.value, &replication);
    }
    must(len + 1 == opening.parameters.len);
    pg_put_negotiation(&out, opening.parameters);
done:
    buf_fini(&out);
}

/* The first byte says which direction the rest is of. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct slice in;
    struct pg_frame f;

    if (size < 1)
        return 0;
    in = slice_of(at + 1, size - 1);
    if (at[0] == 'o')
        check_opening(in);
    while (pg_frame_read(in, &f) == ERR_NONE && pg_frame_is_whole(in, f)) {
        /* In memory of its own, so that what reads beyond it is seen. */
        uint8_t *copy = malloc(f.bytes);

        memcpy(copy, in.at, f.bytes);
        (at[0] == 's' ? check_said : check_asked)(slice_of(copy, f.bytes), f);
        free(copy);
        in = slice_from(in, f.bytes);
    }
    return 0;
}
