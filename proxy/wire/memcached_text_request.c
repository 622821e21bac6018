/* See memcached_text_request.h.  A line is cut into words once; then its verb's shape says what
 * they must be.  Where memcached answers an error without having read a value, what comes behind
 * the line is the next command, however little the client meant it: so it is here. */
#include "proxy/wire/memcached_text_request.h"

#include <stdint.h>

#include "proxy/wire/memcached_numeral.h"

enum { VALUE_MOST_BYTES = INT32_MAX - 2, FIRST_META_FLAG = 2 };

#define BAD_CHUNK  "CLIENT_ERROR bad data chunk\r\n"
#define BAD_DELTA  "CLIENT_ERROR invalid numeric delta argument\r\n"
#define BAD_EXPIRY "CLIENT_ERROR invalid exptime argument\r\n"
#define BAD_DELETE "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"

enum shape {
    SHAPE_KEYS,
    SHAPE_TOUCHED_KEYS,
    SHAPE_VALUE,
    SHAPE_CAS_VALUE,
    SHAPE_DELETE,
    SHAPE_NUMBER,
    SHAPE_EXPIRY,
    SHAPE_META,
    SHAPE_META_VALUE,
    SHAPE_PLAIN
};

static const struct verb {
    const char *word;
    uint32_t len;
    enum shape shape;
    uint32_t least, most; /* words */
    enum { DOES_READS, DOES_WRITES } does;
} VERBS[] = {
#define VERB(word, name, shape, least, most, does)                                                 \
    { #word, sizeof(#word) - 1, SHAPE_##shape, least, most, DOES_##does },
#include "proxy/wire/memcached_verbs.def"
#undef VERB
};

const char *memcached_verb_name(enum memcached_verb verb)
{
    return verb < MEMCACHED_VERBS ? VERBS[verb].word : "unknown";
}

bool memcached_verb_reads(enum memcached_verb verb)
{
    return verb < MEMCACHED_VERBS && VERBS[verb].does == DOES_READS;
}

static enum memcached_verb find_verb(struct slice word)
{
    for (enum memcached_verb verb = 0; verb < MEMCACHED_VERBS; verb++)
        if (word.len == VERBS[verb].len && memcmp(word.at, VERBS[verb].word, word.len) == 0)
            return verb;
    return MEMCACHED_VERBS;
}

/* ---- words ---- */

/* `text` is the word at `index`, or what stands in it.  If it is such a number, but not plain, it
 * is to be written anew. */
static bool take_signed(struct memcached_text_request *r, uint32_t index, struct slice text,
                        int64_t *out)
{
    if (!memcached_numeral_signed(text, out))
        return false;
    if (!memcached_numeral_is_plain(text, true))
        r->odd_numbers |= UINT32_C(1) << index;
    return true;
}

static bool take_unsigned(struct memcached_text_request *r, uint32_t index, struct slice text)
{
    uint64_t number;

    if (!memcached_numeral_unsigned(text, &number))
        return false;
    if (!memcached_numeral_is_plain(text, false))
        r->odd_numbers |= UINT32_C(1) << index;
    return true;
}

static bool is_number(struct memcached_text_request *r, uint32_t index)
{
    int64_t number;

    return take_signed(r, index, r->words[index], &number);
}

static bool is_unsigned(struct memcached_text_request *r, uint32_t index)
{
    return take_unsigned(r, index, r->words[index]);
}

static bool is_key(const struct memcached_text_request *r, struct slice word)
{
    return word.len <= r->key_most;
}

/* All words count, and the first are kept.  Returns how many there are. */
static uint32_t take_words(struct memcached_text_request *r, struct slice *last)
{
    struct slice rest = r->line, word;
    uint32_t count = 0;

    while (memcached_next_word(&rest, &word)) {
        if (count < MEMCACHED_WORDS)
            r->words[count] = word;
        *last = word;
        count++;
    }
    r->word_count = count < MEMCACHED_WORDS ? count : MEMCACHED_WORDS;
    return count;
}

/* ---- shapes: each returns the error, or NULL ---- */

/* Keys begin behind `before` words. */
static const char *check_keys(struct memcached_text_request *r, uint32_t before)
{
    struct slice rest = r->line, word;

    for (uint32_t i = 0; i < before; i++) {
        if (!memcached_next_word(&rest, &r->words[i]))
            return MEMCACHED_ERROR;
        r->word_count = i + 1;
    }
    if (before == 2 && !is_number(r, 1))
        return BAD_EXPIRY;
    while (rest.len > 0 && rest.at[0] == ' ')
        rest = slice_from(rest, 1);
    r->keys = rest;
    if (!memcached_next_word(&rest, &r->key)) /* memcached gets none then */
        return before == 2 ? "END\r\n" : MEMCACHED_ERROR;
    if (!is_key(r, r->key))
        return MEMCACHED_BAD_FORMAT;
    while (memcached_next_word(&rest, &word))
        if (!is_key(r, word))
            return MEMCACHED_BAD_FORMAT;
    return NULL;
}

/* The length of a value that follows; false: there is no such length. */
static bool read_length(struct memcached_text_request *r, uint32_t index, uint64_t *out)
{
    int64_t length;

    if (!take_signed(r, index, r->words[index], &length) || length < 0 || length > VALUE_MOST_BYTES)
        return false;
    *out = (uint64_t)length;
    return true;
}

static const char *check_value(struct memcached_text_request *r, bool has_cas, uint64_t *length)
{
    if (!is_key(r, r->key) || !is_unsigned(r, 2) || !is_number(r, 3) ||
        !read_length(r, 4, length) || (has_cas && !is_unsigned(r, 5)))
        return MEMCACHED_BAD_FORMAT;
    r->has_value = true;
    return NULL;
}

static const char *check_delete(struct memcached_text_request *r)
{
    bool zero = r->word_count > 2 && slice_is_text(r->words[2], "0");

    if (r->word_count > 2 && !(zero && (r->word_count == 3 || r->noreply)) &&
        !(r->word_count == 3 && r->noreply))
        return BAD_DELETE;
    return is_key(r, r->key) ? NULL : MEMCACHED_BAD_FORMAT;
}

/* Of the flags from word `first` on.  What is no number where one should be is the server's to
 * refuse. */
static void note_flags(struct memcached_text_request *r, uint32_t first)
{
    for (uint32_t i = first; i < r->word_count; i++) {
        struct slice token = slice_from(r->words[i], 1);
        int64_t time;

        if (strchr("NTR", r->words[i].at[0]) != NULL)
            (void)take_signed(r, i, token, &time);
        else if (strchr("CDJF", r->words[i].at[0]) != NULL)
            (void)take_unsigned(r, i, token);
    }
}

/* What can't be a flag is for us to refuse if a value follows: memcached from 1.6.40 on gives the
 * line up at it, and takes the value for commands. */
static const char *error_of_letters(const struct memcached_text_request *r, uint32_t first)
{
    for (uint32_t i = first; i < r->word_count; i++) {
        uint8_t letter = r->words[i].at[0];

        if (letter >= 0x7f)
            return "CLIENT_ERROR duplicate flag\r\n"; /* as memcached 1.6.18 words it */
        if (letter < 'A' || letter > 'z')
            return "CLIENT_ERROR invalid flag\r\n";
    }
    return NULL;
}

static const char *check_meta(struct memcached_text_request *r)
{
    if (r->key.len == 0 || !is_key(r, r->key))
        return MEMCACHED_BAD_FORMAT;
    if (r->verb != MEMCACHED_ME)
        note_flags(r, FIRST_META_FLAG);
    return NULL;
}

static const char *check_meta_value(struct memcached_text_request *r, uint64_t *length)
{
    if (r->word_count < 3 || !is_key(r, r->key) || !read_length(r, 2, length))
        return MEMCACHED_BAD_FORMAT;
    note_flags(r, FIRST_META_FLAG + 1);
    r->has_value = true;
    return error_of_letters(r, FIRST_META_FLAG + 1);
}

static const char *check_shape(struct memcached_text_request *r, enum shape shape, uint64_t *length)
{
    switch (shape) {
    case SHAPE_KEYS:
    case SHAPE_TOUCHED_KEYS:
        return NULL; /* they were looked at before */
    case SHAPE_VALUE:
    case SHAPE_CAS_VALUE:
        return check_value(r, shape == SHAPE_CAS_VALUE, length);
    case SHAPE_DELETE:
        return check_delete(r);
    case SHAPE_NUMBER:
        if (!is_key(r, r->key))
            return MEMCACHED_BAD_FORMAT;
        return is_unsigned(r, 2) ? NULL : BAD_DELTA;
    case SHAPE_EXPIRY:
        if (!is_key(r, r->key))
            return MEMCACHED_BAD_FORMAT;
        return is_number(r, 2) ? NULL : BAD_EXPIRY;
    case SHAPE_META:
        return check_meta(r);
    case SHAPE_META_VALUE:
        return check_meta_value(r, length);
    case SHAPE_PLAIN:
        if (r->verb == MEMCACHED_FLUSH_ALL && r->word_count > 1)
            (void)is_number(r, 1);
        return NULL;
    }
    return NULL;
}

/* ---- the request ---- */

static bool may_say_noreply(enum shape shape, enum memcached_verb verb)
{
    return (shape >= SHAPE_VALUE && shape <= SHAPE_EXPIRY) || verb == MEMCACHED_FLUSH_ALL ||
           verb == MEMCACHED_VERBOSITY;
}

/* Cuts the line into words and looks at them; *length is that of the value behind it. */
static void read_line(struct memcached_text_request *r, uint64_t *length)
{
    struct slice rest = r->line, word = { 0 };
    const struct verb *verb;
    uint32_t count;

    r->verb = memcached_next_word(&rest, &word) ? find_verb(word) : MEMCACHED_VERBS;
    if (r->verb == MEMCACHED_VERBS || memchr(r->line.at, '\0', r->line.len) != NULL) {
        r->error = MEMCACHED_ERROR;
        return;
    }
    verb = &VERBS[r->verb];
    if (verb->shape == SHAPE_KEYS || verb->shape == SHAPE_TOUCHED_KEYS) {
        r->error = check_keys(r, verb->shape == SHAPE_KEYS ? 1 : 2);
        return;
    }
    count = take_words(r, &word);
    if (count < verb->least || count > verb->most) {
        r->error = MEMCACHED_ERROR;
        return;
    }
    r->key = count > 1 ? r->words[1] : (struct slice){ 0 };
    r->noreply = may_say_noreply(verb->shape, r->verb) && slice_is_text(word, "noreply") &&
                 (count > 2 || verb->shape != SHAPE_DELETE); /* there it is the key */
    if (count > MEMCACHED_WORDS && verb->shape != SHAPE_PLAIN) {
        if (verb->shape == SHAPE_META_VALUE) /* it is passed, as memcached does */
            (void)!check_meta_value(r, length);
        r->error = "CLIENT_ERROR options flags are too long\r\n";
        return;
    }
    r->error = check_shape(r, verb->shape, length);
}

/* What memcached does with a line that has no end so far: only keys may go on for long. */
static bool may_grow(struct slice in, const struct memcached_text_limits *limits)
{
    struct slice word = { 0 };

    if (in.len <= MEMCACHED_LINE_BYTES)
        return true;
    if (in.len > limits->line_bytes || !memcached_next_word(&in, &word))
        return false;
    return slice_is_text(word, "get") || slice_is_text(word, "gets") ||
           slice_is_text(word, "gat") || slice_is_text(word, "gats");
}

static enum parse find_line(struct memcached_text_progress *progress, struct slice in,
                            const struct memcached_text_limits *limits,
                            struct memcached_text_request *r, size_t *need)
{
    const uint8_t *end = NULL;

    if (progress->searched < in.len)
        end = memchr(in.at + progress->searched, '\n', in.len - progress->searched);
    if (end == NULL) {
        progress->searched = in.len;
        *need = in.len + 1;
        return may_grow(in, limits) ? PARSE_MORE : PARSE_BAD;
    }
    progress->searched = (size_t)(end - in.at); /* it is found again, if a value is awaited */
    r->len = progress->searched + 1;
    r->line = slice_of(in.at, progress->searched);
    if (!may_grow(r->line, limits))
        return PARSE_BAD;
    if (r->line.len > 0 && end[-1] == '\r')
        r->line.len--;
    while (r->line.len > 0 && r->line.at[0] == ' ') /* which later servers do not take */
        r->line = slice_from(r->line, 1);
    return PARSE_DONE;
}

/* `r` but for its words, which are many bytes and need no zeros. */
static void clear(struct memcached_text_request *r)
{
    r->verb = MEMCACHED_VERBS;
    r->word_count = 0;
    r->keys = r->key = r->value = (struct slice){ 0 };
    r->odd_numbers = 0;
    r->has_value = r->noreply = false;
    r->error = NULL;
    r->skip = 0;
}

enum parse memcached_text_parse(struct memcached_text_progress *progress, struct slice in,
                                const struct memcached_text_limits *limits,
                                struct memcached_text_request *r, size_t *need)
{
    uint64_t length = 0;
    enum parse parse;

    clear(r);
    r->key_most = limits->key_bytes > 0 ? limits->key_bytes : MEMCACHED_KEY_BYTES;
    parse = find_line(progress, in, limits, r, need);
    if (parse != PARSE_DONE)
        return parse;
    read_line(r, &length);
    if (!r->has_value) {
        progress->searched = 0;
        return PARSE_DONE;
    }
    if (length > limits->value_bytes && r->error == NULL)
        r->error = MEMCACHED_TOO_LARGE;
    if (r->error != NULL) {
        r->skip = length + 2;
        progress->searched = 0;
        return PARSE_DONE;
    }
    if (in.len - r->len < length + 2) {
        *need = r->len + length + 2;
        return PARSE_MORE;
    }
    r->value = slice_of(in.at + r->len, length);
    if (memcmp(in.at + r->len + length, "\r\n", 2) != 0)
        r->error = BAD_CHUNK;
    r->len += length + 2;
    progress->searched = 0;
    return PARSE_DONE;
}
