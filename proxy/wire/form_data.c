/* See form_data.h.
 *
 *     PREAMBLE --boundary--> DELIMITER --CR LF--> HEAD --empty line--> VALUE, FILE or REST
 *                                 ^                                         |
 *                                 \------------------boundary--------------/
 *     DELIMITER --"--"--> EPILOGUE
 *
 * A boundary has no CR in it, so what looked like a delimiter and was none can hold another's
 * beginning only at the byte that differed. */
#include "proxy/wire/form_data.h"

#include <string.h>

/* ---- parameters of fields: ; name=value; name="value" ---- */

static void skip_blanks(struct slice *in)
{
    while (in->len > 0 && (in->at[0] == ' ' || in->at[0] == '\t'))
        *in = slice_from(*in, 1);
}

static struct slice until_one_of(struct slice *in, const char *ends)
{
    struct slice found = *in;

    while (in->len > 0 && strchr(ends, in->at[0]) == NULL && in->at[0] != '\0')
        *in = slice_from(*in, 1);
    found.len -= in->len;
    return found;
}

static struct slice trimmed(struct slice s)
{
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Unquotes in place: browsers put a backslash before a quote, or write it as %22, which stands; a
 * backslash before anything else is of a file's name as Windows has it. */
static bool quoted(struct slice *in, struct slice *value)
{
    uint8_t *out = (uint8_t *)in->at + 1;
    struct slice rest = slice_from(*in, 1);

    *value = slice_of(out, 0);
    while (rest.len > 0 && rest.at[0] != '"') {
        if (rest.at[0] == '\\' && rest.len > 1 && rest.at[1] == '"')
            rest = slice_from(rest, 1);
        *out++ = rest.at[0];
        value->len++;
        rest = slice_from(rest, 1);
    }
    if (rest.len == 0)
        return false;
    *in = slice_from(rest, 1);
    return true;
}

/* The next one of those behind a field's value; false: there is none, or *bad. */
static bool next_parameter(struct slice *in, struct slice *name, struct slice *value, bool *bad)
{
    do {
        skip_blanks(in);
        if (in->len == 0)
            return false;
        *bad = in->at[0] != ';';
        if (*bad)
            return false;
        *in = slice_from(*in, 1);
        skip_blanks(in);
    } while (in->len == 0 || in->at[0] == ';');
    *name = trimmed(until_one_of(in, "=;"));
    *bad = name->len == 0 || in->len == 0 || in->at[0] != '=';
    if (*bad)
        return false;
    *in = slice_from(*in, 1);
    skip_blanks(in);
    if (in->len == 0 || in->at[0] != '"')
        *value = trimmed(until_one_of(in, ";"));
    else
        *bad = !quoted(in, value);
    return !*bad;
}

/* ---- the boundary ---- */

static bool is_of_boundary(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("'()+_,-./:=? ", c) != NULL);
}

static bool is_boundary(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_of_boundary(s.at[i]))
            return false;
    return s.len > 0 && s.len <= FORM_DATA_BOUNDARY_MOST && s.at[s.len - 1] != ' ';
}

static enum err find_boundary(struct slice type, struct slice *boundary)
{
    struct slice name, value;
    bool bad = false, found = false;

    if (!slice_is_word(trimmed(until_one_of(&type, ";")), "multipart/form-data"))
        return ERR_SYNTAX;
    while (next_parameter(&type, &name, &value, &bad)) {
        if (!slice_is_word(name, "boundary"))
            continue;
        if (found) /* whose? */
            return ERR_SYNTAX;
        found = true;
        *boundary = value;
    }
    return found && !bad && is_boundary(*boundary) ? ERR_NONE : ERR_SYNTAX;
}

enum err form_data_init(struct form_data *f, struct slice content_type)
{
    struct buf own = { 0 };
    struct slice boundary = { 0 };
    enum err err;

    memset(f, 0, sizeof(*f));
    buf_slice(&own, content_type);
    err = find_boundary(buf_all(&own), &boundary);
    if (err == ERR_NONE) {
        memcpy(f->delimiter, "\r\n--", 4);
        memcpy(f->delimiter + 4, boundary.at, boundary.len);
        f->delimiter_len = (uint8_t)(4 + boundary.len);
        f->matched = 2; /* the first one may stand at the very beginning */
    }
    buf_fini(&own);
    return err;
}

void form_data_fini(struct form_data *f)
{
    buf_fini(&f->head);
    buf_fini(&f->value);
}

/* ---- delimiters ---- */

/* How many bytes at the end may be a delimiter's beginning. */
static size_t beginning_at_end(const struct form_data *f, struct slice in)
{
    size_t most = in.len < f->delimiter_len ? in.len : f->delimiter_len - 1u;
    const uint8_t *cr = most == 0 ? NULL : memrchr(in.at + in.len - most, '\r', most);
    size_t len = cr == NULL ? 0 : (size_t)(in.at + in.len - cr);

    return len > 0 && memcmp(cr, f->delimiter, len) == 0 ? len : 0;
}

/* Takes content up to a delimiter: a piece of it, and true if the delimiter follows.  Without a
 * piece and a delimiter `in` is used up. */
static bool scan(struct form_data *f, struct slice *in, struct slice *piece)
{
    const uint8_t *found;
    struct slice all;

    *piece = (struct slice){ 0 };
    while (f->matched > 0 && f->matched < f->delimiter_len && in->len > 0 &&
           in->at[0] == (uint8_t)f->delimiter[f->matched]) {
        f->matched++;
        *in = slice_from(*in, 1);
    }
    if (f->matched == f->delimiter_len) {
        f->matched = 0;
        return true;
    }
    if (in->len == 0)
        return false;
    if (f->matched > 0) { /* it was none */
        *piece = slice_of(f->delimiter, f->matched);
        f->matched = 0;
        return false;
    }
    all = *in;
    found = memmem(all.at, all.len, f->delimiter, f->delimiter_len);
    if (found != NULL) {
        *piece = slice_of(all.at, (size_t)(found - all.at));
        *in = slice_from(all, piece->len + f->delimiter_len);
        return true;
    }
    f->matched = (uint8_t)beginning_at_end(f, all);
    *piece = slice_of(all.at, all.len - f->matched);
    *in = slice_from(all, all.len);
    return false;
}

/* Behind a boundary: blanks and CR LF, or "--".  False: more is needed, or it is bad. */
static bool take_line(struct form_data *f, struct slice *in)
{
    while (in->len > 0) {
        uint8_t c = in->at[0];

        *in = slice_from(*in, 1);
        if (f->line_len == 0 && (c == ' ' || c == '\t'))
            continue;
        f->line[f->line_len++] = (char)c;
        if (f->line_len < 2)
            continue;
        f->line_len = 0;
        if (memcmp(f->line, "--", 2) == 0)
            f->stage = FORM_DATA_IN_EPILOGUE;
        else if (memcmp(f->line, "\r\n", 2) == 0)
            f->stage = f->had_file ? FORM_DATA_IN_REST : FORM_DATA_IN_HEAD;
        else
            f->stage = FORM_DATA_IS_BAD;
        return f->stage != FORM_DATA_IS_BAD;
    }
    return false;
}

/* ---- heads of parts ---- */

static struct slice line_of(struct slice *in)
{
    const uint8_t *end = memmem(in->at, in->len, "\r\n", 2);
    struct slice line = slice_of(in->at, (size_t)(end - in->at));

    *in = slice_from(*in, line.len + 2);
    return line;
}

static bool is_clean(struct slice line)
{
    for (size_t i = 0; i < line.len; i++)
        if ((line.at[i] < ' ' && line.at[i] != '\t') || line.at[i] == 0x7f)
            return false;
    return line.len == 0 || (line.at[0] != ' ' && line.at[0] != '\t');
}

static struct slice base_name(struct slice path)
{
    for (size_t i = path.len; i > 0; i--)
        if (path.at[i - 1] == '/' || path.at[i - 1] == '\\')
            return slice_from(path, i);
    return path;
}

static bool read_disposition(struct form_data *f, struct slice value)
{
    struct slice name, each;
    bool bad = false, named = false;

    if (f->name_len > 0 || !slice_is_word(trimmed(until_one_of(&value, ";")), "form-data"))
        return false;
    while (next_parameter(&value, &name, &each, &bad)) {
        if (slice_is_word(name, "name")) {
            if (named || each.len == 0)
                return false;
            named = true;
            f->name_at = (size_t)(each.at - f->head.at);
            f->name_len = each.len;
        } else if (slice_is_word(name, "filename")) {
            each = base_name(each);
            f->file_name_at = (size_t)(each.at - f->head.at);
            f->file_name_len = each.len;
        }
    }
    return named && !bad;
}

static bool read_line(struct form_data *f, struct slice line)
{
    const uint8_t *colon = line.len == 0 ? NULL : memchr(line.at, ':', line.len);
    struct slice name, value;

    if (colon == NULL || !is_clean(line))
        return false;
    name = slice_of(line.at, (size_t)(colon - line.at));
    value = slice_from(line, name.len + 1);
    skip_blanks(&value);
    if (slice_is_word(name, "content-disposition"))
        return read_disposition(f, value);
    if (slice_is_word(name, "content-transfer-encoding"))
        return slice_is_word(value, "binary") || slice_is_word(value, "8bit") ||
               slice_is_word(value, "7bit");
    return true;
}

static bool read_head(struct form_data *f)
{
    struct slice in = buf_all(&f->head);

    f->name_len = f->file_name_len = 0;
    while (in.len > 2)
        if (!read_line(f, line_of(&in)))
            return false;
    return f->name_len > 0;
}

/* True: it is whole. */
static bool take_head(struct form_data *f, struct slice *in)
{
    while (in->len > 0) {
        if (f->head.len == FORM_DATA_HEAD_MOST) {
            f->stage = FORM_DATA_IS_BAD;
            return false;
        }
        buf_put(&f->head, in->at, 1);
        *in = slice_from(*in, 1);
        if (f->head.len >= 4 && memcmp(f->head.at + f->head.len - 4, "\r\n\r\n", 4) == 0) {
            if (!read_head(f))
                f->stage = FORM_DATA_IS_BAD;
            return f->stage != FORM_DATA_IS_BAD;
        }
    }
    return false;
}

/* ---- parts ---- */

static struct slice name_of(const struct form_data *f)
{
    return slice_of(f->head.at + f->name_at, f->name_len);
}

static enum form_data_found head_ended(struct form_data *f, struct form_data_part *part)
{
    *part = (struct form_data_part){ .name = name_of(f) };
    buf_clear(&f->value);
    if (!slice_is_word(part->name, "file")) {
        f->stage = FORM_DATA_IN_VALUE;
        return FORM_DATA_MORE;
    }
    f->stage = FORM_DATA_IN_FILE;
    f->had_file = true;
    if (f->file_name_len > 0)
        part->file_name = slice_of(f->head.at + f->file_name_at, f->file_name_len);
    return FORM_DATA_FILE;
}

static void begin_delimiter(struct form_data *f)
{
    f->stage = FORM_DATA_IN_DELIMITER;
    buf_clear(&f->head);
}

static enum form_data_found take_value(struct form_data *f, struct slice *in,
                                       struct form_data_part *part)
{
    struct slice piece;
    bool ends = scan(f, in, &piece);

    if (piece.len > FORM_DATA_TEXT_MOST - f->value.len) {
        f->stage = FORM_DATA_IS_BAD;
        return FORM_DATA_TOO_LONG;
    }
    buf_slice(&f->value, piece);
    if (!ends)
        return FORM_DATA_MORE;
    *part = (struct form_data_part){ .name = name_of(f), .value = buf_all(&f->value) };
    /* The head is the part's until the next call: it is cleared with the next boundary's line. */
    f->stage = FORM_DATA_IN_DELIMITER;
    return FORM_DATA_FIELD;
}

static enum form_data_found take_file(struct form_data *f, struct slice *in,
                                      struct form_data_part *part)
{
    bool ends = f->ends_part || scan(f, in, &part->value);

    if (f->ends_part) {
        f->ends_part = false;
        begin_delimiter(f);
        return FORM_DATA_FILE_END;
    }
    if (part->value.len > 0) {
        f->ends_part = ends;
        return FORM_DATA_BYTES;
    }
    if (!ends)
        return FORM_DATA_MORE;
    begin_delimiter(f);
    return FORM_DATA_FILE_END;
}

/* What is neither a field nor the file. */
static enum form_data_found pass_over(struct form_data *f, struct slice *in)
{
    struct slice piece;

    if (scan(f, in, &piece))
        begin_delimiter(f);
    return FORM_DATA_MORE;
}

/* A step; FORM_DATA_MORE: go on while there are bytes. */
static enum form_data_found step(struct form_data *f, struct slice *in, struct form_data_part *part)
{
    switch (f->stage) {
    case FORM_DATA_IN_PREAMBLE:
    case FORM_DATA_IN_REST:
        return pass_over(f, in);
    case FORM_DATA_IN_DELIMITER:
        buf_clear(&f->head);
        if (take_line(f, in) && f->stage == FORM_DATA_IN_EPILOGUE)
            return FORM_DATA_END;
        return FORM_DATA_MORE;
    case FORM_DATA_IN_HEAD:
        return take_head(f, in) ? head_ended(f, part) : FORM_DATA_MORE;
    case FORM_DATA_IN_VALUE:
        return take_value(f, in, part);
    case FORM_DATA_IN_FILE:
        return take_file(f, in, part);
    case FORM_DATA_IN_EPILOGUE:
        *in = slice_from(*in, in->len);
        return FORM_DATA_MORE;
    case FORM_DATA_IS_BAD:
        break;
    }
    return FORM_DATA_BAD;
}

enum form_data_found form_data_next(struct form_data *f, struct slice *in,
                                    struct form_data_part *part)
{
    enum form_data_found found = FORM_DATA_MORE;

    *part = (struct form_data_part){ 0 };
    while (found == FORM_DATA_MORE && (in->len > 0 || f->ends_part || f->stage == FORM_DATA_IS_BAD))
        found = step(f, in, part);
    return found;
}
