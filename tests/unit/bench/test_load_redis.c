#include "bench/ledger.h"
#include "bench/load.h"
#include "bench/target.h"
#include "tests/unit/check.h"

extern const struct load_driver load_redis;

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
    f->load = (struct load){ .driver = &load_redis,
                             .target = &f->target,
                             .mix = &f->mix,
                             .keys = { .prefix = "k", .digits = 1, .count = 3 },
                             .lanes = 1,
                             .resp = 2,
                             .verify = true };
    CHECK(keyspace_begin(&f->load.keys) == ERR_NONE);
    CHECK(payload_parse(&f->load.values, "20") == ERR_NONE);
    f->load.values.tagged = true;
    ledger_init(&f->ledger, 3);
    CHECK(load_redis.prepare(&f->load, &f->mix.entries[0], why, sizeof(why)) == ERR_NONE);
    f->call = (struct load_call){ .seed = 1, .key = 2, .version = 9 };
}

static void end(struct fixture *f)
{
    load_redis.release(&f->mix.entries[0]);
    mix_fini(&f->mix);
    ledger_fini(&f->ledger);
    buf_fini(&f->out);
}

static enum load_verdict judged(struct fixture *f, const char *reply)
{
    struct load_outcome outcome;

    load_redis.judge(&f->load, &f->call, slice_text(reply), &outcome);
    return outcome.verdict;
}

/* A bulk with the value of key and version. */
static const char *bulk(char key, uint32_t version, struct buf *out)
{
    const struct payload tagged = { .tagged = true };
    uint8_t name[2] = { 'k', (uint8_t)key };

    buf_clear(out);
    buf_text(out, "$12\r\n");
    payload_put(&tagged, out, slice_of(name, 2), version, 12);
    buf_put(out, "\r\n", 3);
    return (const char *)out->at;
}

static void a_verb_becomes_a_command(void)
{
    struct fixture f;

    begin(&f, "set", NULL);
    load_redis.encode(&f.load, &f.call, &f.out);
    CHECK(
        slice_starts(buf_all(&f.out), bytes("*3\r\n$3\r\nSET\r\n$2\r\nk2\r\n$20\r\nk2|00000009|")));
    CHECK_INT(f.out.len, 48);
    end(&f);
    begin(&f, "mget:2", NULL);
    load_redis.encode(&f.load, &f.call, &f.out);
    CHECK_BYTES(buf_all(&f.out), bytes("*3\r\n$4\r\nMGET\r\n$2\r\nk2\r\n$2\r\nk2\r\n"));
    end(&f);
}

static void a_template_fills_in_keys_and_data_inside_words(void)
{
    struct fixture f;

    begin(&f, NULL, "2*HSET {__key__}:h 'a b' <__data__>");
    load_redis.encode(&f.load, &f.call, &f.out);
    CHECK(slice_starts(
        buf_all(&f.out),
        bytes("*4\r\n$4\r\nHSET\r\n$6\r\n{k2}:h\r\n$3\r\na b\r\n$22\r\n<k2|00000009|")));
    CHECK(slice_is(slice_from(buf_all(&f.out), f.out.len - 3), bytes(">\r\n")));
    CHECK_INT(f.mix.entries[0].weight, 2);
    end(&f);
}

static void a_value_of_the_right_key_is_fine_and_of_another_foreign(void)
{
    struct fixture f;

    begin(&f, "get", NULL);
    CHECK_INT(judged(&f, bulk('2', 5, &f.out)), LOAD_FINE);
    CHECK_INT(judged(&f, bulk('1', 5, &f.out)), LOAD_FOREIGN);
    CHECK_INT(judged(&f, "$-1\r\n"), LOAD_MISS);
    CHECK_INT(judged(&f, "_\r\n"), LOAD_MISS);
    CHECK_INT(judged(&f, ":1\r\n"), LOAD_FOREIGN);
    CHECK_INT(judged(&f, "+OK\r\n"), LOAD_FOREIGN);
    CHECK_INT(judged(&f, "-ERR no\r\n"), LOAD_ERROR);
    end(&f);
}

static void every_element_of_an_mget_is_checked(void)
{
    struct fixture f;
    struct buf reply = { 0 };

    begin(&f, "mget:2", NULL);
    buf_text(&reply, "*2\r\n");
    buf_text(&reply, bulk('2', 1, &f.out));
    buf_text(&reply, bulk('1', 1, &f.out));
    buf_put(&reply, "", 1);
    CHECK_INT(judged(&f, (char *)reply.at), LOAD_FOREIGN);
    CHECK_INT(judged(&f, "*2\r\n$-1\r\n$-1\r\n"), LOAD_MISS);
    CHECK_INT(judged(&f, "*3\r\n$-1\r\n$-1\r\n$-1\r\n"), LOAD_FOREIGN);
    CHECK_INT(judged(&f, "$-1\r\n"), LOAD_FOREIGN);
    buf_fini(&reply);
    end(&f);
}

static void an_acknowledged_write_must_be_found_again(void)
{
    struct fixture f;

    begin(&f, "get,set", NULL);
    f.load.ledger = &f.ledger;
    CHECK(load_redis.prepare(&f.load, &f.mix.entries[1], NULL, 0) == ERR_NONE);
    f.call.command = 1;
    CHECK_INT(judged(&f, "+OK\r\n"), LOAD_FINE);
    f.call.command = 0;
    CHECK_INT(judged(&f, bulk('2', 9, &f.out)), LOAD_FINE);
    CHECK_INT(judged(&f, bulk('2', 10, &f.out)), LOAD_FINE);
    CHECK_INT(judged(&f, bulk('2', 8, &f.out)), LOAD_LOST);
    CHECK_INT(judged(&f, "$-1\r\n"), LOAD_LOST);
    load_redis.release(&f.mix.entries[1]);
    end(&f);
}

static void a_write_of_unknown_fate_is_not_held_against_the_other_side(void)
{
    struct fixture f;

    begin(&f, "set,get", NULL);
    f.load.ledger = &f.ledger;
    CHECK(load_redis.prepare(&f.load, &f.mix.entries[1], NULL, 0) == ERR_NONE);
    CHECK_INT(judged(&f, "+OK\r\n"), LOAD_FINE);
    f.call.version = 10;
    load_redis.forget(&f.load, &f.call);
    f.call.command = 1;
    CHECK_INT(judged(&f, bulk('2', 9, &f.out)), LOAD_FINE);
    CHECK_INT(judged(&f, bulk('2', 10, &f.out)), LOAD_FINE);
    CHECK_INT(judged(&f, bulk('2', 8, &f.out)), LOAD_LOST);
    load_redis.release(&f.mix.entries[1]);
    end(&f);
}

static void every_prefix_of_a_reply_asks_for_more(void)
{
    struct slice reply = bytes("*2\r\n$5\r\nhello\r\n:42\r\n");
    struct load_scan scan = { 0 };
    size_t len = 0;

    for (size_t n = 0; n < reply.len; n++)
        CHECK(load_redis.bound(&scan, slice_of(reply.at, n), &len) == PARSE_MORE);
    CHECK(load_redis.bound(&scan, reply, &len) == PARSE_DONE);
    CHECK_INT(len, reply.len);
    CHECK(load_redis.bound(&scan, bytes("hello\r\n"), &len) == PARSE_BAD);
}

static void the_greeting_logs_in_and_selects(void)
{
    char problem[TARGET_PROBLEM_BYTES];
    struct fixture f;

    begin(&f, "get", NULL);
    CHECK(target_open(&f.target, "redis+unix://app:p%40w@/run/r.sock?db=3", problem) == ERR_NONE);
    CHECK_INT(load_redis.greet(&f.load, &f.out), 2);
    CHECK_BYTES(buf_all(&f.out), bytes("*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$3\r\np@w\r\n"
                                       "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"));
    buf_clear(&f.out);
    f.load.resp = 3;
    CHECK_INT(load_redis.greet(&f.load, &f.out), 2);
    CHECK(slice_starts(buf_all(&f.out), bytes("*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n")));
    target_close(&f.target);
    end(&f);
}

int main(void)
{
    RUN(a_verb_becomes_a_command);
    RUN(a_template_fills_in_keys_and_data_inside_words);
    RUN(a_value_of_the_right_key_is_fine_and_of_another_foreign);
    RUN(every_element_of_an_mget_is_checked);
    RUN(an_acknowledged_write_must_be_found_again);
    RUN(a_write_of_unknown_fate_is_not_held_against_the_other_side);
    RUN(every_prefix_of_a_reply_asks_for_more);
    RUN(the_greeting_logs_in_and_selects);
    return check_report();
}
