#include "replica/position.h"

#include <inttypes.h>
#include <stdio.h>

enum { PAGE_HEADER_BYTES = 24, SEGMENT_HEADER_BYTES = 40, HALF_DIGITS = 8 };

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_half(struct slice text, uint64_t *out)
{
    uint64_t value = 0;

    if (text.len == 0 || text.len > HALF_DIGITS)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int digit = hex_digit(text.at[i]);

        if (digit < 0)
            return false;
        value = value << 4 | (uint64_t)digit;
    }
    *out = value;
    return true;
}

enum err position_parse_lsn(struct slice text, uint64_t *out)
{
    const uint8_t *slash = text.len == 0 ? NULL : memchr(text.at, '/', text.len);
    uint64_t high, low;
    size_t before;

    if (slash == NULL)
        return ERR_SYNTAX;
    before = (size_t)(slash - text.at);
    if (!parse_half(slice_of(text.at, before), &high) ||
        !parse_half(slice_from(text, before + 1), &low))
        return ERR_SYNTAX;
    *out = high << 32 | low;
    return ERR_NONE;
}

unsigned position_put_lsn(uint64_t lsn, char out[POSITION_LSN_TEXT])
{
    return (unsigned)snprintf(out, POSITION_LSN_TEXT, "%X/%X", (unsigned)(lsn >> 32),
                              (unsigned)lsn);
}

/* Takes what stands before the next colon. */
static bool take_field(struct slice *rest, struct slice *out)
{
    const uint8_t *colon = rest->len == 0 ? NULL : memchr(rest->at, ':', rest->len);

    if (colon == NULL)
        return false;
    *out = slice_of(rest->at, (size_t)(colon - rest->at));
    *rest = slice_from(*rest, out->len + 1);
    return true;
}

enum err position_parse(struct slice text, struct position *out)
{
    struct position parsed = { 0 };
    struct slice system, timeline, rest = text;
    uint64_t number;

    if (take_field(&rest, &system)) {
        if (!take_field(&rest, &timeline) || !slice_to_u64(system, &parsed.system) ||
            !slice_to_u64(timeline, &number) || parsed.system == 0 || number == 0)
            return ERR_SYNTAX;
        if (number > UINT32_MAX)
            return ERR_RANGE;
        parsed.timeline = (uint32_t)number;
    }
    TRY(position_parse_lsn(rest, &parsed.lsn));
    *out = parsed;
    return ERR_NONE;
}

unsigned position_put(const struct position *p, char out[POSITION_TEXT])
{
    char lsn[POSITION_LSN_TEXT];

    position_put_lsn(p->lsn, lsn);
    return (unsigned)snprintf(out, POSITION_TEXT, "%" PRIu64 ":%" PRIu32 ":%s", p->system,
                              p->timeline, lsn);
}

enum position_order position_compare(const struct position *needed, const struct position *at)
{
    if (position_is_none(needed))
        return POSITION_REACHED;
    if (needed->system != at->system || needed->timeline != at->timeline)
        return POSITION_FOREIGN; /* where an older timeline ended is not known */
    return at->lsn >= needed->lsn ? POSITION_REACHED : POSITION_BEFORE;
}

void position_keep(struct position *kept, const struct position *other)
{
    if (position_is_none(other))
        return;
    if (position_is_none(kept) || kept->system != other->system ||
        other->timeline > kept->timeline ||
        (other->timeline == kept->timeline && other->lsn > kept->lsn))
        *kept = *other;
}

uint64_t position_before_page_header(uint64_t insert_lsn, uint64_t segment_bytes)
{
    uint64_t in_page = insert_lsn % POSITION_PAGE_BYTES;

    if (in_page == PAGE_HEADER_BYTES ||
        (segment_bytes > 0 && insert_lsn % segment_bytes == SEGMENT_HEADER_BYTES))
        return insert_lsn - in_page;
    return insert_lsn;
}
