/* See xml_text.h. */
#include "proxy/wire/xml_text.h"

size_t xml_blanks(struct slice in)
{
    size_t len = 0;

    while (len < in.len && xml_is_blank(in.at[len]))
        len++;
    return len;
}

/* ---- letters ---- */

enum { CODE_MOST = 0x10FFFF, SURROGATES = 0xD800, SURROGATES_END = 0xE000 };

/* By its first byte; 0: that begins none. */
static size_t letter_len(uint8_t first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    return first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

enum xml_take xml_letter(struct slice in, size_t *len)
{
    /* What the second byte must be, where the first does not leave that to itself. */
    uint8_t first = in.at[0];
    uint8_t least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    uint8_t most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    size_t whole = letter_len(first);

    for (size_t i = 1; i < whole; i++) {
        if (i == in.len)
            return XML_MORE;
        if (in.at[i] < least || in.at[i] > most)
            return XML_BAD;
        least = 0x80;
        most = 0xBF;
    }
    *len = whole;
    return whole > 0 ? XML_TAKEN : XML_BAD;
}

/* ---- references ---- */

static size_t put_letter(uint32_t code, uint8_t out[XML_LETTER_BYTES])
{
    static const uint8_t FIRST[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    out[0] = (uint8_t)(FIRST[len] | code);
    return len;
}

static int digit_value(uint8_t c, bool is_hex)
{
    uint8_t lower = c | 0x20;

    if (c >= '0' && c <= '9')
        return c - '0';
    return is_hex && lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* From behind the "&#". */
static enum xml_take number_at(struct slice in, size_t *len, uint32_t *code)
{
    bool is_hex = in.len > 0 && in.at[0] == 'x';
    size_t first = is_hex ? 1 : 0, at = first;
    uint32_t value = 0;

    for (; at < in.len && in.at[at] != ';'; at++) {
        int digit = digit_value(in.at[at], is_hex);

        if (digit < 0)
            return XML_BAD;
        value = value * (is_hex ? 16 : 10) + (uint32_t)digit;
        if (value > CODE_MOST)
            return XML_BAD;
    }
    if (at == in.len)
        return XML_MORE;
    if (at == first || value == 0 || (value >= SURROGATES && value < SURROGATES_END))
        return XML_BAD;
    *len = at + 1;
    *code = value;
    return XML_TAKEN;
}

static enum xml_take name_at(struct slice in, size_t *len, uint32_t *code)
{
    static const struct {
        const char *name;
        uint8_t len, letter;
    } NAMES[] = { { "&quot;", 6, '"' },
                  { "&amp;", 5, '&' },
                  { "&lt;", 4, '<' },
                  { "&gt;", 4, '>' },
                  { "&apos;", 6, '\'' } };

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        struct slice name = slice_of(NAMES[i].name, NAMES[i].len);

        if (in.len > 1 && in.at[1] != name.at[1])
            continue;
        if (in.len < name.len && slice_starts(name, in))
            return XML_MORE;
        if (slice_starts(in, name)) {
            *len = name.len;
            *code = NAMES[i].letter;
            return XML_TAKEN;
        }
    }
    return XML_BAD;
}

enum xml_take xml_reference(struct slice in, size_t *len, uint8_t out[XML_LETTER_BYTES],
                            size_t *out_len)
{
    bool is_number = in.len > 1 && in.at[1] == '#';
    uint32_t code;
    enum xml_take take =
        is_number ? number_at(slice_from(in, 2), len, &code) : name_at(in, len, &code);

    if (take != XML_TAKEN)
        return take;
    *len += is_number ? 2 : 0;
    *out_len = put_letter(code, out);
    return XML_TAKEN;
}

/* ---- names and attributes ---- */

static const bool IS_NAME_START[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['_'] = true, [':'] = true
};
static const bool IS_NAME[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['_'] = true, [':'] = true,
    ['0' ... '9'] = true, ['-'] = true,         ['.'] = true
};

size_t xml_name(struct slice in)
{
    size_t len = 0;

    if (in.len == 0 || !IS_NAME_START[in.at[0]])
        return 0;
    while (len < in.len && IS_NAME[in.at[len]])
        len++;
    return len;
}

bool xml_is_sound(struct slice in, bool is_value)
{
    while (in.len > 0) {
        uint8_t c = in.at[0], letter[XML_LETTER_BYTES];
        size_t len = 1, letter_len;

        if (is_value && c == '<')
            return false;
        if (is_value && c == '&') {
            if (xml_reference(in, &len, letter, &letter_len) != XML_TAKEN)
                return false;
        } else if ((c < ' ' && !xml_is_blank(c)) || xml_letter(in, &len) != XML_TAKEN) {
            return false;
        }
        in = slice_from(in, len);
    }
    return true;
}

/* name = "value", of which the value's place is told; 0: there is none such. */
static size_t attribute_at(struct slice in, size_t *name_len, struct slice *value)
{
    size_t at = *name_len = xml_name(in);
    const uint8_t *end;

    at += xml_blanks(slice_from(in, at));
    if (*name_len == 0 || at == in.len || in.at[at++] != '=')
        return 0;
    at += xml_blanks(slice_from(in, at));
    if (at == in.len || (in.at[at] != '"' && in.at[at] != '\''))
        return 0;
    end = memchr(in.at + at + 1, in.at[at], in.len - at - 1);
    if (end == NULL)
        return 0;
    *value = slice_of(in.at + at + 1, (size_t)(end - in.at) - at - 1);
    return (size_t)(end + 1 - in.at);
}

enum err xml_check_attributes(struct slice in)
{
    struct slice names[XML_ATTRIBUTES], value;
    size_t count = 0;

    while (in.len > 0) {
        size_t blanks = xml_blanks(in), name_len, len;

        if (blanks == 0)
            return ERR_SYNTAX;
        in = slice_from(in, blanks);
        if (in.len == 0)
            return ERR_NONE;
        len = attribute_at(in, &name_len, &value);
        if (len == 0 || !xml_is_sound(value, true))
            return ERR_SYNTAX;
        if (count == XML_ATTRIBUTES)
            return ERR_LIMIT;
        names[count] = slice_of(in.at, name_len);
        for (size_t i = 0; i < count; i++)
            if (slice_is(names[i], names[count]))
                return ERR_SYNTAX;
        count++;
        in = slice_from(in, len);
    }
    return ERR_NONE;
}

static bool is_declared(size_t which, struct slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if (!IS_NAME[value.at[i]] || value.at[i] == ':')
            return false;
    if (which == 2)
        return slice_is_text(value, "yes") || slice_is_text(value, "no");
    return which == 0 || xml_name(value) > 0;
}

/* <?xml version="1.0" encoding="UTF-8" standalone="yes"?>, of which the last two may be missing.
 * What is not UTF-8 is found by its bytes. */
bool xml_is_declaration(struct slice in)
{
    static const char *const NAMES[] = { "version", "encoding", "standalone" };
    size_t which = 0;

    for (bool is_first = true;; is_first = false) {
        size_t blanks = xml_blanks(in), name_len, len;
        struct slice value;

        in = slice_from(in, blanks);
        if (in.len == 0)
            return !is_first;
        len = attribute_at(in, &name_len, &value);
        while (which < 3 && !slice_is_text(slice_of(in.at, name_len), NAMES[which]))
            which++;
        if (blanks == 0 || len == 0 || which == 3 || is_first != (which == 0) ||
            !is_declared(which, value))
            return false;
        which++;
        in = slice_from(in, len);
    }
}
