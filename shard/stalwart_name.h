/* The names that the mail server Stalwart gives its blobs in object stores: a prefix of its
 * operator's choice, then the blob's key in base32 of its own letters.  Its own sharding places a
 * blob by that key, so whoever is to find what it placed must decode the name.
 *
 * The key is a hash of 32 bytes, but for two texts; which of a name's letters are the prefix is not
 * said, so these lengths tell. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/slice.h"

enum { STALWART_KEY_MOST = 34 };

/* The key that the end of a name stands for; false: it is no such name. */
bool stalwart_name_key(struct slice name, uint8_t key[STALWART_KEY_MOST], size_t *len);
