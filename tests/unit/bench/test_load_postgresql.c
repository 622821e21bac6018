#include "bench/ledger.h"
#include "bench/load.h"
#include "bench/target.h"
#include "proxy/wire/pgwire_write.h"
#include "tests/unit/check.h"

extern const struct load_driver load_postgresql;

/* One load with one entry, prepared. */
struct fixture {
    struct mix mix;
    struct target target;
    struct ledger ledger;
    struct load load;
    struct load_call call;
    struct buf out;
};

static void begin(struct fixture *f, const char *verb, const char *template)
{
    char why[256] = "";

    *f = (struct fixture){ 0 };
    if (verb != NULL)
        CHECK(mix_add_verbs(&f->mix, verb) == ERR_NONE);
    else
        CHECK(mix_add_template(&f->mix, template) == ERR_NONE);
    mix_close(&f->mix);
    f->load = (struct load){ .driver = &load_postgresql,
                             .target = &f->target,
                             .mix = &f->mix,
                             .keys = { .prefix = "k'", .digits = 1, .count = 3 },
                             .lanes = 1,
                             .verify = true };
    CHECK(keyspace_begin(&f->load.keys) == ERR_NONE);
    CHECK(payload_parse(&f->load.values, "14") == ERR_NONE);
    f->load.values.tagged = true;
    ledger_init(&f->ledger, 3);
    for (uint32_t i = 0; i < f->mix.count; i++)
        CHECK(load_postgresql.prepare(&f->load, &f->mix.entries[i], why, sizeof(why)) == ERR_NONE);
    f->call = (struct load_call){ .seed = 1, .key = 2, .version = 9 };
}

static void end(struct fixture *f)
{
    for (uint32_t i = 0; i < f->mix.count; i++)
        load_postgresql.release(&f->mix.entries[i]);
    mix_fini(&f->mix);
    ledger_fini(&f->ledger);
    buf_fini(&f->out);
}

static enum load_verdict judged(struct fixture *f, struct buf *reply)
{
    struct load_outcome outcome;

    pg_put_ready(reply, PG_STATUS_IDLE);
    load_postgresql.judge(&f->load, &f->call, buf_all(reply), &outcome);
    buf_clear(reply);
    return outcome.verdict;
}

static void put_text_row(struct buf *reply, const char *text)
{
    struct pg_value value = { slice_text(text), false };

    pg_put_row(reply, &value, 1);
}

/* A row with the value of a key and version, as PostgreSQL writes bytes. */
static void put_value_row(struct buf *reply, char key, uint32_t version)
{
    const struct payload tagged = { .tagged = true };
    uint8_t name[3] = { 'k', '\'', (uint8_t)key };
    struct buf raw = { 0 }, text = { 0 };

    payload_put(&tagged, &raw, slice_of(name, 3), version, 14);
    buf_text(&text, "\\x");
    for (size_t i = 0; i < raw.len; i++)
        buf_format(&text, "%02x", raw.at[i]);
    buf_put(&text, "", 1);
    put_text_row(reply, (char *)text.at);
    buf_fini(&raw);
    buf_fini(&text);
}

static void a_verb_becomes_a_simple_query_with_its_values_quoted(void)
{
    struct fixture f;

    begin(&f, "get,set", NULL);
    load_postgresql.encode(&f.load, &f.call, &f.out);
    CHECK_BYTES(buf_all(&f.out), bytes("Q\0\0\0/SELECT v FROM sheaf_bench WHERE k = 'k''2'\0"));
    buf_clear(&f.out);
    f.call.command = 1;
    load_postgresql.encode(&f.load, &f.call, &f.out);
    /* "k'2|00000009|" and one byte of the value that follows from them. */
    CHECK(slice_starts(slice_from(buf_all(&f.out), 5),
                       bytes("INSERT INTO sheaf_bench (k, v) VALUES ('k''2', "
                             "'\\x6b27327c30303030303030397c")));
    CHECK_INT(f.out.len, pg_u32(f.out.at + 1) + 1);
    end(&f);
}

static void an_extended_query_is_parsed_each_time_and_gets_its_values_apart(void)
{
    struct fixture f;

    begin(&f, "get", NULL);
    f.load.query_mode = LOAD_QUERY_EXTENDED;
    load_postgresql.encode(&f.load, &f.call, &f.out);
    CHECK_BYTES(buf_all(&f.out), bytes("P\0\0\0\x2e\0SELECT v FROM sheaf_bench WHERE k = $1\0\0\0"
                                       "B\0\0\0\x13\0\0\0\0\0\1\0\0\0\3k'2\0\0"
                                       "D\0\0\0\6P\0"
                                       "E\0\0\0\x09\0\0\0\0\0"
                                       "S\0\0\0\4"));
    end(&f);
}

static void a_prepared_statement_is_parsed_by_the_greeting(void)
{
    struct fixture f;

    begin(&f, NULL, "SELECT __key__::text, '__keys__', length(__data__)");
    f.load.query_mode = LOAD_QUERY_PREPARED;
    CHECK_INT(load_postgresql.greet(&f.load, &f.out), 1);
    CHECK_BYTES(buf_all(&f.out), bytes("P\0\0\0\x35"
                                       "bench0\0SELECT $1::text, '__keys__', length($2)"
                                       "\0\0\0S\0\0\0\4"));
    buf_clear(&f.out);
    load_postgresql.encode(&f.load, &f.call, &f.out);
    CHECK(slice_starts(slice_from(buf_all(&f.out), 5),
                       bytes("\0bench0\0\0\0\0\2\0\0\0\3k'2\0\0\0\x1e\\x6b2732")));
    end(&f);
}

static void filling_begins_with_the_table(void)
{
    struct fixture f;

    begin(&f, "get", NULL);
    CHECK_INT(load_postgresql.greet(&f.load, &f.out), 0);
    f.load.fill = true;
    CHECK_INT(load_postgresql.greet(&f.load, &f.out), 1);
    CHECK(memmem(f.out.at, f.out.len, "CREATE TABLE IF NOT EXISTS", 26) != NULL);
    end(&f);
}

static void a_reply_ends_with_ready_or_a_fatal_error(void)
{
    struct load_scan scan = { 0 };
    struct buf reply = { 0 };
    size_t len = 0, first;

    put_text_row(&reply, "a value");
    pg_put_error_text(&reply, "ERROR", "22012", "division by zero");
    pg_put_ready(&reply, PG_STATUS_IDLE);
    first = reply.len;
    for (size_t n = 0; n < first; n++)
        CHECK(load_postgresql.bound(&scan, slice_of(reply.at, n), &len) == PARSE_MORE);
    pg_put_error_text(&reply, "FATAL", "57P01", "terminating connection");
    CHECK(load_postgresql.bound(&scan, buf_all(&reply), &len) == PARSE_DONE);
    CHECK_INT(len, first);
    CHECK(load_postgresql.bound(&scan, slice_from(buf_all(&reply), first), &len) == PARSE_DONE);
    CHECK_INT(len, reply.len - first);
    CHECK(load_postgresql.bound(&scan, bytes("D\0\0\0\3xxx"), &len) == PARSE_BAD);
    CHECK(load_postgresql.bound(&scan, bytes("G\0\0\0\7\0\0\0"), &len) == PARSE_BAD);
    buf_fini(&reply);
}

static void only_notices_and_their_like_come_unasked(void)
{
    struct buf in = { 0 };
    size_t len = 0, whole;

    pg_put_parameter_status(&in, slice_text("in_hot_standby"), slice_text("off"));
    whole = in.len;
    for (size_t n = 0; n < whole; n++)
        CHECK(load_postgresql.aside(slice_of(in.at, n), &len) == PARSE_MORE);
    pg_put_ready(&in, PG_STATUS_IDLE);
    CHECK(load_postgresql.aside(buf_all(&in), &len) == PARSE_DONE);
    CHECK_INT(len, whole);
    CHECK(load_postgresql.aside(slice_from(buf_all(&in), whole), &len) == PARSE_BAD);
    buf_clear(&in);
    pg_put_error_text(&in, "FATAL", "57P01", "terminating connection");
    CHECK(load_postgresql.aside(slice_of(in.at, in.len - 1), &len) == PARSE_MORE);
    CHECK(load_postgresql.aside(buf_all(&in), &len) == PARSE_BAD);
    buf_fini(&in);
}

static void a_value_of_the_right_key_is_fine_and_of_another_foreign(void)
{
    static const char *const OTHERS[] = { "", "\\x", "\\x6", "\\x6g", "6b27", "k'2|00000005|" };
    struct buf reply = { 0 };
    struct fixture f;

    begin(&f, "get", NULL);
    put_value_row(&reply, '2', 5);
    CHECK_INT(judged(&f, &reply), LOAD_FINE);
    put_value_row(&reply, '1', 5);
    CHECK_INT(judged(&f, &reply), LOAD_FOREIGN);
    put_value_row(&reply, '2', 5);
    put_value_row(&reply, '2', 5);
    CHECK_INT(judged(&f, &reply), LOAD_FOREIGN);
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++) {
        put_text_row(&reply, OTHERS[i]);
        CHECK_INT(judged(&f, &reply), LOAD_FOREIGN);
    }
    CHECK_INT(judged(&f, &reply), LOAD_MISS);
    pg_put_error_text(&reply, "ERROR", "42P01", "no such table");
    CHECK_INT(judged(&f, &reply), LOAD_ERROR);
    buf_text(&reply, "C\0\0\0\1");
    CHECK_INT(judged(&f, &reply), LOAD_FOREIGN);
    buf_fini(&reply);
    end(&f);
}

static void an_acknowledged_write_must_be_found_again(void)
{
    struct buf reply = { 0 };
    struct fixture f;

    begin(&f, "get,set,update", NULL);
    f.load.ledger = &f.ledger;
    f.call.command = 2;
    pg_put_complete(&reply, "UPDATE 0");
    CHECK_INT(judged(&f, &reply), LOAD_MISS);
    CHECK(!ledger_is_written(&f.ledger, 2));
    f.call.command = 1;
    pg_put_complete(&reply, "INSERT 0 1");
    CHECK_INT(judged(&f, &reply), LOAD_FINE);
    f.call.command = 0;
    put_value_row(&reply, '2', 9);
    CHECK_INT(judged(&f, &reply), LOAD_FINE);
    put_value_row(&reply, '2', 8);
    CHECK_INT(judged(&f, &reply), LOAD_LOST);
    CHECK_INT(judged(&f, &reply), LOAD_LOST);
    f.call.command = 2;
    f.call.version = 10;
    pg_put_complete(&reply, "UPDATE 1");
    CHECK_INT(judged(&f, &reply), LOAD_FINE);
    f.call.command = 0;
    put_value_row(&reply, '2', 9);
    CHECK_INT(judged(&f, &reply), LOAD_LOST);
    f.call.command = 1;
    pg_put_complete(&reply, "SELECT 1");
    CHECK_INT(judged(&f, &reply), LOAD_FOREIGN);
    buf_fini(&reply);
    end(&f);
}

static void a_write_of_unknown_fate_is_not_held_against_the_other_side(void)
{
    struct buf reply = { 0 };
    struct fixture f;

    begin(&f, "set,get", NULL);
    f.load.ledger = &f.ledger;
    pg_put_complete(&reply, "INSERT 0 1");
    CHECK_INT(judged(&f, &reply), LOAD_FINE);
    f.call.version = 10;
    load_postgresql.forget(&f.load, &f.call);
    f.call.command = 1;
    for (uint32_t version = 9; version <= 10; version++) {
        put_value_row(&reply, '2', version);
        CHECK_INT(judged(&f, &reply), LOAD_FINE);
    }
    put_value_row(&reply, '2', 8);
    CHECK_INT(judged(&f, &reply), LOAD_LOST);
    buf_fini(&reply);
    end(&f);
}

static void what_cannot_be_asked_is_refused_with_a_sentence(void)
{
    struct fixture f;
    char why[256] = "", many[70 * 8] = "";

    begin(&f, "ping", NULL);
    f.mix.entries[0].many = 2;
    CHECK(load_postgresql.prepare(&f.load, &f.mix.entries[0], why, sizeof(why)) != ERR_NONE);
    CHECK_TEXT(why, "ping takes one key");
    end(&f);
    begin(&f, NULL, "SELECT __key__");
    f.load.ledger = &f.ledger;
    CHECK(load_postgresql.prepare(&f.load, &f.mix.entries[0], why, sizeof(why)) == ERR_UNSUPPORTED);
    end(&f);
    for (size_t i = 0; i < 65; i++)
        memcpy(many + 8 * i, "__key__,", 9);
    f = (struct fixture){ .load = { .driver = &load_postgresql, .mix = &f.mix } };
    CHECK(mix_add_template(&f.mix, many) == ERR_NONE);
    CHECK(load_postgresql.prepare(&f.load, &f.mix.entries[0], why, sizeof(why)) == ERR_LIMIT);
    end(&f);
}

static void the_login_sends_what_the_url_says(void)
{
    char problem[TARGET_PROBLEM_BYTES];
    struct load_login *login;
    struct fixture f;
    struct buf in = { 0 };
    const char *why = NULL;
    size_t used = 0;

    begin(&f, "ping", NULL);
    CHECK(target_open(&f.target, "postgresql://app:p%40w@127.0.0.1:7000/shop", problem) ==
          ERR_NONE);
    CHECK_INT(f.target.port, 7000);
    login = load_postgresql.login_begin(&f.load, &f.out);
    CHECK(memmem(f.out.at, f.out.len, "user\0app\0database\0shop", 22) != NULL);
    buf_clear(&f.out);
    pg_put_auth_cleartext(&in);
    CHECK(load_postgresql.login_feed(login, buf_all(&in), &used, &f.out, &why) == ERR_AGAIN);
    CHECK_INT(used, in.len);
    CHECK_BYTES(buf_all(&f.out), bytes("p\0\0\0\10p@w\0"));
    buf_clear(&in);
    pg_put_error_text(&in, "FATAL", "28P01", "no");
    CHECK(load_postgresql.login_feed(login, buf_all(&in), &used, &f.out, &why) == ERR_LOGIN);
    CHECK_TEXT(why, "no");
    load_postgresql.login_end(&login);
    CHECK(login == NULL);
    target_close(&f.target);
    buf_fini(&in);
    end(&f);
}

int main(void)
{
    RUN(a_verb_becomes_a_simple_query_with_its_values_quoted);
    RUN(an_extended_query_is_parsed_each_time_and_gets_its_values_apart);
    RUN(a_prepared_statement_is_parsed_by_the_greeting);
    RUN(filling_begins_with_the_table);
    RUN(a_reply_ends_with_ready_or_a_fatal_error);
    RUN(only_notices_and_their_like_come_unasked);
    RUN(a_value_of_the_right_key_is_fine_and_of_another_foreign);
    RUN(an_acknowledged_write_must_be_found_again);
    RUN(a_write_of_unknown_fate_is_not_held_against_the_other_side);
    RUN(what_cannot_be_asked_is_refused_with_a_sentence);
    RUN(the_login_sends_what_the_url_says);
    return check_report();
}
