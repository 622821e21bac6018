/* server_login = libpq: where a server asks for what our own login can't prove, its requests are
 * handed to libpq, in a thread of its own (pg_libpq.h), and libpq's answers to the server.  Once
 * the server has let us in, libpq is not needed any more. */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/sql/pg_libpq.h"
#include "proxy/sql/sql_flow.h"

struct sql_libpq {
    struct conn conn; /* first */
    struct sql_upstream *upstream;
    struct buf in; /* the beginning of a message */
};

static void fails(struct sql_upstream *u, enum err err, struct slice why)
{
    char text[256];

    snprintf(text, sizeof(text), "by libpq: %.*s",
             (int)(why.len < sizeof(text) ? why.len : sizeof(text)), (const char *)why.at);
    for (char *c = text; *c != '\0'; c++)
        if ((uint8_t)*c < ' ' || *c == 0x7f)
            *c = ' ';
    upstream_fail(&u->base, err, text);
}

/* The first message, if it is whole.  False: it is over, and all of this may be gone. */
static bool take_message(struct sql_libpq *l, bool *taken)
{
    struct pg_frame f;
    enum err err = pg_frame_read(buf_all(&l->in), &f);

    *taken = false;
    if (err == ERR_AGAIN)
        return true;
    if (err != ERR_NONE || f.bytes > PG_LIBPQ_MESSAGE_MOST ||
        (f.type != PG_FRONT_PASSWORD && f.type != PG_LIBPQ_FAILS)) {
        fails(l->upstream, ERR_LOGIN, slice_text("it says what is no answer"));
        return false;
    }
    if (!pg_frame_is_whole(buf_all(&l->in), f))
        return true;
    if (f.type == PG_LIBPQ_FAILS) {
        fails(l->upstream, ERR_LOGIN, pg_frame_body(buf_all(&l->in), f));
        return false;
    }
    upstream_say(&l->upstream->base, slice_of(l->in.at, f.bytes));
    buf_skip(&l->in, f.bytes);
    *taken = true;
    return true;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct sql_libpq *l = arg;
    uint8_t bytes[8 * 1024];
    bool taken = true;
    size_t got;
    enum err err;

    (void)fd;
    (void)what;
    err = conn_read(&l->conn, bytes, sizeof(bytes), &got);
    if (err == ERR_AGAIN)
        return;
    if (err != ERR_NONE) {
        fails(l->upstream, ERR_LOGIN, slice_text("it gave up"));
        return;
    }
    buf_put(&l->in, bytes, got);
    while (taken && take_message(l, &taken))
        ;
}

static struct sql_libpq *start(struct sql_upstream *u)
{
    const struct endpoint_settings *e = u->base.endpoint;
    struct pg_libpq_settings settings = {
        .host = e->address.host == NULL ? "localhost" : e->address.host,
        .user = sql_upstream_user(u),
        .database = u->account->database,
        .timeout_ms = u->endpoint->side->settings->base.connect_timeout_ms,
    };
    struct sql_libpq *l;
    int fd = -1;
    enum err err = pg_libpq_start(&settings, &fd);

    if (err != ERR_NONE) {
        upstream_fail(&u->base, err, "libpq can't be asked to log in: too many logins at a time");
        return NULL;
    }
    l = mem_new(sizeof(*l));
    l->upstream = u;
    conn_open(&l->conn, u->base.worker->base, fd, on_ready);
    conn_watch(&l->conn, true, false);
    return l;
}

bool sql_libpq_say(struct sql_upstream *u, struct sql_libpq **where, struct slice request)
{
    struct iovec place = { .iov_base = (void *)(uintptr_t)request.at, .iov_len = request.len };
    size_t put = 0;

    if (*where == NULL) {
        struct sql_libpq *l = start(u);

        if (l == NULL)
            return false;
        *where = l;
    }
    if (conn_write(&(*where)->conn, &place, 1, &put) == ERR_NONE && put == request.len)
        return true;
    fails(u, ERR_LOGIN, slice_text("it does not listen"));
    return false;
}

void sql_libpq_end(struct sql_libpq **where)
{
    struct sql_libpq *l = *where;

    *where = NULL;
    if (l == NULL)
        return;
    conn_close(&l->conn);
    buf_fini(&l->in);
    free(l);
}
