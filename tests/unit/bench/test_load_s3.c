#include "bench/ledger.h"
#include "bench/load.h"
#include "bench/target.h"
#include "tests/unit/check.h"

extern const struct load_driver load_s3;

static const char OK[] = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nk2|00000009|\x01";

/* One load with one entry, prepared. */
struct fixture {
    struct mix mix;
    struct target target;
    struct ledger ledger;
    struct load load;
    struct load_call call;
    struct buf out;
};

static void begin(struct fixture *f, const char *verb)
{
    char why[256] = "";

    *f = (struct fixture){ .target = { .user = (char *)"AK",
                                       .password = (char *)"secret",
                                       .database = (char *)"bucket",
                                       .label = "127.0.0.1:9000" } };
    CHECK(mix_add_verbs(&f->mix, verb) == ERR_NONE);
    f->load = (struct load){ .driver = &load_s3,
                             .target = &f->target,
                             .mix = &f->mix,
                             .keys = { .prefix = "k", .digits = 1, .count = 3 },
                             .lanes = 1,
                             .verify = true };
    CHECK(keyspace_begin(&f->load.keys) == ERR_NONE);
    CHECK(payload_parse(&f->load.values, "20") == ERR_NONE);
    f->load.values.tagged = true;
    ledger_init(&f->ledger, 3);
    CHECK(load_s3.prepare(&f->load, &f->mix.entries[0], why, sizeof(why)) == ERR_NONE);
    f->call = (struct load_call){ .seed = 1, .key = 2, .version = 9 };
}

static void end(struct fixture *f)
{
    load_s3.release(&f->mix.entries[0]);
    mix_fini(&f->mix);
    ledger_fini(&f->ledger);
    buf_fini(&f->out);
}

static bool says(const struct fixture *f, const char *text)
{
    return memmem(f->out.at, f->out.len, text, strlen(text)) != NULL;
}

static enum load_verdict judged(struct fixture *f, const char *reply)
{
    struct load_outcome outcome;

    load_s3.judge(&f->load, &f->call, slice_text(reply), &outcome);
    return outcome.verdict;
}

static void a_get_is_signed_over_its_host(void)
{
    struct fixture f;

    begin(&f, "get");
    load_s3.encode(&f.load, &f.call, &f.out);
    CHECK(slice_starts(buf_all(&f.out), slice_text("GET /bucket/k2 HTTP/1.1\r\n")));
    CHECK(says(&f, "host: 127.0.0.1:9000\r\n"));
    CHECK(says(&f, "Authorization: AWS4-HMAC-SHA256 Credential=AK/"));
    CHECK(says(&f, "SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature="));
    end(&f);
}

static void a_put_carries_its_body_and_what_was_declared_of_it(void)
{
    struct fixture f;

    begin(&f, "put-checked");
    load_s3.encode(&f.load, &f.call, &f.out);
    CHECK(says(&f, "content-length: 20\r\n"));
    CHECK(says(&f, "x-amz-checksum-sha256: "));
    CHECK(says(&f, "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"));
    CHECK(says(&f, "\r\n\r\nk2|00000009|"));
    end(&f);
}

static void every_prefix_of_an_answer_asks_for_more(void)
{
    struct slice reply = slice_of(OK, sizeof(OK) - 1);

    for (size_t n = 0; n <= reply.len; n++) {
        struct load_scan scan = { .keeps = true };
        size_t len = 0;

        CHECK(load_s3.bound(&scan, slice_of(reply.at, n), &len) ==
              (n < reply.len ? PARSE_MORE : PARSE_DONE));
        CHECK_INT(len, n < reply.len ? 0 : reply.len);
    }
}

static void a_body_that_nobody_looks_at_is_dropped_as_it_comes(void)
{
    size_t head = (size_t)(strstr(OK, "k2|") - OK);
    struct load_scan scan = { 0 };
    struct buf in = { 0 };
    size_t len = 0;

    buf_put(&in, OK, head + 5);
    CHECK(load_s3.bound(&scan, buf_all(&in), &len) == PARSE_MORE);
    CHECK_INT(len, 5);
    in.len -= len;
    buf_put(&in, OK + head + 5, sizeof(OK) - 1 - head - 5);
    CHECK(load_s3.bound(&scan, buf_all(&in), &len) == PARSE_DONE);
    CHECK_INT(len, in.len);
    buf_fini(&in);
}

static void answers_are_judged_by_their_status_and_their_body(void)
{
    const struct payload tagged = { .tagged = true };
    struct buf fine = { 0 };
    struct fixture f;

    begin(&f, "get");
    buf_text(&fine, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n");
    payload_put(&tagged, &fine, slice_text("k2"), 9, 20);
    buf_put(&fine, "", 1);
    CHECK(judged(&f, (const char *)fine.at) == LOAD_FINE);
    CHECK(judged(&f, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nk") == LOAD_FOREIGN);
    CHECK(judged(&f, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") == LOAD_MISS);
    CHECK(judged(&f, "HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n") == LOAD_ERROR);
    f.load.ledger = &f.ledger;
    ledger_acknowledge(&f.ledger, 2, 3);
    CHECK(judged(&f, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") == LOAD_LOST);
    buf_fini(&fine);
    end(&f);
    begin(&f, "get-refused");
    CHECK(judged(&f, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") == LOAD_FINE);
    CHECK(judged(&f, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == LOAD_ERROR);
    end(&f);
}

int main(void)
{
    RUN(a_get_is_signed_over_its_host);
    RUN(a_put_carries_its_body_and_what_was_declared_of_it);
    RUN(every_prefix_of_an_answer_asks_for_more);
    RUN(a_body_that_nobody_looks_at_is_dropped_as_it_comes);
    RUN(answers_are_judged_by_their_status_and_their_body);
    return check_report();
}
