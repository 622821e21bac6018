/* See s3_xml.h.  A document is a row of tokens: tags, comments, instructions, references, and runs
 * of text.  Each is taken from the bytes that came, where they lie; one that they end within waits
 * in `carry` for the rest.  Text between two tags is not copied, if it came in one piece. */
#include "proxy/wire/s3_xml.h"

#include <assert.h>
#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "proxy/base/buf.h"
#include "proxy/base/mem.h"
#include "proxy/wire/xml_text.h"

enum { CARRY_PIECE = 256 }; /* so much is put behind what waits; most tokens are shorter */

enum place {
    PLACE_MARK,  /* nothing so far; the mark of UTF-8 may stand here */
    PLACE_START, /* and here a declaration */
    PLACE_BEFORE,
    PLACE_WITHIN, /* the root */
    PLACE_CDATA,
    PLACE_BEHIND,
};

struct level {
    size_t path_len; /* before the name */
    size_t name_at;  /* in `names` */
    size_t name_len; /* it is what the path ends with; 0: it stands in `names` */
    bool has_child;
};

struct s3_xml {
    const struct s3_xml_calls *calls; /* borrowed: constant */
    void *owner;                      /* borrowed */
    enum err err;                     /* why reading ended, or NONE */
    size_t limit, taken;              /* of the document; blanks before it are not counted */
    enum place place;
    bool has_begun;
    struct buf carry; /* owned: a token that is not whole */
    size_t looked;    /* of that: no end of it before this */
    uint8_t quote;    /* of that: what was open there, or 0 */
    size_t depth;
    struct level levels[S3_XML_DEPTH];
    char path[S3_XML_PATH_BYTES];
    size_t path_len;
    struct buf names; /* owned: of the elements that are open, where the path has not all of it */
    struct buf text;  /* owned: of the element that is open */
    struct slice direct; /* the same, from what is being fed; then `text` is empty */
};

static void stop(struct s3_xml *xml, enum err err)
{
    if (xml->err == ERR_NONE)
        xml->err = err;
}

/* ---- text ---- */

/* What was fed is about to go. */
static void settle(struct s3_xml *xml)
{
    if (xml->direct.len > 0)
        buf_slice(&xml->text, xml->direct);
    xml->direct = (struct slice){ 0 };
}

static struct slice text_of(const struct s3_xml *xml)
{
    return xml->direct.len > 0 ? xml->direct : buf_all(&xml->text);
}

static void text_clear(struct s3_xml *xml)
{
    xml->direct = (struct slice){ 0 };
    buf_clear(&xml->text);
}

static bool has_text(const struct s3_xml *xml)
{
    struct slice text = text_of(xml);

    return xml_blanks(text) < text.len;
}

static bool text_has_room(struct s3_xml *xml, size_t len)
{
    if (len > S3_XML_TEXT_BYTES - text_of(xml).len)
        stop(xml, ERR_LIMIT);
    return xml->err == ERR_NONE;
}

static void put_copy(struct s3_xml *xml, const void *at, size_t len)
{
    if (!text_has_room(xml, len))
        return;
    settle(xml);
    buf_put(&xml->text, at, len);
}

static void put_piece(struct s3_xml *xml, struct slice piece)
{
    if (text_of(xml).len > 0)
        put_copy(xml, piece.at, piece.len);
    else if (text_has_room(xml, piece.len))
        xml->direct = piece;
}

/* ASCII that stands for itself in text. */
static const bool IS_PLAIN[256] = { ['\t'] = true,         ['\n'] = true,
                                    [' ' ... '%'] = true,  ['\'' ... ';'] = true,
                                    ['=' ... '\\'] = true, ['^' ... 0x7F] = true };

#ifdef __SSE2__
/* How many of them stand in a row, at least, in steps of 16. */
static size_t plain_steps(struct slice in)
{
    const __m128i blank = _mm_set1_epi8(' '), less = _mm_set1_epi8('<'), and = _mm_set1_epi8('&'),
                  bracket = _mm_set1_epi8(']');

    for (size_t at = 0;; at += 16) {
        __m128i bytes, special;
        unsigned which;

        if (in.len - at < 16)
            return at;
        bytes = _mm_loadu_si128((const __m128i *)(in.at + at));
        special = _mm_or_si128(_mm_cmplt_epi8(bytes, blank), _mm_cmpeq_epi8(bytes, less));
        special = _mm_or_si128(
            special, _mm_or_si128(_mm_cmpeq_epi8(bytes, and), _mm_cmpeq_epi8(bytes, bracket)));
        which = (unsigned)_mm_movemask_epi8(special);
        if (which != 0)
            return at + (size_t)__builtin_ctz(which);
    }
}
#else
static size_t plain_steps(struct slice in)
{
    (void)in;
    return 0;
}
#endif

static size_t run_at(struct slice in, bool is_cdata)
{
    size_t at = plain_steps(in), len;

    for (;;) {
        while (at < in.len && IS_PLAIN[in.at[at]])
            at++;
        if (at == in.len)
            return at;
        if (in.at[at] >= 0x80 && xml_letter(slice_from(in, at), &len) == XML_TAKEN)
            at += len;
        else if (is_cdata && (in.at[at] == '<' || in.at[at] == '&'))
            at++;
        else
            return at;
    }
}

/* Whether `in` begins with this, or may. */
static enum xml_take begins(struct slice in, const char *text, size_t *len)
{
    struct slice whole = slice_text(text);

    *len = whole.len;
    if (in.len < whole.len)
        return slice_starts(whole, in) ? XML_MORE : XML_BAD;
    return slice_starts(in, whole) ? XML_TAKEN : XML_BAD;
}

/* "]]>" ends CDATA, and may not stand in text. */
static enum xml_take take_bracket(struct s3_xml *xml, struct slice in, size_t *used)
{
    switch (begins(in, "]]>", used)) {
    case XML_MORE:
        return XML_MORE;
    case XML_BAD:
        put_piece(xml, slice_of(in.at, *used = 1));
        return XML_TAKEN;
    case XML_TAKEN:
        break;
    }
    if (xml->place != PLACE_CDATA)
        return XML_BAD;
    xml->place = PLACE_WITHIN;
    return XML_TAKEN;
}

static enum xml_take take_text(struct s3_xml *xml, struct slice in, size_t *used)
{
    size_t len = run_at(in, xml->place == PLACE_CDATA);

    if (len > 0) {
        put_piece(xml, slice_of(in.at, *used = len));
        return XML_TAKEN;
    }
    if (in.at[0] == ']')
        return take_bracket(xml, in, used);
    if (in.at[0] != '\r')
        return in.at[0] >= 0x80 ? xml_letter(in, &len) : XML_BAD;
    if (in.len == 1)
        return XML_MORE;
    if (in.at[1] != '\n') /* else that is what the end of a line is */
        put_copy(xml, "\n", 1);
    *used = 1;
    return XML_TAKEN;
}

static enum xml_take take_reference(struct s3_xml *xml, struct slice in, size_t *used)
{
    uint8_t letter[XML_LETTER_BYTES];
    size_t len;
    enum xml_take take = xml_reference(in, used, letter, &len);

    if (take == XML_TAKEN)
        put_copy(xml, letter, len);
    return take;
}

/* ---- elements ---- */

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

static struct slice local_name(struct slice name)
{
    const uint8_t *colon = memrchr(name.at, ':', name.len);

    return colon != NULL ? slice_from(name, (size_t)(colon + 1 - name.at)) : name;
}

static void tell_open(struct s3_xml *xml, struct slice name)
{
    if (xml->depth == 1) {
        stop(xml, xml->calls->root(xml->owner, name));
        return;
    }
    path_push(xml, name);
    if (xml->err == ERR_NONE && xml->calls->opened != NULL)
        stop(xml, xml->calls->opened(xml->owner, slice_of(xml->path, xml->path_len)));
}

/* `local`: the name without its prefix. */
static void element_open(struct s3_xml *xml, struct slice name, struct slice local)
{
    bool is_in_path = xml->depth > 0 && local.len == name.len;

    if (xml->place == PLACE_BEHIND || has_text(xml)) {
        stop(xml, ERR_SYNTAX);
        return;
    }
    text_clear(xml);
    if (xml->depth == S3_XML_DEPTH) {
        stop(xml, ERR_LIMIT);
        return;
    }
    xml->place = PLACE_WITHIN;
    if (xml->depth > 0)
        xml->levels[xml->depth - 1].has_child = true;
    xml->levels[xml->depth++] = (struct level){ .path_len = xml->path_len,
                                                .name_at = xml->names.len,
                                                .name_len = is_in_path ? name.len : 0 };
    if (!is_in_path)
        buf_slice(&xml->names, name);
    tell_open(xml, local);
}

static void element_close(struct s3_xml *xml)
{
    const struct level *level = &xml->levels[xml->depth - 1];

    if (xml->err != ERR_NONE)
        return;
    if (level->has_child && has_text(xml)) {
        stop(xml, ERR_SYNTAX);
        return;
    }
    if (level->has_child)
        text_clear(xml);
    stop(xml, xml->calls->closed(xml->owner, slice_of(xml->path, xml->path_len), text_of(xml)));
    text_clear(xml);
    xml->path_len = level->path_len;
    xml->names.len = level->name_at;
    if (--xml->depth == 0)
        xml->place = PLACE_BEHIND;
}

/* ---- what stands between < and > ---- */

static void read_open(struct s3_xml *xml, struct slice tag)
{
    bool is_empty = tag.len > 0 && tag.at[tag.len - 1] == '/';
    size_t len = xml_name(tag);

    tag.len -= is_empty;
    if (len == 0) {
        stop(xml, ERR_SYNTAX);
        return;
    }
    if (len < tag.len)
        stop(xml, xml_check_attributes(slice_from(tag, len)));
    if (xml->err == ERR_NONE)
        element_open(xml, slice_of(tag.at, len), local_name(slice_of(tag.at, len)));
    if (xml->err == ERR_NONE && is_empty)
        element_close(xml);
}

static struct slice name_of_open(const struct s3_xml *xml)
{
    const struct level *level = &xml->levels[xml->depth - 1];

    if (level->name_len > 0)
        return slice_of(xml->path + xml->path_len - level->name_len, level->name_len);
    return slice_from(buf_all(&xml->names), level->name_at);
}

static void read_close(struct s3_xml *xml, struct slice name)
{
    while (name.len > 0 && xml_is_blank(name.at[name.len - 1]))
        name.len--;
    if (xml->place != PLACE_WITHIN || !slice_is(name, name_of_open(xml)))
        stop(xml, ERR_SYNTAX);
    else
        element_close(xml);
}

#ifdef __SSE2__
/* The length of a name of less than 16 letters, as most are; 0: look closer. */
static size_t short_name(struct slice in)
{
    const __m128i small = _mm_set1_epi8(0x20), before = _mm_set1_epi8('a' - 1),
                  behind = _mm_set1_epi8('z' + 1);
    __m128i bytes;
    unsigned others;

    if (in.len < 16)
        return 0;
    bytes = _mm_or_si128(_mm_loadu_si128((const __m128i *)in.at), small);
    others = ~(unsigned)_mm_movemask_epi8(
        _mm_and_si128(_mm_cmpgt_epi8(bytes, before), _mm_cmplt_epi8(bytes, behind)));
    return (size_t)__builtin_ctz(others) % 16; /* those above 16 are set */
}
#else
static size_t short_name(struct slice in)
{
    (void)in;
    return 0;
}
#endif

/* What nearly all tags are: a name and no more.  Its length; 0: look closer. */
static size_t read_plain_tag(struct s3_xml *xml, struct slice in)
{
    bool is_close = in.at[1] == '/';
    struct slice rest = slice_from(in, is_close ? 2 : 1), name;
    size_t len = is_close ? 0 : short_name(rest);

    if (xml->place != PLACE_WITHIN)
        return 0;
    if (is_close)
        name = name_of_open(xml);
    else
        name = slice_of(rest.at, len > 0 && rest.at[len] == '>' ? len : xml_name(rest));
    if (name.len == 0 || rest.len <= name.len || rest.at[name.len] != '>' ||
        name.len > S3_XML_PATH_BYTES || (is_close && !slice_starts(rest, name)))
        return 0;
    if (is_close)
        element_close(xml);
    else
        element_open(xml, name, name.len == len ? name : local_name(name));
    return (size_t)(rest.at - in.at) + name.len + 1;
}

/* Without its question marks. */
static void read_instruction(struct s3_xml *xml, struct slice in)
{
    size_t len = xml_name(in);
    struct slice name = slice_of(in.at, len), rest = slice_from(in, len);
    bool is_good =
        len > 0 && (rest.len == 0 || xml_is_blank(rest.at[0])) && xml_is_sound(rest, false);

    if (slice_is_word(name, "xml"))
        is_good =
            xml->place <= PLACE_START && slice_is_text(name, "xml") && xml_is_declaration(rest);
    if (!is_good)
        stop(xml, ERR_SYNTAX);
}

/* ---- tokens ---- */

/* Where the tag ends: not within quotes. */
static enum xml_take tag_end(struct s3_xml *xml, struct slice in, size_t *end)
{
    uint8_t quote = xml->quote;

    for (size_t at = xml->looked; at < in.len; at++) {
        uint8_t c = in.at[at];

        if (quote != 0) {
            quote = c == quote ? 0 : quote;
        } else if (c == '>') {
            *end = at + 1;
            return XML_TAKEN;
        } else if (c == '"' || c == '\'') {
            quote = c;
        }
    }
    xml->looked = in.len;
    xml->quote = quote;
    return XML_MORE;
}

/* Where "?>" or "--" ends, which may not begin before `from`. */
static enum xml_take pair_end(struct s3_xml *xml, struct slice in, size_t from, const char *pair,
                              size_t *end)
{
    size_t begin = xml->looked > from ? xml->looked : from;
    const uint8_t *found = begin < in.len ? memmem(in.at + begin, in.len - begin, pair, 2) : NULL;

    if (found == NULL) {
        xml->looked = in.len - 1;
        return XML_MORE;
    }
    xml->looked = (size_t)(found - in.at);
    *end = xml->looked + 2;
    return XML_TAKEN;
}

static enum xml_take comment_end(struct s3_xml *xml, struct slice in, size_t *end)
{
    enum xml_take take = pair_end(xml, in, 4, "--", end);

    if (take != XML_TAKEN)
        return take;
    if (*end == in.len)
        return XML_MORE;
    return in.at[(*end)++] == '>' ? XML_TAKEN : XML_BAD;
}

static void read_markup(struct s3_xml *xml, struct slice token)
{
    struct slice inner = slice_of(token.at + 1, token.len - 2);

    if (token.at[1] == '/')
        read_close(xml, slice_from(inner, 1));
    else if (token.at[1] == '?')
        read_instruction(xml, slice_of(inner.at + 1, inner.len - 2));
    else if (token.at[1] != '!')
        read_open(xml, inner);
    else if (!xml_is_sound(inner, false))
        stop(xml, ERR_SYNTAX);
    if (xml->place < PLACE_BEFORE)
        xml->place = PLACE_BEFORE;
}

/* A comment or the beginning of CDATA; declarations of types and entities are not for us. */
static enum xml_take bang_end(struct s3_xml *xml, struct slice in, size_t *end)
{
    enum xml_take comment = begins(in, "<!--", end), cdata;

    if (comment == XML_TAKEN)
        return comment_end(xml, in, end);
    cdata = xml->place == PLACE_WITHIN ? begins(in, "<![CDATA[", end) : XML_BAD;
    if (cdata == XML_TAKEN)
        xml->place = PLACE_CDATA;
    return cdata == XML_BAD ? comment : cdata;
}

static enum xml_take take_markup(struct s3_xml *xml, struct slice in, size_t *used)
{
    enum xml_take take;

    if (in.len < 2)
        return XML_MORE;
    *used = read_plain_tag(xml, in);
    if (*used > 0) {
        xml->looked = xml->quote = 0;
        return XML_TAKEN;
    }
    if (xml->looked < 2)
        xml->looked = 2; /* "<>" is not a tag */
    if (in.at[1] == '!')
        take = bang_end(xml, in, used);
    else if (in.at[1] == '?')
        take = pair_end(xml, in, 2, "?>", used);
    else
        take = in.at[1] == '>' ? XML_BAD : tag_end(xml, in, used);
    if (take != XML_TAKEN)
        return take;
    xml->looked = xml->quote = 0;
    if (*used > S3_XML_TOKEN_BYTES)
        stop(xml, ERR_LIMIT);
    else if (xml->place != PLACE_CDATA)
        read_markup(xml, slice_of(in.at, *used));
    return XML_TAKEN;
}

/* Outside of the root. */
static enum xml_take take_beside(struct s3_xml *xml, struct slice in, size_t *used)
{
    enum xml_take mark = XML_BAD;

    *used = xml_blanks(in);
    if (*used > 0) {
        xml->place = xml->place < PLACE_BEFORE ? PLACE_BEFORE : xml->place;
        return XML_TAKEN;
    }
    if (xml->place == PLACE_MARK)
        mark = begins(in, "\xEF\xBB\xBF", used);
    if (mark == XML_TAKEN)
        xml->place = PLACE_START;
    return mark;
}

static enum xml_take take_token(struct s3_xml *xml, struct slice in, size_t *used)
{
    bool is_within = xml->place == PLACE_WITHIN;

    if (in.at[0] == '<' && xml->place != PLACE_CDATA)
        return take_markup(xml, in, used);
    if (in.at[0] == '&' && is_within)
        return take_reference(xml, in, used);
    if (is_within || xml->place == PLACE_CDATA)
        return take_text(xml, in, used);
    return take_beside(xml, in, used);
}

/* ---- feeding ---- */

struct s3_xml *s3_xml_new(const struct s3_xml_calls *calls, void *owner, size_t limit)
{
    struct s3_xml *xml = mem_new(sizeof(*xml));

    *xml = (struct s3_xml){ .calls = calls, .owner = owner, .limit = limit };
    return xml;
}

void s3_xml_free(struct s3_xml **xml)
{
    if (*xml == NULL)
        return;
    buf_fini(&(*xml)->carry);
    buf_fini(&(*xml)->names);
    buf_fini(&(*xml)->text);
    free(*xml);
    *xml = NULL;
}

/* Takes whole tokens that begin before `least`; where the next one begins is told. */
static size_t read_tokens(struct s3_xml *xml, struct slice in, size_t least)
{
    size_t at = 0, used = 0;

    while (at < least && xml->err == ERR_NONE) {
        enum xml_take take = take_token(xml, slice_from(in, at), &used);

        if (take == XML_BAD)
            stop(xml, ERR_SYNTAX);
        if (take != XML_TAKEN)
            break;
        assert(used > 0);
        at += used;
    }
    return at;
}

static void check_carry(struct s3_xml *xml)
{
    if (xml->carry.len > S3_XML_TOKEN_BYTES)
        stop(xml, ERR_LIMIT);
}

/* What waits gets some bytes more, until it is taken. */
static void read_carry(struct s3_xml *xml, struct slice *in)
{
    while (xml->carry.len > 0 && in->len > 0 && xml->err == ERR_NONE) {
        size_t before = xml->carry.len, more = in->len < CARRY_PIECE ? in->len : CARRY_PIECE, at;

        buf_put(&xml->carry, in->at, more);
        at = read_tokens(xml, buf_all(&xml->carry), before);
        settle(xml);
        if (at >= before) {
            *in = slice_from(*in, at - before);
            buf_clear(&xml->carry);
            return;
        }
        *in = slice_from(*in, more);
        buf_skip(&xml->carry, at);
        check_carry(xml);
    }
}

enum err s3_xml_feed(struct s3_xml *xml, struct slice in)
{
    if (xml->err != ERR_NONE)
        return xml->err;
    if (!xml->has_begun)
        in = slice_from(in, xml_blanks(in)); /* a store shows so that it is still at work */
    if (in.len == 0)
        return ERR_NONE;
    xml->has_begun = true;
    if (in.len > xml->limit - xml->taken)
        return xml->err = ERR_LIMIT;
    xml->taken += in.len;
    read_carry(xml, &in);
    in = slice_from(in, read_tokens(xml, in, in.len));
    settle(xml);
    if (in.len > 0 && xml->err == ERR_NONE) {
        buf_slice(&xml->carry, in);
        check_carry(xml);
    }
    return xml->err;
}

enum err s3_xml_end(struct s3_xml *xml)
{
    if (xml->place != PLACE_BEHIND || xml->carry.len > 0)
        stop(xml, ERR_SYNTAX);
    return xml->err;
}
