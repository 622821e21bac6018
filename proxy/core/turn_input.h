/* The beginning of a turn: sockets that are found to have something are read by one system call
 * where the worker has a ring, when all of them are known.  What comes in long pieces is better
 * read alone, into more room. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/io/ring.h"

struct session;
struct upstream;
struct worker;

enum { TURN_PIECE_BYTES = 8 * 1024 }; /* a read that brings less was not of a long piece */

/* Zero is valid: nothing waits to be read. */
struct turn_input {
    struct turn_read {
        struct upstream *upstream; /* or */
        struct session *session;
        uint32_t number; /* in the ring; RING_MOST: it is read alone */
    } item[RING_MOST];
    uint32_t count;
    uint8_t *pieces; /* owned; one for each, made when first needed */
    bool in_use;     /* since the last trim */
};

/* For later in the turn; false: it is to be read at once. */
bool turn_input_has_session(struct worker *w, struct session *s);
bool turn_input_has_upstream(struct worker *w, struct upstream *u);
/* Reads them, and shows their flows what came. */
void turn_input(struct worker *w);
/* Gives the pieces back, if nothing needed them since the last time. */
void turn_input_trim(struct worker *w);
void turn_input_fini(struct worker *w);
