/* The end of a head, and of its lines: see http1.h.  Every byte is looked at once, many at a time,
 * and http1_search() stops only at control bytes: behind it, lines are known to end in CR LF, and
 * to have no other control byte but tabs in them. */
#include <assert.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "proxy/wire/http1.h"
#include "proxy/wire/http1_token.h"

#define AT_ONCE __attribute__((always_inline)) inline

enum {
    EMPTY_LINES_MAX_BYTES = 16, /* before a request, as some send them behind a body */
    DELETE = 0x7f,
    LOOK_BYTES = 64, /* that are looked at together */
};

typedef uint64_t stops_f(const uint8_t at[LOOK_BYTES]);

#ifdef __x86_64__
static inline uint64_t stops_of_sixteen(const uint8_t *at)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);

    bytes = _mm_add_epi8(bytes, _mm_set1_epi8(1)); /* which makes 127 the least of signed ones */
    return (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(bytes, _mm_set1_epi8(' ' + 1)));
}

/* A bit for each byte at `at` that a line may not just go over: control bytes (below ' ', or 127),
 * and those above, which are rare. */
static inline uint64_t stops_of(const uint8_t at[LOOK_BYTES])
{
    return stops_of_sixteen(at) | stops_of_sixteen(at + 16) << 16 |
           stops_of_sixteen(at + 32) << 32 | stops_of_sixteen(at + 48) << 48;
}
#else
static inline uint64_t stops_of(const uint8_t at[LOOK_BYTES])
{
    uint64_t stops = 0;

    for (size_t i = 0; i < LOOK_BYTES; i++)
        stops |= (uint64_t)(at[i] < ' ' || at[i] >= DELETE) << i;
    return stops;
}
#endif

#ifdef __x86_64__
/* The same for processors that can look at twice as many. */
#define WIDE __attribute__((target("avx2,bmi")))

WIDE static inline uint64_t stops_of_thirty_two(const uint8_t *at)
{
    __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)at);

    bytes = _mm256_add_epi8(bytes, _mm256_set1_epi8(1));
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(_mm256_set1_epi8(' ' + 1), bytes));
}

WIDE static inline uint64_t stops_of_wide(const uint8_t at[LOOK_BYTES])
{
    return stops_of_thirty_two(at) | stops_of_thirty_two(at + 32) << 32;
}
#endif

/* The same of up to so many from `at` on. */
static inline uint64_t stops_from(struct slice in, size_t at)
{
    uint8_t rest[LOOK_BYTES];
    size_t left = in.len - at;

    if (left >= LOOK_BYTES)
        return stops_of(in.at + at);
    if (in.len >= LOOK_BYTES)
        return stops_of(in.at + in.len - LOOK_BYTES) >> (LOOK_BYTES - left);
    memset(rest, ' ', sizeof(rest));
    memcpy(rest, in.at + at, left);
    return stops_of(rest);
}

/* The empty line that ends before `at`: PARSE_DONE if it is not one of those before the first. */
static inline enum parse empty_line_end(struct http1_search *search, size_t at,
                                        enum http1_refusal *why)
{
    if (at - 2 != search->skipped)
        return PARSE_DONE;
    search->skipped = (uint32_t)at;
    if (at <= EMPTY_LINES_MAX_BYTES)
        return PARSE_MORE;
    *why = HTTP1_REFUSAL_SYNTAX;
    return PARSE_BAD;
}

/* An LF may follow. */
static inline bool is_last_cr(struct slice in, size_t at)
{
    return at + 1 == in.len && in.at[at] == '\r';
}

/* What of a byte at `at` is to be said that ends no line: PARSE_MORE: nothing. */
static enum parse stop_judge(struct slice in, size_t at, enum http1_refusal *why)
{
    if (in.at[at] == '\t' || in.at[at] > DELETE || is_last_cr(in, at))
        return PARSE_MORE;
    *why = in.at[at] == '\r' || in.at[at] == '\n' ? HTTP1_REFUSAL_LINE_END
                                                  : HTTP1_REFUSAL_CONTROL_BYTE;
    return PARSE_BAD;
}

static inline void line_note(struct http1_lines *lines, size_t end)
{
    if (lines->count < HTTP1_LINES_MAX)
        lines->ends[lines->count] = (uint16_t)end;
    lines->count++;
}

/* Does a line begin at `at` that goes on the one before?  No other begins with a blank. */
static inline bool is_folded(struct slice in, size_t at, enum http1_refusal *why)
{
    if (at >= in.len || !http1_is_blank(in.at[at]))
        return false;
    *why = HTTP1_REFUSAL_FOLDED;
    return true;
}

static inline bool is_line_end(struct slice in, size_t at)
{
    return at + 1 < in.len && in.at[at] == '\r' && in.at[at + 1] == '\n';
}

/* Goes over lines as they mostly are; search->searched: at what is to be looked at more closely. */
static AT_ONCE void lines_run_by(stops_f *stops_of_them, struct http1_search *search,
                                 struct slice in, struct http1_lines *lines)
{
    size_t at = search->searched, line = search->line;
    unsigned count = lines->count;

    while (in.len - at >= LOOK_BYTES + sizeof("\r\n")) {
        uint64_t stops = stops_of_them(in.at + at);
        size_t next = at + LOOK_BYTES;

        for (; stops != 0; stops &= stops - 1) {
            size_t end = at + (size_t)__builtin_ctzll(stops);
            const uint8_t *bytes = in.at + end;

            if (memcmp(bytes, "\r\n", 2) != 0 || bytes[2] <= ' ' || end == line ||
                count >= HTTP1_LINES_MAX) {
                next = end;
                break;
            }
            stops &= stops - 1; /* the LF, if it is of these */
            lines->ends[count++] = (uint16_t)end;
            line = end + 2;
        }
        at = next < line ? line : next;
        if (stops != 0)
            break;
    }
    lines->count = (uint16_t)count;
    search->searched = (uint32_t)at;
    search->line = (uint32_t)line;
}

#ifdef __x86_64__
WIDE static void lines_run_wide(struct http1_search *search, struct slice in,
                                struct http1_lines *lines)
{
    lines_run_by(stops_of_wide, search, in, lines);
}

static inline void lines_run(struct http1_search *search, struct slice in,
                             struct http1_lines *lines)
{
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi"))
        lines_run_wide(search, in, lines);
    else
        lines_run_by(stops_of, search, in, lines);
}
#else
static inline void lines_run(struct http1_search *search, struct slice in,
                             struct http1_lines *lines)
{
    lines_run_by(stops_of, search, in, lines);
}
#endif

/* Lines that end among the next bytes, one after the other.  search->searched: behind them. */
static inline enum parse lines_take(struct http1_search *search, struct slice in,
                                    struct http1_lines *lines, enum http1_refusal *why)
{
    size_t begin = search->searched, line = search->line;
    size_t end = in.len - begin < LOOK_BYTES ? in.len : begin + LOOK_BYTES;
    enum parse found = PARSE_MORE;

    for (uint64_t stops = stops_from(in, begin); stops != 0 && found == PARSE_MORE;
         stops &= stops - 1) {
        size_t at = begin + (size_t)__builtin_ctzll(stops);

        if (!is_line_end(in, at)) {
            found = stop_judge(in, at, why);
            end = is_last_cr(in, at) ? at : end;
            continue;
        }
        stops &= stops - 1; /* the LF; if it is not of these: */
        end = end < at + 2 ? at + 2 : end;
        line_note(lines, at);
        if (at == line)
            found = empty_line_end(search, at + 2, why);
        line = at + 2;
        if (found == PARSE_DONE)
            end = line;
        else if (found == PARSE_MORE && is_folded(in, line, why))
            found = PARSE_BAD;
    }
    search->line = (uint32_t)line;
    search->searched = (uint32_t)end;
    return found;
}

/* Goes on from search->searched up to the end of `in`, or of the head. */
static enum parse search_on(struct http1_search *search, struct slice in, struct http1_lines *lines,
                            enum http1_refusal *why)
{
    enum parse found = PARSE_MORE;

    if (search->searched == search->line && is_folded(in, search->line, why))
        return PARSE_BAD;
    while (found == PARSE_MORE && search->searched < in.len && !is_last_cr(in, search->searched)) {
        lines_run(search, in, lines);
        found = lines_take(search, in, lines, why);
    }
    return found;
}

enum parse http1_search(struct http1_search *search, struct slice in, size_t max_bytes, size_t *len,
                        struct http1_lines *lines, enum http1_refusal *why)
{
    struct http1_search on = *search; /* in registers */
    struct http1_lines unwanted;
    enum parse found;

    assert(max_bytes <= HTTP1_HEAD_MAX_BYTES);
    assert(on.searched <= in.len);
    lines = lines != NULL ? lines : &unwanted;
    lines->count = 0;
    found = search_on(&on, slice_of(in.at, in.len < max_bytes ? in.len : max_bytes), lines, why);
    if (search->searched > 0 || lines->count > HTTP1_LINES_MAX) /* those before were not seen now */
        lines->count = 0;
    if (found == PARSE_MORE && in.len < max_bytes) {
        *search = on;
        return PARSE_MORE;
    }
    if (found == PARSE_DONE) {
        *len = on.searched;
    } else if (found == PARSE_MORE) {
        *why = HTTP1_REFUSAL_HEAD_TOO_LARGE;
        found = PARSE_BAD;
    }
    *search = (struct http1_search){ 0 };
    return found;
}
