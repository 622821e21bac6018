/* A session comes in.
 *
 *     OPENING --SSLRequest--> TLS --> OPENING --StartupMessage--> ADMITTING --proof--> WELCOMING
 *         |---ClientHello-----^
 *         \--CancelRequest--> gone          \--not known--> ASKING --^ \--refused--> gone   |
 *                                                                        READY, TUNNEL <----+
 *
 * WELCOMING: what a server says at login is told from memory, if a session of this account began
 * with the same settings before; else an upstream is leased and set so, and what it reports is
 * told and remembered.  That also finds out settings that the server does not take. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/sql/cancel_flow.h"
#include "proxy/sql/console_flow.h"
#include "proxy/sql/halt_flow.h"
#include "proxy/sql/inquiry_flow.h"
#include "proxy/sql/lease_flow.h"
#include "proxy/sql/local_flow.h"
#include "proxy/sql/sql_flow.h"
#include "proxy/sql/tunnel_flow.h"

enum { NAME_MOST = 63 }; /* of an application_name: PostgreSQL's NAMEDATALEN - 1 */

struct sql_entry {
    struct pg_admit admit;
    bool admits;
    bool has_asked;        /* for encryption of one kind or another, in clear */
    bool is_direct;        /* it began with TLS, without a word before */
    char *user, *database; /* owned */
    enum pg_replication replication;
    bool applying; /* the lease is being set as the client began */
    struct sql_admission admission;
};

static struct sql_entry *entry_of(struct sql_session *s)
{
    if (s->entry == NULL)
        s->entry = mem_new(sizeof(*s->entry));
    return s->entry;
}

void sql_entry_free(struct sql_session *s)
{
    struct sql_entry *entry = s->entry;

    if (entry == NULL)
        return;
    if (entry->admits)
        pg_admit_fini(&entry->admit);
    free(entry->user);
    free(entry->database);
    free(entry);
    s->entry = NULL;
}

/* ---- opening ---- */

/* The first byte of TLS, as that of a message's length is none. */
enum { TLS_HANDSHAKE = 0x16 };

static bool begins_with_tls(const struct sql_session *s, struct slice in)
{
    return in.at[0] == TLS_HANDSHAKE && sql_gate_of(s)->tls != NULL && s->base.conn.tls == NULL &&
           (s->entry == NULL || !s->entry->has_asked);
}

/* sslnegotiation=direct.  By ALPN alone it is known that it is not meant for a server of another
 * protocol (the ALPACA attack): PostgreSQL asks for that, too. */
static size_t begin_with_tls(struct sql_session *s, struct slice in)
{
    entry_of(s)->is_direct = true;
    session_secure_from(&s->base, in, sql_gate_of(s)->tls);
    return in.len;
}

static bool lacks_protocol(const struct sql_session *s)
{
    return s->entry != NULL && s->entry->is_direct && !tls_protocol_is_agreed(s->base.conn.tls);
}

static size_t answer_tls(struct sql_session *s, struct slice in, uint32_t bytes)
{
    struct sql_gate *gate = sql_gate_of(s);

    entry_of(s)->has_asked = true;
    if (gate->tls == NULL || s->base.conn.tls != NULL)
        sql_session_put(s, slice_text("N"));
    if (in.len > bytes) { /* in clear, behind a request for TLS: from whom? */
        sql_session_fatal(s, "08P01", "received unencrypted data after SSL request");
        return in.len;
    }
    if (gate->tls == NULL || s->base.conn.tls != NULL)
        return bytes;
    session_secure(&s->base, slice_text("S"), gate->tls);
    return bytes;
}

static bool needs_tls(const struct sql_session *s)
{
    const struct sql_gate *gate = sql_gate_of(s);

    return gate->settings != NULL && gate->settings->tls.need == TLS_NEED_REQUIRE &&
           s->base.conn.tls == NULL;
}

/* What a client begins with, as if it had SET it. */
static bool begin_with(struct sql_session *s, struct slice name, struct slice value)
{
    if (slice_starts(name, slice_text("sheaf.")) && !sql_local_is_valid(name, value)) {
        sql_session_fatal(s, "22023", "invalid value for parameter \"%.*s\"", (int)name.len,
                          (const char *)name.at);
        return false;
    }
    if (pg_settings_session_start(sql_side_of(s)->interned, &s->settings, name, value) == ERR_NONE)
        return true;
    sql_session_fatal(s, "08P01", "parameter \"%.*s\" can't be taken at the start of a session",
                      (int)name.len, (const char *)name.at);
    return false;
}

static bool begin_with_options(struct sql_session *s, struct slice options)
{
    struct buf pairs = { 0 };
    struct slice word, rest;
    struct pg_parameter p;
    bool fine = pg_options_split(options, &pairs, &word) == ERR_NONE;

    if (!fine)
        sql_session_fatal(s, "42601", "invalid command-line argument for server process: %.*s",
                          (int)word.len, (const char *)word.at);
    rest = buf_all(&pairs);
    while (fine && pg_parameter_next(&rest, &p))
        fine = begin_with(s, p.name, p.value);
    buf_fini(&pairs);
    return fine;
}

/* Behind the name that the client gave, or PgBouncer's "app", of which so much is left that the
 * server, which cuts names, shows all of the address.  What is not ASCII it shows as question
 * marks; or, from 16 on, by four characters for each byte, before it cuts. */
static bool add_host(struct sql_session *s)
{
    struct slice name = slice_text("application_name"), value;
    char address[64];
    struct buf text = { 0 };
    bool fine;

    if (!sql_side_of(s)->settings->application_name_add_host ||
        sql_console_is(sql_side_of(s), s->entry->database))
        return true;
    if (!pg_settings_find(s->settings.start, name, &value) || value.len == 0)
        value = slice_text("app");
    session_address(&s->base, address, sizeof(address));
    if (value.len > NAME_MOST - strlen(" - ") - strlen(address))
        value.len = NAME_MOST - strlen(" - ") - strlen(address);
    for (size_t i = 0; i < value.len; i++) {
        bool is_shown = value.at[i] >= ' ' && value.at[i] <= '~';

        buf_put(&text, is_shown ? (const char *)&value.at[i] : "?", 1);
    }
    buf_format(&text, " - %s", address);
    fine = begin_with(s, name, buf_all(&text));
    buf_fini(&text);
    return fine;
}

static bool read_parameters(struct sql_session *s, struct slice parameters)
{
    struct sql_entry *entry = entry_of(s);
    struct slice rest = parameters;
    struct pg_parameter p;

    while (pg_parameter_next(&rest, &p)) {
        if (slice_is_text(p.name, "user")) {
            free(entry->user);
            entry->user = mem_text_of(p.value.at, p.value.len);
        } else if (slice_is_text(p.name, "database")) {
            free(entry->database);
            entry->database = mem_text_of(p.value.at, p.value.len);
        } else if (slice_is_text(p.name, "replication")) {
            if (pg_replication_read(p.value, &entry->replication) != ERR_NONE) {
                sql_session_fatal(s, "22023",
                                  "invalid value for parameter \"replication\": \"%.*s\"",
                                  (int)p.value.len, (const char *)p.value.at);
                return false;
            }
        } else if (slice_is_text(p.name, "options")) {
            if (!begin_with_options(s, p.value))
                return false;
        } else if (!pg_is_extension(p.name) && !begin_with(s, p.name, p.value)) {
            return false;
        }
    }
    if (entry->user == NULL || entry->user[0] == '\0') {
        sql_session_fatal(s, "28000", "no PostgreSQL user name specified in startup packet");
        return false;
    }
    if (entry->database == NULL || entry->database[0] == '\0') {
        free(entry->database);
        entry->database = mem_text(entry->user);
    }
    return true;
}

static void admitted(struct sql_session *s);

static void refused(struct sql_session *s)
{
    char address[64];

    sql_inquiry_doubt(sql_side_of(s), s->entry->user, s->entry->database);
    session_address(&s->base, address, sizeof(address));
    log_event(LOG_INFO, "login refused", log_text("pool", sql_side_of(s)->name),
              log_text("user", s->entry->user), log_text("database", s->entry->database),
              log_text("address", address), log_text("why", s->entry->admit.why));
    s->stage = SQL_LEAVING;
    session_finish(&s->base, CLOSE_REFUSED);
}

static void feed_admit(struct sql_session *s, enum err err, struct buf *out)
{
    if (out->len > 0)
        sql_session_put(s, buf_all(out));
    if (err == ERR_NONE)
        admitted(s);
    else if (err != ERR_AGAIN)
        refused(s);
}

void sql_entry_admit(struct sql_session *s)
{
    struct sql_entry *entry = s->entry;
    struct buf out = { 0 };
    enum err err;

    s->stage = SQL_ADMITTING;
    entry->admission.user = entry->user;
    entry->admission.database = entry->database;
    entry->admission.is_replication = entry->replication == PG_REPLICATION_PHYSICAL;
    if (!sql_admission_settings(s, &entry->admission))
        return;
    entry->admits = true;
    err = pg_admit_begin(&entry->admit, &entry->admission.settings, &out);
    feed_admit(s, err, &out);
    buf_fini(&out);
}

static void tell_surplus(struct sql_session *s)
{
    struct buf out = { 0 };

    pg_put_error_hint(&out, "FATAL", "53300", SQL_TOO_MANY_HINT, "sorry, too many clients already");
    sql_session_put(s, buf_all(&out));
    buf_fini(&out);
    s->stage = SQL_LEAVING;
    session_finish(&s->base, CLOSE_TOO_MANY);
}

static void start(struct sql_session *s, const struct pg_opening *opening)
{
    struct buf out = { 0 };

    if (opening->minor > 0 || pg_extensions_count(opening->parameters) > 0) {
        pg_put_negotiation(&out, opening->parameters);
        sql_session_put(s, buf_all(&out));
        buf_fini(&out);
    }
    if (needs_tls(s)) {
        sql_session_fatal(s, "28000", "this listener asks for TLS: connect with sslmode=require");
        return;
    }
    if (!read_parameters(s, opening->parameters))
        return;
    if (s->base.surplus && !sql_console_is(sql_side_of(s), s->entry->database))
        tell_surplus(s); /* who operates it may look at what there is so much of */
    else if (add_host(s))
        sql_entry_admit(s);
}

void sql_entry_answered(struct sql_session *s, struct sql_answer *answer)
{
    s->entry->admission.is_answered = true;
    s->entry->admission.answer = answer;
    sql_entry_admit(s);
    if (s->entry != NULL)
        s->entry->admission.answer = NULL;
    session_recall(&s->base); /* who did not wait for it */
}

static size_t open_session(struct sql_session *s, struct slice in)
{
    struct pg_opening opening;
    enum err err;

    if (in.len > 0 && begins_with_tls(s, in))
        return begin_with_tls(s, in);
    if (lacks_protocol(s)) {
        s->stage = SQL_LEAVING;
        session_finish(&s->base, CLOSE_REFUSED);
        return in.len;
    }
    err = pg_opening_read(in, &opening);
    if (err == ERR_AGAIN)
        return 0;
    if (err != ERR_NONE) {
        sql_session_fatal(s, "08P01", "invalid length of startup packet");
        return in.len;
    }
    switch (opening.kind) {
    case PG_OPENING_SSL:
        return answer_tls(s, in, opening.bytes);
    case PG_OPENING_GSSENC:
        if (in.len > opening.bytes) {
            sql_session_fatal(s, "08P01", "received unencrypted data after GSSAPI request");
            return in.len;
        }
        entry_of(s)->has_asked = true;
        sql_session_put(s, slice_text("N"));
        break;
    case PG_OPENING_CANCEL:
        s->stage = SQL_LEAVING;
        sql_cancel_ask(s, opening.pid, opening.secret);
        return in.len;
    case PG_OPENING_STARTUP:
        start(s, &opening);
        break;
    case PG_OPENING_OTHER:
        sql_session_fatal(s, "0A000",
                          "unsupported frontend protocol %u.%u: server supports 3.0 to 3.0",
                          opening.major, opening.minor);
        return in.len;
    }
    return s->stage == SQL_LEAVING ? in.len : opening.bytes;
}

/* ---- proving ---- */

static size_t prove(struct sql_session *s, struct slice in)
{
    struct buf out = { 0 };
    size_t used = 0;
    enum err err = pg_admit_feed(&s->entry->admit, in, &used, &out);

    feed_admit(s, err, &out);
    buf_fini(&out);
    return s->stage == SQL_LEAVING ? in.len : used;
}

/* ---- welcome ---- */

static void take_credentials(struct sql_session *s)
{
    struct sql_credentials *c = &s->account->credentials;
    const struct pg_admit *admit = &s->entry->admit;

    if (admit->keys.verifier.iterations > 0) {
        scram_keys_wipe(&c->keys);
        c->keys = admit->keys;
    }
    if (admit->secret.len > 0) {
        if (c->password != NULL)
            OPENSSL_cleanse(c->password, strlen(c->password));
        free(c->password);
        c->password = mem_text_of((const char *)admit->secret.at, admit->secret.len);
    }
}

static void become_ready(struct sql_session *s, const struct pg_settings *reported)
{
    struct pg_settings_walk walk = { 0 };
    struct pg_setting p;
    struct buf out = { 0 };

    pg_settings_session_start_reported(sql_side_of(s)->interned, &s->settings, reported);
    sql_cancel_key(s);
    while (pg_settings_news(NULL, reported, &walk, &p))
        pg_put_parameter_status(&out, p.name, p.value);
    pg_put_parameter_status(&out, slice_text("in_hot_standby"), slice_text("off"));
    s->told = pg_settings_ref(reported);
    pg_put_key(&out, s->key_pid, slice_of(&s->key_secret, sizeof(s->key_secret)));
    pg_put_ready(&out, PG_STATUS_IDLE);
    sql_session_put(s, buf_all(&out));
    buf_fini(&out);
    sql_entry_free(s);
    s->stage = SQL_READY;
    s->own_names = sql_account_pooling(s->account) == SQL_POOLING_SESSION;
    s->status_us = worker_now_us(s->base.worker);
    session_recall(&s->base); /* who did not wait for it */
}

/* What a server's words at login depend on, of what the client began with: not on where it is to
 * read, which may be another for each. */
static const struct pg_settings *heard_at_start(struct sql_session *s)
{
    static const char *const OURS[] = { "sheaf.route", "sheaf.min_position" };
    const struct pg_settings *v = pg_settings_ref(s->settings.start);

    for (size_t i = 0; i < sizeof(OURS) / sizeof(OURS[0]); i++)
        (void)!pg_settings_drop(sql_side_of(s)->interned, &v, slice_text(OURS[i]));
    return v;
}

static bool is_welcome(struct sql_session *s, const struct pg_settings **reported)
{
    const struct pg_settings *start = heard_at_start(s);
    bool is_known = sql_welcome_find(s->account, start, reported);

    pg_settings_unref(sql_side_of(s)->interned, &start);
    return is_known;
}

static void keep_welcome(struct sql_session *s, const struct pg_settings *reported)
{
    const struct pg_settings *start = heard_at_start(s);

    sql_welcome_keep(s->account, start, reported);
    pg_settings_unref(sql_side_of(s)->interned, &start);
}

/* The lease is there: it is set as the client began, unless it is so already. */
static void apply_start(struct sql_session *s)
{
    struct sql_upstream *u = s->lease;

    u->sqlstate[0] = '\0';
    u->asked_us = worker_now_us(s->base.worker);
    if (!s->entry->applying && sql_settings_apply(u, s->settings.start)) {
        s->entry->applying = true;
        return;
    }
    keep_welcome(s, u->reported);
    become_ready(s, u->reported);
    sql_lease_end(u);
}

struct sql_endpoint *sql_endpoint_for_login(struct sql_side *side)
{
    struct sql_endpoint *primary = sql_primary(side);

    if (primary != NULL && !primary->failing)
        return primary; /* replicas tell the same, and may be read from */
    for (uint32_t i = 0; i < side->endpoint_count; i++) {
        struct sql_endpoint *e = side->endpoints[i];

        if (!e->failing && sql_is_up(e))
            return e;
    }
    return NULL;
}

void sql_entry_go_on(struct sql_session *s)
{
    struct sql_side *side = sql_side_of(s);
    const struct pg_settings *reported;
    struct sql_endpoint *endpoint;

    if (s->entry->replication != PG_REPLICATION_NO) {
        sql_tunnel_begin(s, s->entry->replication);
        return;
    }
    if (s->lease != NULL) {
        if (s->entry->applying && s->lease->status != PG_STATUS_IDLE) {
            struct sql_upstream *u = s->lease; /* the client was told why */

            sql_lease_drop(u);
            sql_upstream_close(u);
            return;
        }
        if (pg_expect_is_empty(&s->lease->expect))
            apply_start(s);
        return;
    }
    s->entry->applying = false;
    if (is_welcome(s, &reported)) {
        become_ready(s, reported);
        return;
    }
    if (sql_halt_waits(s))
        return;
    endpoint = sql_endpoint_for_login(side);
    if (endpoint == NULL) {
        sql_wait_begin(s, SQL_WAITS_PRIMARY, &side->waiters);
        return;
    }
    if (sql_lease_ask(s, endpoint, false))
        apply_start(s);
}

void sql_entry_tell_error(struct sql_session *s, const struct pg_report *report)
{
    struct pg_report fatal = *report;
    struct buf out = { 0 };

    fatal.severity = slice_text("FATAL");
    fatal.severity_shown = slice_of(NULL, 0);
    pg_put_error(&out, &fatal);
    sql_session_put(s, buf_all(&out));
    buf_fini(&out);
    s->stage = SQL_LEAVING;
    session_finish(&s->base, CLOSE_REFUSED);
}

/* ---- in ---- */

static void admitted(struct sql_session *s)
{
    struct sql_entry *entry = s->entry;

    if (sql_console_is(sql_side_of(s), entry->database)) {
        sql_console_begin(s, entry->user);
        return;
    }
    s->account =
        sql_account_find(sql_side_of(s), slice_text(entry->database), slice_text(entry->user));
    s->account->sessions++;
    take_credentials(s);
    s->stage = SQL_WELCOMING;
    s->base.logged_in = true; /* what follows has timeouts of its own */
    /* Physical replication is of no database, whichever is named. */
    if (s->account->database_settings == NULL && entry->replication != PG_REPLICATION_PHYSICAL) {
        sql_session_fatal(s, "3D000", "database \"%s\" does not exist", entry->database);
        return;
    }
    if (sql_halt_refuses(sql_side_of(s), entry->database)) {
        sql_session_fatal(s, "55000", "database \"%s\" is not currently accepting connections",
                          entry->database);
        return;
    }
    s->followed = UINT64_MAX;
    sql_local_follow(s);
    sql_entry_go_on(s);
}

size_t sql_entry_input(struct sql_session *s, struct slice in)
{
    switch (s->stage) {
    case SQL_OPENING:
        return open_session(s, in);
    case SQL_ADMITTING:
        return prove(s, in);
    }
    return 0; /* kept until it is READY */
}
