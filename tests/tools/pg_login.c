/* Logs in at a real PostgreSQL with our own login, for scenario tests.
 *
 *     pg_login at=HOST:PORT|/SOCKET user=U [database=D] [password=P] [tls=1] [bind=1] [clear=1]
 *              [cancel=1] [wait=1] [guess=1] [rounds=N] [pause_us=N] [+NAME=VALUE]...
 *
 * Prints a line for each login: "in ..." or "refused ERROR SQLSTATE[!] WHY" ("!": the secret was
 * wrong).  Each round begins a connection; from the second on only the keys that the first one made
 * are known.  With wait=1 a line is awaited before each round but the first; with cancel=1 each
 * login cancels a query of its own; with guess=1 SCRAM is begun unasked.  A last line tells what a
 * login took of the CPU, the first one not counted: in our own code, with all that it sent and
 * received, and of connecting: the least that a login at that server takes. */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proxy/sql/pg_login.h"
#include "proxy/wire/pgwire_write.h"

enum { MOST_PARAMETERS = 8 };

static struct {
    const char *at;
    struct pg_login_settings login;
    struct pg_parameter parameters[MOST_PARAMETERS];
    int rounds;
    useconds_t pause_us; /* before each */
    bool is_tls, must_cancel, must_wait, guesses;
} want = { .rounds = 1 };

static struct {
    int fd;
    SSL *ssl;
    struct buf in, out;
    uint8_t endpoint[EVP_MAX_MD_SIZE];
    double cpu_us; /* of the login's own code */
    double all_us; /* with sending and receiving; not with connecting */
    double connect_us;
} link_;

static void fail(const char *text)
{
    fprintf(stderr, "pg_login: %s\n", text);
    _Exit(2);
}

static double cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* --- The way there --------------------------------------------------------------------------- */

static void dial(void)
{
    struct sockaddr_un path = { .sun_family = AF_UNIX };
    struct sockaddr_in address = { .sin_family = AF_INET };
    const char *colon = strrchr(want.at, ':');
    bool is_path = want.at[0] == '/';
    char host[64];

    if (is_path) {
        snprintf(path.sun_path, sizeof(path.sun_path), "%s", want.at);
    } else {
        if (colon == NULL)
            fail("at=HOST:PORT");
        snprintf(host, sizeof(host), "%.*s", (int)(colon - want.at), want.at);
        address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
        if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
            fail("the host must be an address");
    }
    link_.fd = socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    if (connect(link_.fd, is_path ? (void *)&path : (void *)&address,
                is_path ? sizeof(path) : sizeof(address)) != 0)
        fail("can't connect");
}

static void send_out(void)
{
    for (size_t at = 0; at < link_.out.len;) {
        const uint8_t *from = link_.out.at + at;
        size_t len = link_.out.len - at;
        ssize_t sent = link_.ssl != NULL ? SSL_write(link_.ssl, from, (int)len)
                                         : send(link_.fd, from, len, MSG_NOSIGNAL);

        if (sent <= 0)
            break; /* it has hung up: what it said is still to be read */
        at += (size_t)sent;
    }
    buf_clear(&link_.out);
}

static void receive(size_t most)
{
    uint8_t *to = buf_reserve(&link_.in, most);
    ssize_t got =
        link_.ssl != NULL ? SSL_read(link_.ssl, to, (int)most) : recv(link_.fd, to, most, 0);

    if (got <= 0)
        fail("the server closed the connection");
    buf_grow(&link_.in, (size_t)got);
}

/* RFC 5929: the certificate's own hash, but SHA-256 where that is weaker. */
static void take_endpoint(void)
{
    X509 *certificate = SSL_get1_peer_certificate(link_.ssl);
    const EVP_MD *md = EVP_sha256();
    unsigned len = 0;
    int digest;

    if (certificate == NULL)
        fail("no certificate");
    if (OBJ_find_sigid_algs(X509_get_signature_nid(certificate), &digest, NULL) == 1 &&
        digest != NID_md5 && digest != NID_sha1)
        md = EVP_get_digestbynid(digest);
    if (X509_digest(certificate, md, link_.endpoint, &len) != 1)
        fail("no hash of the certificate");
    want.login.endpoint = slice_of(link_.endpoint, len);
    X509_free(certificate);
}

static void start_tls(SSL_CTX *tls)
{
    bool is_yes = false;

    pg_put_ssl_request(&link_.out);
    send_out();
    receive(1);
    if (pg_ssl_answer_read(buf_all(&link_.in), &is_yes) != ERR_NONE || !is_yes)
        fail("no TLS");
    buf_clear(&link_.in);
    link_.ssl = SSL_new(tls);
    if (SSL_set_fd(link_.ssl, link_.fd) != 1 || SSL_connect(link_.ssl) != 1)
        fail("the TLS handshake failed");
    take_endpoint();
}

static void hang_up(void)
{
    pg_put_terminate(&link_.out);
    send_out();
    SSL_free(link_.ssl);
    close(link_.fd);
    link_.ssl = NULL;
    buf_clear(&link_.in);
}

/* --- Logins ---------------------------------------------------------------------------------- */

/* One value of one row as the server knows it, or the SQLSTATE of its refusal. */
static void hear(char *value, size_t room)
{
    struct pg_report report;
    struct pg_row row;
    struct pg_frame f = { 0 };

    while (f.type != PG_BACK_READY) {
        struct slice body, found = { 0 };

        while (pg_frame_read(buf_all(&link_.in), &f) != ERR_NONE ||
               !pg_frame_is_whole(buf_all(&link_.in), f))
            receive(4096);
        body = pg_frame_body(buf_all(&link_.in), f);
        if (f.type == PG_BACK_DATA_ROW && pg_read_row(body, &row) == ERR_NONE && row.count == 1)
            found = pg_row_value(&row, 0).bytes;
        if (f.type == PG_BACK_ERROR && pg_read_report(body, &report) == ERR_NONE)
            found = report.sqlstate;
        if (found.len > 0)
            snprintf(value, room, "%.*s", (int)found.len, (const char *)found.at);
        buf_skip(&link_.in, f.bytes);
    }
}

static void say(const char *question)
{
    pg_put_query(&link_.out, slice_text(question));
    send_out();
}

/* Cancels its own query: a request is taken without an answer, and its end is the connection's. */
static void cancel(const struct pg_login *login)
{
    char value[32] = "";
    struct buf request = { 0 };
    int own = link_.fd;

    say("SELECT pg_sleep(600)");
    pg_put_cancel(&request, login->pid, slice_of(login->secret, login->secret_len));
    while (strcmp(value, "57014") != 0) { /* a request may come before its query */
        uint8_t nothing;
        struct timeval patience = { .tv_usec = 100 * 1000 };
        fd_set readable;

        dial();
        if (send(link_.fd, request.at, request.len, MSG_NOSIGNAL) != (ssize_t)request.len ||
            recv(link_.fd, &nothing, 1, 0) != 0)
            fail("the cancel request was answered");
        close(link_.fd);
        FD_ZERO(&readable);
        FD_SET(own, &readable);
        link_.fd = own;
        if (select(own + 1, &readable, NULL, NULL, &patience) == 1)
            hear(value, sizeof(value));
    }
    printf("cancelled\n");
    buf_fini(&request);
}

static const char *name_of(enum err err)
{
    switch ((int)err) {
    case ERR_LOGIN:
        return "login";
    case ERR_LIMIT:
        return "limit";
    case ERR_TLS:
        return "tls";
    case ERR_UNSUPPORTED:
        return "unsupported";
    }
    return "other";
}

static void tell(struct pg_login *login, enum err err)
{
    struct slice rest = buf_all(&login->parameters);
    struct pg_parameter p;
    char pid[32] = "";

    if (err != ERR_NONE) {
        printf("refused %s %s%s %s\n", name_of(err), login->sqlstate[0] ? login->sqlstate : "-",
               login->is_wrong_secret ? "!" : "", login->why);
        return;
    }
    say("SELECT pg_backend_pid()");
    hear(pid, sizeof(pid));
    printf("in pid=%u asked=%s secret=", login->pid, pid);
    for (size_t i = 0; i < login->secret_len; i++)
        printf("%02x", login->secret[i]);
    printf(" bound=%d made=%u", login->is_bound, login->keys.verifier.iterations);
    while (pg_parameter_next(&rest, &p))
        printf(" %.*s='%.*s'", (int)p.name.len, (const char *)p.name.at, (int)p.value.len,
               (const char *)p.value.at);
    printf("\n");
    if (want.must_cancel)
        cancel(login);
}

/* What comes is told of only when it is so much. */
static void receive_from(int bytes)
{
    static int now = 1;

    if (bytes != now)
        setsockopt(link_.fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
    now = bytes;
}

static enum err log_in(struct pg_login *login)
{
    double began = cpu_us(), first = began;
    enum err err = ERR_AGAIN;
    size_t used;

    link_.cpu_us = 0;
    pg_login_begin(login, &want.login, &link_.out);
    receive_from(login->guessed ? PG_LOGIN_ASKED_BYTES + 1 : 1);
    while (err == ERR_AGAIN) {
        link_.cpu_us += cpu_us() - began;
        send_out();
        receive(4096);
        receive_from(1);
        began = cpu_us();
        err = pg_login_feed(login, buf_all(&link_.in), &used, &link_.out);
        buf_skip(&link_.in, used);
    }
    link_.all_us = cpu_us() - first;
    link_.cpu_us += cpu_us() - began;
    return err;
}

static void take_argument(char *text)
{
    char *value = strchr(text, '=');
    struct slice s;

    if (value == NULL)
        fail("NAME=VALUE");
    *value++ = '\0';
    s = slice_text(value);
    if (text[0] == '+' && want.login.parameter_count < MOST_PARAMETERS)
        want.parameters[want.login.parameter_count++] =
            (struct pg_parameter){ slice_text(text + 1), s };
    else if (strcmp(text, "at") == 0)
        want.at = value;
    else if (strcmp(text, "user") == 0)
        want.login.user = s;
    else if (strcmp(text, "database") == 0)
        want.login.database = s;
    else if (strcmp(text, "password") == 0)
        want.login.password = s;
    else if (strcmp(text, "tls") == 0)
        want.is_tls = true;
    else if (strcmp(text, "bind") == 0)
        want.login.must_bind = true;
    else if (strcmp(text, "clear") == 0)
        want.login.may_tell_password = true;
    else if (strcmp(text, "cancel") == 0)
        want.must_cancel = true;
    else if (strcmp(text, "wait") == 0)
        want.must_wait = true;
    else if (strcmp(text, "guess") == 0)
        want.guesses = true;
    else if (strcmp(text, "pause_us") == 0)
        want.pause_us = (useconds_t)strtol(value, NULL, 10);
    else if (strcmp(text, "rounds") == 0)
        want.rounds = (int)strtol(value, NULL, 10);
    else
        fail("no such argument");
}

int main(int argc, char **argv)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    struct scram_keys keys = { 0 };
    double sum = 0, all = 0, connecting = 0, began;

    alarm(300); /* whoever asked may be gone */
    for (int i = 1; i < argc; i++)
        take_argument(argv[i]);
    if (want.at == NULL)
        fail("at=HOST:PORT|/SOCKET is missing");
    want.login.parameters = want.parameters;
    want.login.is_private = want.is_tls || want.at[0] == '/';
    for (int i = 0; i < want.rounds; i++) {
        struct pg_login login;

        if (i > 0 && want.must_wait && getchar() == EOF)
            break;
        usleep(want.pause_us);
        began = cpu_us();
        dial();
        if (want.is_tls)
            start_tls(tls);
        link_.connect_us = cpu_us() - began;
        tell(&login, log_in(&login));
        fflush(stdout);
        if (login.keys.verifier.iterations > 0)
            keys = login.keys;
        if (i > 0) {
            sum += link_.cpu_us;
            all += link_.all_us;
            connecting += link_.connect_us;
        }
        want.login.keys = keys.verifier.iterations > 0 ? &keys : NULL;
        want.login.password = (struct slice){ 0 };
        want.login.guesses_scram = want.guesses;
        pg_login_fini(&login);
        hang_up();
    }
    if (want.rounds > 1)
        printf("cpu_us=%.1f all_us=%.1f connect_us=%.1f\n", sum / (want.rounds - 1),
               all / (want.rounds - 1), connecting / (want.rounds - 1));
    SSL_CTX_free(tls);
    buf_fini(&link_.in);
    buf_fini(&link_.out);
    return 0;
}
