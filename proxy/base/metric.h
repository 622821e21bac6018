/* Counters and histograms with one writer and any number of readers in other threads.  No add is an
 * atomic read-modify-write, only a plain one whose halves cannot be torn, so it costs about a
 * nanosecond; readers may be a little late.  Zero is valid and empty. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct counter {
    _Atomic uint64_t value; /* atomic: one writer, relaxed */
};

static inline uint64_t counter_get(const struct counter *c)
{
    return atomic_load_explicit(&c->value, memory_order_relaxed);
}

static inline void counter_set(struct counter *c, uint64_t value)
{
    atomic_store_explicit(&c->value, value, memory_order_relaxed);
}

static inline void counter_add(struct counter *c, uint64_t more)
{
    counter_set(c, counter_get(c) + more);
}

static inline void counter_sub(struct counter *c, uint64_t less)
{
    counter_set(c, counter_get(c) - less);
}

/* Buckets are exact up to 63 and then 32 to each power of two: a value is told 3 % too high at
 * most.  Values above the last bucket (71 minutes, in microseconds) are counted in it. */
enum {
    HISTOGRAM_SUB_BITS = 5,
    HISTOGRAM_SUB = 1 << HISTOGRAM_SUB_BITS,
    HISTOGRAM_BUCKETS = (32 - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB,
};

struct histogram {
    struct counter count, sum, max;
    struct counter bucket[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket_of(uint64_t value)
{
    unsigned top;

    if (value < HISTOGRAM_SUB)
        return (unsigned)value;
    if (value > UINT32_MAX)
        return HISTOGRAM_BUCKETS - 1;
    top = 31u - (unsigned)__builtin_clz((uint32_t)value);
    return (top - HISTOGRAM_SUB_BITS) * HISTOGRAM_SUB +
           (unsigned)(value >> (top - HISTOGRAM_SUB_BITS));
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
    counter_add(&h->bucket[histogram_bucket_of(value)], 1);
    counter_add(&h->sum, value);
    if (value > counter_get(&h->max))
        counter_set(&h->max, value);
    counter_add(&h->count, 1);
}

/* The highest value that falls into this bucket. */
uint64_t histogram_bucket_top(unsigned bucket);

/* Adds all of `from`, which another thread may be writing, to `into`, which is the caller's. */
void histogram_merge(struct histogram *into, const struct histogram *from);
/* What came since `before`, an earlier merge of the same histograms; the maximum is that of all. */
void histogram_since(struct histogram *now, const struct histogram *before);
/* The value that the given fraction (0.99) of all values does not exceed; 0 if there are none. */
uint64_t histogram_percentile(const struct histogram *h, double fraction);
/* How many values are at most `value`; exact at the tops of buckets. */
uint64_t histogram_count_to(const struct histogram *h, uint64_t value);

/* Up to where Prometheus is told how many requests took less, in microseconds. */
enum { METRIC_EDGES = 17 };
extern const uint32_t metric_edges_us[METRIC_EDGES];
