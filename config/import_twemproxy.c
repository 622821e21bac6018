/* See import_twemproxy.h.  Writes what twemproxy_read.c understood, in the words of
 * config/tables.c. */
#include "config/import_twemproxy.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/twemproxy.h"
#include "config/url.h"
#include "proxy/base/buf.h"

enum { FILE_BYTES = 16 * 1024 * 1024, TOMBSTONE_MS = 30000 /* its preset */ };

/* Why Sheaf cannot serve this pool; NULL if it can. */
static const char *refusal(const struct twemproxy_pool *p)
{
    if (strcmp(p->distribution, "random") == 0)
        return "of distribution random, which sends a key anywhere: Sheaf finds each key again";
    return NULL;
}

/* The pool's name in the letters that a section may have. */
static void put_name(const char *name, struct buf *out)
{
    for (size_t i = 0; name[i] != '\0' && i < 64; i++)
        buf_put(out, isalnum((unsigned char)name[i]) || strchr("-_.", name[i]) ? &name[i] : "_", 1);
}

static void put_dollars(const char *text, struct buf *out)
{
    for (; *text != '\0'; text++)
        buf_put(out, *text == '$' ? "$$" : text, *text == '$' ? 2 : 1);
}

static void put_url_address(const struct address *a, struct buf *out)
{
    if (a->path != NULL)
        url_print(a->path, "/", out);
    else
        url_print_address(a, out);
}

/* "listen = redis+unix://" and its like. */
static void put_scheme(const char *line, const struct twemproxy_pool *p,
                       const struct address *address, struct buf *out)
{
    buf_format(out, "%s = %s%s://", line, p->redis ? "redis" : "memcached",
               address->path != NULL ? "+unix" : "");
}

static void put_listen(const struct twemproxy_pool *p, struct buf *out)
{
    put_scheme("listen", p, &p->listen, out);
    put_url_address(&p->listen, out);
    if (p->listen_mode != NULL)
        buf_format(out, "?mode=%s", p->listen_mode);
    buf_text(out, "\n");
    if (address_is_local(&p->listen) || p->redis_auth != NULL)
        return;
    buf_text(out, "; open to whoever reaches it, as it was: better give it a password, or TLS\n"
                  "insecure_listen = anyone may connect\n");
}

static void put_server(const struct twemproxy_pool *p, const struct twemproxy_server *s,
                       struct buf *out)
{
    const char *separator = "?";

    put_scheme("shard", p, &s->address, out);
    if (p->redis_auth != NULL) {
        buf_text(out, ":");
        url_print(p->redis_auth, "", out);
        buf_text(out, "@");
    }
    put_url_address(&s->address, out);
    if (p->redis_db > 0) {
        buf_format(out, "%sdb=%lld", separator, (long long)p->redis_db);
        separator = "&";
    }
    if (s->weight != 1) {
        buf_format(out, "%sweight=%u", separator, s->weight);
        separator = "&";
    }
    if (s->label != NULL) {
        buf_format(out, "%sname=", separator);
        url_print(s->label, ":/", out);
    }
    buf_text(out, "\n");
}

static void put_map(const struct twemproxy_pool *p, struct buf *out)
{
    bool modula = strcmp(p->distribution, "modula") == 0;

    buf_format(out, "hash = %s\ndistribution = %s\nhash_tag = ", p->hash,
               modula ? "modulo" : p->distribution);
    put_dollars(p->hash_tag != NULL && p->hash_tag[0] != '\0' ? p->hash_tag : "off", out);
    buf_text(out, "\n");
}

static void put_times(const struct twemproxy_pool *p, struct buf *out)
{
    if (p->timeout_ms > 0) {
        buf_format(out, "timeout = %lldms ; now from sending a request, not from its arrival\n",
                   (long long)p->timeout_ms);
        if (p->timeout_ms > TOMBSTONE_MS)
            buf_format(out, "tombstone_timeout = %lldms\n", (long long)p->timeout_ms);
    } else {
        buf_text(out, "; no timeout was given, and twemproxy then waits for ever: this waits 2s\n"
                      ";timeout = 2s\n");
    }
}

static void put_ejection(const struct twemproxy_pool *p, struct buf *out)
{
    if (!p->auto_eject_hosts)
        return;
    buf_text(out,
             "; auto_eject_hosts has no equal: keys of a dead server get an error at once and are "
             "never\n; sent to another, where they would be missing, and stale when it is back\n"
             "on_shard_down = error\n");
    if (p->server_failure_limit > 0 && p->server_failure_limit <= 10000)
        buf_format(out, "breaker_failures = %lld ; was server_failure_limit\n",
                   (long long)p->server_failure_limit);
    if (p->server_retry_timeout_ms > 0 && p->server_retry_timeout_ms <= 3600000)
        buf_format(out, "breaker_open = %lldms ; was server_retry_timeout\n",
                   (long long)p->server_retry_timeout_ms);
}

static void put_limits(const struct twemproxy_pool *p, struct buf *out)
{
    if (p->server_connections > 1)
        buf_format(out, "upstreams = %lld ; was server_connections; per worker\n",
                   (long long)(p->server_connections > 64 ? 64 : p->server_connections));
    if (p->client_connections > 0)
        buf_format(
            out, "max_sessions = %lld ; was client_connections\n",
            (long long)(p->client_connections > 10000000 ? 10000000 : p->client_connections));
    if (p->preconnect)
        buf_text(out, "; preconnect is not needed: servers are probed from the start\n");
    if (!p->tcpkeepalive)
        buf_text(out, ";tcp_keepalive = yes ; was off\n");
}

static void put_pool(const struct twemproxy_pool *p, struct buf *out)
{
    buf_text(out, "[memory ");
    put_name(p->name, out);
    buf_text(out, "]\n");
    put_listen(p, out);
    if (p->redis_auth != NULL) {
        buf_text(out, "password = ");
        put_dollars(p->redis_auth, out);
        buf_text(out, "\n");
    }
    put_map(p, out);
    if (p->is_sorted)
        buf_text(out,
                 "; twemproxy sorts servers by name, the shorter first, before it counts them\n");
    for (const struct twemproxy_server *s = p->servers; s != NULL; s = s->next)
        put_server(p, s, out);
    put_times(p, out);
    put_limits(p, out);
    put_ejection(p, out);
}

/* The same text with a semicolon before each line. */
static void put_comment(const struct buf *text, struct buf *out)
{
    bool begins = true;

    for (size_t i = 0; i < text->len; i++) {
        if (begins)
            buf_text(out, ";");
        buf_put(out, &text->at[i], 1);
        begins = text->at[i] == '\n';
    }
}

/* What one pool asks of the whole process: the largest counts. */
static void put_proxy(const struct twemproxy_pool *pools, struct buf *out)
{
    int64_t backlog = 0, sessions = 0;

    for (const struct twemproxy_pool *p = pools; p != NULL; p = p->next) {
        if (refusal(p) == NULL && p->backlog > backlog)
            backlog = p->backlog;
        if (refusal(p) == NULL && p->client_connections > sessions)
            sessions = p->client_connections;
    }
    buf_text(out, "[proxy]\n;workers = auto ; twemproxy has one thread; give 1 for the same\n");
    if (backlog > 0)
        buf_format(out, "backlog = %lld\n", (long long)(backlog > 65535 ? 65535 : backlog));
    if (sessions > 10000)
        buf_format(out, "max_sessions = %lld\n",
                   (long long)(sessions > 10000000 ? 10000000 : sessions));
}

/* What the reader lets pass and a sheaf.ini cannot say. */
static void check_pool(const struct twemproxy_pool *p, struct problems *problems)
{
    const char *auth = p->redis_auth;

    if (auth != NULL &&
        (auth[0] == '\0' || auth[0] == '#' || auth[0] == ';' || strpbrk(auth, " \t") != NULL))
        problems_error(problems, p->auth_place,
                       "redis_auth: a password that is empty, has spaces, or begins with \"#\" or "
                       "\";\" cannot stand in a sheaf.ini");
    if (p->hash_tag != NULL && p->hash_tag[0] != '\0' &&
        (strlen(p->hash_tag) != 2 || strpbrk(p->hash_tag, " \t") != NULL || p->hash_tag[0] == ';'))
        problems_error(problems, p->place, "hash_tag: must be two characters, not \"%s\"",
                       p->hash_tag);
    for (const struct twemproxy_server *s = p->servers; s != NULL; s = s->next)
        if (s->weight > 65535)
            problems_error(problems, s->place, "servers: the weight must be 1 to 65535");
    if (p->redis_db > 65535)
        problems_error(problems, p->place, "redis_db: must be 0 to 65535");
    if (p->timeout_ms > 86400000)
        problems_error(problems, p->place, "timeout: must be at most a day");
}

static bool is_same_name(const char *a, const char *b)
{
    struct buf a_name = { 0 }, b_name = { 0 };
    bool same;

    put_name(a, &a_name);
    put_name(b, &b_name);
    same = slice_is(buf_all(&a_name), buf_all(&b_name));
    buf_fini(&a_name);
    buf_fini(&b_name);
    return same;
}

static void check_pools(const struct twemproxy_pool *pools, struct problems *problems)
{
    bool any = false;

    for (const struct twemproxy_pool *p = pools; p != NULL; p = p->next) {
        if (refusal(p) != NULL)
            continue;
        any = true;
        check_pool(p, problems);
        for (const struct twemproxy_pool *other = pools; other != p; other = other->next)
            if (refusal(other) == NULL && is_same_name(p->name, other->name))
                problems_error(problems, p->place, "pool \"%s\" and \"%s\" would have one name",
                               other->name, p->name);
    }
    for (const struct twemproxy_pool *p = pools; p != NULL && !any; p = p->next)
        problems_error(problems, p->place, "pool \"%s\" is %s", p->name, refusal(p));
}

static void put_all(const struct twemproxy_pool *pools, const char *name, FILE *out)
{
    struct buf text = { 0 };

    buf_format(&text, "; Equivalent of %s: the same keys on the same servers.\n\n",
               strpbrk(name, "\r\n") != NULL ? "nutcracker.yml" : name);
    put_proxy(pools, &text);
    for (const struct twemproxy_pool *p = pools; p != NULL; p = p->next) {
        struct buf pool = { 0 };

        buf_text(&text, "\n");
        put_pool(p, &pool);
        if (refusal(p) != NULL) {
            buf_format(&text, "; Not taken over, as it is %s.\n", refusal(p));
            put_comment(&pool, &text);
        } else {
            buf_slice(&text, buf_all(&pool));
        }
        buf_fini(&pool);
    }
    fwrite(text.at, 1, text.len, out);
    buf_fini(&text);
}

enum err import_twemproxy_text(const char *name, const char *text, size_t len, FILE *out,
                               struct problems *problems)
{
    struct arena arena = { 0 };
    struct twemproxy_pool *pools = twemproxy_read(name, text, len, &arena, problems);

    check_pools(pools, problems);
    problems_sort(problems);
    if (problems->errors == 0)
        put_all(pools, name, out);
    arena_fini(&arena);
    return problems->errors == 0 ? ERR_NONE : ERR_CONFIG;
}

enum err import_twemproxy(const char *file, FILE *out, struct problems *problems)
{
    FILE *in = fopen(file, "re");
    struct buf text = { 0 };
    size_t len = 1;
    enum err err;

    while (in != NULL && len > 0 && text.len < FILE_BYTES) {
        len = fread(buf_reserve(&text, 65536), 1, 65536, in);
        buf_grow(&text, len);
    }
    if (in == NULL || ferror(in) || len > 0) {
        problems_error(problems, (struct place){ .file = file }, "cannot read \"%s\": %s", file,
                       len > 0 && in != NULL ? "it is larger than 16 MiB" : strerrordesc_np(errno));
        err = ERR_CONFIG;
    } else {
        err = import_twemproxy_text(file, (char *)text.at, text.len, out, problems);
    }
    if (in != NULL)
        fclose(in);
    buf_fini(&text);
    return err;
}
