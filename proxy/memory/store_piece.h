/* The keys of one piece of work at a store that lies elsewhere: what is known of them, and what is
 * to become of them.  A hash table that is emptied with each piece. */
#pragma once

#include "proxy/base/buf.h"
#include "proxy/memory/store.h"

enum store_piece_state {
    STORE_PIECE_UNKNOWN,
    STORE_PIECE_ABSENT,
    STORE_PIECE_LARGE, /* there, but its value was too large to be brought along */
    STORE_PIECE_THERE,
};

struct store_piece_key {
    struct store_key key; /* its name is borrowed until the piece is cleared */
    enum store_piece_state state;
    bool reads, locks; /* see struct store_glance */
    bool is_dirty;     /* THERE or ABSENT, and the store does not know yet */
    int64_t expires_ms;
    struct buf value;
};

struct store_piece {
    struct store_piece_key *keys; /* owned; in the order of their coming */
    uint32_t count, room;
    uint32_t *index; /* owned; of `slots`, 0: none, else a key's place + 1 */
    uint32_t slots;
    uint64_t held;     /* bytes of values */
    struct buf *names; /* owned, those of keys that came without being foreseen */
    uint32_t name_count;
};

/* NULL: it is not of the piece.  Void when a key is added. */
struct store_piece_key *store_piece_find(struct store_piece *p, const struct store_key *key);
/* A new one, or the one that is there. */
struct store_piece_key *store_piece_add(struct store_piece *p, const struct store_key *key);
/* The same, with a copy of the name. */
struct store_piece_key *store_piece_add_copy(struct store_piece *p, const struct store_key *key);
void store_piece_set(struct store_piece *p, struct store_piece_key *k, struct slice value,
                     int64_t expires_ms);
void store_piece_unset(struct store_piece *p, struct store_piece_key *k,
                       enum store_piece_state state);
void store_piece_clear(struct store_piece *p);
void store_piece_fini(struct store_piece *p);
