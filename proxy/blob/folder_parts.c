/* See folder_parts.h.  Pure. */
#include "proxy/blob/folder_parts.h"

#include <string.h>

#include "proxy/blob/folder_upload.h"

void folder_span_put(struct buf *out, const struct folder_span *span)
{
    buf_format(out, "%u", span->first);
    if (span->last != span->first)
        buf_format(out, "-%u", span->last);
    buf_format(out, " %llu", (unsigned long long)span->size);
    if (span->sum.len > 0)
        buf_text(out, " ");
    buf_slice(out, span->sum);
    buf_text(out, "\n");
}

/* Takes what stands before the first `end`, or all of it. */
static struct slice take(struct slice *text, char end)
{
    const uint8_t *found = text->len == 0 ? NULL : memchr(text->at, end, text->len);
    struct slice word = slice_of(text->at, found == NULL ? text->len : (size_t)(found - text->at));

    *text = slice_from(*text, found == NULL ? word.len : word.len + 1);
    return word;
}

static bool is_sum(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] >= 0x7f)
            return false;
    return text.len < FOLDER_SPAN_BYTES;
}

static bool number_of(struct slice text, uint64_t *out)
{
    return text.len > 0 && slice_to_u64(text, out);
}

enum err folder_span_next(struct slice *text, const struct folder_span *before,
                          struct folder_span *out)
{
    struct slice line, numbers, size;
    uint64_t first = 0, last = 0, bytes = 0, end = before->from;

    if (text->len == 0)
        return ERR_RANGE;
    line = take(text, '\n');
    numbers = take(&line, ' ');
    size = take(&line, ' ');
    if (!number_of(take(&numbers, '-'), &first) || !number_of(size, &bytes) || !is_sum(line))
        return ERR_SYNTAX;
    last = first;
    if (numbers.len > 0 && !number_of(numbers, &last))
        return ERR_SYNTAX;
    if (first <= before->last || last < first || last > FOLDER_PARTS || bytes > INT64_MAX / last)
        return ERR_SYNTAX;
    if (before->last > 0)
        end += before->size * (before->last - before->first + 1);
    if (end > INT64_MAX - bytes * (last - first + 1))
        return ERR_SYNTAX;
    *out = (struct folder_span){ (unsigned)first, (unsigned)last, end, bytes, line };
    return ERR_NONE;
}

enum err folder_span_find(struct slice text, unsigned number, struct folder_span *out)
{
    struct folder_span span = { 0 };

    for (;;) {
        TRY(folder_span_next(&text, &span, &span));
        if (span.first > number)
            return ERR_RANGE;
        if (span.last < number)
            continue;
        span.from += span.size * (number - span.first);
        span.first = span.last = number;
        *out = span;
        return ERR_NONE;
    }
}
