/* See hot_keys.h. */
#include "proxy/core/hot_keys.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define HALF_LIFE_US 10000000
#define SHORTEST_S   0.1 /* a window is told as if it were at least so long */

void hot_keys_init(struct hot_keys *h, uint64_t now_us)
{
    memset(h, 0, sizeof(*h));
    pthread_mutex_init(&h->lock, NULL);
    h->since_us = now_us;
}

/* Counts and their window shrink together, so that the rate stays what it is. */
static void fade(struct hot_keys *h, uint64_t now_us)
{
    double factor = 1;

    if (now_us < h->since_us + HALF_LIFE_US)
        return;
    h->window_s += (double)(now_us - h->since_us) / 1e6;
    for (uint64_t passed = HALF_LIFE_US; passed <= now_us - h->since_us && factor > 1e-6;
         passed += HALF_LIFE_US)
        factor /= 2;
    h->since_us = now_us;
    h->window_s *= factor;
    for (uint32_t i = 0; i < h->used; i++) {
        h->list[i].count *= factor;
        h->list[i].error *= factor;
    }
}

static struct hot_key *find(struct hot_key *list, uint32_t count, uint64_t hash)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i].hash == hash)
            return &list[i];
    return NULL;
}

static struct hot_key *least_of(struct hot_keys *h)
{
    struct hot_key *least = &h->list[0];

    for (uint32_t i = 1; i < h->used; i++)
        if (h->list[i].count < least->count)
            least = &h->list[i];
    return least;
}

static void note(struct hot_keys *h, struct slice key, double weight)
{
    uint64_t hash = XXH3_64bits(key.at, key.len);
    struct hot_key *k = find(h->list, h->used, hash);

    if (k != NULL) {
        k->count += weight;
        return;
    }
    if (h->used < HOT_KEYS_ROOM) {
        k = &h->list[h->used++];
        k->count = 0;
    } else {
        k = least_of(h);
    }
    k->hash = hash;
    k->error = k->count;
    k->count += weight;
    k->is_cut = key.len > HOT_KEY_BYTES;
    k->len = k->is_cut ? HOT_KEY_BYTES : (uint32_t)key.len;
    memcpy(k->key, key.at, k->len);
}

void hot_keys_note(struct hot_keys *h, struct slice key, double weight, uint64_t now_us)
{
    pthread_mutex_lock(&h->lock);
    fade(h, now_us);
    note(h, key, weight);
    pthread_mutex_unlock(&h->lock);
}

uint32_t hot_keys_add(struct hot_keys *h, uint64_t now_us, struct hot_key *out, uint32_t count,
                      uint32_t most)
{
    double window_s;

    pthread_mutex_lock(&h->lock);
    fade(h, now_us);
    window_s = h->window_s + (double)(now_us - h->since_us) / 1e6;
    if (window_s < SHORTEST_S)
        window_s = SHORTEST_S;
    for (uint32_t i = 0; i < h->used; i++) {
        const struct hot_key *k = &h->list[i];
        struct hot_key *sum = find(out, count, k->hash);

        if (sum == NULL && count == most)
            continue;
        if (sum == NULL) {
            sum = &out[count++];
            *sum = *k;
            sum->count = sum->error = 0;
        }
        sum->count += k->count / window_s;
        sum->error += k->error / window_s;
    }
    pthread_mutex_unlock(&h->lock);
    return count;
}

static int more_first(const void *a, const void *b)
{
    const struct hot_key *x = a, *y = b;
    double x_sure = x->count - x->error, y_sure = y->count - y->error;

    return x_sure > y_sure ? -1 : x_sure < y_sure;
}

void hot_keys_sort(struct hot_key *list, uint32_t count)
{
    qsort(list, count, sizeof(*list), more_first);
}
