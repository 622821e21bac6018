/* Requests of memcached's text protocol, the meta commands included: one line, and for storage
 * commands a value behind it.
 *
 *     switch (memcached_text_parse(&progress, in, &limits, &request, &need)) {
 *     case PARSE_DONE: ... request.len bytes are its own; request.error may say that it is wrong
 *
 * The parser is as strict as memcached 1.6 is, and where a line is wrong it answers what memcached
 * does: so a server that is handed what has no error finds none in its shape either, and its
 * replies can be counted.  Nothing is copied; all slices point into `in`. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/parse.h"
#include "proxy/base/slice.h"

enum {
    MEMCACHED_KEY_BYTES = 250,
    MEMCACHED_LINE_BYTES = 2048, /* of all commands but those that get many keys */
    MEMCACHED_WORDS = 24,        /* of a line that are kept; meta commands have no more flags */
};

enum memcached_verb {
#define VERB(word, name, shape, least, most, does) MEMCACHED_##name,
#include "proxy/wire/memcached_verbs.def"
#undef VERB
    MEMCACHED_VERBS /* how many; and what an unknown command has */
};

/* Of one session, zero at first. */
struct memcached_text_progress {
    size_t searched; /* bytes of the input without an end of line */
};

struct memcached_text_limits {
    size_t line_bytes;    /* of get, gets, gat, gats */
    uint64_t value_bytes; /* of a value */
    uint32_t key_bytes;   /* 0: MEMCACHED_KEY_BYTES */
};

struct memcached_text_request {
    enum memcached_verb verb;
    struct slice line; /* without its end */
    /* The first words; of get and its kin only those before the keys, which are in `keys`. */
    struct slice words[MEMCACHED_WORDS];
    uint32_t word_count;  /* of words[] that are set */
    uint32_t odd_numbers; /* bits: words that are numbers, or flags with one, which not all servers
                           * take as memcached 1.6.18 does; see memcached_numeral.h */
    uint32_t key_most;    /* bytes of a key */
    struct slice keys;  /* the rest of the line: at least one, with single or more spaces between */
    struct slice key;   /* the first one; of a meta command as it stands there */
    struct slice value; /* without the CR LF behind it */
    bool has_value;
    bool noreply;      /* the last word says so */
    const char *error; /* what memcached answers to it, with CR LF; NULL: it is well formed */
    /* Bytes behind `len` that are the value of a request with an error, and nobody's. */
    uint64_t skip;
    size_t len;
};

/* MORE: *need is how many bytes of `in` it takes at least.  BAD: a line that has no end.  The words
 * of `r` are void when it says MORE or BAD. */
enum parse memcached_text_parse(struct memcached_text_progress *progress, struct slice in,
                                const struct memcached_text_limits *limits,
                                struct memcached_text_request *r, size_t *need);

/* The word at the front of the rest of a line, which it is taken off; false: there is none. */
static inline bool memcached_next_word(struct slice *rest, struct slice *word)
{
    const uint8_t *end;

    while (rest->len > 0 && rest->at[0] == ' ')
        *rest = slice_from(*rest, 1);
    if (rest->len == 0)
        return false;
    end = memchr(rest->at, ' ', rest->len);
    *word = slice_of(rest->at, end == NULL ? rest->len : (size_t)(end - rest->at));
    *rest = slice_from(*rest, word->len);
    return true;
}

static inline uint32_t memcached_count_words(struct slice line)
{
    struct slice word;
    uint32_t count = 0;

    while (memcached_next_word(&line, &word))
        count++;
    return count;
}

const char *memcached_verb_name(enum memcached_verb verb);
/* Does it leave all values and their times as they are? */
bool memcached_verb_reads(enum memcached_verb verb);

#define MEMCACHED_ERROR      "ERROR\r\n"
#define MEMCACHED_BAD_FORMAT "CLIENT_ERROR bad command line format\r\n"
#define MEMCACHED_TOO_LARGE  "SERVER_ERROR object too large for cache\r\n"
