/* See s3_xml.h.  Over expat, with what it lacks:
 *
 * - It knows XML 1.0, where a control character can't be written at all, and S3's keys have them as
 *   references.  They go through expat as noncharacters, U+FDD0 and on, one for each, and come back
 *   at the end of their element; what really is one of those has U+FDD0 before it meanwhile.
 * - A tag or comment that does not end would be kept, and scanned anew with each piece: it is
 *   refused when it is too long. */
#include "proxy/wire/s3_xml.h"

#include <assert.h>
#include <expat.h>
#include <stdlib.h>

#include "proxy/base/buf.h"
#include "proxy/base/mem.h"

enum {
    REFERENCE_BYTES = 12, /* &#x0000001F; longer ones are left to expat */
    STAND_IN_ESCAPE = 0,  /* what stands for itself is next */
    STAND_IN_FFFE = 9,    /* tabulators and ends of lines need no stand-in */
    STAND_IN_FFFF = 10,
    STAND_INS = 32,        /* U+FDD0 .. U+FDEF: EF B7 90 .. EF B7 AF */
    STAND_IN_FIRST = 0x90, /* the last byte of the first */
};

struct level {
    size_t path_len; /* before the name */
    bool has_child;
};

struct s3_xml {
    const struct s3_xml_calls *calls; /* borrowed: constant */
    void *owner;                      /* borrowed */
    XML_Parser parser;                /* owned */
    enum err err;                     /* why reading ended, or NONE */
    size_t limit, taken;              /* of the document; blanks before it are not counted */
    uint64_t shown, understood;       /* bytes that expat was given, and made events of */
    bool has_begun, in_cdata;
    uint8_t carry[REFERENCE_BYTES]; /* what may be a reference or stand-in, not yet whole */
    size_t carry_len;
    size_t depth;
    struct level levels[S3_XML_DEPTH];
    char path[S3_XML_PATH_BYTES];
    size_t path_len;
    struct buf text; /* owned: of the element that is open, raw */
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool has_text(const struct s3_xml *xml)
{
    for (size_t i = 0; i < xml->text.len; i++)
        if (!is_blank(xml->text.at[i]))
            return true;
    return false;
}

static void stop(struct s3_xml *xml, enum err err)
{
    if (xml->err != ERR_NONE || err == ERR_NONE)
        return;
    xml->err = err;
    XML_StopParser(xml->parser, XML_FALSE);
}

static void note_event(struct s3_xml *xml)
{
    xml->understood = (uint64_t)XML_GetCurrentByteIndex(xml->parser) +
                      (uint64_t)XML_GetCurrentByteCount(xml->parser);
}

/* ---- stand-ins ---- */

/* Which stand-in the three bytes are, or -1. */
static int stand_in_at(const uint8_t *at)
{
    if (at[0] != 0xEF || at[1] != 0xB7 || at[2] < STAND_IN_FIRST)
        return -1;
    return at[2] < STAND_IN_FIRST + STAND_INS ? at[2] - STAND_IN_FIRST : -1;
}

/* Gives the element's text back what went through expat in disguise. */
static struct slice text_unveil(struct buf *text)
{
    uint8_t *from = text->len > 0 ? memchr(text->at, 0xEF, text->len) : NULL, *to = from;
    uint8_t *end;

    if (from == NULL)
        return buf_all(text);
    end = text->at + text->len;
    while (from < end) {
        int which = end - from >= 3 ? stand_in_at(from) : -1;

        if (which < 0) {
            *to++ = *from++;
        } else if (which == STAND_IN_ESCAPE && end - from >= 6) {
            memmove(to, from + 3, 3);
            to += 3;
            from += 6;
        } else if (which == STAND_IN_FFFE || which == STAND_IN_FFFF) {
            *to++ = 0xEF;
            *to++ = 0xBF;
            *to++ = which == STAND_IN_FFFE ? 0xBE : 0xBF;
            from += 3;
        } else {
            *to++ = (uint8_t)which;
            from += 3;
        }
    }
    text->len = (size_t)(to - text->at);
    return buf_all(text);
}

/* ---- what expat calls ---- */

static void path_push(struct s3_xml *xml, struct slice name)
{
    size_t slash = xml->path_len > 0 ? 1 : 0;

    if (xml->path_len + slash + name.len > sizeof(xml->path)) {
        stop(xml, ERR_LIMIT);
        return;
    }
    if (slash > 0)
        xml->path[xml->path_len++] = '/';
    memcpy(xml->path + xml->path_len, name.at, name.len);
    xml->path_len += name.len;
}

static void XMLCALL on_open(void *owner, const XML_Char *full_name, const XML_Char **attributes)
{
    struct s3_xml *xml = owner;
    const char *colon = strrchr(full_name, ':');
    struct slice name = slice_text(colon != NULL ? colon + 1 : full_name);

    (void)attributes;
    note_event(xml);
    if (xml->err != ERR_NONE)
        return;
    if (has_text(xml)) {
        stop(xml, ERR_SYNTAX);
        return;
    }
    buf_clear(&xml->text);
    if (xml->depth == S3_XML_DEPTH) {
        stop(xml, ERR_LIMIT);
        return;
    }
    if (xml->depth > 0)
        xml->levels[xml->depth - 1].has_child = true;
    xml->levels[xml->depth++] = (struct level){ .path_len = xml->path_len };
    if (xml->depth == 1) {
        stop(xml, xml->calls->root(xml->owner, name));
        return;
    }
    path_push(xml, name);
    if (xml->err == ERR_NONE && xml->calls->opened != NULL)
        stop(xml, xml->calls->opened(xml->owner, slice_of(xml->path, xml->path_len)));
}

static void XMLCALL on_close(void *owner, const XML_Char *name)
{
    struct s3_xml *xml = owner;
    const struct level *level;

    (void)name;
    note_event(xml);
    if (xml->err != ERR_NONE)
        return;
    assert(xml->depth > 0);
    level = &xml->levels[--xml->depth];
    if (level->has_child && has_text(xml)) {
        stop(xml, ERR_SYNTAX);
        return;
    }
    if (level->has_child)
        buf_clear(&xml->text);
    stop(xml, xml->calls->closed(xml->owner, slice_of(xml->path, xml->path_len),
                                 text_unveil(&xml->text)));
    buf_clear(&xml->text);
    xml->path_len = level->path_len;
}

static void XMLCALL on_text(void *owner, const XML_Char *text, int len)
{
    struct s3_xml *xml = owner;

    note_event(xml);
    if (xml->err != ERR_NONE)
        return;
    if (xml->text.len + (size_t)len > S3_XML_TEXT_BYTES) {
        stop(xml, ERR_LIMIT);
        return;
    }
    /* "&#x1;" would be just these letters here, and has been taken for a reference. */
    for (int i = 0; xml->in_cdata && i + 2 < len; i++) {
        if (stand_in_at((const uint8_t *)text + i) >= 0) {
            stop(xml, ERR_SYNTAX);
            return;
        }
    }
    buf_put(&xml->text, text, (size_t)len);
}

static void XMLCALL on_cdata_open(void *owner)
{
    struct s3_xml *xml = owner;

    note_event(xml);
    xml->in_cdata = true;
}

static void XMLCALL on_cdata_close(void *owner)
{
    struct s3_xml *xml = owner;

    note_event(xml);
    xml->in_cdata = false;
}

/* Comments, declarations, blanks between. */
static void XMLCALL on_other(void *owner, const XML_Char *text, int len)
{
    (void)text;
    (void)len;
    note_event(owner);
}

static void XMLCALL on_doctype(void *owner, const XML_Char *name, const XML_Char *system,
                               const XML_Char *public, int has_subset)
{
    (void)name;
    (void)system;
    (void)public;
    (void)has_subset;
    stop(owner, ERR_SYNTAX);
}

/* ---- feeding ---- */

struct s3_xml *s3_xml_new(const struct s3_xml_calls *calls, void *owner, size_t limit)
{
    struct s3_xml *xml = mem_new(sizeof(*xml));

    *xml = (struct s3_xml){ .calls = calls, .owner = owner, .limit = limit };
    xml->parser = XML_ParserCreate("UTF-8");
    if (xml->parser == NULL)
        abort();
    XML_SetUserData(xml->parser, xml);
    XML_SetElementHandler(xml->parser, on_open, on_close);
    XML_SetCharacterDataHandler(xml->parser, on_text);
    XML_SetCdataSectionHandler(xml->parser, on_cdata_open, on_cdata_close);
    XML_SetStartDoctypeDeclHandler(xml->parser, on_doctype);
    XML_SetDefaultHandler(xml->parser, on_other);
    return xml;
}

void s3_xml_free(struct s3_xml **xml)
{
    if (*xml == NULL)
        return;
    XML_ParserFree((*xml)->parser);
    buf_fini(&(*xml)->text);
    free(*xml);
    *xml = NULL;
}

static enum err show(struct s3_xml *xml, struct slice in)
{
    if (in.len == 0)
        return ERR_NONE;
    xml->shown += in.len;
    if (XML_Parse(xml->parser, (const char *)in.at, (int)in.len, XML_FALSE) != XML_STATUS_OK)
        xml->err = xml->err != ERR_NONE ? xml->err : ERR_SYNTAX;
    else if (xml->shown - xml->understood > S3_XML_TOKEN_BYTES)
        xml->err = ERR_LIMIT;
    return xml->err;
}

enum special { SPECIAL_NOT, SPECIAL_PERHAPS, SPECIAL_IS };

/* The number of a reference, without its ends: "10" or "x1f"; UINT32_MAX if it is none. */
static uint32_t reference_value(struct slice text)
{
    bool is_hex = text.len > 0 && text.at[0] == 'x';
    uint32_t value = 0;

    if (is_hex)
        text = slice_from(text, 1);
    if (text.len == 0)
        return UINT32_MAX;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i], lower = c | 0x20;

        if (c >= '0' && c <= '9')
            value = value * (is_hex ? 16 : 10) + (c - '0');
        else if (is_hex && lower >= 'a' && lower <= 'f')
            value = value * 16 + (lower - 'a' + 10);
        else
            return UINT32_MAX;
        if (value > 0x10FFFF)
            return UINT32_MAX;
    }
    return value;
}

static size_t put_stand_in(uint8_t *out, uint32_t which)
{
    out[0] = 0xEF;
    out[1] = 0xB7;
    out[2] = (uint8_t)(STAND_IN_FIRST + which);
    return 3;
}

/* What goes to expat in place of the character: nothing if that is legal. */
static size_t stand_in_for(uint32_t code, uint8_t out[6])
{
    if (code == 0xFFFE || code == 0xFFFF)
        return put_stand_in(out, code == 0xFFFE ? STAND_IN_FFFE : STAND_IN_FFFF);
    if (code >= 0xFDD0 && code < 0xFDD0 + STAND_INS)
        return put_stand_in(out, STAND_IN_ESCAPE) + put_stand_in(out + 3, code - 0xFDD0);
    if (code > 0 && code < ' ' && code != '\t' && code != '\n' && code != '\r')
        return put_stand_in(out, code);
    return 0;
}

/* A reference, from its '&'. */
static enum special look_at_reference(struct slice in, size_t *len, uint32_t *code)
{
    size_t most = in.len < REFERENCE_BYTES ? in.len : REFERENCE_BYTES;
    const uint8_t *end = memchr(in.at, ';', most);

    if (in.len > 1 && in.at[1] != '#')
        return SPECIAL_NOT;
    if (end == NULL)
        return most < REFERENCE_BYTES ? SPECIAL_PERHAPS : SPECIAL_NOT;
    *len = (size_t)(end - in.at) + 1;
    if (*len < 4)
        return SPECIAL_NOT;
    *code = reference_value(slice_of(in.at + 2, *len - 3));
    return SPECIAL_IS;
}

/* A letter of three bytes, from its 0xEF; EF B7 and EF BF begin those that matter. */
static enum special look_at_letter(struct slice in, size_t *len, uint32_t *code)
{
    if (in.len > 1 && in.at[1] != 0xB7 && in.at[1] != 0xBF)
        return SPECIAL_NOT;
    if (in.len < 3)
        return SPECIAL_PERHAPS;
    if ((in.at[2] & 0xC0) != 0x80)
        return SPECIAL_NOT;
    *len = 3;
    *code = 0xF000 | (in.at[1] & 0x3Fu) << 6 | (in.at[2] & 0x3Fu);
    return SPECIAL_IS;
}

/* Whether an '&' or 0xEF begins something that needs a stand-in, which is then in `out`, and how
 * long it is. */
static enum special look_at(struct slice in, size_t *len, uint8_t out[6], size_t *out_len)
{
    uint32_t code = 0;
    enum special special =
        in.at[0] == '&' ? look_at_reference(in, len, &code) : look_at_letter(in, len, &code);

    if (special != SPECIAL_IS)
        return special;
    *out_len = stand_in_for(code, out);
    return *out_len > 0 ? SPECIAL_IS : SPECIAL_NOT;
}

static size_t place_of(struct slice in, size_t from, uint8_t byte)
{
    const uint8_t *found = from < in.len ? memchr(in.at + from, byte, in.len - from) : NULL;

    return found != NULL ? (size_t)(found - in.at) : in.len;
}

/* What was kept back gets one byte more, until it is clear. */
static enum err feed_carry(struct s3_xml *xml, struct slice *in)
{
    while (xml->carry_len > 0 && in->len > 0) {
        struct slice carry;
        uint8_t out[6];
        size_t len, out_len;
        enum special special;

        xml->carry[xml->carry_len++] = in->at[0];
        *in = slice_from(*in, 1);
        carry = slice_of(xml->carry, xml->carry_len);
        special = look_at(carry, &len, out, &out_len);
        if (special == SPECIAL_PERHAPS)
            continue;
        xml->carry_len = 0;
        if (special == SPECIAL_IS) {
            TRY(show(xml, slice_of(out, out_len)));
            continue;
        }
        /* Its last byte may itself begin one. */
        TRY(show(xml, slice_of(carry.at, carry.len - 1)));
        *in = slice_of(in->at - 1, in->len + 1);
        return ERR_NONE;
    }
    return ERR_NONE;
}

static enum err feed_rest(struct s3_xml *xml, struct slice in)
{
    size_t reference = place_of(in, 0, '&'), letter = place_of(in, 0, 0xEF), begun = 0;

    while (reference < in.len || letter < in.len) {
        size_t at = reference < letter ? reference : letter, next = at + 1, len, out_len;
        enum special special;
        uint8_t out[6];

        special = look_at(slice_from(in, at), &len, out, &out_len);
        if (special == SPECIAL_PERHAPS) {
            xml->carry_len = in.len - at;
            memcpy(xml->carry, in.at + at, xml->carry_len);
            return show(xml, slice_of(in.at + begun, at - begun));
        }
        if (special == SPECIAL_IS) {
            TRY(show(xml, slice_of(in.at + begun, at - begun)));
            TRY(show(xml, slice_of(out, out_len)));
            begun = next = at + len;
        }
        if (reference < next)
            reference = place_of(in, next, '&');
        if (letter < next)
            letter = place_of(in, next, 0xEF);
    }
    return show(xml, slice_from(in, begun));
}

enum err s3_xml_feed(struct s3_xml *xml, struct slice in)
{
    if (xml->err != ERR_NONE)
        return xml->err;
    while (!xml->has_begun && in.len > 0 && is_blank(in.at[0]))
        in = slice_from(in, 1); /* a store shows so that it is still at work */
    if (in.len == 0)
        return ERR_NONE;
    xml->has_begun = true;
    if (in.len > xml->limit - xml->taken)
        return xml->err = ERR_LIMIT;
    xml->taken += in.len;
    if (memchr(in.at, 0, in.len) != NULL)
        return xml->err = ERR_SYNTAX; /* no letter of XML; UTF-16, which expat would take, has it */
    TRY(feed_carry(xml, &in));
    return feed_rest(xml, in);
}

enum err s3_xml_end(struct s3_xml *xml)
{
    if (xml->err != ERR_NONE)
        return xml->err;
    if (XML_Parse(xml->parser, NULL, 0, XML_TRUE) != XML_STATUS_OK || xml->carry_len > 0)
        xml->err = xml->err != ERR_NONE ? xml->err : ERR_SYNTAX;
    return xml->err;
}
