/* See admin.h.  evhttp reads requests; here they are checked, told apart and answered at once: no
 * answer waits for anything. */
#include "proxy/admin.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "proxy/admin_acts.h"
#include "proxy/admin_host.h"
#include "proxy/admin_metrics.h"
#include "proxy/admin_page.h"
#include "proxy/admin_status.h"
#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/daemon.h"
#include "proxy/io/listener.h"
#include "proxy/steward.h"

enum {
    HEAD_BYTES = 16 * 1024,
    BODY_BYTES = 64 * 1024,
    TIMEOUT_S = 15,
    BACKLOG = 64,
    SOCKET_MODE = 0660,
};

enum { OK = 200, FORBIDDEN = 403, NOT_FOUND = 404, NOT_ALLOWED = 405, UNAVAILABLE = 503 };

static const char TEXT[] = "text/plain; charset=utf-8", JSON[] = "application/json",
                  HTML[] = "text/html; charset=utf-8",
                  METRICS[] = "text/plain; version=0.0.4; charset=utf-8";

struct admin {
    struct daemon *daemon; /* borrowed */
    struct evhttp *http;
    struct evhttp_bound_socket *socket; /* NULL: off */
    char *host;                         /* where it listens: the settings' own */
    char *path;                         /* of the Unix socket */
    uint16_t port;
};

/* One request on its way through here. */
struct visit {
    struct admin *admin;
    struct evhttp_request *request;
    struct evkeyvalq query;
    struct buf out;
};

struct route {
    const char *path;
    bool changes;                   /* POST; else GET */
    bool for_anyone;                /* whatever Host says */
    const char *type;               /* of the answer */
    int (*answer)(struct visit *v); /* writes v->out, returns the status */
};

/* ---- answers ---- */

static int answer_page(struct visit *v)
{
    buf_slice(&v->out, admin_page());
    return OK;
}

static int answer_metrics(struct visit *v)
{
    admin_metrics_print(v->admin->daemon, &v->out);
    return OK;
}

static int answer_health(struct visit *v)
{
    buf_text(&v->out, "alive\n");
    return OK;
}

static uint32_t endpoints_up(const struct daemon *d, const struct pool_settings *pool)
{
    uint32_t up = 0;

    for (uint32_t i = 0; i < pool->endpoint_count; i++)
        up += steward_endpoint(d->steward, pool->endpoints[i]->number).verdict.state == VERDICT_UP;
    return up;
}

static int answer_ready(struct visit *v)
{
    const struct daemon *d = v->admin->daemon;
    const struct snapshot *s = d->assembly->snapshot;
    const char *shards = evhttp_find_header(&v->query, "shards");
    bool all = shards != NULL && strcmp(shards, "all") == 0;
    bool any = shards != NULL && strcmp(shards, "any") == 0;
    bool ready = !d->draining;

    for (uint32_t i = 0; i < s->pool_count; i++) {
        uint32_t up = endpoints_up(d, s->pools[i]);

        if ((all && up < s->pools[i]->endpoint_count) || (any && up == 0))
            ready = false;
        buf_format(&v->out, "pool %s: %u of %u %ss are up\n", s->pools[i]->name, up,
                   s->pools[i]->endpoint_count, pool_kind_endpoint(s->pools[i]->kind));
    }
    buf_text(&v->out, d->draining ? "shutting down\n" : ready ? "ready\n" : "not ready\n");
    return ready ? OK : UNAVAILABLE;
}

static int answer_status(struct visit *v)
{
    admin_status_print(v->admin->daemon, &v->out);
    return OK;
}

static int answer_slow(struct visit *v)
{
    admin_status_print_slow(v->admin->daemon, &v->out);
    return OK;
}

static int drain_or_not(struct visit *v, bool draining)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(v->request);
    size_t len = evbuffer_get_length(in);
    struct admin_words words = { .pool = evhttp_find_header(&v->query, "pool"),
                                 .shard = evhttp_find_header(&v->query, "shard"),
                                 .endpoint = evhttp_find_header(&v->query, "endpoint"),
                                 .body = slice_of(evbuffer_pullup(in, -1), len) };

    return admin_acts_drain(v->admin->daemon, &words, draining, &v->out);
}

static int answer_drain(struct visit *v)
{
    return drain_or_not(v, true);
}

static int answer_undrain(struct visit *v)
{
    return drain_or_not(v, false);
}

static int answer_reload(struct visit *v)
{
    return admin_acts_reload(v->admin->daemon, &v->out);
}

static const struct route ROUTES[] = {
    { "/", false, false, HTML, answer_page },
    { "/metrics", false, true, METRICS, answer_metrics },
    { "/healthz", false, true, TEXT, answer_health },
    { "/readyz", false, true, TEXT, answer_ready },
    { "/api/v1/status", false, false, JSON, answer_status },
    { "/api/v1/slow", false, false, JSON, answer_slow },
    { "/api/v1/drain", true, false, JSON, answer_drain },
    { "/api/v1/undrain", true, false, JSON, answer_undrain },
    { "/api/v1/reload", true, false, JSON, answer_reload },
};

enum { ROUTE_COUNT = sizeof(ROUTES) / sizeof(ROUTES[0]) };

/* ---- one request ---- */

static void put_header(struct visit *v, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(v->request), name, value);
}

static void send_reply(struct visit *v, int status, const char *type)
{
    struct evbuffer *body = evbuffer_new();

    put_header(v, "Content-Type", type);
    put_header(v, "Cache-Control", "no-store");
    put_header(v, "X-Content-Type-Options", "nosniff");
    put_header(v, "X-Frame-Options", "DENY");
    put_header(v, "Referrer-Policy", "no-referrer");
    put_header(v, "Content-Security-Policy",
               "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
               "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
               "frame-ancestors 'none'");
    evbuffer_add(body, v->out.at, v->out.len);
    evhttp_send_reply(v->request, status, NULL, body);
    evbuffer_free(body);
}

static int refuse_path(struct visit *v)
{
    buf_text(&v->out, "There is nothing here. There are:\n");
    for (int i = 0; i < ROUTE_COUNT; i++)
        buf_format(&v->out, "  %-4s %s\n", ROUTES[i].changes ? "POST" : "GET", ROUTES[i].path);
    return NOT_FOUND;
}

static int refuse_method(struct visit *v, const struct route *route)
{
    const char *method = route->changes ? "POST" : "GET";

    put_header(v, "Allow", route->changes ? "POST" : "GET, HEAD");
    buf_format(&v->out, "%s takes %s\n", route->path, method);
    return NOT_ALLOWED;
}

static bool may_come_in(const struct visit *v, const struct route *route, const char **why)
{
    const struct evkeyvalq *headers = evhttp_request_get_input_headers(v->request);
    const char *host = evhttp_find_header(headers, "Host");

    if (route->for_anyone || v->admin->path != NULL)
        return true;
    if (!admin_host_is_ours(host, v->admin->host)) {
        *why = "Refused: the Host of the request is neither an address, nor localhost, nor this "
               "machine's name, nor what the configuration's admin says.\n";
        return false;
    }
    if (route->changes && !admin_host_is_origin(evhttp_find_header(headers, "Origin"), host)) {
        *why = "Refused: a page of another site sent this.\n";
        return false;
    }
    return true;
}

static void answer(struct visit *v, const struct route *route)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(v->request);
    bool fits = route->changes ? method == EVHTTP_REQ_POST
                               : method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD;
    const char *why = NULL;

    if (!fits) {
        send_reply(v, refuse_method(v, route), TEXT);
    } else if (!may_come_in(v, route, &why)) {
        buf_text(&v->out, why);
        send_reply(v, FORBIDDEN, TEXT);
    } else {
        int status = route->answer(v);

        send_reply(v, status, route->type);
    }
}

static const struct route *find_route(const char *path)
{
    for (int i = 0; path != NULL && i < ROUTE_COUNT; i++)
        if (strcmp(path, ROUTES[i].path) == 0)
            return &ROUTES[i];
    return NULL;
}

static void on_request(struct evhttp_request *request, void *arg)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    struct visit v = { .admin = arg, .request = request };
    const char *query = uri == NULL ? NULL : evhttp_uri_get_query(uri);
    const struct route *route = find_route(uri == NULL ? NULL : evhttp_uri_get_path(uri));

    TAILQ_INIT(&v.query);
    if (query != NULL && evhttp_parse_query_str(query, &v.query) != 0)
        TAILQ_INIT(&v.query); /* as if there were none: what is missing is told */
    if (route == NULL)
        send_reply(&v, refuse_path(&v), TEXT);
    else
        answer(&v, route);
    evhttp_clear_headers(&v.query);
    buf_fini(&v.out);
}

/* ---- where it listens ---- */

/* evhttp closes a descriptor before it forgets its events; only one whose bufferevent closes it is
 * forgotten first.  Else it would speak of a number that is a worker's new session by then. */
static struct bufferevent *make_bufferevent(struct event_base *base, void *arg)
{
    (void)arg;
    return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
}

/* Who waits to be accepted would wake the loop again and again: admin_tick() ends the rest. */
static void rest(struct evconnlistener *listener, void *arg)
{
    (void)arg;
    log_event(LOG_ERROR, "cannot accept at the admin endpoint",
              log_text("reason", strerrordesc_np(errno)),
              log_text("hint", "raise the limit of open files (LimitNOFILE, ulimit -n)"));
    evconnlistener_disable(listener);
}

void admin_tick(struct admin *a)
{
    if (a->socket != NULL)
        evconnlistener_enable(evhttp_bound_socket_get_listener(a->socket));
}

static bool is_there(const struct admin *a, const struct proxy_settings *settings)
{
    struct address now = { .path = a->path, .host = a->host, .port = a->port };

    if (!settings->admin_on || a->socket == NULL)
        return !settings->admin_on && a->socket == NULL;
    return address_is(&now, &settings->admin_address);
}

static void leave(struct admin *a)
{
    if (a->socket != NULL)
        evhttp_del_accept_socket(a->http, a->socket);
    if (a->path != NULL)
        unlink(a->path);
    a->socket = NULL;
    free(a->path);
    free(a->host);
    a->path = a->host = NULL;
}

enum err admin_follow(struct admin *a, const struct proxy_settings *settings, struct buf *why)
{
    const struct address *at = &settings->admin_address;
    struct listener_options options = { .unix_path = at->path,
                                        .host = at->host,
                                        .port = at->port,
                                        .backlog = BACKLOG,
                                        .socket_mode = SOCKET_MODE,
                                        .port_is_ours = daemon_has_port(a->daemon, at->port) };
    int fd = -1;

    if (is_there(a, settings))
        return ERR_NONE;
    if (settings->admin_on)
        TRY(listener_bind(&options, &fd, 1, why));
    leave(a);
    if (!settings->admin_on)
        return ERR_NONE;
    a->socket = evhttp_accept_socket_with_handle(a->http, fd);
    evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(a->socket), rest);
    a->path = at->path == NULL ? NULL : mem_text(at->path);
    a->host = at->host == NULL ? NULL : mem_text(at->host);
    a->port = at->port;
    log_event(LOG_INFO, "admin endpoint", log_text("url", settings->admin),
              log_number("port", listener_port(fd)));
    return ERR_NONE;
}

/* ---- life ---- */

enum err admin_start(struct daemon *daemon, struct admin **out)
{
    struct admin *a = mem_new(sizeof(*a));

    a->daemon = daemon;
    a->http = evhttp_new(daemon->base);
    *out = a;
    if (a->http == NULL)
        return ERR_SYSTEM;
    evhttp_set_gencb(a->http, on_request, a);
    evhttp_set_bevcb(a->http, make_bufferevent, NULL);
    evhttp_set_timeout(a->http, TIMEOUT_S);
    evhttp_set_max_headers_size(a->http, HEAD_BYTES);
    evhttp_set_max_body_size(a->http, BODY_BYTES);
    evhttp_set_default_content_type(a->http, NULL);
    /* All that it knows: what is not fitting is told by us, in words. */
    evhttp_set_allowed_methods(a->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
                                            EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                            EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
    return ERR_NONE;
}

void admin_stop(struct admin **where)
{
    struct admin *a = *where;

    *where = NULL;
    if (a == NULL)
        return;
    if (a->http != NULL) {
        leave(a);
        evhttp_free(a->http);
    }
    free(a);
}
