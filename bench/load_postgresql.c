/* PostgreSQL: statements from named verbs or templates, as simple queries, extended queries, or
 * statements that each connection prepares once.  An entry of the mix is compiled once into pieces
 * of a statement's text; a call only fills in keys and values.
 *
 * The verbs work on a table of the load generator's own, which --fill makes.  Values are arbitrary
 * bytes, and travel as PostgreSQL's text form of them: two digits a byte.
 *
 * A reply is all up to ReadyForQuery. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/ledger.h"
#include "bench/load.h"
#include "bench/target.h"
#include "proxy/base/mem.h"
#include "proxy/sql/pg_login.h"
#include "proxy/wire/pgwire.h"
#include "proxy/wire/pgwire_write.h"

enum { POSTGRESQL_PARAMETERS_MAX = 64 };

static const char KEY_MARK[] = "__key__", DATA_MARK[] = "__data__";

/* Two connections that make it at once would meet in the catalog: one waits for the other. */
static const char MAKE_TABLE[] =
    "SELECT pg_advisory_xact_lock(x'5ea1be0c'::int);"
    "CREATE TABLE IF NOT EXISTS sheaf_bench (k text PRIMARY KEY, v bytea NOT NULL)";

enum piece_kind { PIECE_LITERAL, PIECE_KEY, PIECE_DATA };

struct piece {
    enum piece_kind kind;
    struct slice text; /* LITERAL: borrowed from the statement */
};

/* What judge() can say of a reply beyond "no error". */
enum statement_check { CHECK_NOTHING, CHECK_VALUE, CHECK_WRITTEN };

struct statement {
    enum statement_check check;
    uint32_t parameters;
    bool has_key;
    char name[16];    /* under which it is prepared */
    struct buf text;  /* as PREPARED and EXTENDED say it: $1, $2 */
    struct buf parse; /* EXTENDED: the whole Parse message, which is always the same */
    struct piece pieces[2 * POSTGRESQL_PARAMETERS_MAX + 1];
    size_t count;
};

static const struct verb {
    const char *name, *text;
    enum statement_check check;
} VERBS[] = {
    { "get", "SELECT v FROM sheaf_bench WHERE k = __key__", CHECK_VALUE },
    { "set",
      "INSERT INTO sheaf_bench (k, v) VALUES (__key__, __data__) "
      "ON CONFLICT (k) DO UPDATE SET v = excluded.v",
      CHECK_WRITTEN },
    { "update", "UPDATE sheaf_bench SET v = __data__ WHERE k = __key__", CHECK_WRITTEN },
    { "del", "DELETE FROM sheaf_bench WHERE k = __key__", CHECK_NOTHING },
    { "ping", "SELECT 1", CHECK_NOTHING },
};

static const struct statement *statement_of(const struct load *load, const struct load_call *call)
{
    return load->mix->entries[call->command].prepared;
}

/* --- Statements ------------------------------------------------------------------------------ */

static const struct verb *verb_named(const char *name)
{
    for (size_t i = 0; i < sizeof(VERBS) / sizeof(VERBS[0]); i++) {
        if (strcasecmp(VERBS[i].name, name) == 0)
            return &VERBS[i];
    }
    return NULL;
}

static const struct verb *find_verb(const struct mix_entry *entry, char *why, size_t why_size)
{
    const struct verb *verb = verb_named(entry->text);

    if (verb == NULL) {
        size_t used = (size_t)snprintf(why, why_size, "no verb \"%.40s\"; there are", entry->text);

        for (size_t i = 0; i < sizeof(VERBS) / sizeof(VERBS[0]) && used < why_size; i++)
            used += (size_t)snprintf(why + used, why_size - used, " %s", VERBS[i].name);
    } else if (entry->many > 1) {
        snprintf(why, why_size, "%s takes one key", verb->name);
        verb = NULL;
    }
    return verb;
}

/* The next mark in a statement's text; false if there is none. */
static bool next_mark(struct slice text, size_t *at, enum piece_kind *kind, size_t *len)
{
    const uint8_t *key = memmem(text.at, text.len, KEY_MARK, strlen(KEY_MARK));
    const uint8_t *data = memmem(text.at, text.len, DATA_MARK, strlen(DATA_MARK));
    bool is_key = key != NULL && (data == NULL || key < data);

    if (key == NULL && data == NULL)
        return false;
    *kind = is_key ? PIECE_KEY : PIECE_DATA;
    *len = is_key ? strlen(KEY_MARK) : strlen(DATA_MARK);
    *at = (size_t)((is_key ? key : data) - text.at);
    return true;
}

static enum err compile(struct statement *s, const char *text, char *why, size_t why_size)
{
    struct slice rest = slice_text(text);
    enum piece_kind kind;
    size_t at, len;

    for (; next_mark(rest, &at, &kind, &len); rest = slice_from(rest, at + len)) {
        if (s->parameters == POSTGRESQL_PARAMETERS_MAX) {
            snprintf(why, why_size, "a statement has at most %d keys and values",
                     POSTGRESQL_PARAMETERS_MAX);
            return ERR_LIMIT;
        }
        s->pieces[s->count++] = (struct piece){ PIECE_LITERAL, slice_of(rest.at, at) };
        s->pieces[s->count++] = (struct piece){ kind, { 0 } };
        s->has_key = s->has_key || kind == PIECE_KEY;
        buf_put(&s->text, rest.at, at);
        buf_format(&s->text, "$%u", ++s->parameters);
    }
    s->pieces[s->count++] = (struct piece){ PIECE_LITERAL, rest };
    buf_slice(&s->text, rest);
    return ERR_NONE;
}

static void postgresql_release(struct mix_entry *entry)
{
    struct statement *s = entry->prepared;

    if (s == NULL)
        return;
    buf_fini(&s->text);
    buf_fini(&s->parse);
    free(s);
    entry->prepared = NULL;
}

static enum err postgresql_prepare(const struct load *load, struct mix_entry *entry, char *why,
                                   size_t why_size)
{
    const struct verb *verb = entry->is_template ? NULL : find_verb(entry, why, why_size);
    struct statement *s;

    postgresql_release(entry);
    if (verb == NULL && !entry->is_template)
        return ERR_NOT_FOUND;
    entry->prepared = s = mem_new(sizeof(*s));
    s->check = verb != NULL ? verb->check : CHECK_NOTHING;
    TRY(compile(s, verb != NULL ? verb->text : entry->text, why, why_size));
    snprintf(s->name, sizeof(s->name), "bench%u", (unsigned)(entry - load->mix->entries));
    pg_put_parse(&s->parse, (struct slice){ 0 }, buf_all(&s->text), (struct slice){ 0 });
    if (load->ledger != NULL && s->check == CHECK_NOTHING && s->has_key) {
        snprintf(why, why_size, "%s: only get, set and update can be held to their writes",
                 entry->label);
        return ERR_UNSUPPORTED;
    }
    return ERR_NONE;
}

/* --- Login ----------------------------------------------------------------------------------- */

struct load_login {
    struct pg_login_settings settings;
    struct pg_parameter name;
    struct pg_login login;
};

static struct slice text_or_nothing(const char *text)
{
    return text != NULL ? slice_text(text) : (struct slice){ 0 };
}

static struct load_login *postgresql_login_begin(const struct load *load, struct buf *out)
{
    const struct target *t = load->target;
    struct load_login *l = mem_new(sizeof(*l));

    l->name = (struct pg_parameter){ slice_text("application_name"), slice_text("sheaf-bench") };
    l->settings = (struct pg_login_settings){
        .user = slice_text(t->user != NULL ? t->user : "postgres"),
        .database = text_or_nothing(t->database),
        .password = text_or_nothing(t->password),
        .parameters = &l->name,
        .parameter_count = 1,
        .is_private = t->path != NULL,
        .may_tell_password = true, /* whoever names it here wants it said */
    };
    pg_login_begin(&l->login, &l->settings, out);
    return l;
}

static enum err postgresql_login_feed(struct load_login *l, struct slice in, size_t *used,
                                      struct buf *out, const char **why)
{
    enum err err = pg_login_feed(&l->login, in, used, out);

    if (err != ERR_NONE && err != ERR_AGAIN)
        *why = l->login.why[0] != '\0' ? l->login.why : err_text(err);
    return err;
}

static void postgresql_login_end(struct load_login **login)
{
    pg_login_fini(&(*login)->login);
    free(*login);
    *login = NULL;
}

/* After the login: the table if it is to be filled, and what each connection prepares. */
static uint32_t postgresql_greet(const struct load *load, struct buf *out)
{
    const struct mix *m = load->mix;
    uint32_t said = 0;

    if (load->fill) {
        pg_put_query(out, slice_text(MAKE_TABLE));
        said++;
    }
    if (load->query_mode != LOAD_QUERY_PREPARED)
        return said;
    for (uint32_t i = 0; i < MIX_MAX + 2; i++) {
        const struct statement *s = m->entries[i].prepared;

        if (s == NULL || (i == m->fill && !load->fill) || (i == m->audit && load->ledger == NULL))
            continue;
        pg_put_parse(out, slice_text(s->name), buf_all(&s->text), (struct slice){ 0 });
        pg_put_sync(out);
        said++;
    }
    return said;
}

/* --- Calls ----------------------------------------------------------------------------------- */

/* Sizes have dice of their own, so that judge() can go through the keys alone. */
static struct dice size_dice(const struct load_call *call)
{
    return (struct dice){ ~call->seed };
}

static void put_u32(uint8_t *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof(value));
}

/* Begins something whose length, of four bytes, is set by put_length() at its end. */
static size_t leave_length(struct buf *out)
{
    buf_put(out, "\0\0\0", 4);
    return out->len;
}

static void put_length(struct buf *out, size_t began, size_t with)
{
    put_u32(out->at + began - 4, (uint32_t)(out->len - began + with));
}

/* The values of one call, in the order of the statement. */
struct filler {
    const struct load *load;
    const struct load_call *call;
    struct dice keys, sizes;
    uint8_t name[KEYSPACE_NAME_MAX];
    size_t name_len;
    struct slice first_key; /* whose values these are */
    uint8_t first[KEYSPACE_NAME_MAX];
};

static void filler_begin(struct filler *f, const struct load *load, const struct load_call *call)
{
    struct dice keys = load_dice(call);

    f->load = load;
    f->call = call;
    f->keys = load_dice(call);
    f->sizes = size_dice(call);
    f->name_len = keyspace_name_len(&load->keys);
    keyspace_name(&load->keys, load_key(load, call, &keys), f->first);
    f->first_key = slice_of(f->first, f->name_len);
}

static void put_data(struct filler *f, struct buf *out)
{
    static const char DIGITS[] = "0123456789abcdef";
    size_t size = payload_size(&f->load->values, f->first_key, &f->sizes);
    uint8_t *at;

    buf_text(out, "\\x");
    payload_put(&f->load->values, out, f->first_key, f->call->version, size);
    (void)buf_reserve(out, size);
    at = out->at + out->len - size;
    for (size_t i = size; i-- > 0;) { /* from the back: each byte makes room for two digits */
        uint8_t byte = at[i];

        at[2 * i] = (uint8_t)DIGITS[byte >> 4];
        at[2 * i + 1] = (uint8_t)DIGITS[byte & 15];
    }
    buf_grow(out, size);
}

static void put_key(struct filler *f, struct buf *out)
{
    keyspace_name(&f->load->keys, load_key(f->load, f->call, &f->keys), f->name);
    buf_put(out, f->name, f->name_len);
}

/* As a literal of SQL: quotes in a key's name are doubled, a value has none. */
static void put_quoted(struct filler *f, enum piece_kind kind, struct buf *out)
{
    buf_text(out, "'");
    if (kind == PIECE_DATA) {
        put_data(f, out);
    } else {
        keyspace_name(&f->load->keys, load_key(f->load, f->call, &f->keys), f->name);
        for (size_t i = 0; i < f->name_len; i++)
            buf_put(out, f->name[i] == '\'' ? "''" : (char *)&f->name[i], 1 + (f->name[i] == '\''));
    }
    buf_text(out, "'");
}

static void encode_simple(const struct statement *s, struct filler *f, struct buf *out)
{
    size_t began;

    buf_text(out, "Q");
    began = leave_length(out);
    for (const struct piece *p = s->pieces; p < s->pieces + s->count; p++) {
        if (p->kind == PIECE_LITERAL)
            buf_slice(out, p->text);
        else
            put_quoted(f, p->kind, out);
    }
    buf_put(out, "", 1);
    put_length(out, began, 4);
}

/* Like libpq: Describe is always said. */
static void encode_bound(const struct statement *s, const char *name, struct filler *f,
                         struct buf *out)
{
    uint16_t count = htobe16((uint16_t)s->parameters);
    size_t began, value;

    buf_text(out, "B");
    began = leave_length(out);
    buf_put(out, "", 1); /* the portal */
    buf_put(out, name, strlen(name) + 1);
    buf_put(out, "\0", 2); /* formats: text */
    buf_put(out, &count, sizeof(count));
    for (const struct piece *p = s->pieces; p < s->pieces + s->count; p++) {
        if (p->kind == PIECE_LITERAL)
            continue;
        value = leave_length(out);
        if (p->kind == PIECE_DATA)
            put_data(f, out);
        else
            put_key(f, out);
        put_length(out, value, 0);
    }
    buf_put(out, "\0", 2);
    put_length(out, began, 4);
    pg_put_describe(out, PG_KIND_PORTAL, (struct slice){ 0 });
    pg_put_execute(out, (struct slice){ 0 }, 0);
    pg_put_sync(out);
}

static void postgresql_encode(const struct load *load, const struct load_call *call,
                              struct buf *out)
{
    const struct statement *s = statement_of(load, call);
    struct filler f;

    filler_begin(&f, load, call);
    switch (load->query_mode) {
    case LOAD_QUERY_SIMPLE:
        encode_simple(s, &f, out);
        break;
    case LOAD_QUERY_EXTENDED:
        buf_slice(out, buf_all(&s->parse));
        encode_bound(s, "", &f, out);
        break;
    case LOAD_QUERY_PREPARED:
        encode_bound(s, s->name, &f, out);
        break;
    }
}

/* --- Replies --------------------------------------------------------------------------------- */

/* After such an error no ReadyForQuery comes: the connection is closed. */
static bool is_fatal(struct slice body)
{
    struct pg_report report;

    return pg_read_report(body, &report) == ERR_NONE &&
           (slice_is_text(report.severity, "FATAL") || slice_is_text(report.severity, "PANIC"));
}

static enum parse postgresql_bound(struct load_scan *scan, struct slice in, size_t *len)
{
    for (;;) {
        struct slice rest;
        struct pg_frame f;
        enum err err;

        if (scan->passed > in.len)
            return PARSE_MORE;
        rest = slice_from(in, scan->passed);
        err = pg_frame_read(rest, &f);
        if (err != ERR_NONE)
            return err == ERR_AGAIN ? PARSE_MORE : PARSE_BAD;
        if (f.type == PG_BACK_COPY_IN || f.type == PG_BACK_COPY_BOTH)
            return PARSE_BAD; /* it waits for data that will not come */
        if ((f.type == PG_BACK_ERROR || f.type == PG_BACK_READY) && !pg_frame_is_whole(rest, f))
            return PARSE_MORE;
        scan->passed += f.bytes;
        if (f.type == PG_BACK_READY ||
            (f.type == PG_BACK_ERROR && is_fatal(pg_frame_body(rest, f)))) {
            *len = scan->passed;
            *scan = (struct load_scan){ 0 };
            return PARSE_DONE;
        }
    }
}

static enum parse postgresql_aside(struct slice in, size_t *len)
{
    bool is_aside;
    struct pg_frame f;
    enum err err = pg_frame_read(in, &f);

    if (err != ERR_NONE)
        return err == ERR_AGAIN ? PARSE_MORE : PARSE_BAD;
    is_aside = f.type == PG_BACK_NOTICE || f.type == PG_BACK_NOTIFICATION ||
               f.type == PG_BACK_PARAMETER_STATUS;
    if (!pg_frame_is_whole(in, f) && (is_aside || f.type == PG_BACK_ERROR))
        return PARSE_MORE;
    *len = f.bytes;
    return is_aside ? PARSE_DONE : PARSE_BAD;
}

/* What matters of a reply. */
struct answer {
    bool has_error, is_malformed;
    struct slice error;
    uint32_t rows;
    struct slice row, tag; /* the first row's body; what the statement did */
};

static void read_message(struct pg_frame f, struct slice body, struct answer *out)
{
    struct pg_report report;

    if (f.type == PG_BACK_ERROR && !out->has_error) {
        out->has_error = true;
        if (pg_read_report(body, &report) == ERR_NONE)
            out->error = report.message;
    } else if (f.type == PG_BACK_DATA_ROW) {
        if (out->rows++ == 0)
            out->row = body;
    } else if (f.type == PG_BACK_COMMAND_COMPLETE) {
        if (pg_read_complete(body, &out->tag) != ERR_NONE)
            out->is_malformed = true;
    }
}

static void read_answer(struct slice reply, struct answer *out)
{
    struct pg_frame f;

    *out = (struct answer){ 0 };
    while (reply.len > 0 && !out->is_malformed) {
        if (pg_frame_read(reply, &f) != ERR_NONE || !pg_frame_is_whole(reply, f)) {
            out->is_malformed = true;
            return;
        }
        read_message(f, pg_frame_body(reply, f), out);
        reply = slice_from(reply, f.bytes);
    }
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes of a value in its text form. */
static bool take_hex(struct slice text, struct buf *out)
{
    if (text.len % 2 != 0 || !slice_starts(text, slice_text("\\x")))
        return false;
    for (size_t i = 2; i < text.len; i += 2) {
        int high = hex_digit(text.at[i]), low = hex_digit(text.at[i + 1]);
        uint8_t byte = (uint8_t)(high * 16 + low);

        if (high < 0 || low < 0)
            return false;
        buf_put(out, &byte, 1);
    }
    return true;
}

/* Is this row one value of this key?  Tells its version. */
static bool is_value_of(const struct load *load, uint64_t key, struct slice body, uint32_t *version)
{
    uint8_t name[KEYSPACE_NAME_MAX];
    struct buf bytes = { 0 };
    struct pg_row row;
    bool fine = pg_read_row(body, &row) == ERR_NONE && row.count == 1;

    keyspace_name(&load->keys, key, name);
    fine = fine && take_hex(pg_row_value(&row, 0).bytes, &bytes) &&
           payload_check(slice_of(name, keyspace_name_len(&load->keys)), buf_all(&bytes), version);
    buf_fini(&bytes);
    return fine;
}

static void judge_value(const struct load *load, uint64_t key, const struct answer *a,
                        struct load_outcome *out)
{
    uint32_t version = 0;

    out->key = key;
    if (a->rows > 1 || (a->rows == 1 && !is_value_of(load, key, a->row, &version))) {
        out->verdict = LOAD_FOREIGN;
        out->text = a->rows > 1 ? slice_text("several rows") : slice_text("another value");
    } else if (load->ledger != NULL && !ledger_allows(load->ledger, key, version)) {
        out->verdict = LOAD_LOST;
        out->text = a->rows == 0 ? slice_text("nothing is there") : slice_text("an older value");
    }
}

static void judge_written(const struct load *load, uint64_t key, uint32_t version,
                          const struct answer *a, struct load_outcome *out)
{
    if (slice_is_text(a->tag, "UPDATE 0"))
        return;
    if (!slice_is_text(a->tag, "INSERT 0 1") && !slice_is_text(a->tag, "UPDATE 1")) {
        out->verdict = LOAD_FOREIGN;
        out->text = a->tag.len > 0 ? a->tag : slice_text("no row was written");
        out->key = key;
    } else if (load->ledger != NULL) {
        ledger_acknowledge(load->ledger, key, version);
    }
}

static void postgresql_judge(const struct load *load, const struct load_call *call,
                             struct slice reply, struct load_outcome *out)
{
    const struct statement *s = call != NULL ? statement_of(load, call) : NULL;
    enum statement_check check = s != NULL ? s->check : CHECK_NOTHING;
    struct answer a;
    struct dice keys;

    *out = (struct load_outcome){ LOAD_FINE, { 0 }, LOAD_ANY_KEY };
    read_answer(reply, &a);
    if (a.has_error) {
        out->verdict = LOAD_ERROR;
        out->text = a.error;
        return;
    }
    if (a.is_malformed) {
        out->verdict = LOAD_FOREIGN;
        out->text = slice_text("not of the protocol");
        return;
    }
    if (check != CHECK_NOTHING && load->verify) {
        keys = load_dice(call);
        if (check == CHECK_VALUE)
            judge_value(load, load_key(load, call, &keys), &a, out);
        else
            judge_written(load, load_key(load, call, &keys), call->version, &a, out);
    }
    if (out->verdict == LOAD_FINE && ((check == CHECK_VALUE && a.rows == 0) ||
                                      (check == CHECK_WRITTEN && slice_is_text(a.tag, "UPDATE 0"))))
        out->verdict = LOAD_MISS;
}

static void postgresql_forget(const struct load *load, const struct load_call *call)
{
    struct dice keys = load_dice(call);

    if (load->ledger != NULL && statement_of(load, call)->check == CHECK_WRITTEN)
        ledger_doubt(load->ledger, load_key(load, call, &keys), call->version);
}

const struct load_driver load_postgresql = {
    .scheme = "postgresql",
    .port = 5432,
    .prepare = postgresql_prepare,
    .release = postgresql_release,
    .login_begin = postgresql_login_begin,
    .login_feed = postgresql_login_feed,
    .login_end = postgresql_login_end,
    .greet = postgresql_greet,
    .encode = postgresql_encode,
    .bound = postgresql_bound,
    .aside = postgresql_aside,
    .judge = postgresql_judge,
    .forget = postgresql_forget,
};
