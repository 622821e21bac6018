/* Redis's replies as memcached's.  See memcached_over.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/memory/memcached_kept.h"
#include "proxy/memory/memcached_over.h"
#include "proxy/memory/memcached_script.h"
#include "proxy/wire/resp_reader.h"

/* What became of a command, in the codes of meta commands. */
struct outcome {
    const char *code;                /* "HD" "NS" "EX" "NF" "NN" "TL", "VA" with what follows */
    struct slice value;              /* as it is kept, or a number */
    int64_t left_ms, left_before_ms; /* as PTTL tells it, the latter before it was set, or made */
};

static const char *const CODES[] = { "HD", "NS", "EX", "NF", "NN", "TL", "VA" };

/* ---- reading ---- */

static const char *code_of(struct slice text)
{
    for (size_t i = 0; i < sizeof(CODES) / sizeof(CODES[0]); i++)
        if (slice_is_text(text, CODES[i]))
            return CODES[i];
    return NULL;
}

/* {code}, or {"VA", value, PTTL, PTTL before}. */
static bool read_script(struct resp_reader *reader, uint64_t count, struct outcome *out)
{
    struct resp_item item;

    if (count == 0 || resp_read(reader, &item) != ERR_NONE ||
        (out->code = code_of(item.text)) == NULL)
        return false;
    if (strcmp(out->code, "VA") != 0)
        return count == 1;
    if (count != 4 || resp_read(reader, &item) != ERR_NONE || item.type != '$' || item.is_null)
        return false;
    out->value = item.text;
    if (resp_read(reader, &item) != ERR_NONE || item.type != ':')
        return false;
    out->left_ms = item.integer;
    if (resp_read(reader, &item) != ERR_NONE || item.type != ':')
        return false;
    out->left_before_ms = item.integer;
    return true;
}

static bool read_value(struct resp_reader *reader, struct outcome *out)
{
    struct resp_item item;

    if (resp_read(reader, &item) != ERR_NONE || (item.type != '$' && !item.is_null))
        return false;
    out->code = item.is_null ? "NF" : "VA";
    out->value = item.text;
    return true;
}

/* One command's reply, but those of rows; false: it is none, or an error. */
static bool read_outcome(const struct memcached_over_ask *ask, struct resp_reader *reader,
                         struct outcome *out)
{
    struct resp_item item;

    *out = (struct outcome){ 0 };
    if (resp_read(reader, &item) != ERR_NONE || resp_item_is_error(&item))
        return false;
    switch (ask->answer) {
    case MEMCACHED_OVER_VALUES:
        return item.type == '*' && item.count == 1 && read_value(reader, out);
    case MEMCACHED_OVER_DONE:
        out->code = item.is_null ? "NS" : "HD";
        return item.is_null || item.type == '+';
    case MEMCACHED_OVER_COUNT:
        out->code = item.integer > 0 ? "HD" : "NF";
        return item.type == ':';
    case MEMCACHED_OVER_SCRIPT:
        return item.type == '*' && read_script(reader, item.count, out);
    case MEMCACHED_OVER_VALUE:
        break; /* only in rows */
    }
    return false;
}

/* A server's error in one line. */
static void put_words(struct slice words, struct buf *out)
{
    enum { MOST = 900 };
    size_t begin = out->len;

    buf_format(out, "SERVER_ERROR %.*s", (int)(words.len < MOST ? words.len : MOST),
               (const char *)words.at);
    for (size_t i = begin; i < out->len; i++)
        if (out->at[i] == '\r' || out->at[i] == '\n')
            out->at[i] = ' ';
    buf_text(out, "\r\n");
}

static void put_error(struct memory_merge *m, uint32_t part, struct slice reply, struct buf *out)
{
    struct resp_reader reader = { reply };
    struct resp_item item;

    if (resp_read(&reader, &item) != ERR_NONE || !resp_item_is_error(&item))
        memcached_put_out_of_step(m, part, out);
    else if (slice_starts(item.text, slice_text("OOM")))
        buf_text(out, "SERVER_ERROR out of memory storing object\r\n");
    else
        put_words(item.text, out);
}

/* ---- saying: rows ---- */

static void put_row(const struct memcached_over_ask *ask, struct slice key, struct slice kept,
                    struct buf *out)
{
    bool wants_cas = ask->verb == MEMCACHED_GETS || ask->verb == MEMCACHED_GATS;
    struct memcached_kept value = memcached_kept_read(kept, wants_cas);

    buf_format(out, "VALUE %.*s %" PRIu32 " %zu", (int)key.len, (const char *)key.at, value.flags,
               value.value.len);
    if (wants_cas)
        buf_format(out, " %" PRIu64, value.cas);
    buf_put(out, "\r\n", 2);
    buf_slice(out, value.value);
    buf_put(out, "\r\n", 2);
}

/* False: one of the replies is an error, which `reader` stands at, or none. */
static bool put_rows(const struct memcached_over_ask *ask, struct resp_reader *reader,
                     struct buf *out)
{
    bool is_array = ask->answer == MEMCACHED_OVER_VALUES;
    struct slice rest = ask->line, key;
    struct resp_reader before = *reader;
    struct resp_item item;

    for (uint32_t i = 0; i < (is_array ? 1U : 2U); i++) /* "get", "gat 60" */
        (void)memcached_next_word(&rest, &key);
    if (is_array && (resp_read(reader, &item) != ERR_NONE || item.type != '*' ||
                     item.count != memcached_count_words(rest))) {
        *reader = before;
        return false;
    }
    while (memcached_next_word(&rest, &key)) {
        struct outcome outcome;

        before = *reader;
        if (!read_value(reader, &outcome)) {
            *reader = before;
            return false;
        }
        if (outcome.value.at != NULL && strcmp(outcome.code, "VA") == 0)
            put_row(ask, key, outcome.value, out);
    }
    buf_text(out, "END\r\n");
    return true;
}

/* ---- saying: lines ---- */

/* The words of text commands for what became of them. */
static const char *word_of(enum memcached_verb verb, const char *code)
{
    if (strcmp(code, "NF") == 0)
        return "NOT_FOUND\r\n";
    if (strcmp(code, "EX") == 0)
        return "EXISTS\r\n";
    if (strcmp(code, "NS") == 0)
        return "NOT_STORED\r\n";
    if (verb == MEMCACHED_FLUSH_ALL)
        return "OK\r\n";
    if (verb == MEMCACHED_DELETE)
        return "DELETED\r\n";
    return verb == MEMCACHED_TOUCH ? "TOUCHED\r\n" : "STORED\r\n";
}

/* What a number that is made had left when flag t at `at` was come by: by the one of N and T that
 * stands before it last; -1: for ever. */
static int64_t left_of_made(const struct memcached_over_ask *ask, struct slice at)
{
    enum { MONTH_S = 60 * 60 * 24 * 30 };
    struct slice touch = memcached_over_flag(ask->line, ask->verb, 'T');
    struct slice first = memcached_over_flag(ask->line, ask->verb, 'N'), last = { 0 };
    int64_t end;

    if (first.at < at.at)
        last = first;
    if (touch.at != NULL && touch.at < at.at && touch.at > last.at)
        last = touch;
    if (last.at == NULL || !slice_to_i64(last, &end) || end == 0)
        return -1;
    return end > MONTH_S ? end - ask->now_s : end;
}

/* What is left of its life; memcached goes by the flags in their order, and sets it on the way. */
static void put_left(const struct memcached_over_ask *ask, struct slice at,
                     const struct outcome *outcome, struct buf *out)
{
    struct slice touch = memcached_over_flag(ask->line, ask->verb, 'T');
    int64_t left_ms =
        touch.at != NULL && touch.at < at.at ? outcome->left_ms : outcome->left_before_ms;

    if (outcome->left_before_ms == MEMCACHED_SCRIPT_NOT_THERE)
        buf_format(out, " t%" PRId64, left_of_made(ask, at));
    else
        buf_format(out, " t%" PRId64, left_ms < 0 ? -1 : (left_ms + 999) / 1000);
}

static void put_key(const struct memcached_over_ask *ask, struct buf *out)
{
    struct slice line = ask->line, key = { 0 };

    (void)memcached_next_word(&line, &key);
    (void)memcached_next_word(&line, &key);
    buf_format(out, " k%.*s", (int)key.len, (const char *)key.at);
    if (memcached_over_flag(ask->line, ask->verb, 'b').at != NULL)
        buf_put(out, " b", 2);
}

/* md has none to tell; ms tells one of what it did not do, too. */
static void put_cas(const struct memcached_over_ask *ask, bool is_hit,
                    const struct memcached_kept *value, struct buf *out)
{
    if (ask->verb == MEMCACHED_MG && is_hit)
        buf_format(out, " c%" PRIu64, value->cas);
    else if (ask->verb == MEMCACHED_MS || (ask->verb == MEMCACHED_MA && is_hit))
        buf_format(out, " c%" PRIu64, is_hit ? ask->cas : 0);
}

/* What one flag of a meta command adds to its reply. */
static void put_flag(const struct memcached_over_ask *ask, struct slice word,
                     const struct outcome *outcome, const struct memcached_kept *value,
                     struct buf *out)
{
    bool is_hit = outcome->code[0] == 'V' || outcome->code[0] == 'H';
    bool is_get = ask->verb == MEMCACHED_MG;

    switch (word.at[0]) {
    case 'O':
        buf_format(out, " %.*s", (int)word.len, (const char *)word.at);
        return;
    case 'k':
        put_key(ask, out);
        return;
    case 'c':
        put_cas(ask, is_hit, value, out);
        return;
    case 't':
        if (is_hit && (is_get || ask->verb == MEMCACHED_MA))
            put_left(ask, word, outcome, out);
        return;
    case 'f':
        if (is_hit && is_get)
            buf_format(out, " f%" PRIu32, value->flags);
        return;
    case 's':
        if (is_hit && is_get)
            buf_format(out, " s%zu", value->value.len);
        return;
    default: /* asks for nothing */
        return;
    }
}

static void put_meta(const struct memcached_over_ask *ask, const struct outcome *outcome,
                     struct buf *out)
{
    bool is_get = ask->verb == MEMCACHED_MG, is_value = outcome->code[0] == 'V';
    bool has_value = is_value && memcached_over_flag(ask->line, ask->verb, 'v').at != NULL;
    bool wants_cas = memcached_over_flag(ask->line, ask->verb, 'c').at != NULL;
    struct memcached_kept value = { .value = outcome->value };
    uint32_t first = ask->verb == MEMCACHED_MS ? 3 : 2;
    struct slice line = ask->line, word;

    if (is_value && is_get)
        value = memcached_kept_read(outcome->value, wants_cas);
    if (has_value)
        buf_format(out, "VA %zu", value.value.len);
    else if (is_value)
        buf_text(out, "HD");
    else
        buf_text(out, is_get ? "EN" : outcome->code);
    for (uint32_t i = 0; memcached_next_word(&line, &word); i++)
        if (i >= first)
            put_flag(ask, word, outcome, &value, out);
    buf_put(out, "\r\n", 2);
    if (has_value) {
        buf_slice(out, value.value);
        buf_put(out, "\r\n", 2);
    }
}

static void put_outcome(const struct memcached_over_ask *ask, const struct outcome *outcome,
                        struct buf *out)
{
    bool is_meta = ask->verb >= MEMCACHED_MG && ask->verb <= MEMCACHED_MA;

    if (strcmp(outcome->code, "NN") == 0)
        buf_text(out, "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
    else if (strcmp(outcome->code, "TL") == 0)
        buf_text(out, MEMCACHED_TOO_LARGE);
    else if (is_meta)
        put_meta(ask, outcome, out);
    else if (outcome->code[0] == 'V')
        buf_format(out, "%.*s\r\n", (int)outcome->value.len, (const char *)outcome->value.at);
    else
        buf_text(out, word_of(ask->verb, outcome->code));
}

/* ---- the merge ---- */

static void put_part(struct memory_merge *m, struct memcached_over_note *note, uint32_t part,
                     struct buf *out)
{
    const struct memcached_over_part *over = &note->parts[part];
    struct resp_reader reader = { m->parts[part].reply };

    for (uint32_t i = 0; i < over->count; i++) {
        const struct memcached_over_ask *ask = &over->asks[i];
        struct slice at = reader.in;
        size_t begin = out->len;
        struct outcome outcome;
        bool is_rows = ask->verb <= MEMCACHED_GATS;
        bool is_fine = is_rows ? put_rows(ask, &reader, out) : read_outcome(ask, &reader, &outcome);

        if (!is_fine) {
            out->len = begin;
            put_error(m, part, is_rows ? reader.in : at, out);
        } else if (!is_rows) {
            put_outcome(ask, &outcome, out);
            note->has_made |=
                outcome.code[0] == 'V' && outcome.left_before_ms == MEMCACHED_SCRIPT_NOT_THERE;
        }
    }
}

/* A request of EVALSHA with the script's text in its name's place. */
static struct slice with_script(struct memory_merge *m, struct slice request)
{
    struct slice sha = memcached_script_sha(), all;
    struct buf head = { 0 };
    const uint8_t *end = memmem(request.at, request.len, sha.at, sha.len);

    if (end == NULL)
        return (struct slice){ 0 };
    buf_format(&head, "*%d\r\n$4\r\nEVAL\r\n$%zu\r\n%s", MEMCACHED_SCRIPT_WORDS,
               strlen(MEMCACHED_SCRIPT), MEMCACHED_SCRIPT);
    buf_slice(&head, slice_from(request, (size_t)(end - request.at) + sha.len));
    all = arena_copy(m->arena, buf_all(&head));
    buf_fini(&head);
    return all;
}

/* The server does not know the script yet: it is sent.  There is one part then. */
static bool sends_script(struct memory_merge *m, struct memcached_over_note *note)
{
    if (note->has_sent_script || !note->runs_script || m->parts[0].failed ||
        !slice_starts(m->parts[0].reply, slice_text("-NOSCRIPT")))
        return false;
    note->has_sent_script = true;
    m->parts[0].bytes = with_script(m, m->parts[0].bytes);
    m->again = m->parts[0].bytes.at != NULL;
    return m->again;
}

void memcached_over_merge(struct memory_merge *m)
{
    struct memcached_over_note *note = m->note;
    struct buf text = { 0 };

    if (sends_script(m, note))
        return;
    for (uint32_t i = 0; i < m->part_count; i++) {
        struct memory_part *part = &m->parts[i];
        struct slice line = note->parts[i].asks[0].line;

        if (!part->failed) { /* else it is a refusal, in memcached's words */
            buf_clear(&text);
            put_part(m, note, i, &text);
            part->reply = arena_copy(m->arena, buf_all(&text));
        }
        part->bytes = slice_of(line.at, line.len + 2); /* merges look what was asked */
    }
    buf_fini(&text);
    if (note->merge == NULL || (note->is_text && note->has_made)) {
        buf_slice(m->out, m->parts[0].reply);
        return;
    }
    m->note = note->note;
    note->merge(m);
    m->note = note;
}
