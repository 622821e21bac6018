/* Clients that left while their request waits at a server, as all workers must know it at once.
 *
 * A client blocks in BLPOP and disconnects; then another pushes.  The worker of the first may learn
 * of it later than the push is sent: the other has another worker, or the first is not read from,
 * since it asked more behind BLPOP.  The element would be popped for nobody.  So whoever sends
 * something that may end a wait looks here first, and before it tells the server, on the same
 * connection, which of its clients wait for nobody.
 *
 * One for each endpoint of the process, shared by its workers; see the lock in the .c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct leavers;
struct leaver;

/* That of the endpoint with this identity, counted.  Also over reloads it is the same one. */
struct leavers *leavers_open(const char *identity);
void leavers_close(struct leavers **where);

/* A client on the socket waits at the server, who knows the connection by this id. */
struct leaver *leavers_watch(struct leavers *l, int fd, uint64_t server_id);
/* It left: to be said before its socket is closed.  It is told to all who ask until it is
 * forgotten. */
void leavers_note(struct leavers *l, struct leaver *leaver);
/* It waits no more.  True: somebody may be about to tell the server that it left, so its connection
 * must not be used again. */
bool leavers_forget(struct leavers *l, struct leaver **where);

/* How many wait, gone or not: 0 is the rule, and costs nothing. */
size_t leavers_count(const struct leavers *l);
/* The ids of all that are gone, *found of them; the caller's. */
uint64_t *leavers_find(struct leavers *l, size_t *found);
