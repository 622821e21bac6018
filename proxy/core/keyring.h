/* The keys that an endpoint is asked with, where they may change while Sheaf runs.  The steward
 * puts new ones in; each worker has a copy, and looks with every request whether it is the newest:
 *
 *     if (keyring_version(ring) != copy.version)      cheap: one load
 *         keyring_copy(ring, &copy);
 *
 * Versions are of the process: no two rings, of this configuration or an earlier one, share any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/aws_keys.h"

struct keyring;

struct keyring_copy {
    uint64_t version; /* 0: none yet */
    struct aws_keys keys;
};

struct keyring *keyring_new(const struct aws_keys *keys);
void keyring_free(struct keyring **where); /* wipes it */

/* False: they are the same. */
bool keyring_put(struct keyring *ring, const struct aws_keys *keys);
uint64_t keyring_version(const struct keyring *ring);
void keyring_copy(struct keyring *ring, struct keyring_copy *out);
