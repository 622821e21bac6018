/* See memcached_binary.h. */
#include "proxy/wire/memcached_binary.h"

#include <endian.h>

#include "proxy/wire/memcached_text_request.h"

enum need_key { NO_KEY, KEY, ANY_KEY };
enum need_value { NO_VALUE, VALUE };
enum { LOUD, QUIET, OPCODES = 0x25 };

static const struct opcode {
    const char *name; /* NULL: there is none */
    uint8_t loud, least_extras, most_extras;
    enum need_key key;
    enum need_value value;
    bool is_quiet;
} TABLE[OPCODES] = {
#define OPCODE(name, number, loud, least, most, key, value, quiet)                                 \
    [number] = { #name, MEMCACHED_BINARY_##loud, least, most, key, value, (quiet) == QUIET },
#include "proxy/wire/memcached_opcodes.def"
#undef OPCODE
};

uint32_t memcached_binary_u32(struct slice in, size_t at)
{
    uint32_t value;

    memcpy(&value, in.at + at, sizeof(value));
    return be32toh(value);
}

uint64_t memcached_binary_u64(struct slice in, size_t at)
{
    uint64_t value;

    memcpy(&value, in.at + at, sizeof(value));
    return be64toh(value);
}

static uint16_t read_u16(struct slice in, size_t at)
{
    return (uint16_t)(in.at[at] << 8 | in.at[at + 1]);
}

static bool is_well_formed(const struct opcode *op, size_t extras, size_t key, uint64_t value)
{
    return (extras == op->least_extras || extras == op->most_extras) &&
           (op->key == ANY_KEY || (key > 0) == (op->key == KEY)) && key <= MEMCACHED_KEY_BYTES &&
           (value == 0 || op->value == VALUE);
}

enum parse memcached_binary_parse(struct slice in, uint64_t most_body_bytes,
                                  struct memcached_binary_request *out, size_t *need)
{
    static const struct opcode NONE = { 0 };
    const struct opcode *op;
    size_t key_len, extras_len, len;
    uint32_t body_len;

    if (in.len > 0 && in.at[0] != MEMCACHED_MAGIC)
        return PARSE_BAD;
    *need = MEMCACHED_HEADER_BYTES;
    if (in.len < MEMCACHED_HEADER_BYTES)
        return PARSE_MORE;
    key_len = read_u16(in, 2);
    extras_len = in.at[4];
    body_len = memcached_binary_u32(in, 8);
    if (key_len + extras_len > body_len)
        return PARSE_BAD;
    len = MEMCACHED_HEADER_BYTES + (size_t)body_len;
    if (body_len > most_body_bytes) /* who it was for shall be known */
        len = MEMCACHED_HEADER_BYTES + extras_len + key_len;
    *need = len;
    if (in.len < len)
        return PARSE_MORE;
    *need = 0;
    op = in.at[1] < OPCODES ? &TABLE[in.at[1]] : &NONE;
    *out = (struct memcached_binary_request){
        .opcode = in.at[1],
        .loud = op->name == NULL ? in.at[1] : op->loud,
        .is_quiet = op->is_quiet,
        .name = op->name,
        .opaque = memcached_binary_u32(in, 12),
        .cas = memcached_binary_u64(in, 16),
        .skip = MEMCACHED_HEADER_BYTES + (size_t)body_len - len,
        .len = len,
    };
    out->is_well_formed = op->name != NULL &&
                          is_well_formed(op, extras_len, key_len, body_len - key_len - extras_len);
    out->extras = slice_of(in.at + MEMCACHED_HEADER_BYTES, extras_len);
    out->key = slice_of(out->extras.at + extras_len, key_len);
    out->value = slice_from(slice_of(in.at, len), MEMCACHED_HEADER_BYTES + extras_len + key_len);
    return PARSE_DONE;
}

void memcached_binary_put(struct buf *out, const struct memcached_binary_reply *r)
{
    uint32_t body = htobe32((uint32_t)(r->extras.len + r->key.len + r->value.len));
    uint32_t opaque = htobe32(r->opaque);
    uint64_t cas = htobe64(r->cas);
    uint8_t header[MEMCACHED_HEADER_BYTES] = {
        0x81,
        r->opcode,
        (uint8_t)(r->key.len >> 8),
        (uint8_t)r->key.len,
        (uint8_t)r->extras.len,
        0,
        (uint8_t)((unsigned)r->status >> 8),
        (uint8_t)r->status,
    };

    memcpy(header + 8, &body, sizeof(body));
    memcpy(header + 12, &opaque, sizeof(opaque));
    memcpy(header + 16, &cas, sizeof(cas));
    buf_put(out, header, sizeof(header));
    buf_slice(out, r->extras);
    buf_slice(out, r->key);
    buf_slice(out, r->value);
}

const char *memcached_status_text(enum memcached_status status)
{
    switch (status) {
    case MEMCACHED_STATUS_OK:
        return "";
    case MEMCACHED_STATUS_NOT_FOUND:
        return "Not found";
    case MEMCACHED_STATUS_EXISTS:
        return "Data exists for key.";
    case MEMCACHED_STATUS_TOO_LARGE:
        return "Too large.";
    case MEMCACHED_STATUS_INVALID:
        return "Invalid arguments";
    case MEMCACHED_STATUS_NOT_STORED:
        return "Not stored.";
    case MEMCACHED_STATUS_NOT_A_NUMBER:
        return "Non-numeric server-side value for incr or decr";
    case MEMCACHED_STATUS_NOT_LET_IN:
        return "Auth failure.";
    case MEMCACHED_STATUS_UNKNOWN_COMMAND:
        return "Unknown command";
    case MEMCACHED_STATUS_OUT_OF_MEMORY:
        return "Out of memory";
    case MEMCACHED_STATUS_INTERNAL:
        return "Internal error";
    case MEMCACHED_STATUS_FOR_NOW:
        return "Temporary failure";
    }
    return "Internal error";
}
