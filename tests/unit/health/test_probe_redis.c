/* First against scripts: what is answered, piece by piece; then against a real redis-server, which
 * this test starts on a free port of 127.0.0.1, without and with TLS. */
#include "health/probe_redis.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/io/dial.h"
#include "tests/unit/check.h"

/* --- scripts --- */

struct script {
    struct slice answer; /* given in pieces, then `end` */
    size_t piece;
    enum err end;
    size_t sent;
    char said[256];
};

static enum err script_read(void *state, void *at, size_t len, uint64_t deadline_us, size_t *got)
{
    struct script *s = state;
    size_t n = s->piece < s->answer.len ? s->piece : s->answer.len;

    (void)deadline_us;
    if (n == 0)
        return s->end;
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

static struct probe_outcome check(struct slice answer, size_t piece, enum err end, bool with_info)
{
    struct script script = { .answer = answer, .piece = piece, .end = end };
    struct probe_stream stream = { &script, script_read, script_write };
    struct probe_outcome outcome = { 0 };

    probe_redis_check(&stream, with_info, 0, &outcome);
    return outcome;
}

static void each_answer_to_a_ping_has_its_reason(void)
{
    static const struct {
        const char *answer;
        enum err end;
        enum health_reason reason;
        bool connection_is_good;
        const char *text;
    } CASES[] = {
        { "+PONG\r\n", ERR_TIMEOUT, HEALTH_FINE, true, "" },
        { "-LOADING Redis is loading\r\n", ERR_TIMEOUT, HEALTH_LOADING, true,
          "LOADING Redis is loading" },
        { "-MASTERDOWN Link is down\r\n", ERR_TIMEOUT, HEALTH_MASTERDOWN, true,
          "MASTERDOWN Link is down" },
        { "-BUSY Redis is busy\r\n", ERR_TIMEOUT, HEALTH_BUSY, true, "BUSY Redis is busy" },
        { "-OOM command not allowed\r\n", ERR_TIMEOUT, HEALTH_OOM, true,
          "OOM command not allowed" },
        { "-NOAUTH Authentication required.\r\n", ERR_TIMEOUT, HEALTH_LOGIN_REFUSED, true,
          "NOAUTH Authentication required." },
        { "-ERR max number of clients reached\r\n", ERR_TIMEOUT, HEALTH_CONNECT_REFUSED, true,
          "ERR max number of clients reached" },
        { "-MISCONF disk full\r\n", ERR_TIMEOUT, HEALTH_WRITES_REFUSED, true, "MISCONF disk full" },
        { "-NOPERM no PING for you\r\n", ERR_TIMEOUT, HEALTH_FINE, true, "" },
        { "-ERR no\r\n", ERR_TIMEOUT, HEALTH_PROBE_FAILED, true, "ERR no" },
        { "+PONG\r\n+", ERR_TIMEOUT, HEALTH_PROTOCOL_ERROR, false, "" },
        { "+PING\r\n", ERR_TIMEOUT, HEALTH_PROTOCOL_ERROR, false, "" },
        { ":1\r\n", ERR_TIMEOUT, HEALTH_PROTOCOL_ERROR, false, "" },
        { "HTTP/1.1 400 Bad Request\r\n\r\n", ERR_TIMEOUT, HEALTH_PROTOCOL_ERROR, false, "" },
        { "+PON", ERR_TIMEOUT, HEALTH_RESPONSE_TIMEOUT, false, "" },
        { "", ERR_TIMEOUT, HEALTH_RESPONSE_TIMEOUT, false, "" },
        { "+PON", ERR_CLOSED, HEALTH_CLOSED, false, "" },
        { "", ERR_TLS, HEALTH_TLS_FAILED, false, "" },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct probe_outcome o = check(slice_text(CASES[i].answer), 4096, CASES[i].end, false);

        if (o.reason != CASES[i].reason || o.connection_is_good != CASES[i].connection_is_good)
            printf("answer %zu: %s\n", i, reason_word(o.reason));
        CHECK_INT(o.reason, CASES[i].reason);
        CHECK_INT(o.connection_is_good, CASES[i].connection_is_good);
        CHECK_TEXT(o.text, CASES[i].text);
    }
    CHECK_INT(check(bytes("-LOADING Redis is loading\r\n"), 1, ERR_TIMEOUT, false).reason,
              HEALTH_LOADING);
}

static void an_endless_answer_is_cut_off(void)
{
    size_t len = 2 * 1024 * 1024;
    char *endless = malloc(len);

    memset(endless, 'a', len);
    endless[0] = '+';
    CHECK_INT(check(slice_of(endless, len), 4096, ERR_TIMEOUT, false).reason,
              HEALTH_PROTOCOL_ERROR);
    free(endless);
}

static struct probe_outcome login(struct script *script, const struct probe_login *login)
{
    struct probe_stream stream = { script, script_read, script_write };
    struct probe_outcome outcome;

    script->piece = 5; /* "+OK\r\n": one reply a read */
    probe_redis_login(&stream, login, 0, &outcome);
    return outcome;
}

static void login_says_who_and_where(void)
{
    struct script both = { .answer = bytes("+OK\r\n+OK\r\n") },
                  one = { .answer = bytes("+OK\r\n") }, none = { 0 };

    CHECK_INT(login(&both, &(struct probe_login){ .user = "u", .password = "p", .db = 3 }).reason,
              HEALTH_FINE);
    CHECK_BYTES(
        slice_of(both.said, both.sent),
        bytes("*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"));
    CHECK_INT(login(&one, &(struct probe_login){ .password = "p" }).reason, HEALTH_FINE);
    CHECK_BYTES(slice_of(one.said, one.sent), bytes("*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n"));
    CHECK_INT(login(&none, &(struct probe_login){ 0 }).reason, HEALTH_FINE);
    CHECK_INT(none.sent, 0);
}

static void a_password_that_is_repeated_by_the_server_is_not_kept(void)
{
    struct script s = { .answer = bytes("-ERR unknown command `AUTH`, with args beginning with: "
                                        "`secret`, \r\n") };
    struct probe_outcome o = login(&s, &(struct probe_login){ .password = "secret" });

    CHECK_INT(o.reason, HEALTH_LOGIN_REFUSED);
    CHECK(!o.connection_is_good);
    CHECK_TEXT(o.text, "ERR unknown command `AUTH`");
}

static void info_is_read_and_kept_until_the_next(void)
{
    struct script s = { .answer = bytes("+PONG\r\n"), .piece = 4096, .end = ERR_TIMEOUT };
    struct probe_stream stream = { &s, script_read, script_write };
    struct probe_outcome o;

    o = check(bytes("+PONG\r\n$170\r\n# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\n"
                    "valkey_version:8.0.1\r\nused_memory:1000\r\nmaxmemory:2000\r\nrole:slave\r\n"
                    "master_link_status:up\r\nmaster_repl_offset:77\r\nodd\r\n\r\n"),
              7, ERR_TIMEOUT, true);
    CHECK_INT(o.reason, HEALTH_READONLY);
    CHECK(o.info.is_known && o.info.primary_link_is_up);
    CHECK_INT(o.info.role, PROBE_ROLE_REPLICA);
    CHECK_TEXT(o.info.version, "8.0.1");
    CHECK_TEXT(o.info.flavor, "valkey");
    CHECK_INT(o.info.used_memory, 1000);
    CHECK_INT(o.info.most_memory, 2000);
    CHECK_INT(o.info.replication_offset, 77);
    probe_redis_check(&stream, false, 0, &o);
    CHECK_INT(o.reason, HEALTH_READONLY);
    CHECK_TEXT(o.info.version, "8.0.1");
}

static void who_may_not_ask_for_info_is_fine(void)
{
    struct probe_outcome o =
        check(bytes("+PONG\r\n-NOPERM no INFO for you\r\n"), 7, ERR_TIMEOUT, true);

    CHECK_INT(o.reason, HEALTH_FINE);
    CHECK(o.connection_is_good);
    CHECK(!o.info.is_known);
}

#define GET_MARK "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"

/* `was_there` and the result are `there` and `written` afterwards. */
static void expect_mark(struct probe_mark *mark, const char *answer, const char *said, bool there,
                        bool written)
{
    struct script s = { .answer = slice_text(answer), .piece = 1 };
    struct probe_stream stream = { &s, script_read, script_write };
    struct probe_outcome o = { .connection_is_good = true };

    CHECK_INT(probe_redis_keep_mark(&stream, mark, 0, &o), written);
    CHECK_BYTES(slice_of(s.said, s.sent), slice_text(said));
    CHECK_INT(mark->was_there, there);
    CHECK(o.connection_is_good);
}

static void a_mark_is_written_again_but_never_first_and_never_over_another(void)
{
    const char *set = GET_MARK "*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nme\r\n$2\r\nNX\r\n";
    struct probe_mark mark = { .key = "k", .text = "me" };

    expect_mark(&mark, "$-1\r\n", GET_MARK, false, false);
    expect_mark(&mark, "$2\r\nme\r\n", GET_MARK, true, false);
    expect_mark(&mark, "-NOPERM no\r\n", GET_MARK, true, false);
    expect_mark(&mark, "$-1\r\n+OK\r\n", set, true, true);
    expect_mark(&mark, "$-1\r\n$-1\r\n", set, true, false);
    expect_mark(&mark, "$-1\r\n-OOM no\r\n", set, true, false);
    expect_mark(&mark, "$3\r\nyou\r\n", GET_MARK, false, false);
    expect_mark(&mark, "$-1\r\n", GET_MARK, false, false);
}

/* --- a real server --- */

static char folder[] = "/tmp/sheaf-probe-XXXXXX";
static pid_t server;
static uint16_t plain_port, tls_port;

static uint64_t soon(void)
{
    return clock_now_us() + 5000000;
}

static uint16_t free_port(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK_INT(bind(fd, (struct sockaddr *)&at, len), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    close(fd);
    return ntohs(at.sin_port);
}

static struct dial *dial(uint16_t port, struct tls_context *tls)
{
    struct buf why = { 0 };
    struct dial *d = NULL;
    enum err err = dial_open(
        &(struct dial_options){ .host = "127.0.0.1", .port = port, .tls = tls }, soon(), &d, &why);

    (void)err; /* the caller looks at d */
    buf_fini(&why);
    return d;
}

static bool server_answers(void)
{
    uint64_t until_us = clock_now_us() + 20000000;

    while (clock_now_us() < until_us) {
        struct dial *d = dial(plain_port, NULL);

        if (d != NULL) {
            dial_close(&d);
            return true;
        }
        if (waitpid(server, NULL, WNOHANG) != 0)
            return false;
        usleep(5000);
    }
    return false;
}

static bool server_start(void)
{
    char port[8], port_of_tls[8];

    plain_port = free_port();
    tls_port = free_port();
    snprintf(port, sizeof(port), "%u", plain_port);
    snprintf(port_of_tls, sizeof(port_of_tls), "%u", tls_port);
    if (system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
               "-subj /CN=probe -addext subjectAltName=IP:127.0.0.1 -keyout key -out cert "
               ">log 2>&1") != 0)
        return false;
    server = fork();
    if (server == 0) {
        int log = open("log", O_WRONLY | O_APPEND | O_CREAT, 0600);

        dup2(log, 1);
        dup2(log, 2);
        execlp("redis-server", "redis-server", "--port", port, "--tls-port", port_of_tls,
               "--tls-cert-file", "cert", "--tls-key-file", "key", "--tls-ca-cert-file", "cert",
               "--tls-auth-clients", "no", "--bind", "127.0.0.1", "--save", "", "--requirepass",
               "open sesame", "--maxmemory", "100mb", (char *)NULL);
        _exit(127);
    }
    return server > 0 && server_answers();
}

static struct probe_stream stream_of(struct dial *d)
{
    return (struct probe_stream){ d, dial_read, dial_write };
}

static void ask_how_it_is(struct tls_context *tls, uint16_t port)
{
    struct dial *d = dial(port, tls);
    struct probe_stream stream = stream_of(d);
    struct probe_outcome o;

    CHECK(d != NULL);
    if (d == NULL)
        return;
    probe_redis_login(&stream, &(struct probe_login){ .password = "open sesame", .db = 2 }, soon(),
                      &o);
    CHECK_INT(o.reason, HEALTH_FINE);
    for (int i = 0; i < 3; i++) {
        probe_redis_check(&stream, i == 1, soon(), &o);
        CHECK_INT(o.reason, HEALTH_FINE);
        CHECK(o.connection_is_good && o.latency_us > 0);
        CHECK_INT(o.info.is_known, i >= 1);
    }
    CHECK_INT(o.info.role, PROBE_ROLE_PRIMARY);
    CHECK_INT(o.info.most_memory, 100 * 1024 * 1024);
    CHECK(o.info.used_memory > 0);
    CHECK(o.info.version[0] >= '1' && o.info.version[0] <= '9');
    CHECK_TEXT(o.info.flavor, "redis");
    dial_close(&d);
}

static void a_real_server_is_fine(void)
{
    ask_how_it_is(NULL, plain_port);
}

static void a_real_server_is_fine_over_tls(void)
{
    struct tls_context *tls = NULL;
    struct buf why = { 0 };

    CHECK_INT(tls_context_new(&(struct tls_options){ .side = TLS_CONNECT, .ca_file = "cert" }, &tls,
                              &why),
              ERR_NONE);
    ask_how_it_is(tls, tls_port);
    tls_context_unref(&tls);
    buf_fini(&why);
}

static void expect_login(const struct probe_login *login, bool is_let_in, const char *text)
{
    struct dial *d = dial(plain_port, NULL);
    struct probe_stream stream = stream_of(d);
    struct probe_outcome o;

    probe_redis_login(&stream, login, soon(), &o);
    if (login->password == NULL)
        probe_redis_check(&stream, false, soon(), &o);
    CHECK_INT(o.reason, is_let_in ? HEALTH_FINE : HEALTH_LOGIN_REFUSED);
    CHECK(slice_starts(slice_text(o.text), slice_text(text)));
    dial_close(&d);
}

static void logins_are_refused_with_the_servers_words(void)
{
    expect_login(&(struct probe_login){ .password = "open sesame" }, true, "");
    expect_login(&(struct probe_login){ .password = "close" }, false, "WRONGPASS ");
    expect_login(&(struct probe_login){ .user = "x", .password = "y" }, false, "WRONGPASS ");
    expect_login(&(struct probe_login){ 0 }, false, "NOAUTH ");
    expect_login(&(struct probe_login){ .password = "open sesame", .db = 99 }, false,
                 "ERR DB index is out of range");
}

static void a_stopped_server_costs_no_more_than_the_deadline(void)
{
    struct dial *d = dial(plain_port, NULL);
    struct probe_stream stream = stream_of(d);
    struct probe_outcome o;
    uint64_t begun_us;

    probe_redis_login(&stream, &(struct probe_login){ .password = "open sesame" }, soon(), &o);
    kill(server, SIGSTOP);
    begun_us = clock_now_us();
    probe_redis_check(&stream, true, begun_us + 50000, &o);
    CHECK(clock_now_us() - begun_us >= 50000);
    CHECK_INT(o.reason, HEALTH_RESPONSE_TIMEOUT);
    CHECK(!o.connection_is_good);
    dial_close(&d);
    kill(server, SIGCONT);
}

static void a_server_that_went_is_closed(void)
{
    struct dial *d = dial(plain_port, NULL);
    struct probe_stream stream = stream_of(d);
    struct probe_outcome o;

    probe_redis_login(&stream, &(struct probe_login){ .password = "open sesame" }, soon(), &o);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    server = 0;
    probe_redis_check(&stream, false, soon(), &o);
    CHECK_INT(o.reason, HEALTH_CLOSED);
    dial_close(&d);
}

static void run_with_a_server(void)
{
    bool runs = mkdtemp(folder) != NULL && chdir(folder) == 0 && server_start();

    CHECK(runs);
    if (!runs) {
        printf("redis-server does not run: see %s/log\n", folder);
        check_failed++;
    } else {
        RUN(a_real_server_is_fine);
        RUN(a_real_server_is_fine_over_tls);
        RUN(logins_are_refused_with_the_servers_words);
        RUN(a_stopped_server_costs_no_more_than_the_deadline);
        RUN(a_server_that_went_is_closed);
    }
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    if (runs)
        CHECK_INT(system("rm -r \"$PWD\""), 0);
}

int main(void)
{
    RUN(each_answer_to_a_ping_has_its_reason);
    RUN(an_endless_answer_is_cut_off);
    RUN(login_says_who_and_where);
    RUN(a_password_that_is_repeated_by_the_server_is_not_kept);
    RUN(info_is_read_and_kept_until_the_next);
    RUN(who_may_not_ask_for_info_is_fine);
    RUN(a_mark_is_written_again_but_never_first_and_never_over_another);
    if (system("command -v redis-server >/dev/null") == 0)
        run_with_a_server();
    else
        printf("SKIPPED: redis-server is not installed, 5 tests did not run\n");
    return check_report();
}
