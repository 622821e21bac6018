/* What a proxy says itself in PostgreSQL's protocol 3.0, to either side, behind what a buffer
 * holds.  Texts may come from anywhere: a zero byte in one ends it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"
#include "proxy/wire/pgwire.h"

/* --- To a server ----------------------------------------------------------------------------- */

/* Protocol 3.0; user, database and the like are parameters.  Nameless ones are left out. */
void pg_put_startup(struct buf *b, const struct pg_parameter *parameters, size_t count);
void pg_put_ssl_request(struct buf *b);
void pg_put_cancel(struct buf *b, uint32_t pid, struct slice secret);
void pg_put_password(struct buf *b, struct slice password);
void pg_put_sasl_initial(struct buf *b, struct slice mechanism, struct slice data);
void pg_put_sasl_response(struct buf *b, struct slice data);

void pg_put_query(struct buf *b, struct slice text);
void pg_put_parse(struct buf *b, struct slice name, struct slice text, struct slice types);
/* A Bind with all its parameters in text form, and results in text form. */
void pg_put_bind(struct buf *b, struct slice portal, struct slice statement,
                 const struct pg_value *values, size_t count);
void pg_put_describe(struct buf *b, enum pg_kind kind, struct slice name);
void pg_put_close(struct buf *b, enum pg_kind kind, struct slice name);
void pg_put_execute(struct buf *b, struct slice portal, int32_t max_rows);
void pg_put_sync(struct buf *b);
void pg_put_flush(struct buf *b);
void pg_put_copy_done(struct buf *b);
void pg_put_copy_fail(struct buf *b, struct slice reason);
void pg_put_terminate(struct buf *b);

/* Header and names of a message of which `rest` bytes, what stood behind the names, follow as they
 * came: names of statements change so without the rest being touched. */
void pg_put_bind_head(struct buf *b, struct slice portal, struct slice statement, size_t rest);

/* --- To a client ----------------------------------------------------------------------------- */

void pg_put_auth_ok(struct buf *b);
void pg_put_auth_cleartext(struct buf *b);
void pg_put_auth(struct buf *b, uint32_t kind, struct slice data); /* of any kind */
void pg_put_auth_md5(struct buf *b, const uint8_t salt[PG_MD5_SALT_BYTES]);
void pg_put_auth_sasl(struct buf *b, const char *const *mechanisms, size_t count);
void pg_put_auth_sasl_continue(struct buf *b, struct slice data);
void pg_put_auth_sasl_final(struct buf *b, struct slice data);
/* Says that 3.0 is the newest, and which of the parameters' names ("_pq_.") are not known. */
void pg_put_negotiation(struct buf *b, struct slice parameters);
void pg_put_parameter_status(struct buf *b, struct slice name, struct slice value);
void pg_put_key(struct buf *b, uint32_t pid, struct slice secret);
void pg_put_ready(struct buf *b, enum pg_status status);

/* All fields of the report that are not empty. */
void pg_put_error(struct buf *b, const struct pg_report *report);
void pg_put_notice(struct buf *b, const struct pg_report *report);
/* With these fields alone: pg_put_error_text(b, "FATAL", "53300", "sorry, too many clients"). */
void pg_put_error_text(struct buf *b, const char *severity, const char *sqlstate,
                       const char *format, ...) PRINTF_LIKE(4, 5);
/* The same, and what may be done about it; hint "": nothing. */
void pg_put_error_hint(struct buf *b, const char *severity, const char *sqlstate, const char *hint,
                       const char *text);

void pg_put_parse_complete(struct buf *b);
void pg_put_bind_complete(struct buf *b);
void pg_put_close_complete(struct buf *b);
void pg_put_no_data(struct buf *b);
void pg_put_empty_query(struct buf *b);
void pg_put_types(struct buf *b, const uint32_t *types, size_t count); /* ParameterDescription */
void pg_put_complete(struct buf *b, const char *tag);

/* A column as it is in an answer that comes from no table, in text form. */
struct pg_column pg_column_of(const char *name, uint32_t type);
enum { PG_TYPE_BOOL = 16, PG_TYPE_INT8 = 20, PG_TYPE_INT4 = 23, PG_TYPE_TEXT = 25 };

void pg_put_columns(struct buf *b, const struct pg_column *columns, size_t count);
void pg_put_row(struct buf *b, const struct pg_value *values, size_t count);
