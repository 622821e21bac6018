/* What the two files of PostgreSQL's store share: back_postgresql.c does what is asked of it,
 * store_postgresql_open.c makes it ready to be asked. */
#pragma once

#include "proxy/memory/store_link.h"
#include "proxy/memory/store_piece.h"

enum { STORE_WINDOW_KEYS = 1024 }; /* that are read at once */

/* Prepared at the server; their texts stand in store_postgresql_open.c. */
enum store_ask {
    STORE_ASK_BEGIN,
    STORE_ASK_BEGIN_READING,
    STORE_ASK_LOCK_SHARED,
    STORE_ASK_LOCK_KEYS,
    STORE_ASK_LOCK_ALL,
    STORE_ASK_NOW,
    STORE_ASK_GET,
    STORE_ASK_GET_VALUE,
    STORE_ASK_PUT,
    STORE_ASK_DROP,
    STORE_ASK_UNSYNCED,
    STORE_ASK_COMMIT,
    STORE_ASK_ROLLBACK,
    STORE_ASK_WALK,
    STORE_ASK_FLUSH_ONE,
    STORE_ASK_FLUSH_ALL,
    STORE_ASK_COUNT,
    STORE_ASK_PURGE,
    STORE_ASK_SIZE,
    STORE_ASKS,
};

enum store_mode { STORE_MODE_NONE, STORE_MODE_READING, STORE_MODE_WRITING };

struct store {
    struct store_link *link;
    char *table; /* owned; quoted */
    uint64_t lock;
    enum store_mode mode; /* of the transaction; NONE: there is none */
    bool locks_all;
    struct store_piece piece;
    uint32_t next; /* of the piece's keys: those before it were read, if they are to be */
    uint32_t window[STORE_WINDOW_KEYS];
    struct buf values[STORE_LINK_VALUES_MOST];
    struct store_size size;
    uint32_t databases;
    bool is_committing; /* COMMIT may have been heard */
    char why[300];
};

extern const char *const store_ask_names[STORE_ASKS];

enum err store_postgresql_open(const struct store_settings *settings, struct store **out,
                               struct buf *why);
void store_postgresql_close(struct store **where);

/* ERR_SYSTEM, with the link's reason as the store's. */
enum err store_failed(struct store *s);
/* The store's value of this place, empty. */
struct buf *store_value_at(struct store *s, int at);
/* How large it is, now. */
enum err store_postgresql_tend(struct store *s);
