/* What a memcached server answers, piece by piece, and what it means. */
#include "health/probe_memcached.h"

#include "tests/unit/check.h"

struct script {
    struct slice answer; /* given in pieces, then a timeout */
    size_t piece, sent;
    char said[512];
};

static enum err script_read(void *state, void *at, size_t len, uint64_t deadline_us, size_t *got)
{
    struct script *s = state;
    size_t n = s->piece < s->answer.len ? s->piece : s->answer.len;

    (void)deadline_us;
    if (n == 0)
        return ERR_TIMEOUT;
    n = n < len ? n : len;
    memcpy(at, s->answer.at, n);
    s->answer = slice_from(s->answer, n);
    *got = n;
    return ERR_NONE;
}

static enum err script_write(void *state, const void *at, size_t len, uint64_t deadline_us,
                             size_t *put)
{
    struct script *s = state;
    size_t n = len < 7 ? len : 7; /* writes in parts too */

    (void)deadline_us;
    CHECK(s->sent + n < sizeof(s->said));
    memcpy(s->said + s->sent, at, n);
    s->sent += n;
    *put = n;
    return ERR_NONE;
}

/* A stream whose other side says `answer`. */
static struct probe_stream stream_of(struct script *script, const char *answer, size_t piece)
{
    *script = (struct script){ .answer = slice_text(answer), .piece = piece };
    return (struct probe_stream){ script, script_read, script_write };
}

static struct probe_outcome check(const char *answer, size_t piece, bool with_info)
{
    struct probe_outcome outcome = { 0 };
    struct script script;
    struct probe_stream stream = stream_of(&script, answer, piece);

    probe_memcached_check(&stream, with_info, 0, &outcome);
    CHECK_TEXT(script.said,
               with_info && outcome.info.is_known ? "version\r\nstats\r\n" : "version\r\n");
    return outcome;
}

static void each_answer_has_its_reason(void)
{
    static const struct {
        const char *answer;
        enum health_reason reason;
        bool connection_is_good;
        const char *text;
    } CASES[] = {
        { "VERSION 1.6.18\r\n", HEALTH_FINE, true, "" },
        { "SERVER_ERROR busy\r\n", HEALTH_PROBE_FAILED, true, "SERVER_ERROR busy" },
        { "CLIENT_ERROR unauthenticated\r\n", HEALTH_LOGIN_REFUSED, true,
          "CLIENT_ERROR unauthenticated" },
        { "-ERR unknown command\r\n", HEALTH_PROTOCOL_ERROR, false, "" },
        { "VERSION 1.6", HEALTH_RESPONSE_TIMEOUT, false, "" },
        { "", HEALTH_RESPONSE_TIMEOUT, false, "" },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        for (size_t piece = 1; piece < 40; piece += 6) {
            struct probe_outcome o = check(CASES[i].answer, piece, false);

            CHECK_INT(o.reason, CASES[i].reason);
            CHECK_INT(o.connection_is_good, CASES[i].connection_is_good);
            CHECK_TEXT(o.text, CASES[i].text);
        }
}

static void stats_tell_version_and_memory(void)
{
    enum { FIRST_REPLY = 16 }; /* so that the second is not there before it is asked for */
    struct probe_outcome o = check("VERSION 1.6.18\r\nSTAT version 1.6.18\r\nSTAT bytes 17\r\n"
                                   "STAT limit_maxbytes 64\r\nSTAT odd\r\nEND\r\n",
                                   FIRST_REPLY, true);

    CHECK_INT(o.reason, HEALTH_FINE);
    CHECK_TEXT(o.info.version, "1.6.18");
    CHECK_TEXT(o.info.flavor, "memcached");
    CHECK_INT(o.info.used_memory, 17);
    CHECK_INT(o.info.most_memory, 64);
}

static void a_reply_without_end_is_given_up(void)
{
    static char rows[100000];
    struct probe_outcome o;

    memset(rows, 'x', sizeof(rows) - 1);
    memcpy(rows, "STAT ", 5);
    o = check(rows, 4096, false);
    CHECK_INT(o.reason, HEALTH_PROTOCOL_ERROR);
    CHECK(!o.connection_is_good);
}

static void a_login_is_a_set(void)
{
    struct probe_login login = { .user = "bob", .password = "pw" };
    struct probe_outcome o;
    struct script script;
    struct probe_stream stream = stream_of(&script, "STORED\r\n", 3);

    probe_memcached_login(&stream, &login, 0, &o);
    CHECK_TEXT(script.said, "set login 0 0 6\r\nbob pw\r\n");
    CHECK_INT(o.reason, HEALTH_FINE);
    stream = stream_of(&script, "CLIENT_ERROR authentication failure\r\n", 100);
    probe_memcached_login(&stream, &login, 0, &o);
    CHECK_INT(o.reason, HEALTH_LOGIN_REFUSED);
    CHECK(!o.connection_is_good);
    CHECK_TEXT(o.text, "CLIENT_ERROR authentication failure");
    stream = stream_of(&script, "", 1);
    probe_memcached_login(&stream, &(struct probe_login){ 0 }, 0, &o);
    CHECK_TEXT(script.said, "");
    CHECK_INT(o.reason, HEALTH_FINE);
}

static bool keep(struct probe_mark *mark, const char *answer, const char *said)
{
    struct probe_outcome o = { .connection_is_good = true };
    struct script script;
    struct probe_stream stream = stream_of(&script, answer, 5);
    bool is_written = probe_memcached_keep_mark(&stream, mark, 0, &o);

    CHECK_TEXT(script.said, said);
    return is_written;
}

static void a_mark_that_was_there_is_written_again(void)
{
    struct probe_mark mark = { .key = "k", .text = "me" };

    CHECK(!keep(&mark, "END\r\n", "get k\r\n"));
    CHECK(!keep(&mark, "VALUE k 0 5\r\nother\r\nEND\r\n", "get k\r\n"));
    CHECK(!mark.was_there);
    CHECK(!keep(&mark, "VALUE k 0 2\r\nme\r\nEND\r\n", "get k\r\n"));
    CHECK(mark.was_there);
    CHECK(keep(&mark, "END\r\nSTORED\r\n", "get k\r\nadd k 0 0 2\r\nme\r\n"));
    CHECK(!keep(&mark, "END\r\nNOT_STORED\r\n", "get k\r\nadd k 0 0 2\r\nme\r\n"));
}

int main(void)
{
    RUN(each_answer_has_its_reason);
    RUN(stats_tell_version_and_memory);
    RUN(a_reply_without_end_is_given_up);
    RUN(a_login_is_a_set);
    RUN(a_mark_that_was_there_is_written_again);
    return check_report();
}
