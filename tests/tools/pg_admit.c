/* Logs clients in as a PostgreSQL server does, and itself at a real one with what they proved, then
 * passes all that both say: for scenario tests.
 *
 *     pg_admit listen=PORT|/SOCKET server=HOST:PORT users=FILE hba=FILE [ident=FILE]
 *              [cert=FILE key=FILE ca=FILE]
 *
 * Says "listening"; then, of each client, "in USER by METHOD secret=... keys=..." or "refused
 * SQLSTATE WHY", and "server WHY" if the real one refuses.  Each has a process of its own. */
#include <arpa/inet.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/auth_file.h"
#include "config/hba.h"
#include "proxy/base/mem.h"
#include "proxy/io/tls.h"
#include "proxy/sql/pg_admit.h"
#include "proxy/sql/pg_login.h"
#include "proxy/wire/pg_md5.h"
#include "proxy/wire/pgwire_write.h"

static struct {
    const char *listen, *server, *users, *hba, *ident, *cert, *key, *ca;
} want;

static struct auth_users users;
static struct hba hba;
static struct ident ident;
static struct arena arena;
static struct tls_context *tls;
static uint8_t process_secret[32];

/* One end: the client, or the server. */
struct end {
    int fd;
    struct tls_stream *tls;
    struct buf in, out;
};

static _Noreturn void fail(const char *text)
{
    fprintf(stderr, "pg_admit: %s\n", text);
    _Exit(2);
}

/* --- Ends ------------------------------------------------------------------------------------ */

static void send_out(struct end *e)
{
    for (size_t at = 0, put = 0; at < e->out.len; at += put) {
        ssize_t sent = 0;

        if (e->tls != NULL && tls_write(e->tls, e->out.at + at, e->out.len - at, &put) != ERR_NONE)
            _Exit(0);
        if (e->tls == NULL)
            sent = send(e->fd, e->out.at + at, e->out.len - at, MSG_NOSIGNAL);
        if (sent < 0)
            _Exit(0); /* it has hung up */
        put = e->tls != NULL ? put : (size_t)sent;
    }
    buf_clear(&e->out);
}

/* A close is the end of this process: there is nothing more to do. */
static void receive(struct end *e, size_t most)
{
    uint8_t *to = buf_reserve(&e->in, most);
    size_t got = 0;
    ssize_t received;

    if (e->tls != NULL) {
        if (tls_read(e->tls, to, most, &got) != ERR_NONE)
            _Exit(0);
    } else {
        received = recv(e->fd, to, most, 0);
        if (received <= 0)
            _Exit(0);
        got = (size_t)received;
    }
    buf_grow(&e->in, got);
}

static int open_socket(const char *at, bool listens)
{
    struct sockaddr_un path = { .sun_family = AF_UNIX };
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const char *colon = strrchr(at, ':');
    bool is_path = at[0] == '/';
    const struct sockaddr *name = is_path ? (void *)&path : (void *)&address;
    socklen_t len = is_path ? sizeof(path) : sizeof(address);
    int fd = socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM, 0), one = 1;

    snprintf(path.sun_path, sizeof(path.sun_path), "%s", at);
    address.sin_port = htons((uint16_t)strtoul(colon != NULL ? colon + 1 : at, NULL, 10));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (listens ? bind(fd, name, len) != 0 || listen(fd, 16) != 0 : connect(fd, name, len) != 0)
        fail(listens ? "can't listen" : "can't connect");
    return fd;
}

/* --- The client ------------------------------------------------------------------------------ */

struct visit {
    struct end client;
    struct sockaddr_storage address;
    bool is_tls;
    struct buf startup; /* its parameters */
    char name[64];      /* of the certificate, or the system's user */
    char host[64];
    uint8_t endpoint[TLS_END_POINT_MOST];
};

static void start_tls(struct visit *v)
{
    buf_text(&v->client.out, tls != NULL ? "S" : "N");
    send_out(&v->client);
    if (tls == NULL)
        return;
    v->client.tls = tls_stream_new(tls, v->client.fd, NULL, NULL);
    if (tls_handshake(v->client.tls) != ERR_NONE)
        _Exit(0);
    v->is_tls = true;
}

static void read_startup(struct visit *v)
{
    struct pg_opening opening;
    enum err err;

    for (;;) {
        while ((err = pg_opening_read(buf_all(&v->client.in), &opening)) == ERR_AGAIN)
            receive(&v->client, 4096);
        if (err != ERR_NONE)
            fail("no StartupMessage");
        if (opening.kind == PG_OPENING_STARTUP) {
            buf_slice(&v->startup, opening.parameters);
            buf_skip(&v->client.in, opening.bytes);
            return;
        }
        buf_skip(&v->client.in, opening.bytes);
        if (opening.kind == PG_OPENING_SSL) {
            start_tls(v);
        } else if (opening.kind == PG_OPENING_GSSENC) {
            buf_text(&v->client.out, "N");
            send_out(&v->client);
        } else {
            _Exit(0);
        }
    }
}

static struct slice parameter(const struct visit *v, const char *name)
{
    struct slice value = { 0 };

    (void)!pg_parameter_find(buf_all(&v->startup), name, &value);
    return value;
}

static void learn_address(struct visit *v)
{
    socklen_t len = sizeof(v->address);
    struct ucred peer;
    socklen_t peer_len = sizeof(peer);
    const struct passwd *entry;

    if (getpeername(v->client.fd, (struct sockaddr *)&v->address, &len) != 0)
        _Exit(0);
    if (v->address.ss_family == AF_INET) {
        inet_ntop(AF_INET, &((struct sockaddr_in *)&v->address)->sin_addr, v->host,
                  sizeof(v->host));
        return;
    }
    v->address.ss_family = AF_UNIX;
    if (getsockopt(v->client.fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) != 0)
        fail("who is at the socket?");
    entry = getpwuid(peer.uid);
    snprintf(v->name, sizeof(v->name), "%s", entry == NULL ? "" : entry->pw_name);
}

static struct slice secret_of(struct slice user)
{
    for (uint32_t i = 0; i < users.count; i++)
        if (slice_is_text(user, users.list[i].name) && users.list[i].secret != NULL)
            return slice_text(users.list[i].secret);
    return (struct slice){ 0 };
}

static enum pg_admit_method method_of(const struct hba_rule *rule)
{
    static const enum pg_admit_method METHODS[] = {
        [HBA_TRUST] = PG_ADMIT_TRUST,       [HBA_REJECT] = PG_ADMIT_REJECT,
        [HBA_PASSWORD] = PG_ADMIT_PASSWORD, [HBA_MD5] = PG_ADMIT_MD5,
        [HBA_SCRAM] = PG_ADMIT_SCRAM,       [HBA_CERT] = PG_ADMIT_CERT,
        [HBA_PEER] = PG_ADMIT_PEER,
    };

    return rule == NULL ? PG_ADMIT_NO_RULE : METHODS[rule->method];
}

static const struct hba_rule *choose_rule(struct visit *v, struct pg_admit_settings *s)
{
    struct hba_visit visit = { .is_tls = v->is_tls,
                               .address = (struct sockaddr *)&v->address,
                               .database = parameter(v, "database"),
                               .user = parameter(v, "user") };
    const struct hba_rule *rule = hba_match(&hba, &visit);

    *s = (struct pg_admit_settings){ .method = method_of(rule),
                                     .user = visit.user,
                                     .secret = secret_of(visit.user),
                                     .process_secret = slice_of(process_secret, 32),
                                     .host = v->address.ss_family == AF_UNIX ? NULL : v->host,
                                     .database = visit.database,
                                     .is_tls = v->is_tls };
    if (v->is_tls) {
        if (tls_server_end_point(v->client.tls, v->endpoint, &s->endpoint.len) == ERR_NONE)
            s->endpoint.at = v->endpoint;
        s->has_cert = tls_peer_is_verified(v->client.tls);
        if (tls_peer_name(v->client.tls, v->name, sizeof(v->name)) != ERR_NONE)
            v->name[0] = '\0';
    }
    if (rule != NULL) {
        s->cert = (enum pg_admit_cert)rule->client_cert;
        s->is_vouched = ident_allows(&ident, rule->map, slice_text(v->name), visit.user);
    }
    return rule;
}

static void admit_client(struct visit *v, struct pg_admit *admit, struct pg_admit_settings *s)
{
    const struct hba_rule *rule = choose_rule(v, s);
    enum err err = pg_admit_begin(admit, s, &v->client.out);
    size_t used;

    while (err == ERR_AGAIN) {
        send_out(&v->client);
        receive(&v->client, 4096);
        err = pg_admit_feed(admit, buf_all(&v->client.in), &used, &v->client.out);
        buf_skip(&v->client.in, used);
    }
    if (err == ERR_NONE) {
        printf("in %.*s by %s secret=%s keys=%u\n", (int)s->user.len, s->user.at,
               hba_method_name(rule->method),
               pg_md5_is_hash(buf_all(&admit->secret)) ? "md5"
               : admit->secret.len > 0                 ? "clear"
                                                       : "none",
               admit->keys.verifier.iterations);
        return;
    }
    printf("refused %s %s\n", admit->sqlstate, admit->why);
    send_out(&v->client);
    if (v->client.tls != NULL)
        (void)!tls_shutdown(v->client.tls);
    _Exit(0);
}

/* --- The server ------------------------------------------------------------------------------ */

static void log_in(struct visit *v, struct pg_admit *admit, struct end *server)
{
    struct pg_login_settings settings = { .user = parameter(v, "user"),
                                          .database = parameter(v, "database"),
                                          .password = buf_all(&admit->secret),
                                          .may_tell_password = true };
    struct pg_parameter p;
    struct pg_login login;
    struct slice rest;
    enum err err = ERR_AGAIN;
    size_t used;

    if (admit->keys.verifier.iterations > 0)
        settings.keys = &admit->keys;
    server->fd = open_socket(want.server, false);
    pg_login_begin(&login, &settings, &server->out);
    while (err == ERR_AGAIN) {
        send_out(server);
        receive(server, 4096);
        err = pg_login_feed(&login, buf_all(&server->in), &used, &server->out);
        buf_skip(&server->in, used);
    }
    if (err != ERR_NONE) {
        printf("server %s\n", login.why);
        pg_put_error_text(&v->client.out, "FATAL", "08006", "server: %s", login.why);
        send_out(&v->client);
        _Exit(0);
    }
    rest = buf_all(&login.parameters);
    while (pg_parameter_next(&rest, &p))
        pg_put_parameter_status(&v->client.out, p.name, p.value);
    pg_put_key(&v->client.out, login.pid, slice_of(login.secret, login.secret_len));
    pg_put_ready(&v->client.out, PG_STATUS_IDLE);
    pg_login_fini(&login);
}

static void pass(struct end *from, struct end *to)
{
    do
        receive(from, 16384);
    while (from->tls != NULL && tls_has_pending(from->tls));
    buf_slice(&to->out, buf_all(&from->in));
    buf_clear(&from->in);
    send_out(to);
}

static _Noreturn void serve(int fd)
{
    struct visit v = { .client.fd = fd };
    struct pg_admit_settings settings;
    struct pg_admit admit;
    struct end server = { 0 };

    learn_address(&v);
    read_startup(&v);
    admit_client(&v, &admit, &settings);
    log_in(&v, &admit, &server);
    pg_admit_fini(&admit);
    send_out(&v.client);
    for (;;) {
        struct pollfd ends[2] = { { .fd = fd, .events = POLLIN },
                                  { .fd = server.fd, .events = POLLIN } };

        if (v.client.in.len > 0 || poll(ends, 2, -1) < 0)
            fail("bytes before we were ready");
        if (ends[0].revents != 0)
            pass(&v.client, &server);
        if (ends[1].revents != 0)
            pass(&server, &v.client);
    }
}

/* --- The whole ------------------------------------------------------------------------------- */

static struct slice read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t len = 0;

    if (file == NULL)
        fail("can't read a file");
    if (getdelim(&text, &len, '\0', file) < 0)
        text = mem_text("");
    fclose(file);
    return slice_text(text);
}

static void load(void)
{
    struct problems problems = { 0 };

    auth_file_parse(read_file(want.users), (struct place){ .file = want.users }, &arena, &users,
                    &problems);
    hba_parse(read_file(want.hba), (struct place){ .file = want.hba }, &arena, &hba, &problems);
    if (want.ident != NULL)
        ident_parse(read_file(want.ident), (struct place){ .file = want.ident }, &arena, &ident,
                    &problems);
    ident_check_maps(&ident, &hba, &problems);
    problems_print(&problems, stderr);
    if (problems.errors > 0)
        fail("see above");
}

static void load_tls(void)
{
    struct tls_options options = {
        .side = TLS_ACCEPT, .cert_file = want.cert, .key_file = want.key, .ca_file = want.ca
    };
    struct buf why = { 0 };

    if (want.cert != NULL && tls_context_new(&options, &tls, &why) != ERR_NONE)
        fail((const char *)why.at);
}

static void take_argument(char *text)
{
    static const struct {
        const char *name, **value;
    } ARGUMENTS[] = {
        { "listen", &want.listen }, { "server", &want.server }, { "users", &want.users },
        { "hba", &want.hba },       { "ident", &want.ident },   { "cert", &want.cert },
        { "key", &want.key },       { "ca", &want.ca },
    };
    char *value = strchr(text, '=');

    if (value == NULL)
        fail("NAME=VALUE");
    *value++ = '\0';
    for (size_t i = 0; i < sizeof(ARGUMENTS) / sizeof(ARGUMENTS[0]); i++) {
        if (strcmp(text, ARGUMENTS[i].name) == 0) {
            *ARGUMENTS[i].value = value;
            return;
        }
    }
    fail("no such argument");
}

int main(int argc, char **argv)
{
    int listener, fd;

    setlinebuf(stdout);
    signal(SIGCHLD, SIG_IGN); /* nobody waits for them */
    for (int i = 1; i < argc; i++)
        take_argument(argv[i]);
    if (want.listen == NULL || want.server == NULL || want.users == NULL || want.hba == NULL)
        fail("listen=, server=, users= and hba= are needed");
    if (getrandom(process_secret, sizeof(process_secret), 0) != sizeof(process_secret))
        fail("no random bytes");
    load();
    load_tls();
    listener = open_socket(want.listen, true);
    printf("listening\n");
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            alarm(300); /* whoever asked may be gone */
            serve(fd);
        }
        close(fd);
    }
    return 1;
}
