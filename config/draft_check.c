/* See draft.h.  What only the whole tells: pools that are empty, addresses given twice, limits that
 * contradict each other, listeners open to the world, files that TLS needs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/draft.h"
#include "config/tables.h"
#include "config/url.h"

static const char INSECURE_WORDS[] = "insecure_listen = anyone may connect";

/* "(sheaf.ini:7)": where the first of two stands. */
#define FIRST(place) (place).file, (place).line

bool draft_is_given(const struct draft *d, const char *option_name)
{
    return draft_place(d, option_name).order != d->place.order;
}

static void check_lines(struct loading *l, const struct draft *d)
{
    for (const char *const *name = d->kind->needed; *name != NULL; name++)
        if (!draft_is_given(d, *name) &&
            !(strcmp(*name, "listen") == 0 && draft_is_classes_pool(l, d->pool)))
            problems_error(l->problems, d->place, "[%s] has no \"%s\" line", d->title, *name);
}

static void print_option(const struct option *table, const void *settings, const char *name,
                         struct buf *out)
{
    buf_format(out, " (");
    option_print(option_find(table, name), settings, out);
    buf_text(out, ")");
}

void draft_check_order(struct loading *l, const struct draft *d, const struct draft_order *o)
{
    struct place small = draft_place(d, o->small_name), place = small;
    struct buf text = { 0 };

    if (o->small <= o->large)
        return;
    buf_text(&text, o->large_name);
    if (o->is_over_pools) {
        buf_text(&text, " of [proxy]");
        print_option(tables_proxy, &l->snapshot->proxy, o->large_name, &text);
    } else {
        struct place large = draft_place(d, o->large_name);

        place = large.order > small.order ? large : small;
        print_option(d->table, d->settings, o->large_name, &text);
    }
    buf_format(&text, " may not be less than %s", o->small_name);
    print_option(d->table, d->settings, o->small_name, &text);
    problems_error(l->problems, place, "%.*s", (int)text.len, (const char *)text.at);
    buf_fini(&text);
}

void draft_check_file(struct loading *l, struct place place, const char *line, const char *what,
                      const char *file)
{
    if (file != NULL && !l->lines.no_files && access(file, R_OK) != 0)
        problems_error(l->problems, place, "%s: cannot read %s \"%s\": %s", line, what, file,
                       strerrordesc_np(errno));
}

/* What a callback said: an error, or a warning in each line. */
static void tell(struct loading *l, struct place place, const char *name, enum err err,
                 const struct buf *why)
{
    struct slice line, rest = buf_all(why);

    if (err != ERR_NONE) {
        problems_error(l->problems, place, "%s: %.*s", name, (int)rest.len, (const char *)rest.at);
        return;
    }
    for (; rest.len > 0; rest = slice_from(rest, line.len)) {
        const uint8_t *end = memchr(rest.at, '\n', rest.len);

        line = slice_of(rest.at, end == NULL ? rest.len : (size_t)(end - rest.at) + 1);
        problems_warn(l->problems, place, "%s: %.*s", name, (int)(line.len - (end != NULL)),
                      (const char *)line.at);
    }
}

static void check_tls(struct loading *l, struct place place, const char *line,
                      const struct tls_settings *tls)
{
    size_t errors = l->problems->errors;
    struct buf why = { 0 };
    bool listens = strcmp(line, "listen") == 0;
    enum err err;

    if (!tls->on)
        return;
    if ((tls->cert_file == NULL) != (tls->key_file == NULL))
        problems_error(l->problems, place, "%s: a TLS %s is given, its %s is missing", line,
                       tls->cert_file != NULL ? "certificate" : "key",
                       tls->cert_file != NULL ? "key" : "certificate");
    draft_check_file(l, place, line, "certificate", tls->cert_file);
    draft_check_file(l, place, line, "key", tls->key_file);
    draft_check_file(l, place, line, "certificates of authorities", tls->ca_file);
    if (l->problems->errors > errors || l->lines.no_files || l->vocabulary->check_tls == NULL ||
        (listens && tls->cert_file == NULL))
        return;
    err = l->vocabulary->check_tls(tls, listens, &why);
    tell(l, place, line, err, &why);
    buf_fini(&why);
}

/* Whether one socket keeps the other from listening: "::" takes IPv4 too. */
static bool is_shared(const struct address *a, const struct address *b)
{
    if (a->path != NULL || b->path != NULL || a->port == 0 || a->port != b->port)
        return address_is(a, b) && a->path != NULL;
    if (strcmp(a->host, "::") == 0 || strcmp(b->host, "::") == 0)
        return true;
    if (strcmp(a->host, "0.0.0.0") == 0)
        return strchr(b->host, ':') == NULL;
    if (strcmp(b->host, "0.0.0.0") == 0)
        return strchr(a->host, ':') == NULL;
    return address_is(a, b);
}

static void check_listener(struct loading *l, const struct draft *d,
                           const struct listener_settings *n)
{
    const char *open = d->kind->is_open(n);

    if (n->tls.on && n->tls.cert_file == NULL && n->tls.key_file == NULL) {
        if (d->pool->kind == POOL_SQL)
            problems_error(l->problems, n->place, "listen: TLS needs tls_cert and tls_key");
        else
            problems_error(l->problems, n->place, "listen: %s:// needs tls_cert and tls_key",
                           n->scheme);
    }
    if (n->tls.on && n->tls.client != TLS_CLIENT_NONE && n->tls.ca_file == NULL)
        problems_error(l->problems, n->place,
                       "listen: certificates of clients are asked for, so tls_client_ca is needed");
    if (n->tls.on && n->tls.client == TLS_CLIENT_NONE && n->tls.ca_file != NULL)
        problems_error(l->problems, n->place,
                       "listen: tls_client_ca is given, but nobody is asked for a certificate: "
                       "tls_client must be optional or required");
    check_tls(l, n->place, "listen", &n->tls);
    if (open != NULL && !d->pool->insecure_listen && !address_is_local(&n->address))
        problems_error(l->problems, n->place,
                       "listen: %s is open beyond this machine, %s allow it in words: \"%s\"",
                       n->name, open, INSECURE_WORDS);
    for (uint32_t i = 0; i < n->number; i++) {
        const struct listener_settings *other = &l->snapshot->listeners[i];

        if (!is_shared(&n->address, &other->address))
            continue;
        if (address_is(&n->address, &other->address))
            problems_error(l->problems, n->place, "listen: %s is already taken (%s:%u)", n->name,
                           FIRST(other->place));
        else
            problems_error(l->problems, n->place, "listen: %s overlaps with %s (%s:%u)", n->name,
                           other->name, FIRST(other->place));
        return;
    }
}

/* Options for TLS, and nothing that speaks it: most likely a missing "s" in a URL. */
static void check_unused_tls(struct loading *l, const struct draft *d)
{
    bool listens = false, connects = false;

    for (uint32_t i = 0; i < d->pool->listener_count; i++)
        listens |= d->pool->listeners[i]->tls.on;
    for (uint32_t i = 0; i < d->pool->endpoint_count; i++)
        connects |= d->pool->endpoints[i]->tls.on;
    for (const struct option *o = d->table; o->name != NULL; o++) {
        bool listener = strncmp(o->name, "tls_", 4) == 0;
        bool endpoint = strncmp(o->name, d->kind->endpoint_tls, strlen(d->kind->endpoint_tls)) == 0;
        struct place place = d->seen[o - d->table];

        if (place.line == 0 || !((listener && !listens) || (endpoint && !connects)))
            continue;
        if (d->pool->kind == POOL_SQL)
            problems_warn(l->problems, place, "%s has no effect: TLS is off for all %s", o->name,
                          listener ? "listeners" : "servers");
        else
            problems_warn(l->problems, place,
                          "%s has no effect: no \"%s\" line has a TLS URL "
                          "(rediss://)",
                          o->name, listener ? "listen" : "shard");
    }
}

/* What another layer says of the pool; only asked when all else is right with it. */
static void check_by_callback(struct loading *l, const struct draft *d)
{
    char name[96];
    struct buf why = { 0 };
    enum err err;

    if (l->vocabulary->check_pool == NULL)
        return;
    snprintf(name, sizeof(name), "[%s]", d->title);
    err = l->vocabulary->check_pool(d->pool, &why);
    tell(l, d->place, name, err, &why);
    buf_fini(&why);
}

static void check_endpoint(struct loading *l, const struct endpoint_settings *e)
{
    const char *line = endpoint_role_name(e->role);

    check_tls(l, e->place, line, &e->tls);
    if (e->tls.on && !e->tls.verify)
        problems_warn(l->problems, e->place,
                      "%s: the certificate of %s is not verified: anyone between could read "
                      "and change all",
                      line, e->name);
}

static void check_pool(struct loading *l, const struct draft *d)
{
    const struct pool_settings *p = d->pool;
    size_t errors = l->problems->errors;

    check_lines(l, d);
    d->kind->check(l, d);
    check_unused_tls(l, d);
    for (uint32_t i = 0; i < p->endpoint_count; i++)
        check_endpoint(l, p->endpoints[i]);
    for (uint32_t i = 0; i < p->listener_count; i++)
        check_listener(l, d, p->listeners[i]);
    if (l->problems->errors == errors && p->endpoint_count > 0)
        check_by_callback(l, d);
}

static struct place admin_place(const struct loading *l)
{
    for (const struct draft *d = l->drafts; d != NULL; d = d->next)
        if (d->table == tables_proxy)
            return draft_place(d, "admin");
    return l->snapshot->proxy.place;
}

static enum err parse_admin(struct loading *l, const char *text, struct address *out,
                            struct buf *why)
{
    static const char *const WORDS[] = { "off", "http", "http+unix", NULL };
    const char *colon = strstr(text, "://");
    struct slice scheme = slice_of(text, colon == NULL ? strlen(text) : (size_t)(colon - text));
    const char *word = arena_text(l->arena, scheme);
    struct url url;

    if (colon == NULL || (strcmp(word, "http") != 0 && strcmp(word, "http+unix") != 0)) {
        buf_format(why, "must be http://HOST:PORT, http+unix:///PATH, or off, not \"%s\"", text);
        option_suggest_word(WORDS, word, why);
        return ERR_SYNTAX;
    }
    TRY(url_parse(text, l->arena, &url, why));
    if (url.user != NULL || url.password != NULL || url.query_count > 0 ||
        (url.path != NULL && url.path[0] != '\0')) {
        buf_text(why, "must be http://HOST:PORT, http+unix:///PATH, or off");
        return ERR_SYNTAX;
    }
    if (url.address.host != NULL && !url.has_port)
        url.address.port = 80;
    *out = url.address;
    return ERR_NONE;
}

static void check_admin(struct loading *l)
{
    struct proxy_settings *proxy = &l->snapshot->proxy;
    struct place place = admin_place(l);
    struct buf why = { 0 };

    proxy->admin_on = proxy->admin[0] != '\0';
    if (!proxy->admin_on)
        return;
    if (parse_admin(l, proxy->admin, &proxy->admin_address, &why) != ERR_NONE) {
        draft_blame(l, place, "admin", &why);
        buf_fini(&why);
        return;
    }
    buf_fini(&why);
    if (!address_is_local(&proxy->admin_address) && !proxy->insecure_listen)
        problems_error(
            l->problems, place,
            "admin: %s is open beyond this machine, without password and TLS; allow it in "
            "words: \"%s\"",
            proxy->admin, INSECURE_WORDS);
    for (uint32_t i = 0; i < l->snapshot->listener_count; i++) {
        const struct listener_settings *n = &l->snapshot->listeners[i];

        if (is_shared(&n->address, &proxy->admin_address))
            problems_error(l->problems, n->place, "listen: %s is already the admin endpoint's, %s",
                           n->name, proxy->admin);
    }
}

void draft_check(struct loading *l)
{
    bool any = false;

    for (const struct draft *d = l->drafts; d != NULL; d = d->next) {
        any = any || d->pool != NULL || d->table == NULL;
        if (d->pool != NULL)
            check_pool(l, d);
        if (d->key_class != NULL)
            draft_check_class(l, d);
    }
    if (!any && l->problems->errors == 0)
        problems_error(l->problems, (struct place){ .file = l->snapshot->file },
                       "there is no pool: a section such as [memory NAME] is needed");
    check_admin(l);
}
