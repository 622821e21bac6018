/* Sockets that wait for clients: opened for all workers at once, so that a mistake shows before any
 * client does; then each worker accepts from its own. */
#pragma once

#include <event2/event.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"

struct listener_options {
    const char *unix_path; /* NULL: host and port */
    const char *host;
    uint16_t port; /* 0: the system chooses one for all */
    uint32_t backlog;
    uint32_t socket_mode; /* of a Unix socket's file */
    bool port_is_ours;    /* we listen on it already, at another address: it may be shared */
};

/* Opens `count` sockets at one address: with SO_REUSEPORT, or one Unix socket duplicated.  On
 * failure none is open and `why` says what is wrong. */
enum err listener_bind(const struct listener_options *options, int *fds, uint32_t count,
                       struct buf *why) MUST_CHECK;
/* Which port was it? */
uint16_t listener_port(int fd);

struct listener;

/* Who connected: of a Unix socket the family alone is told.  Smaller than a socket's address, since
 * each session keeps one. */
struct listener_peer {
    sa_family_t family;
    in_port_t port; /* as the wire has it */
    union {
        struct in_addr v4;
        struct in6_addr v6;
    } host;
};

struct listener_peer listener_peer_of(const struct sockaddr *address);

/* The descriptor is the receiver's. */
typedef void listener_accepted_f(void *arg, int fd, const struct listener_peer *peer);

/* Takes the descriptor and accepts in this loop. */
struct listener *listener_open(struct event_base *base, int fd, listener_accepted_f *accepted,
                               void *arg);
/* Takes in who had connected already, then closes. */
void listener_close(struct listener **where);
