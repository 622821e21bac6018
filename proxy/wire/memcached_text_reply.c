/* See memcached_text_reply.h.
 *
 *     START --"STORED"--------------------------------------> done
 *       |  \--"VA 5 ..."--> LAST_BODY --CR LF---------------> done
 *       |--"VALUE k 0 5"--> ROW_BODY --CR LF--> ROWS --"END"-> done
 *       |                      ^------"VALUE"-----|  \ error-> done
 *       \--"STAT ..."-------------------------> ROWS --"STAT"-> ROWS
 */
#include "proxy/wire/memcached_text_reply.h"

enum { LINE_MOST_BYTES = 64 * 1024 };
#define BODY_MOST_BYTES ((uint64_t)1 << 31)

/* What the first word of a server's line may be, and what it means for where the reply ends. */
enum kind { ENDS, ENDS_ROWS, ROW, ROW_WITH_BODY, BODY_ENDS };

static const struct word {
    const char *text;
    uint32_t len;
    enum kind kind;
} WORDS[] = {
#define WORD(text, kind)                                                                           \
    {                                                                                              \
        text, sizeof(text) - 1, kind                                                               \
    }
    WORD("VALUE", ROW_WITH_BODY),
    WORD("END", ENDS_ROWS),
    WORD("STORED", ENDS),
    WORD("HD", ENDS),
    WORD("VA", BODY_ENDS),
    WORD("EN", ENDS),
    WORD("NF", ENDS),
    WORD("NS", ENDS),
    WORD("EX", ENDS),
    WORD("EXISTS", ENDS),
    WORD("NOT_FOUND", ENDS),
    WORD("NOT_STORED", ENDS),
    WORD("DELETED", ENDS),
    WORD("TOUCHED", ENDS),
    WORD("STAT", ROW),
    WORD("OK", ENDS),
    WORD("ERROR", ENDS_ROWS),
    WORD("ERROR:", ENDS_ROWS),
    WORD("CLIENT_ERROR", ENDS_ROWS),
    WORD("SERVER_ERROR", ENDS_ROWS),
    WORD("VERSION", ENDS),
    WORD("RESET", ENDS),
    WORD("MN", ENDS),
    WORD("ME", ENDS),
#undef WORD
};

/* `line` with its CR LF. */
static const struct word *find_word(struct slice line)
{
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++) {
        const struct word *word = &WORDS[i];

        if (line.len > word->len && (line.at[word->len] == ' ' || line.at[word->len] == '\r') &&
            memcmp(line.at, word->text, word->len) == 0)
            return word;
    }
    return NULL;
}

static bool next_word(struct slice *rest, struct slice *word)
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

/* The size that a VALUE or VA line tells; `rest` is the line behind its first word. */
static bool read_size(struct slice rest, bool is_row, uint64_t *size)
{
    struct slice word;

    for (uint32_t i = 0; i < (is_row ? 3U : 1U); i++)
        if (!next_word(&rest, &word))
            return false;
    return slice_to_u64(word, size) && *size < BODY_MOST_BYTES;
}

/* A value follows: `rest` is the line behind its first word. */
static enum parse begin_body(struct memcached_scan *scan, struct slice rest, bool is_row)
{
    uint64_t size;

    if (!read_size(rest, is_row, &size))
        return PARSE_BAD;
    scan->body_left = size + 2;
    scan->state = is_row ? MEMCACHED_SCAN_ROW_BODY : MEMCACHED_SCAN_LAST_BODY;
    return PARSE_MORE;
}

/* `line` with its CR LF. */
static enum parse pass_line(struct memcached_scan *scan, struct slice line)
{
    const struct word *word = find_word(line);
    bool is_first = scan->state == MEMCACHED_SCAN_START;

    scan->state = MEMCACHED_SCAN_START;
    if (word == NULL) /* incr answers a number */
        return is_first && line.at[0] >= '0' && line.at[0] <= '9' ? PARSE_DONE : PARSE_BAD;
    line = slice_of(line.at + word->len, line.len - word->len - 2);
    switch (word->kind) {
    case ENDS:
        return is_first ? PARSE_DONE : PARSE_BAD;
    case ENDS_ROWS:
        return PARSE_DONE;
    case ROW:
        scan->state = MEMCACHED_SCAN_ROWS;
        return PARSE_MORE;
    case ROW_WITH_BODY:
        return begin_body(scan, line, true);
    case BODY_ENDS:
        return is_first ? begin_body(scan, line, false) : PARSE_BAD;
    }
    return PARSE_BAD;
}

/* Takes the line at the front, once it is whole. */
static enum parse take_line(struct memcached_scan *scan, struct slice in, size_t *used)
{
    const uint8_t *end = NULL;
    size_t len;

    if (scan->searched < in.len)
        end = memchr(in.at + scan->searched, '\n', in.len - scan->searched);
    if (end == NULL) {
        scan->searched = (uint32_t)in.len;
        return in.len < LINE_MOST_BYTES ? PARSE_MORE : PARSE_BAD;
    }
    len = (size_t)(end - in.at) + 1;
    scan->searched = 0;
    if (len < 3 || end[-1] != '\r')
        return PARSE_BAD;
    *used = len;
    return pass_line(scan, slice_of(in.at, len));
}

/* Passes what is there of a value; the CR LF behind it only whole. */
static enum parse take_body(struct memcached_scan *scan, struct slice in, size_t *used)
{
    size_t body = scan->body_left - 2 < in.len ? (size_t)(scan->body_left - 2) : in.len;

    *used = body;
    scan->body_left -= body;
    if (scan->body_left > 2 || in.len - body < 2)
        return PARSE_MORE;
    if (memcmp(in.at + body, "\r\n", 2) != 0)
        return PARSE_BAD;
    *used += 2;
    scan->body_left = 0;
    if (scan->state == MEMCACHED_SCAN_ROW_BODY) {
        scan->state = MEMCACHED_SCAN_ROWS;
        return PARSE_MORE;
    }
    scan->state = MEMCACHED_SCAN_START;
    return PARSE_DONE;
}

enum parse memcached_reply_scan(struct memcached_scan *scan, struct slice in, size_t *used)
{
    *used = 0;
    while (*used < in.len) {
        struct slice rest = slice_from(in, *used);
        size_t here = 0;
        enum parse parse =
            scan->body_left > 0 ? take_body(scan, rest, &here) : take_line(scan, rest, &here);

        *used += here;
        if (parse != PARSE_MORE)
            return parse;
        if (here == 0)
            break;
    }
    return PARSE_MORE;
}

/* The line at the front of `in`, without its CR LF. */
static bool front_line(struct slice in, struct slice *line)
{
    const uint8_t *end = in.len == 0 ? NULL : memchr(in.at, '\n', in.len);

    if (end == NULL || end == in.at || end[-1] != '\r')
        return false;
    *line = slice_of(in.at, (size_t)(end - in.at) - 1);
    return true;
}

enum err memcached_row_read(struct slice *rest, struct memcached_row *out)
{
    struct slice line, words, word;
    struct memcached_row row;
    uint64_t size;

    if (!slice_starts(*rest, slice_text("VALUE ")) || !front_line(*rest, &line))
        return ERR_PROTOCOL;
    words = slice_from(line, strlen("VALUE "));
    if (!next_word(&words, &row.key) || !next_word(&words, &row.flags) ||
        !next_word(&words, &word) || !slice_to_u64(word, &size) || size >= BODY_MOST_BYTES ||
        rest->len - line.len - 2 < size + 2)
        return ERR_PROTOCOL;
    if (!next_word(&words, &row.cas))
        row.cas = (struct slice){ 0 };
    row.value = slice_of(line.at + line.len + 2, size);
    row.raw = slice_of(rest->at, line.len + 2 + size + 2);
    *rest = slice_from(*rest, row.raw.len);
    *out = row;
    return ERR_NONE;
}

enum err memcached_reply_read(struct slice whole, struct memcached_reply *out)
{
    struct memcached_reply reply = { 0 };
    struct slice line, word;
    uint64_t size;

    if (!front_line(whole, &line))
        return ERR_PROTOCOL;
    reply.rest = line;
    if (!next_word(&reply.rest, &reply.code))
        return ERR_PROTOCOL;
    if (slice_is_text(reply.code, "VA")) {
        if (!next_word(&reply.rest, &word) || !slice_to_u64(word, &size) ||
            size >= BODY_MOST_BYTES || whole.len - line.len - 2 < size + 2)
            return ERR_PROTOCOL;
        reply.value = slice_of(line.at + line.len + 2, size);
        reply.has_value = true;
    }
    *out = reply;
    return ERR_NONE;
}

struct slice memcached_reply_flag(const struct memcached_reply *reply, char flag)
{
    struct slice rest = reply->rest, word;

    while (next_word(&rest, &word))
        if (word.at[0] == (uint8_t)flag)
            return slice_from(word, 1);
    return (struct slice){ 0 };
}
