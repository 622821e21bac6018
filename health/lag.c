/* See lag.h.
 *
 * When the list of sights is full, two neighbours become one: the later position, said to have
 * been seen when the earlier one was.  They are those to whose age the lost time is the smallest
 * part, so that what is recent stays exact, and what is old is told a few percent too long, never
 * too short. */
#include "health/lag.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

enum { GATE_RUN = 2 };

void lag_history_reset(struct lag_history *h)
{
    *h = (struct lag_history){ 0 };
}

/* What joining `i` and the next would lose, as a part of their age. */
static double loss_of(const struct lag_history *h, uint32_t i)
{
    uint64_t now_us = h->sights[h->count - 1].at_us, at_us = h->sights[i].at_us;

    return (double)(h->sights[i + 2].at_us - at_us) / (double)(now_us - at_us + 1);
}

/* The first sight stays: what is before it is not known. */
static void make_coarser(struct lag_history *h)
{
    uint32_t best = 1;

    for (uint32_t i = 2; i + 2 < h->count; i++)
        if (loss_of(h, i) < loss_of(h, best))
            best = i;
    h->sights[best].lsn = h->sights[best + 1].lsn;
    memmove(&h->sights[best + 1], &h->sights[best + 2],
            (h->count - best - 2) * sizeof(h->sights[0]));
    h->count--;
}

void lag_history_add(struct lag_history *h, uint64_t lsn, uint64_t at_us)
{
    struct lag_sight *last = h->count > 0 ? &h->sights[h->count - 1] : NULL;

    if (last != NULL && lsn < last->lsn) {
        lag_history_reset(h);
        last = NULL;
    }
    if (last != NULL && lsn == last->lsn)
        return;
    if (last != NULL && at_us < last->at_us)
        at_us = last->at_us;
    if (h->count == LAG_SIGHTS)
        make_coarser(h);
    assert(h->count < LAG_SIGHTS);
    h->sights[h->count++] = (struct lag_sight){ .lsn = lsn, .at_us = at_us };
}

uint64_t lag_history_newest(const struct lag_history *h)
{
    return h->count > 0 ? h->sights[h->count - 1].lsn : 0;
}

/* The first sight of a position beyond; `count` if there is none. */
static uint32_t first_beyond(const struct lag_history *h, uint64_t lsn)
{
    uint32_t low = 0, high = h->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (h->sights[middle].lsn > lsn)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

struct lag lag_of(const struct lag_history *h, uint64_t lsn, uint64_t at_us)
{
    uint32_t beyond = first_beyond(h, lsn);
    uint64_t since_us;

    if (h->count == 0)
        return (struct lag){ 0 };
    if (beyond == h->count)
        return (struct lag){ .is_known = true };
    since_us = h->sights[beyond].at_us;
    /* The very first sight says only that the primary was there then, not since when. */
    return (struct lag){ .is_known = beyond > 0,
                         .bytes = h->sights[h->count - 1].lsn - lsn,
                         .us = at_us > since_us ? at_us - since_us : 0 };
}

static bool is_within(const struct lag_limits *limits, const struct lag *lag, uint64_t part)
{
    return (limits->most_us == 0 || (lag->is_known && lag->us <= limits->most_us / part)) &&
           (limits->most_bytes == 0 || lag->bytes <= limits->most_bytes / part);
}

bool lag_gate_judge(struct lag_gate *g, const struct lag_limits *limits, const struct lag *lag)
{
    bool is_first = !g->has_judged;

    g->has_judged = true;
    if (!is_within(limits, lag, 1)) {
        g->is_open = false;
        g->good_run = 0;
    } else if (!g->is_open) {
        g->good_run = is_within(limits, lag, 2) ? g->good_run + 1 : 0;
        g->is_open = is_first || g->good_run >= GATE_RUN;
    }
    return g->is_open;
}
