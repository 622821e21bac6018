/* See metric.h.  What walks all buckets: for readers, never on the hot path. */
#include "proxy/base/metric.h"

const uint32_t metric_edges_us[METRIC_EDGES] = { 50,     100,     250,     500,     1000,    2500,
                                                 5000,   10000,   25000,   50000,   100000,  250000,
                                                 500000, 1000000, 2500000, 5000000, 10000000 };

uint64_t histogram_bucket_top(unsigned bucket)
{
    unsigned shift;

    if (bucket < 2 * HISTOGRAM_SUB)
        return bucket;
    shift = bucket / HISTOGRAM_SUB - 1;
    return ((uint64_t)(bucket % HISTOGRAM_SUB + HISTOGRAM_SUB + 1) << shift) - 1;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    uint64_t count = 0;

    /* The count is taken from the buckets: read while it is written, `from` may have counted a
     * value in one and not yet in the other, and a percentile must find what it counts towards. */
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t more = counter_get(&from->bucket[i]);

        if (more > 0)
            counter_add(&into->bucket[i], more);
        count += more;
    }
    counter_add(&into->count, count);
    counter_add(&into->sum, counter_get(&from->sum));
    if (counter_get(&from->max) > counter_get(&into->max))
        counter_set(&into->max, counter_get(&from->max));
}

void histogram_since(struct histogram *now, const struct histogram *before)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        counter_sub(&now->bucket[i], counter_get(&before->bucket[i]));
    counter_sub(&now->count, counter_get(&before->count));
    counter_sub(&now->sum, counter_get(&before->sum));
}

uint64_t histogram_percentile(const struct histogram *h, double fraction)
{
    uint64_t count = counter_get(&h->count), seen = 0, max = counter_get(&h->max);
    uint64_t wanted = (uint64_t)(fraction * (double)count);

    if (count == 0)
        return 0;
    if ((double)wanted < fraction * (double)count || wanted == 0)
        wanted++;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += counter_get(&h->bucket[i]);
        if (seen >= wanted)
            return histogram_bucket_top(i) < max ? histogram_bucket_top(i) : max;
    }
    return max;
}

uint64_t histogram_count_to(const struct histogram *h, uint64_t value)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS && histogram_bucket_top(i) <= value; i++)
        count += counter_get(&h->bucket[i]);
    return count;
}
