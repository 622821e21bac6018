/* See steward_samples.h.  The rows of core/stats.h stay for ever, so ours point to them.
 *
 * Of the rising counts a ring of samples is kept.  Of latencies there are two earlier states, five
 * seconds apart: what came since the older one is what is recent. */
#include "proxy/steward_samples.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"

enum { RING = SAMPLES_HISTORY_SECONDS + 1 };

struct samples_row {
    const char *pool, *endpoint; /* borrowed from a stats row, for ever */
    uint32_t shard;
    const struct stats_row **parts; /* one a worker */
    size_t part_count;
    uint64_t ring[RING][SAMPLE_COUNTS];
    struct histogram *older, *newer; /* NULL: nothing has been counted yet */
};

struct samples {
    struct samples_row **rows; /* owned */
    size_t row_count;
    uint32_t stats_known; /* stats rows with lower numbers belong to one of ours */
    uint64_t taken;       /* how often */
    uint64_t at_us[RING];
    uint64_t latency_us; /* when the states of latencies were moved on */
};

#define RISES true
#define NOW   false
const struct sample_kind samples_kinds[SAMPLE_COUNTS] = {
#define COUNT(member, rises, name, pool_text, shard_text)                                          \
    [SAMPLE_##member] = { name, pool_text, shard_text, rises },
#include "proxy/steward_counts.def"
#undef COUNT
};

static const size_t OFFSETS[SAMPLE_COUNTS] = {
#define COUNT(member, rises, name, pool_text, shard_text)                                          \
    [SAMPLE_##member] = offsetof(struct stats_row, member),
#include "proxy/steward_counts.def"
#undef COUNT
};

struct samples *samples_new(void)
{
    return mem_new(sizeof(struct samples));
}

void samples_free(struct samples **where)
{
    struct samples *s = *where;

    *where = NULL;
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->row_count; i++) {
        free(s->rows[i]->parts);
        free(s->rows[i]->older);
        free(s->rows[i]->newer);
        free(s->rows[i]);
    }
    free(s->rows);
    free(s);
}

/* ---- rows ---- */

static struct samples_row *find(const struct samples *s, const char *pool, const char *endpoint,
                                uint32_t shard)
{
    for (size_t i = 0; i < s->row_count; i++) {
        struct samples_row *row = s->rows[i];

        if (row->shard == shard && strcmp(row->pool, pool) == 0 &&
            strcmp(row->endpoint, endpoint) == 0)
            return row;
    }
    return NULL;
}

static struct samples_row *add_row(struct samples *s, const struct stats_row *stats)
{
    struct samples_row *row = mem_new(sizeof(*row));

    row->pool = stats->pool;
    row->endpoint = stats->endpoint;
    row->shard = stats->shard;
    s->rows = mem_resize(s->rows, (s->row_count + 1) * sizeof(struct samples_row *));
    s->rows[s->row_count++] = row;
    return row;
}

/* Newer rows than `known` come before the others, and each is seen once. */
struct walk {
    struct samples *samples;
    uint32_t known, next;
};

static void take_in(const struct stats_row *stats, void *arg)
{
    struct walk *walk = arg;
    struct samples *s = walk->samples;
    struct samples_row *row;

    if (stats->number < walk->known)
        return;
    if (stats->number >= walk->next)
        walk->next = stats->number + 1;
    row = find(s, stats->pool, stats->endpoint, stats->shard);
    if (row == NULL)
        row = add_row(s, stats);
    row->parts = mem_resize(row->parts, (row->part_count + 1) * sizeof(struct stats_row *));
    row->parts[row->part_count++] = stats;
}

static void find_new_rows(struct samples *s)
{
    struct walk walk = { .samples = s, .known = s->stats_known, .next = s->stats_known };

    stats_each(take_in, &walk);
    s->stats_known = walk.next;
}

/* ---- sampling ---- */

uint64_t samples_total(const struct samples_row *row, enum sample_count which)
{
    uint64_t sum = 0;

    for (size_t i = 0; row != NULL && i < row->part_count; i++)
        sum += counter_get((const struct counter *)((const char *)row->parts[i] + OFFSETS[which]));
    return sum;
}

static void merge_latency(const struct samples_row *row, struct histogram *out)
{
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < row->part_count; i++)
        histogram_merge(out, &row->parts[i]->latency_us);
}

static void move_latency_on(struct samples_row *row)
{
    struct histogram *spare = row->older;

    if (row->newer == NULL && samples_total(row, SAMPLE_requests) == 0)
        return;
    row->older = row->newer;
    row->newer = spare != NULL ? spare : mem_new(sizeof(*spare));
    merge_latency(row, row->newer);
    if (row->older == NULL)
        row->older = mem_new(sizeof(*row->older)); /* before the first request */
}

void samples_take(struct samples *s, uint64_t now_us)
{
    bool move_on = now_us - s->latency_us >= SAMPLES_LATENCY_SECONDS * (uint64_t)1000000;

    find_new_rows(s);
    s->at_us[s->taken % RING] = now_us;
    for (size_t i = 0; i < s->row_count; i++) {
        struct samples_row *row = s->rows[i];

        for (int k = 0; k < SAMPLE_COUNTS; k++)
            row->ring[s->taken % RING][k] = samples_total(row, (enum sample_count)k);
        if (move_on)
            move_latency_on(row);
    }
    if (move_on)
        s->latency_us = now_us;
    s->taken++;
}

/* ---- reading ---- */

const struct samples_row *samples_find(const struct samples *s, const char *pool,
                                       const char *endpoint, uint32_t shard)
{
    return find(s, pool, endpoint, shard);
}

double samples_rate(const struct samples *s, const struct samples_row *row, enum sample_count which)
{
    uint64_t back = s->taken - 1 < SAMPLES_RATE_SECONDS ? s->taken - 1 : SAMPLES_RATE_SECONDS;
    size_t last = (s->taken - 1) % RING, first = (s->taken - 1 - back) % RING;

    if (row == NULL || s->taken < 2)
        return 0;
    return (double)(row->ring[last][which] - row->ring[first][which]) * 1e6 /
           (double)(s->at_us[last] - s->at_us[first]);
}

void samples_history(const struct samples *s, const struct samples_row *row,
                     enum sample_count which, uint32_t *out)
{
    for (uint64_t i = 0; i < SAMPLES_HISTORY_SECONDS; i++) {
        uint64_t back = SAMPLES_HISTORY_SECONDS - 1 - i; /* seconds before the last sample */

        out[i] = 0;
        if (row != NULL && s->taken >= back + 2)
            out[i] = (uint32_t)(row->ring[(s->taken - 1 - back) % RING][which] -
                                row->ring[(s->taken - 2 - back) % RING][which]);
    }
}

void samples_latency(const struct samples_row *row, bool recent, struct histogram *out)
{
    memset(out, 0, sizeof(*out));
    if (row == NULL)
        return;
    merge_latency(row, out);
    if (recent && row->older != NULL)
        histogram_since(out, row->older);
}
