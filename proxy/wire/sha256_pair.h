/* SHA-256 of long streams, two at a time.  The rounds of one wait for each other, so a processor
 * that has instructions for them does those of two streams in two thirds of the time that one after
 * the other would take.  For that the last piece that came of a stream waits until one of another
 * comes.  There are two rooms, whatever number of streams: one for the piece that waits, one for
 * that which comes.
 *
 *     at = sha256_pair_room(&pair);              SHA256_PAIR_BYTES of it
 *     sha256_stream_took(&stream, &pair, len)    what lies there now, so much, is of this stream
 *     sha256_stream_add(&stream, bytes)          and these are: at once
 *     sha256_stream_tell(&stream, hash)          of all of them
 *     sha256_stream_leave(&stream)               it goes; a piece of it that waits is forgotten
 *
 * What a stream is told, or is given at once, is always behind what of it waited before. */
#pragma once

#include <openssl/sha.h>
#include <stdbool.h>

#include "proxy/base/slice.h"

enum { SHA256_PAIR_BYTES = 512 * 1024 };

/* Of one thread. */
struct sha256_pair {
    uint8_t *rooms;                /* owned; both, made when first needed */
    struct sha256_stream *waiting; /* borrowed till it is told or leaves; NULL: none */
    struct slice rest;             /* of its piece: not hashed yet */
    unsigned room;                 /* the one that is free */
    bool is_native;                /* else nothing waits, for nothing would be gained */
    bool in_use;                   /* since the last trim */
};

struct sha256_stream {
    SHA256_CTX state;
    struct sha256_pair *pair; /* borrowed: where a piece of it waits; NULL: none does */
};

/* `is_native`: has the processor the instructions? */
void sha256_pair_init(struct sha256_pair *pair, bool is_native);
void sha256_pair_fini(struct sha256_pair *pair);
/* Gives the rooms back, if nothing needed them since the last time; tells how many bytes. */
size_t sha256_pair_trim(struct sha256_pair *pair);
/* Stays as it is until sha256_stream_took(). */
uint8_t *sha256_pair_room(struct sha256_pair *pair);

void sha256_stream_init(struct sha256_stream *s);
void sha256_stream_took(struct sha256_stream *s, struct sha256_pair *pair, size_t len);
void sha256_stream_add(struct sha256_stream *s, struct slice bytes);
/* It may go on behind that. */
void sha256_stream_tell(struct sha256_stream *s, uint8_t hash[SHA256_DIGEST_LENGTH]);
void sha256_stream_leave(struct sha256_stream *s);
