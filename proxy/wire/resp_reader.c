/* Elements of a reply that is whole.  The scanner of resp_reply.h passes what nobody wants. */
#include "proxy/wire/resp_reader.h"

#include "proxy/wire/resp_reply.h"

enum { SMALLEST_ELEMENT_BYTES = 3 }; /* "_\r\n" */

/* The line at the front of `in`, without its type and CR LF. */
static enum err take_line(struct slice in, struct slice *text)
{
    const uint8_t *end = in.len > 0 ? memchr(in.at, '\r', in.len) : NULL;
    size_t len;

    if (end == NULL || end == in.at)
        return ERR_PROTOCOL;
    len = (size_t)(end - in.at);
    if (in.len - len < 2 || end[1] != '\n')
        return ERR_PROTOCOL;
    *text = slice_of(in.at + 1, len - 1);
    return ERR_NONE;
}

/* "0", "17"; no sign, no leading zero. */
static enum err read_length(struct slice text, uint64_t *out)
{
    if (text.len > 1 && text.at[0] == '0')
        return ERR_PROTOCOL;
    return slice_to_u64(text, out) ? ERR_NONE : ERR_PROTOCOL;
}

static enum err read_bulk(struct slice in, struct slice line, struct resp_item *item)
{
    size_t at = line.len + 3; /* type, CR LF */
    uint64_t size;

    TRY(read_length(line, &size));
    if (in.len - at < 2 || size > in.len - at - 2)
        return ERR_PROTOCOL;
    if (memcmp(in.at + at + size, "\r\n", 2) != 0)
        return ERR_PROTOCOL;
    item->text = slice_of(in.at + at, size);
    item->raw.len = at + size + 2;
    return ERR_NONE;
}

static enum err read_aggregate(struct slice in, struct slice line, struct resp_item *item)
{
    uint64_t most = (in.len - (line.len + 3)) / SMALLEST_ELEMENT_BYTES;
    bool is_pairs = item->type == '%' || item->type == '|';

    TRY(read_length(line, &item->count));
    if (item->count > most || (is_pairs && item->count > most / 2))
        return ERR_PROTOCOL;
    if (is_pairs)
        item->count *= 2;
    return ERR_NONE;
}

static enum err read_integer(struct slice line, struct resp_item *item)
{
    if (line.len > 1 && line.at[0] == '+' && line.at[1] != '-')
        line = slice_from(line, 1);
    return slice_to_i64(line, &item->integer) ? ERR_NONE : ERR_PROTOCOL;
}

/* The element, or the first line of the aggregate, at the front of `in`; attributes are items
 * here. */
static enum err read_item(struct slice in, struct resp_item *item)
{
    struct slice line;

    TRY(take_line(in, &line));
    *item = (struct resp_item){ .type = in.at[0], .raw = slice_of(in.at, line.len + 3) };
    switch (item->type) {
    case '$':
    case '*':
        item->is_null = slice_is_text(line, "-1");
        if (item->is_null)
            return ERR_NONE;
        return item->type == '$' ? read_bulk(in, line, item) : read_aggregate(in, line, item);
    case '=':
    case '!':
        return read_bulk(in, line, item);
    case '%':
    case '~':
    case '>':
    case '|':
        return read_aggregate(in, line, item);
    case ':':
        return read_integer(line, item);
    case '_':
        item->is_null = true;
        return line.len == 0 ? ERR_NONE : ERR_PROTOCOL;
    case '#':
        item->integer = slice_is_text(line, "t");
        return item->integer || slice_is_text(line, "f") ? ERR_NONE : ERR_PROTOCOL;
    case '+':
    case '-':
    case ',':
    case '(':
        item->text = line;
        return ERR_NONE;
    }
    return ERR_PROTOCOL;
}

/* Passes `count` elements at the front of `in`. */
static enum err skip_elements(struct slice *in, uint64_t count)
{
    struct resp_scan scan = { .left = count, .begun = true };
    size_t used;

    if (count == 0)
        return ERR_NONE;
    if (resp_reply_scan(&scan, *in, &used) != PARSE_DONE)
        return ERR_PROTOCOL;
    *in = slice_from(*in, used);
    return ERR_NONE;
}

enum err resp_read(struct resp_reader *reader, struct resp_item *out)
{
    struct slice in = reader->in;
    struct resp_item item;

    for (;;) {
        TRY(read_item(in, &item));
        in = slice_from(in, item.raw.len);
        if (item.type != '|')
            break;
        TRY(skip_elements(&in, item.count));
    }
    reader->in = in;
    *out = item;
    return ERR_NONE;
}

enum err resp_read_skip(struct resp_reader *reader, struct slice *raw)
{
    struct resp_scan scan = { 0 };
    size_t used = resp_reply_fast(reader->in);

    if (used == 0 && resp_reply_scan(&scan, reader->in, &used) != PARSE_DONE)
        return ERR_PROTOCOL;
    *raw = slice_of(reader->in.at, used);
    reader->in = slice_from(reader->in, used);
    return ERR_NONE;
}
