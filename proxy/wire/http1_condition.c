/* See http1_condition.h. */
#include "proxy/wire/http1_condition.h"

#include "proxy/wire/http1.h"

/* What does not fit is beyond every object: as far as one can say. */
static bool number_read(struct slice text, uint64_t *value)
{
    if (slice_to_u64(text, value))
        return true;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
    }
    *value = UINT64_MAX;
    return text.len > 0;
}

/* A number and the byte behind it; false: no number there, or another byte. */
static bool number_take(struct slice *rest, uint8_t end, uint64_t *value)
{
    size_t digits = 0;

    while (digits < rest->len && rest->at[digits] >= '0' && rest->at[digits] <= '9')
        digits++;
    if (digits == rest->len || rest->at[digits] != end)
        return false;
    if (!number_read(slice_of(rest->at, digits), value))
        return false;
    *rest = slice_from(*rest, digits + 1);
    return true;
}

static bool unit_take(struct slice *rest, const char *unit)
{
    size_t len = strlen(unit);

    if (rest->len < len || !slice_is_word(slice_of(rest->at, len), unit))
        return false;
    *rest = slice_from(*rest, len);
    return true;
}

enum err http1_range_read(struct slice value, struct http1_range *out)
{
    struct http1_range range = { .last = UINT64_MAX };

    if (!unit_take(&value, "bytes=") || value.len == 0)
        return ERR_UNSUPPORTED;
    if (value.at[0] == '-') {
        range.is_suffix = true;
        if (!number_read(slice_from(value, 1), &range.last))
            return ERR_UNSUPPORTED;
    } else {
        if (!number_take(&value, '-', &range.first))
            return ERR_UNSUPPORTED;
        if (value.len > 0 && !number_read(value, &range.last))
            return ERR_UNSUPPORTED;
        if (range.last < range.first)
            return ERR_UNSUPPORTED;
    }
    *out = range;
    return ERR_NONE;
}

enum err http1_range_apply(const struct http1_range *range, uint64_t size, uint64_t *first,
                           uint64_t *last)
{
    if (size == 0)
        return ERR_RANGE;
    if (range->is_suffix) {
        if (range->last == 0)
            return ERR_RANGE;
        *first = range->last < size ? size - range->last : 0;
        *last = size - 1;
        return ERR_NONE;
    }
    if (range->first >= size)
        return ERR_RANGE;
    *first = range->first;
    *last = range->last < size ? range->last : size - 1;
    return ERR_NONE;
}

enum err http1_content_range_read(struct slice value, struct http1_content_range *out)
{
    struct http1_content_range range = { 0 };

    if (!unit_take(&value, "bytes ") || !number_take(&value, '-', &range.first) ||
        !number_take(&value, '/', &range.last) || range.last < range.first)
        return ERR_SYNTAX;
    range.has_size = !slice_is_text(value, "*");
    if (range.has_size && (!slice_to_u64(value, &range.size) || range.size <= range.last))
        return ERR_SYNTAX;
    *out = range;
    return ERR_NONE;
}

/* --- Entity tags ----------------------------------------------------------------------------- */

struct etag {
    struct slice text; /* without quotes */
    bool is_weak, is_quoted;
};

/* The tag at the front of a list, and the comma behind it; false: no more. */
static bool etag_take(struct slice *rest, struct etag *out)
{
    const uint8_t *end;

    while (rest->len > 0 && (rest->at[0] == ' ' || rest->at[0] == '\t' || rest->at[0] == ','))
        *rest = slice_from(*rest, 1);
    if (rest->len == 0)
        return false;
    out->is_weak = rest->len >= 2 && rest->at[0] == 'W' && rest->at[1] == '/';
    if (out->is_weak)
        *rest = slice_from(*rest, 2);
    out->is_quoted = rest->len > 0 && rest->at[0] == '"';
    if (out->is_quoted) {
        /* Between quotes a comma is a letter like others. */
        *rest = slice_from(*rest, 1);
        end = rest->len > 0 ? memchr(rest->at, '"', rest->len) : NULL;
    } else {
        end = rest->len > 0 ? memchr(rest->at, ',', rest->len) : NULL;
    }
    out->text = slice_of(rest->at, end == NULL ? rest->len : (size_t)(end - rest->at));
    *rest = slice_from(*rest, end == NULL ? rest->len : out->text.len + 1);
    while (out->text.len > 0 && out->text.at[out->text.len - 1] == ' ')
        out->text.len--;
    return true;
}

bool http1_etag_matches(struct slice list, struct slice etag, enum http1_compare compare)
{
    struct etag mine, theirs;

    if (!etag_take(&etag, &mine))
        return false;
    while (etag_take(&list, &theirs)) {
        if (!theirs.is_quoted && slice_is_text(theirs.text, "*"))
            return true;
        if (compare == HTTP1_COMPARE_STRONG && (mine.is_weak || theirs.is_weak))
            continue;
        if (slice_is(mine.text, theirs.text))
            return true;
    }
    return false;
}
