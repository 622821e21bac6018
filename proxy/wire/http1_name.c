/* The names of header fields, and the texts of refusals: see http1.h.  A name is found by one hash
 * of its first and last bytes and one comparison, eight bytes at a time. */
#include "proxy/wire/http1.h"
#include "proxy/wire/http1_name_hash.h"
#include "proxy/wire/http1_name_index.h"
#include "proxy/wire/http1_token.h"

enum { SLOTS = 1 << HTTP1_NAME_INDEX_BITS };

static const uint8_t slots[SLOTS] = INDEX_SLOTS;

_Static_assert((int)HTTP1_NAME_MAX_BYTES < (int)HTTP1_NAME_ROOM, "the longest name has no room");

#define ALL_OF(len) ((UINT64_C(1) << (len)) - 1)
#define MANY                                                                                       \
    {                                                                                              \
        .due = UINT64_C(1) << 63                                                                   \
    }

const struct http1_name_text http1_name_texts[HTTP1_NAME_COUNT] = {
    [HTTP1_NAME_OTHER] = MANY,
#define HTTP1_NAME(name, text, may_repeat)                                                         \
    [HTTP1_NAME_##name] = { text, ALL_OF(sizeof(text) - 1), sizeof(text) - 1 },
#include "proxy/wire/http1_names.def"
#undef HTTP1_NAME
    [HTTP1_NAME_X_AMZ_META] = MANY,
    [HTTP1_NAME_X_AMZ_OTHER] = MANY,
};

const bool http1_token_bytes[256] = {
    ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true, ['!'] = true,  ['#'] = true,
    ['$'] = true,         ['%'] = true,         ['&'] = true,         ['\''] = true, ['*'] = true,
    ['+'] = true,         ['-'] = true,         ['.'] = true,         ['^'] = true,  ['_'] = true,
    ['`'] = true,         ['|'] = true,         ['~'] = true,
};

static inline bool is_same(const struct http1_name_text *text, struct slice name,
                           struct http1_name_ends ends)
{
    struct http1_name_ends own;

    if (text->len != name.len)
        return false;
    own = http1_name_ends(text->at, name.len);
    if (own.first != ends.first || own.last != ends.last)
        return false;
    for (size_t i = 8; i + 8 < name.len; i += 8) {
        if (http1_name_word(text->at + i) != http1_name_word(name.at + i))
            return false;
    }
    return true;
}

static bool begins(struct slice name, const char *word)
{
    size_t len = strlen(word);

    return name.len >= len && slice_is_word(slice_of(name.at, len), word);
}

static enum http1_name name_of_many(struct slice name)
{
    if (!begins(name, "x-amz-"))
        return HTTP1_NAME_OTHER;
    return begins(name, "x-amz-meta-") ? HTTP1_NAME_X_AMZ_META : HTTP1_NAME_X_AMZ_OTHER;
}

enum http1_name http1_name_of(struct slice name)
{
    struct http1_name_ends ends = http1_name_ends(name.at, name.len);
    unsigned slot = http1_name_hash(ends, name.len);

    for (; slots[slot] != 0; slot = (slot + 1) % SLOTS) {
        if (is_same(&http1_name_texts[slots[slot]], name, ends))
            return slots[slot];
    }
    return name_of_many(name);
}

/* --- Refusals -------------------------------------------------------------------------------- */

static const struct {
    unsigned status;
    const char *text;
} refusals[] = {
    [HTTP1_REFUSAL_NONE] = { 200, "fine" },
#define HTTP1_REFUSAL(name, status, text) [HTTP1_REFUSAL_##name] = { status, text },
#include "proxy/wire/http1_refusals.def"
#undef HTTP1_REFUSAL
};

unsigned http1_refusal_status(enum http1_refusal refusal)
{
    return refusals[refusal].status;
}

const char *http1_refusal_text(enum http1_refusal refusal)
{
    return refusals[refusal].text;
}
