/* Memcached's binary protocol: requests read, replies written.  All numbers are big endian.
 *
 *     24 bytes: magic, opcode, key length (2), extras length, data type, status or vbucket (2),
 *               body length (4), opaque (4), cas (8)
 *     body:     extras, key, value
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/parse.h"
#include "proxy/base/slice.h"

enum { MEMCACHED_MAGIC = 0x80, MEMCACHED_HEADER_BYTES = 24 };

enum memcached_opcode {
#define OPCODE(name, number, loud, least, most, key, value, quiet) MEMCACHED_BINARY_##name = number,
#include "proxy/wire/memcached_opcodes.def"
#undef OPCODE
};

enum memcached_status {
    MEMCACHED_STATUS_OK = 0x00,
    MEMCACHED_STATUS_NOT_FOUND = 0x01,
    MEMCACHED_STATUS_EXISTS = 0x02,
    MEMCACHED_STATUS_TOO_LARGE = 0x03,
    MEMCACHED_STATUS_INVALID = 0x04,
    MEMCACHED_STATUS_NOT_STORED = 0x05,
    MEMCACHED_STATUS_NOT_A_NUMBER = 0x06,
    MEMCACHED_STATUS_NOT_LET_IN = 0x20,
    MEMCACHED_STATUS_UNKNOWN_COMMAND = 0x81,
    MEMCACHED_STATUS_OUT_OF_MEMORY = 0x82,
    MEMCACHED_STATUS_INTERNAL = 0x84,
    MEMCACHED_STATUS_FOR_NOW = 0x86, /* a temporary failure */
};

struct memcached_binary_request {
    uint8_t opcode; /* as it came */
    uint8_t loud;   /* the same command without Q: an enum memcached_opcode */
    bool is_quiet;
    const char *name;    /* of the command; NULL: nobody knows it */
    bool is_well_formed; /* its lengths are what the command must have */
    uint32_t opaque;
    uint64_t cas;
    struct slice extras, key, value;
    /* Too large: so many bytes behind `len` are its value, which is not here. */
    uint64_t skip;
    size_t len;
};

/* A request whose body is longer than that is DONE with `skip`.  MORE: *need is how many bytes of
 * `in` it takes at least.  BAD: `in` is not of the protocol, and nothing can be answered to it. */
enum parse memcached_binary_parse(struct slice in, uint64_t most_body_bytes,
                                  struct memcached_binary_request *out, size_t *need);

uint32_t memcached_binary_u32(struct slice in, size_t at);
uint64_t memcached_binary_u64(struct slice in, size_t at);

/* What a reply says; all members may be zero. */
struct memcached_binary_reply {
    uint8_t opcode;
    enum memcached_status status;
    uint32_t opaque;
    uint64_t cas;
    struct slice extras, key, value;
};

void memcached_binary_put(struct buf *out, const struct memcached_binary_reply *reply);
/* memcached's own words for a status that is an error. */
const char *memcached_status_text(enum memcached_status status);
