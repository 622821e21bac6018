/* PostgreSQL's protocol 3.0 as bytes, for both directions: where a message ends, and what stands in
 * it.  pgwire_write.h writes it.
 *
 *     struct pg_frame f;
 *
 *     switch (pg_frame_read(in, &f)) {
 *     case ERR_AGAIN:     fewer than the five bytes of a header
 *     case ERR_PROTOCOL:  no such length: the connection is out of step
 *     case ERR_NONE:      f.type, and f.bytes with the header: pass them, or once they are here
 *         TRY(pg_read_parse(pg_frame_body(in, f), &parse));
 *     }
 *
 * What comes before the first of these from a client has no type: pg_opening_read().
 *
 * A reader is given one whole body.  It gives slices of it, allocates nothing, and refuses whatever
 * is short, too long or not of the form as ERR_PROTOCOL, with its result untouched.  Texts come
 * without their terminating zero.  The readers named `head` take a beginning of the body, for
 * messages that are too large to be gathered: ERR_AGAIN says that more of it is needed. */
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum {
    PG_HEADER_BYTES = 5,          /* type and length */
    PG_OPENING_MAX_BYTES = 10004, /* what a server takes as the first message, with its length */
    PG_SECRET_MIN_BYTES = 4,      /* of a cancel key: 4 in protocol 3.0, up to 256 in 3.2 */
    PG_SECRET_MAX_BYTES = 256,
    PG_MD5_SALT_BYTES = 4,
    PG_SQLSTATE_BYTES = 5,
    PG_VERSION_3_0 = 3 << 16,
};

/* What a client says. */
enum pg_front {
    PG_FRONT_BIND = 'B',
    PG_FRONT_CLOSE = 'C',
    PG_FRONT_COPY_DATA = 'd',
    PG_FRONT_COPY_DONE = 'c',
    PG_FRONT_COPY_FAIL = 'f',
    PG_FRONT_DESCRIBE = 'D',
    PG_FRONT_EXECUTE = 'E',
    PG_FRONT_FLUSH = 'H',
    PG_FRONT_FUNCTION_CALL = 'F',
    PG_FRONT_PARSE = 'P',
    PG_FRONT_PASSWORD = 'p', /* also GSSResponse, SASLInitialResponse, SASLResponse */
    PG_FRONT_QUERY = 'Q',
    PG_FRONT_SYNC = 'S',
    PG_FRONT_TERMINATE = 'X',
};

/* What a server says. */
enum pg_back {
    PG_BACK_AUTHENTICATION = 'R',
    PG_BACK_BIND_COMPLETE = '2',
    PG_BACK_CLOSE_COMPLETE = '3',
    PG_BACK_COMMAND_COMPLETE = 'C',
    PG_BACK_COPY_BOTH = 'W',
    PG_BACK_COPY_DATA = 'd',
    PG_BACK_COPY_DONE = 'c',
    PG_BACK_COPY_IN = 'G',
    PG_BACK_COPY_OUT = 'H',
    PG_BACK_DATA_ROW = 'D',
    PG_BACK_EMPTY_QUERY = 'I',
    PG_BACK_ERROR = 'E',
    PG_BACK_FUNCTION_RESULT = 'V',
    PG_BACK_KEY_DATA = 'K',
    PG_BACK_NEGOTIATE_VERSION = 'v',
    PG_BACK_NOTICE = 'N',
    PG_BACK_NOTIFICATION = 'A',
    PG_BACK_NO_DATA = 'n',
    PG_BACK_PARAMETER_DESCRIPTION = 't',
    PG_BACK_PARAMETER_STATUS = 'S',
    PG_BACK_PARSE_COMPLETE = '1',
    PG_BACK_PORTAL_SUSPENDED = 's',
    PG_BACK_READY = 'Z',
    PG_BACK_ROW_DESCRIPTION = 'T',
};

/* What ReadyForQuery says of the transaction. */
enum pg_status {
    PG_STATUS_IDLE = 'I',
    PG_STATUS_IN_TRANSACTION = 'T',
    PG_STATUS_FAILED = 'E',
};

/* What Describe and Close speak of. */
enum pg_kind {
    PG_KIND_STATEMENT = 'S',
    PG_KIND_PORTAL = 'P',
};

struct pg_frame {
    uint32_t bytes; /* of the whole message with its header: 5 to 2^31 */
    uint8_t type;   /* as it came: any byte */
};

struct pg_parameter {
    struct slice name, value;
};

/* A parameter of Bind, a column of DataRow. */
struct pg_value {
    struct slice bytes;
    bool is_null;
};

static inline uint16_t pg_u16(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return be16toh(value);
}

static inline uint32_t pg_u32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return be32toh(value);
}

/* The header at the front of `in`. */
MUST_CHECK static inline enum err pg_frame_read(struct slice in, struct pg_frame *f)
{
    uint32_t length;

    if (__builtin_expect(in.len < PG_HEADER_BYTES, 0))
        return ERR_AGAIN;
    length = pg_u32(in.at + 1);
    if (__builtin_expect(length - 4 > (uint32_t)INT32_MAX - 4, 0))
        return ERR_PROTOCOL;
    f->type = in.at[0];
    f->bytes = length + 1;
    return ERR_NONE;
}

static inline bool pg_frame_is_whole(struct slice in, struct pg_frame f)
{
    return in.len >= f.bytes;
}

/* Of a message that is whole. */
static inline struct slice pg_frame_body(struct slice in, struct pg_frame f)
{
    return slice_of(in.at + PG_HEADER_BYTES, f.bytes - PG_HEADER_BYTES);
}

/* As far as it is there. */
static inline struct slice pg_frame_body_there(struct slice in, struct pg_frame f)
{
    return slice_of(in.at + PG_HEADER_BYTES,
                    (pg_frame_is_whole(in, f) ? f.bytes : in.len) - PG_HEADER_BYTES);
}

/* The largest message of this type that a server takes from a client, with its header; 0 for a type
 * that no client says after its login. */
uint32_t pg_front_max_bytes(uint8_t type);

/* --- Before the first typed message ---------------------------------------------------------- */

enum pg_opening_kind {
    PG_OPENING_STARTUP, /* protocol 3.x: `minor`, `parameters` */
    PG_OPENING_SSL,
    PG_OPENING_GSSENC,
    PG_OPENING_CANCEL, /* `pid`, `secret` */
    PG_OPENING_OTHER,  /* a protocol that is not spoken: `major`, `minor` for the refusal */
};

struct pg_opening {
    enum pg_opening_kind kind;
    uint32_t bytes; /* of the whole message */
    uint16_t major, minor;
    uint32_t pid;
    struct slice secret;
    struct slice parameters; /* for pg_parameter_next(); its form is checked */
};

/* ERR_AGAIN until it is whole; ERR_PROTOCOL as soon as it can't become one. */
MUST_CHECK enum err pg_opening_read(struct slice in, struct pg_opening *out);

/* The one byte with which a server answers an SSLRequest.  ERR_AGAIN: it is not here yet; ERR_DOWN:
 * the server can't serve us ('E': what it says then is not to be believed); ERR_PROTOCOL: no
 * answer, or one with bytes behind it, which someone else may have put there. */
MUST_CHECK enum err pg_ssl_answer_read(struct slice in, bool *is_yes);

/* The next pair of `rest`, which pg_opening_read() or pg_options_split() made; false: no more. */
bool pg_parameter_next(struct slice *rest, struct pg_parameter *out);

/* The value of the last parameter of this name, as a server has it; false: there is none. */
bool pg_parameter_find(struct slice parameters, const char *name, struct slice *value);

/* "_pq_.x" asks for an extension of the protocol.  A start-up message that has one, or a minor
 * version above 0, is answered by NegotiateProtocolVersion: pg_put_negotiation(). */
bool pg_is_extension(struct slice name);
size_t pg_extensions_count(struct slice parameters);

/* The parameter `options`, split as a server does it: words by spaces, a backslash before a byte
 * takes it as it is, "-c a=b", "-ca=b" and "--a=b" set a, whose '-' are read as '_'.  Appends names
 * and values for pg_parameter_next().  ERR_SYNTAX: no switch, or one without a value; and
 * ERR_UNSUPPORTED: another switch of the server's command line.  *word is then what it is about,
 * standing behind the pairs in `out` (borrowed from it). */
MUST_CHECK enum err pg_options_split(struct slice options, struct buf *out, struct slice *word);

enum pg_replication {
    PG_REPLICATION_NO,
    PG_REPLICATION_PHYSICAL, /* true, on, yes, 1 */
    PG_REPLICATION_DATABASE, /* "database": logical */
};

/* The value of the parameter `replication`; ERR_SYNTAX: neither "database" nor a boolean. */
MUST_CHECK enum err pg_replication_read(struct slice value, enum pg_replication *out);

/* --- What clients say ------------------------------------------------------------------------ */

struct pg_parse {
    struct slice name, text;
    struct slice types; /* four bytes each: pg_type_at() */
    uint16_t type_count;
};

struct pg_bind {
    struct slice portal, statement;
    struct slice rest; /* of the body, behind the names */
    /* Of pg_read_bind() only. */
    struct slice formats, values, result_formats;
    uint16_t format_count, value_count, result_format_count;
};

struct pg_bound {
    struct pg_value value;
    uint16_t format; /* 0: text, 1: binary */
};

struct pg_target { /* Describe, Close */
    enum pg_kind kind;
    struct slice name;
};

struct pg_execute {
    struct slice portal;
    int32_t max_rows; /* <= 0: all */
};

struct pg_sasl_initial {
    struct slice mechanism;
    struct pg_value data;
};

MUST_CHECK enum err pg_read_query(struct slice body, struct slice *text);
MUST_CHECK enum err pg_read_parse(struct slice body, struct pg_parse *out);
/* The statement's name only. */
MUST_CHECK enum err pg_read_parse_head(struct slice head, struct slice *name);
MUST_CHECK enum err pg_read_bind(struct slice body, struct pg_bind *out);
/* Names only; `rest` is what is there of the rest. */
MUST_CHECK enum err pg_read_bind_head(struct slice head, struct pg_bind *out);
/* Parameter `i` < value_count; by walking there from the first. */
struct pg_bound pg_bind_value(const struct pg_bind *bind, size_t i);
MUST_CHECK enum err pg_read_target(struct slice body, struct pg_target *out);
MUST_CHECK enum err pg_read_execute(struct slice body, struct pg_execute *out);
/* PasswordMessage in its three forms; a SASLResponse is its whole body. */
MUST_CHECK enum err pg_read_password(struct slice body, struct slice *password);
MUST_CHECK enum err pg_read_sasl_initial(struct slice body, struct pg_sasl_initial *out);

/* The i-th of a row of type oids. */
static inline uint32_t pg_type_at(struct slice types, size_t i)
{
    return pg_u32(types.at + 4 * i);
}

/* --- What servers say ------------------------------------------------------------------------ */

enum pg_auth_kind {
    PG_AUTH_OK = 0,
    PG_AUTH_KERBEROS_V5 = 2,
    PG_AUTH_CLEARTEXT = 3,
    PG_AUTH_MD5 = 5, /* `data`: the salt, 4 bytes */
    PG_AUTH_SCM = 6,
    PG_AUTH_GSS = 7,
    PG_AUTH_GSS_CONTINUE = 8,
    PG_AUTH_SSPI = 9,
    PG_AUTH_SASL = 10,          /* `data`: pg_mechanism_next() */
    PG_AUTH_SASL_CONTINUE = 11, /* `data`: for the mechanism */
    PG_AUTH_SASL_FINAL = 12,
};

struct pg_auth {
    uint32_t kind; /* enum pg_auth_kind, or another */
    struct slice data;
};

struct pg_key {
    uint32_t pid;
    struct slice secret; /* PG_SECRET_MIN_BYTES to PG_SECRET_MAX_BYTES */
};

/* ErrorResponse and NoticeResponse; a field that is not there is empty. */
struct pg_report {
    struct slice severity; /* never translated: "ERROR", "FATAL", "WARNING" (V; of old servers S) */
    struct slice severity_shown; /* S: translated; empty in what is written: as `severity` */
    struct slice sqlstate, message, detail, hint, position, internal_position, internal_query,
        context, schema, table, column, type, constraint, file, line, routine;
};

struct pg_negotiation {
    uint32_t version;   /* the newest that the server speaks: major << 16 | minor, or minor alone */
    struct slice names; /* options it does not know, each with a zero behind it */
    uint32_t name_count;
};

/* ParameterDescription. */
struct pg_types {
    struct slice types; /* pg_type_at() */
    uint16_t count;
};

struct pg_columns {
    struct slice rest; /* for pg_column_next() */
    uint16_t count;
};

struct pg_column {
    struct slice name;
    uint32_t table, type;
    uint16_t attribute, format;
    int16_t size;
    int32_t modifier;
};

struct pg_row {
    struct slice values;
    uint16_t count;
};

MUST_CHECK enum err pg_read_auth(struct slice body, struct pg_auth *out);
/* The next mechanism of AuthenticationSASL's data, which pg_read_auth() checked; false: no more. */
bool pg_mechanism_next(struct slice *rest, struct slice *name);
MUST_CHECK enum err pg_read_parameter_status(struct slice body, struct pg_parameter *out);
MUST_CHECK enum err pg_read_key(struct slice body, struct pg_key *out);
MUST_CHECK enum err pg_read_ready(struct slice body, enum pg_status *out);
MUST_CHECK enum err pg_read_complete(struct slice body, struct slice *tag);
MUST_CHECK enum err pg_read_report(struct slice body, struct pg_report *out);
MUST_CHECK enum err pg_read_negotiation(struct slice body, struct pg_negotiation *out);
MUST_CHECK enum err pg_read_types(struct slice body, struct pg_types *out);
MUST_CHECK enum err pg_read_columns(struct slice body, struct pg_columns *out);
/* The next column of what pg_read_columns() checked; false: no more. */
bool pg_column_next(struct pg_columns *columns, struct pg_column *out);
MUST_CHECK enum err pg_read_row(struct slice body, struct pg_row *out);
/* Column `i` < count; by walking there from the first. */
struct pg_value pg_row_value(const struct pg_row *row, size_t i);
