/* The keys that are asked for most, found in a stream of any number of keys with room for a few:
 * one that is not there takes the place of the least, and its count (Metwally's space-saving), so
 * a key with more than a HOT_KEYS_ROOMth of all requests is surely there, and its count is right
 * within what `error` says.  Counts are halved every ten seconds: what was, fades.
 *
 * Noted by one worker, copied by anybody. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"

enum { HOT_KEYS_ROOM = 32, HOT_KEY_BYTES = 48 };

struct hot_key {
    uint64_t hash; /* of the whole key */
    double count;  /* at most so often, in the window */
    double error;  /* and at least so much less */
    uint32_t len;  /* of `key` */
    bool is_cut;   /* it is longer */
    uint8_t key[HOT_KEY_BYTES];
};

struct hot_keys {
    pthread_mutex_t lock; /* of all below */
    uint32_t used;
    double window_s; /* what the counts are of, until since_us */
    uint64_t since_us;
    struct hot_key list[HOT_KEYS_ROOM];
};

void hot_keys_init(struct hot_keys *h, uint64_t now_us);
/* The key was asked for; it stands for so many that were not noted. */
void hot_keys_note(struct hot_keys *h, struct slice key, double weight, uint64_t now_us);
/* Adds up what is in `h` with what `out` has already; counts become rates per second.  Returns how
 * many there are now; those that find no place among `most` are left out. */
uint32_t hot_keys_add(struct hot_keys *h, uint64_t now_us, struct hot_key *out, uint32_t count,
                      uint32_t most);
/* The most asked first, by what is sure. */
void hot_keys_sort(struct hot_key *list, uint32_t count);
