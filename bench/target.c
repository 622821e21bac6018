/* See target.h.  Names are resolved once, before the load begins. */
#include "bench/target.h"

#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "bench/load.h"
#include "proxy/base/mem.h"
#include "proxy/base/slice.h"

#define DRIVER(name) extern const struct load_driver load_##name;
#include "load_drivers.def"
#undef DRIVER

static const struct load_driver *const DRIVERS[] = {
#define DRIVER(name) &load_##name,
#include "load_drivers.def"
#undef DRIVER
};

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A copy with %XX made into bytes. */
static char *decoded(struct slice s)
{
    char *text = mem_text_of(s.at, s.len), *out = text;

    for (size_t i = 0; i < s.len; i++) {
        int high = i + 2 < s.len ? hex_digit(s.at[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(s.at[i + 2]) : -1;

        if (s.at[i] == '%' && low >= 0) {
            *out++ = (char)(high * 16 + low);
            i += 2;
        } else {
            *out++ = (char)s.at[i];
        }
    }
    *out = '\0';
    return text;
}

static bool cut(struct slice s, char at, struct slice *before, struct slice *after)
{
    const uint8_t *found = memchr(s.at, at, s.len);

    if (found == NULL)
        return false;
    *before = slice_of(s.at, (size_t)(found - s.at));
    *after = slice_of(found + 1, s.len - before->len - 1);
    return true;
}

static const struct load_driver *driver_of(struct slice scheme, bool *is_unix)
{
    static const char UNIX[] = "+unix";
    size_t tail = sizeof(UNIX) - 1;

    *is_unix = scheme.len > tail && slice_is_text(slice_from(scheme, scheme.len - tail), UNIX);
    if (*is_unix)
        scheme.len -= tail;
    for (size_t i = 0; i < sizeof(DRIVERS) / sizeof(DRIVERS[0]); i++) {
        if (slice_is_word(scheme, DRIVERS[i]->scheme))
            return DRIVERS[i];
    }
    return NULL;
}

/* `user:password@`, `:password@`; gives what follows. */
static struct slice take_login(struct target *t, struct slice rest)
{
    struct slice login, user, password;
    const uint8_t *at = memrchr(rest.at, '@', rest.len);

    if (at == NULL)
        return rest;
    login = slice_of(rest.at, (size_t)(at - rest.at));
    if (!cut(login, ':', &user, &password)) {
        user = login;
        password = (struct slice){ 0 };
    }
    if (user.len > 0)
        t->user = decoded(user);
    if (password.len > 0)
        t->password = decoded(password);
    return slice_from(rest, login.len + 1);
}

static enum err take_unix_path(struct target *t, struct slice rest)
{
    struct slice path = rest, query;
    struct sockaddr_un *address = (struct sockaddr_un *)&t->address;

    if (cut(rest, '?', &path, &query) && slice_starts(query, slice_text("db=")))
        t->database = decoded(slice_from(query, 3));
    t->path = decoded(path);
    if (t->path[0] != '/' || strlen(t->path) >= sizeof(address->sun_path))
        return ERR_SYNTAX;
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, t->path, strlen(t->path) + 1);
    t->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(t->path) + 1);
    snprintf(t->label, sizeof(t->label), "%s", t->path);
    return ERR_NONE;
}

static enum err take_host(struct target *t, struct slice rest)
{
    struct slice place = rest, database, host, port = { 0 };
    uint64_t number = t->driver->port;

    if (cut(rest, '/', &place, &database) && database.len > 0)
        t->database = decoded(database);
    host = place;
    if (place.len > 0 && place.at[0] == '[') {
        if (!cut(slice_from(place, 1), ']', &host, &port))
            return ERR_SYNTAX;
        if (port.len > 0 && port.at[0] != ':')
            return ERR_SYNTAX;
        port = port.len > 0 ? slice_from(port, 1) : port;
    } else {
        (void)cut(place, ':', &host, &port);
    }
    if (port.len > 0 && (!slice_to_u64(port, &number) || number == 0 || number > UINT16_MAX))
        return ERR_RANGE;
    t->port = (uint16_t)number;
    t->host = host.len > 0 ? decoded(host) : mem_text("127.0.0.1");
    snprintf(t->label, sizeof(t->label), strchr(t->host, ':') != NULL ? "[%s]:%u" : "%s:%u",
             t->host, t->port);
    return ERR_NONE;
}

static enum err resolve(struct target *t, char problem[static TARGET_PROBLEM_BYTES])
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
    char service[8];
    int failed;

    snprintf(service, sizeof(service), "%u", t->port);
    failed = getaddrinfo(t->host, service, &hints, &found);
    if (failed != 0) {
        snprintf(problem, TARGET_PROBLEM_BYTES, "%s: %s", t->host, gai_strerror(failed));
        return ERR_RESOLVE;
    }
    memcpy(&t->address, found->ai_addr, found->ai_addrlen);
    t->address_len = found->ai_addrlen;
    freeaddrinfo(found);
    return ERR_NONE;
}

enum err target_open(struct target *t, const char *url, char problem[static TARGET_PROBLEM_BYTES])
{
    const char *colon = strstr(url, "://");
    bool is_unix;
    struct slice rest;
    enum err err;

    *t = (struct target){ .url = url };
    if (colon != NULL)
        t->driver = driver_of(slice_of(url, (size_t)(colon - url)), &is_unix);
    if (colon == NULL || t->driver == NULL) {
        snprintf(problem, TARGET_PROBLEM_BYTES,
                 "\"%.60s\": expected a URL such as redis://127.0.0.1:6379, "
                 "postgresql://app@127.0.0.1/app, s3://ID:SECRET@127.0.0.1:9000/bucket or "
                 "redis+unix:///run/redis.sock",
                 url);
        return ERR_SYNTAX;
    }
    rest = take_login(t, slice_text(colon + 3));
    err = is_unix ? take_unix_path(t, rest) : take_host(t, rest);
    if (err == ERR_RANGE)
        snprintf(problem, TARGET_PROBLEM_BYTES, "the port of the URL must be 1 to 65535");
    else if (err != ERR_NONE)
        snprintf(problem, TARGET_PROBLEM_BYTES, "the URL has no usable %s",
                 is_unix ? "path (redis+unix:///PATH)" : "host");
    TRY(err);
    return is_unix ? ERR_NONE : resolve(t, problem);
}

void target_close(struct target *t)
{
    free(t->host);
    free(t->path);
    free(t->user);
    free(t->password);
    free(t->database);
    *t = (struct target){ 0 };
}
