/* See pg_libpq.h.  The thread owns all of a talk: libpq's connection, which it drives; the listener
 * that libpq connects to, and the other end of what it gets there; and one end of the pair whose
 * other is the caller's.
 *
 *     libpq <-- loopback --> client ... talk ... pair <--> the caller <--> the server
 *
 * Who else connects to the listener is told from libpq by the name of its application, which only
 * libpq was told. */
#include "proxy/sql/pg_libpq.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/buf.h"
#include "proxy/base/mem.h"
#include "proxy/wire/pgwire.h"

enum { TALKS_MOST = 16, TOKEN_BYTES = 16, STARTUP_MOST = 8 * 1024, READ_BYTES = 16 * 1024 };

static atomic_uint talks;

struct talk {
    char *host, *user, *database; /* owned */
    uint64_t until_ms;
    char token[TOKEN_BYTES * 2 + 1];
    int pair, listener, client; /* owned; -1: none */
    PGconn *conn;
    PostgresPollingStatusType status;
    struct buf startup;
    bool begun; /* libpq's startup message came */
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool say(int fd, const void *at, size_t len)
{
    while (len > 0) {
        ssize_t put = send(fd, at, len, MSG_NOSIGNAL);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        at = (const uint8_t *)at + put;
        len -= (size_t)put;
    }
    return true;
}

/* The last line of what libpq says. */
static void say_failure(struct talk *t)
{
    const char *text = t->conn == NULL ? "no memory" : PQerrorMessage(t->conn), *line;
    size_t len = strlen(text);
    struct buf out = { 0 };
    uint8_t head[5] = { PG_LIBPQ_FAILS };

    while (len > 0 && text[len - 1] == '\n')
        len--;
    for (line = text + len; line > text && line[-1] != '\n'; line--)
        ;
    if (strncmp(line, "connection to server", 20) == 0 && strstr(line, " failed: ") != NULL)
        line = strstr(line, " failed: ") + strlen(" failed: "); /* not with the server itself */
    len -= (size_t)(line - text);
    head[3] = (uint8_t)((len + 4) >> 8);
    head[4] = (uint8_t)(len + 4);
    buf_put(&out, head, sizeof(head));
    buf_put(&out, line, len);
    if (len < 4096)
        (void)say(t->pair, out.at, out.len);
    buf_fini(&out);
}

static bool listens(struct talk *t, char port[8])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);

    t->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (t->listener < 0 || bind(t->listener, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(t->listener, 4) != 0 || getsockname(t->listener, (struct sockaddr *)&at, &len) != 0)
        return false;
    snprintf(port, 8, "%u", ntohs(at.sin_port));
    return true;
}

static void start_libpq(struct talk *t, const char *port)
{
    const char *names[] = { "host",    "hostaddr",         "port",    "user",
                            "dbname",  "application_name", "sslmode", "gssencmode",
                            "options", "client_encoding",  NULL };
    const char *values[] = { t->host,   "127.0.0.1", port, t->user, t->database, t->token,
                             "disable", "disable",   "",   "",      NULL };

    t->conn = PQconnectStartParams(names, values, 0);
    t->status = t->conn == NULL || PQstatus(t->conn) == CONNECTION_BAD ? PGRES_POLLING_FAILED
                                                                       : PGRES_POLLING_WRITING;
}

static void leave_client(struct talk *t)
{
    close(t->client);
    t->client = -1;
    buf_clear(&t->startup);
}

/* libpq's startup message is not needed: ours was sent. */
static void read_startup(struct talk *t)
{
    ssize_t got = recv(t->client, buf_reserve(&t->startup, STARTUP_MOST), STARTUP_MOST, 0);
    struct pg_opening opening;
    struct slice name;
    enum err err;

    if (got > 0)
        buf_grow(&t->startup, (size_t)got);
    err = got <= 0 ? ERR_CLOSED : pg_opening_read(buf_all(&t->startup), &opening);
    if (err == ERR_AGAIN && t->startup.len < STARTUP_MOST)
        return;
    if (err == ERR_NONE && opening.kind == PG_OPENING_STARTUP &&
        pg_parameter_find(opening.parameters, "application_name", &name) &&
        slice_is_text(name, t->token))
        t->begun = true;
    else
        leave_client(t); /* somebody else */
}

/* False: it is over. */
static bool carry(int from, int to)
{
    uint8_t bytes[READ_BYTES];
    ssize_t got = recv(from, bytes, sizeof(bytes), 0);

    return got > 0 && say(to, bytes, (size_t)got);
}

static bool step(struct talk *t)
{
    struct pollfd fds[] = {
        { .fd = t->pair, .events = t->begun ? POLLIN : 0 },
        { .fd = t->client < 0 ? t->listener : -1, .events = POLLIN },
        { .fd = t->client, .events = POLLIN },
        { .fd = PQsocket(t->conn),
          .events = t->status == PGRES_POLLING_READING ? POLLIN : POLLOUT },
    };
    uint64_t now = now_ms();

    if (now >= t->until_ms)
        return false;
    if (poll(fds, sizeof(fds) / sizeof(fds[0]), (int)(t->until_ms - now)) < 0)
        return errno == EINTR;
    if ((fds[0].revents & (POLLHUP | POLLERR)) != 0 ||
        ((fds[0].revents & POLLIN) != 0 && !carry(t->pair, t->client)))
        return false;
    if (fds[1].revents != 0)
        t->client = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fds[2].revents != 0 && !t->begun)
        read_startup(t);
    else if (fds[2].revents != 0 && !carry(t->client, t->pair))
        t->status = PQconnectPoll(t->conn); /* it hung up, and knows why */
    if (fds[3].revents != 0)
        t->status = PQconnectPoll(t->conn);
    return true;
}

static void talk_free(struct talk *t)
{
    if (t->conn != NULL)
        PQfinish(t->conn);
    for (int i = 0; i < 3; i++) {
        int fd = i == 0 ? t->pair : i == 1 ? t->listener : t->client;

        if (fd >= 0)
            close(fd);
    }
    buf_fini(&t->startup);
    free(t->host);
    free(t->user);
    free(t->database);
    free(t);
    atomic_fetch_sub(&talks, 1);
}

static void *run(void *arg)
{
    struct talk *t = arg;
    char port[8];

    if (listens(t, port))
        start_libpq(t, port);
    else
        t->status = PGRES_POLLING_FAILED;
    while (t->status != PGRES_POLLING_FAILED && t->status != PGRES_POLLING_OK && step(t))
        ;
    if (t->status == PGRES_POLLING_FAILED)
        say_failure(t);
    talk_free(t);
    return NULL;
}

static bool make_token(struct talk *t)
{
    uint8_t random[TOKEN_BYTES];

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return false;
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(t->token + 2 * i, 3, "%02x", random[i]);
    return true;
}

/* With no signal to be handled by it, and nobody to wait for it. */
static bool start_thread(struct talk *t)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    int err;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&thread, &attributes, run, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return err == 0;
}

enum err pg_libpq_start(const struct pg_libpq_settings *settings, int *fd)
{
    int pair[2];
    struct talk *t;

    if (atomic_fetch_add(&talks, 1) >= TALKS_MOST) {
        atomic_fetch_sub(&talks, 1);
        return ERR_LIMIT;
    }
    t = mem_new(sizeof(*t));
    t->pair = t->listener = t->client = -1;
    t->host = mem_text(settings->host);
    t->user = mem_text(settings->user);
    t->database = mem_text(settings->database);
    t->until_ms = now_ms() + settings->timeout_ms;
    if (!make_token(t) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        talk_free(t);
        return ERR_SYSTEM;
    }
    t->pair = pair[0];
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    if (!start_thread(t)) {
        talk_free(t);
        close(pair[1]);
        return ERR_SYSTEM;
    }
    *fd = pair[1];
    return ERR_NONE;
}
