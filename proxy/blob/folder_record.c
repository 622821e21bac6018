/* Metadata as text, see the header.  Pure. */
#include "proxy/blob/folder_record.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proxy/base/mem.h"

static bool needs_escape(uint8_t c, bool is_name)
{
    return c == '%' || c < 0x20 || c == 0x7f || (is_name && c == ' ');
}

void folder_escape(struct slice text, bool is_name, struct buf *out)
{
    static const char HEX[] = "0123456789ABCDEF";
    uint8_t *at = buf_reserve(out, text.len * 3);
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];

        if (needs_escape(c, is_name)) {
            at[len++] = '%';
            at[len++] = (uint8_t)HEX[c >> 4];
            at[len++] = (uint8_t)HEX[c & 15];
        } else {
            at[len++] = c;
        }
    }
    buf_grow(out, len);
}

static int digit(uint8_t c, bool upper)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (upper && c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return !upper && c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum err folder_unescape(struct slice text, struct buf *out)
{
    uint8_t *at = buf_reserve(out, text.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];

        if (c == '%') {
            int high = i + 2 < text.len ? digit(text.at[i + 1], true) : -1;
            int low = high < 0 ? -1 : digit(text.at[i + 2], true);

            if (low < 0)
                return ERR_SYNTAX;
            c = (uint8_t)(high * 16 + low);
            i += 2;
        }
        at[len++] = c;
    }
    buf_grow(out, len);
    return ERR_NONE;
}

enum folder_outcome folder_pairs_write(const struct folder_pair *pairs, size_t count,
                                       struct buf *out)
{
    if (count > FOLDER_PAIRS)
        return FOLDER_META_TOO_LARGE;
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].name.len + pairs[i].value.len > FOLDER_RECORD_BYTES)
            return FOLDER_META_TOO_LARGE;
        buf_put(out, &(char){ (char)pairs[i].kind }, 1);
        folder_escape(pairs[i].name, true, out);
        buf_text(out, " ");
        folder_escape(pairs[i].value, false, out);
        buf_text(out, "\n");
        if (out->len > FOLDER_RECORD_BYTES)
            return FOLDER_META_TOO_LARGE;
    }
    return FOLDER_OK;
}

enum folder_outcome folder_record_write(const struct folder_record *record,
                                        const struct folder_pair *pairs, size_t count,
                                        struct buf *out)
{
    buf_format(out, "1 %" PRIx64 " %" PRIx64 " %s %u\n", record->size,
               (uint64_t)record->modified_ns, record->etag, record->parts);
    return folder_pairs_write(pairs, count, out);
}

/* Takes a word that ends with `end` off the text. */
static enum err take_word(struct slice *text, char end, struct slice *out)
{
    const uint8_t *found = text->len == 0 ? NULL : memchr(text->at, end, text->len);

    if (found == NULL)
        return ERR_SYNTAX;
    *out = slice_of(text->at, (size_t)(found - text->at));
    *text = slice_from(*text, out->len + 1);
    return ERR_NONE;
}

static enum err take_hex(struct slice *text, uint64_t *out)
{
    struct slice word = { 0 };
    uint64_t value = 0;

    TRY(take_word(text, ' ', &word));
    if (word.len == 0 || word.len > 16)
        return ERR_SYNTAX;
    for (size_t i = 0; i < word.len; i++) {
        int each = digit(word.at[i], false);

        if (each < 0)
            return ERR_SYNTAX;
        value = value << 4 | (unsigned)each;
    }
    *out = value;
    return ERR_NONE;
}

enum err folder_record_read(struct slice text, struct folder_record *out, struct slice *rest)
{
    struct folder_record record = { 0 };
    struct slice word = { 0 };
    uint64_t modified = 0, parts = 0;

    TRY(take_word(&text, ' ', &word));
    if (!slice_is_text(word, "1"))
        return ERR_UNSUPPORTED;
    TRY(take_hex(&text, &record.size));
    TRY(take_hex(&text, &modified));
    TRY(take_word(&text, ' ', &word));
    if (word.len == 0 || word.len >= sizeof(record.etag))
        return ERR_SYNTAX;
    for (size_t i = 0; i < word.len; i++)
        if (word.at[i] <= ' ' || word.at[i] >= 0x7f || word.at[i] == '"')
            return ERR_SYNTAX;
    memcpy(record.etag, word.at, word.len);
    TRY(take_word(&text, '\n', &word));
    if (!slice_to_u64(word, &parts) || parts > 10000)
        return ERR_SYNTAX;
    record.modified_ns = (int64_t)modified;
    record.parts = (unsigned)parts;
    *out = record;
    *rest = text;
    return ERR_NONE;
}

void folder_record_split(struct slice rest, struct slice *pairs, struct slice *parts)
{
    const uint8_t *end = rest.len == 0 ? NULL : memmem(rest.at, rest.len, "\n\n", 2);
    size_t len = end == NULL ? rest.len : (size_t)(end - rest.at) + 1;

    if (rest.len > 0 && rest.at[0] == '\n')
        len = 0; /* there are no pairs */
    *pairs = slice_of(rest.at, len);
    *parts = len < rest.len ? slice_from(rest, len + 1) : (struct slice){ 0 };
}

/* Counts the lines and sees that each is one of ours. */
static enum err check_lines(struct slice text, size_t *lines)
{
    struct slice line = { 0 };

    for (*lines = 0; text.len > 0; (*lines)++) {
        TRY(take_word(&text, '\n', &line));
        if (line.len < 2 || *lines == FOLDER_PAIRS || memchr(line.at, ' ', line.len) == NULL)
            return ERR_SYNTAX;
        if (line.at[0] != FOLDER_HEADER && line.at[0] != FOLDER_SUM && line.at[0] != FOLDER_TAG)
            return ERR_SYNTAX;
    }
    return ERR_NONE;
}

enum err folder_pairs_read(struct slice text, struct folder_object *object)
{
    struct buf held = { 0 };
    struct folder_pair *pairs = NULL;
    size_t lines = 0;
    enum err err = text.len > 2 * FOLDER_RECORD_BYTES ? ERR_SYNTAX : check_lines(text, &lines);

    if (err != ERR_NONE || lines == 0)
        return err;
    pairs = mem_new(lines * sizeof(*pairs));
    buf_reserve(&held, text.len + 1); /* never moves again: slices point into it */
    for (size_t i = 0; i < lines; i++) {
        struct slice line = { 0 }, name = { 0 };
        size_t began = held.len;

        if (take_word(&text, '\n', &line) != ERR_NONE || take_word(&line, ' ', &name) != ERR_NONE)
            goto fail;
        pairs[i].kind = (enum folder_kind)name.at[0];
        if (folder_unescape(slice_from(name, 1), &held) != ERR_NONE)
            goto fail;
        pairs[i].name = slice_of(held.at + began, held.len - began);
        began = held.len;
        if (folder_unescape(line, &held) != ERR_NONE)
            goto fail;
        pairs[i].value = slice_of(held.at + began, held.len - began);
    }
    object->text = held;
    object->pairs = pairs;
    object->pair_count = lines;
    return ERR_NONE;
fail:
    buf_fini(&held);
    free(pairs);
    return ERR_SYNTAX;
}
