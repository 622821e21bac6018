/* See url.h.  The text is split before anything in it is decoded, so that a coded "@" or "/" and
 * what comes from the environment never move a boundary. */
#include "config/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "config/expand.h"

enum { HOST_BYTES = 253 };

struct parts {
    struct arena *arena; /* borrowed */
    struct buf *why;     /* borrowed */
    struct url *url;     /* borrowed */
};

static struct slice until(struct slice s, const char *stops)
{
    size_t len = 0;

    while (len < s.len && strchr(stops, s.at[len]) == NULL)
        len++;
    return slice_of(s.at, len);
}

static enum err decode(struct parts *p, struct slice part, const char **out)
{
    return expand(part, EXPAND_PERCENT, p->arena, out, p->why);
}

static enum err fail(struct parts *p, const char *text)
{
    buf_text(p->why, text);
    return ERR_SYNTAX;
}

static enum err parse_login(struct parts *p, struct slice login)
{
    struct slice user = until(login, ":");

    if (user.len > 0)
        TRY(decode(p, user, &p->url->user));
    if (user.len == login.len)
        return user.len > 0 ? ERR_NONE : fail(p, "in front of the \"@\" the user is missing");
    TRY(decode(p, slice_from(login, user.len + 1), &p->url->password));
    if (p->url->password[0] == '\0')
        return fail(p, "the password is empty");
    return ERR_NONE;
}

static enum err parse_port(struct parts *p, const char *port)
{
    uint64_t number;

    if (!slice_to_u64(slice_text(port), &number) || number > 65535) {
        buf_text(p->why, "the port must be 1 to 65535"); /* it might be a password: not shown */
        return ERR_RANGE;
    }
    p->url->address.port = (uint16_t)number;
    p->url->has_port = true;
    return ERR_NONE;
}

static enum err parse_brackets(struct parts *p, const char *text)
{
    struct slice host = until(slice_text(text + 1), "]");
    const char *rest = text + 1 + host.len;
    struct in6_addr six;

    p->url->address.host = arena_text(p->arena, host);
    if (*rest != ']' || inet_pton(AF_INET6, p->url->address.host, &six) != 1) {
        buf_format(p->why, "\"%s\" is no IPv6 address in brackets", text);
        return ERR_SYNTAX;
    }
    if (rest[1] == '\0')
        return ERR_NONE;
    return rest[1] == ':' ? parse_port(p, rest + 2)
                          : fail(p, "only a port may follow the address in brackets");
}

static bool is_host(const char *host)
{
    size_t len = strlen(host);

    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)host[i]) && strchr("-._", host[i]) == NULL)
            return false;
    return len > 0 && len <= HOST_BYTES && host[0] != '-' && host[0] != '.';
}

static enum err parse_host(struct parts *p, struct slice coded)
{
    const char *text;
    struct slice host;

    TRY(decode(p, coded, &text));
    if (text[0] == '[')
        return parse_brackets(p, text);
    host = until(slice_text(text), ":");
    p->url->address.host = arena_text(p->arena, host);
    if (strchr(text + host.len, ':') != strrchr(text, ':'))
        return fail(p, "an IPv6 address must be in brackets: [::1]:6379");
    if (host.len == 0)
        return fail(p, "the host is missing");
    if (!is_host(p->url->address.host)) {
        buf_format(p->why, "\"%s\" is no host name or address", p->url->address.host);
        return ERR_SYNTAX;
    }
    return text[host.len] == '\0' ? ERR_NONE : parse_port(p, text + host.len + 1);
}

static enum err parse_query(struct parts *p, struct slice query)
{
    while (query.len > 0) {
        struct slice item = until(query, "&"), name = until(item, "=");
        struct url_query *q = &p->url->query[p->url->query_count];

        if (p->url->query_count == URL_QUERY_MOST)
            return fail(p, "there are more than 16 options behind the \"?\"");
        if (name.len == 0 || name.len == item.len)
            return fail(p, "behind the \"?\" stand NAME=VALUE pairs with \"&\" between them");
        TRY(decode(p, name, &q->name));
        TRY(decode(p, slice_from(item, name.len + 1), &q->value));
        p->url->query_count++;
        query = slice_from(query, item.len + (item.len < query.len));
    }
    return ERR_NONE;
}

static bool is_unix(const char *scheme)
{
    size_t len = strlen(scheme);

    return len > 5 && strcmp(scheme + len - 5, "+unix") == 0;
}

static bool is_file(const char *scheme)
{
    return strcmp(scheme, "sqlite") == 0;
}

static bool is_folder(const char *scheme)
{
    return strcmp(scheme, "file") == 0 || strcmp(scheme, "rocksdb") == 0;
}

/* A path and nothing else: of a socket, or of a file or folder. */
static bool is_path_only(const char *scheme)
{
    return is_unix(scheme) || is_folder(scheme) || is_file(scheme);
}

/* A size in a host's place: of a store in memory. */
static bool is_size(const char *scheme)
{
    return strcmp(scheme, "ram") == 0;
}

static enum err parse_path(struct parts *p, struct slice path)
{
    if (!is_path_only(p->url->scheme))
        return path.len == 0 ? ERR_NONE : decode(p, slice_from(path, 1), &p->url->path);
    TRY(decode(p, path, &p->url->address.path));
    if (!is_unix(p->url->scheme)) {
        if (p->url->address.path[0] == '/' && p->url->address.path[1] != '\0')
            return ERR_NONE;
        buf_format(p->why, "a %s needs an absolute path: %s:///srv/data",
                   is_file(p->url->scheme) ? "file" : "folder", p->url->scheme);
        return ERR_SYNTAX;
    }
    if (p->url->address.path[0] != '/')
        return fail(p, "a Unix socket needs an absolute path: redis+unix:///run/redis.sock");
    if (strlen(p->url->address.path) > 107)
        return fail(p, "the path of a Unix socket may not be longer than 107 bytes");
    return ERR_NONE;
}

/* What follows "://". */
static enum err parse_rest(struct parts *p, struct slice rest)
{
    struct slice authority = until(rest, "/?#");
    struct slice tail = slice_from(rest, authority.len), path = until(tail, "?#");
    struct slice query = slice_from(tail, path.len);
    const uint8_t *at = authority.len == 0 ? NULL : memrchr(authority.at, '@', authority.len);

    if (until(tail, "@").len < tail.len)
        return fail(p,
                    "\"/\", \"?\", \"#\" and \"@\" in a password or path must be written %2F, %3F, "
                    "%23 and %40");
    if (until(query, "#").len < query.len)
        return fail(p, "a URL may not have a \"#\" part here (the letter itself is %23)");
    if (at != NULL) {
        TRY(parse_login(p, slice_of(authority.at, (size_t)(at - authority.at))));
        authority = slice_of(at + 1, (size_t)(authority.at + authority.len - at) - 1);
    }
    TRY(parse_path(p, path));
    if (is_path_only(p->url->scheme)) {
        if (authority.len > 0)
            return fail(p,
                        is_unix(p->url->scheme)
                            ? "a Unix socket has no host: redis+unix:///run/redis.sock"
                            : "a file or folder has no host: three slashes stand before its path");
    } else if (is_size(p->url->scheme)) {
        TRY(decode(p, authority, &p->url->address.path));
    } else {
        TRY(parse_host(p, authority));
    }
    return query.len == 0 ? ERR_NONE : parse_query(p, slice_from(query, 1));
}

/* A URL that as a whole comes from the environment: its dollars are letters. */
static enum err expand_whole(struct slice *all, struct arena *arena, struct buf *why)
{
    const char *text;
    char *doubled;
    size_t len = 0;

    TRY(expand(*all, EXPAND_PLAIN, arena, &text, why));
    doubled = arena_new(arena, 2 * strlen(text) + 1);
    for (; *text != '\0'; text++) {
        if (*text == '$')
            doubled[len++] = '$';
        doubled[len++] = *text;
    }
    *all = slice_of(doubled, len);
    return ERR_NONE;
}

enum err url_parse(const char *text, struct arena *arena, struct url *out, struct buf *why)
{
    struct url url = { 0 };
    struct parts p = { arena, why, &url };
    struct slice all = slice_text(text), scheme;

    if (expand_is_whole(all))
        TRY(expand_whole(&all, arena, why));
    scheme = until(all, ":");
    if (!slice_starts(slice_from(all, scheme.len), slice_text("://")))
        return fail(&p, "must be a URL, with its protocol in front: redis://127.0.0.1:6379, "
                        "postgresql://127.0.0.1:5432");
    url.scheme = arena_text(arena, scheme);
    TRY(parse_rest(&p, slice_from(all, scheme.len + 3)));
    *out = url;
    return ERR_NONE;
}

void url_print(const char *text, const char *keep, struct buf *out)
{
    for (; *text != '\0'; text++) {
        if (isalnum((unsigned char)*text) || strchr("-._~", *text) != NULL ||
            strchr(keep, *text) != NULL)
            buf_put(out, text, 1);
        else
            buf_format(out, "%%%02X", (unsigned char)*text);
    }
}

void url_print_address(const struct address *a, struct buf *out)
{
    if (a->path != NULL)
        buf_text(out, a->path);
    else
        buf_format(out, strchr(a->host, ':') != NULL ? "[%s]:%u" : "%s:%u", a->host, a->port);
}
