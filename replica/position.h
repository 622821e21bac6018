/* Places in the primary's write-ahead log, and whether one has been reached.  Positions of
 * different systems or timelines don't compare: after a promotion the log of the new primary may
 * begin before what the old one had written. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/err.h"
#include "proxy/base/slice.h"

struct position {
    uint64_t system; /* system identifier; 0: none, which everything has reached */
    uint32_t timeline;
    uint64_t lsn; /* 0: none */
};

enum position_order {
    POSITION_REACHED, /* `at` is at or behind `needed` */
    POSITION_BEFORE,  /* not yet */
    POSITION_FOREIGN, /* another system, or an older timeline: can't be told */
};

enum {
    POSITION_LSN_TEXT = 18, /* "FFFFFFFF/FFFFFFFF" and its end */
    POSITION_TEXT = 64,     /* system:timeline:lsn, and its end */
    POSITION_PAGE_BYTES = 8192,
};

static inline bool position_is_none(const struct position *p)
{
    return p->lsn == 0;
}

/* "16/B374D848", as pg_lsn has it. */
enum err position_parse_lsn(struct slice text, uint64_t *out) MUST_CHECK;
/* Writes as pg_lsn does; returns the length. */
unsigned position_put_lsn(uint64_t lsn, char out[POSITION_LSN_TEXT]);

/* The token that SHOW sheaf.position gives and SET sheaf.min_position takes:
 * "7301234567890123456:1:16/B374D848".  A bare "16/B374D848" is taken, too: system and timeline are
 * then 0, and the caller fills in the present ones. */
enum err position_parse(struct slice text, struct position *out) MUST_CHECK;
unsigned position_put(const struct position *p, char out[POSITION_TEXT]);

/* Has who stands at `at` all that was written before `needed`? */
enum position_order position_compare(const struct position *needed, const struct position *at);

/* The greater of two in *kept; one of a newer timeline, or of another system, replaces it. */
void position_keep(struct position *kept, const struct position *other);

/* What replicas can reach for a position told by pg_current_wal_insert_lsn(): that one may stand
 * behind the header of a page in which there is no record yet, and replay then stays before the
 * header until there is. */
uint64_t position_before_page_header(uint64_t insert_lsn, uint64_t segment_bytes);
