/* Names to addresses, without blocking a loop.
 *
 * One resolver serves the process: a thread of its own asks getaddrinfo(), so /etc/hosts and
 * nsswitch count.  Each loop has a desk at it, where it asks; answers come back in the loop, by an
 * eventfd.
 *
 *     err = resolve_ask(desk, "redis-1.internal", 6379, &list, done, upstream, &ticket);
 *     ERR_NONE:  `list` is filled: a literal, or a name that is known
 *     ERR_AGAIN: done() will be called in this loop, if resolve_cancel(desk, ticket) is not first
 *
 * So only the first asking for a name waits.  A known name older than its ttl is answered at once
 * from what is known and looked up again behind the scenes; when that fails the last good answer
 * stays.  After a failed connect, resolve_refresh() has the name looked up before its ttl. */
#pragma once

#include <event2/event.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "proxy/base/err.h"

enum { RESOLVE_MOST_ADDRESSES = 8, RESOLVE_MOST_NAMES = 1024 };

struct resolver;
struct resolve_desk;

struct resolve_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
    socklen_t len;
};

/* In the order in which they are best tried. */
struct resolve_list {
    size_t count;
    struct resolve_address item[RESOLVE_MOST_ADDRESSES];
};

/* `list` is valid during the call, NULL if err is not ERR_NONE; `why` then says what was wrong.  It
 * may ask again and may cancel other tickets, but not close the desk. */
typedef void resolve_done_f(void *arg, uint64_t ticket, enum err err,
                            const struct resolve_list *list, const char *why);

/* How one name is looked up, blocking; ports are zero.  On failure *why is a constant text. */
typedef enum err resolve_lookup_f(const char *host, struct resolve_list *list, const char **why);

struct resolve_settings {
    uint64_t ttl_ms;          /* zero: 30 s */
    uint64_t refresh_rest_ms; /* least time between two lookups of a name; zero: 1 s */
    resolve_lookup_f *lookup; /* NULL: getaddrinfo() */
};

MUST_CHECK enum err resolver_start(const struct resolve_settings *settings, struct resolver **r);
/* All desks are closed.  A lookup that hangs is left to end by itself. */
void resolver_stop(struct resolver **r);

/* A desk belongs to the thread of its loop. */
MUST_CHECK enum err resolve_desk_open(struct resolver *r, struct event_base *base,
                                      struct resolve_desk **desk);
/* What was asked and not answered is forgotten. */
void resolve_desk_close(struct resolve_desk **desk);

/* See above; further errors: ERR_RESOLVE for what can be no name, ERR_LIMIT. */
MUST_CHECK enum err resolve_ask(struct resolve_desk *desk, const char *host, uint16_t port,
                                struct resolve_list *list, resolve_done_f *done, void *arg,
                                uint64_t *ticket);
void resolve_cancel(struct resolve_desk *desk, uint64_t ticket);
void resolve_refresh(struct resolve_desk *desk, const char *host);

/* Is it 127.0.0.1, ::1 or [::1] and the like?  Then the address. */
bool resolve_literal(const char *host, uint16_t port, struct resolve_address *address);
/* For threads that may block until a deadline of the monotonic clock: literals, what is known, else
 * the resolver's answer, or ERR_TIMEOUT.  Without a resolver (NULL) getaddrinfo() is asked on the
 * spot, and the deadline does not hold.  *why is a constant text. */
MUST_CHECK enum err resolve_wait(struct resolver *r, const char *host, uint16_t port,
                                 uint64_t deadline_us, struct resolve_list *list, const char **why);
