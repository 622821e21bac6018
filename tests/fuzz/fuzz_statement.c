/* Any bytes as SQL: nothing crashes, leaks or ends the process, what is told lies within the text,
 * texts that differ only in spaces have one shape, and those that differ only in what a shape
 * leaves out one verdict. */
#include <stdlib.h>
#include <string.h>

#include "proxy/base/buf.h"
#include "replica/code_settings.h"
#include "replica/outline.h"
#include "replica/shape.h"
#include "replica/statement.h"
#include "replica/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static bool lies_within(struct slice part, struct slice text)
{
    return part.len == 0 || (part.at >= text.at && part.at + part.len <= text.at + text.len);
}

static void check_statement(const struct statement *s, struct slice text)
{
    must(s->reason != NULL && s->route <= ROUTE_PRIMARY);
    must(statement_kind_text(s->kind) != NULL);
    must(lies_within(s->text, text) && lies_within(s->types, text) &&
         lies_within(s->arguments, text));
    must(s->setting_count == 0 || s->settings != NULL);
    for (size_t i = 0; i < s->setting_count; i++)
        must(s->settings[i].text.len == 0 || s->settings[i].value.len > 0);
    if (s->inner != NULL)
        check_statement(s->inner, text);
}

static void check_script(const struct script *script, struct slice text)
{
    must(script->count <= SCRIPT_STATEMENT_LIMIT && script->reason != NULL);
    must(lies_within(script->hints.min_position, text));
    for (size_t i = 0; i < script->count; i++) {
        check_statement(&script->statements[i], text);
        must((script->effects & script->statements[i].effects) == script->statements[i].effects);
        must(script->route >= script->statements[i].route);
    }
}

/* The same with other values, other spaces, and without comments. */
static void write_alike(struct slice text, bool escapes, struct buf *out)
{
    struct token_reader reader = { text, escapes };
    struct token t;

    while (token_next_word(&reader, &t)) {
        if (t.kind == TOKEN_NUMBER)
            buf_text(out, "7");
        else if (t.kind == TOKEN_STRING)
            buf_text(out, "'x'");
        else
            buf_slice(out, t.text);
        buf_text(out, "\n");
    }
}

static void check_alike(const struct script *script, const struct shape *shape, struct slice text,
                        const struct statement_options *options)
{
    struct arena arena = { 0 };
    struct script other;
    struct shape other_shape;
    struct buf alike = { 0 };

    write_alike(text, options->backslash_escapes, &alike);
    if (shape_of(buf_all(&alike), options->backslash_escapes, &other_shape) &&
        other_shape.low == shape->low && other_shape.high == shape->high) {
        script_read(buf_all(&alike), options, &arena, &other);
        if (!script->is_error && !other.is_error && text.len < SCRIPT_PARSE_LIMIT &&
            alike.len < SCRIPT_PARSE_LIMIT) {
            must(script->may_be_remembered == other.may_be_remembered);
            if (script->may_be_remembered)
                must(script->route == other.route && script->effects == other.effects &&
                     script->statements[0].kind == other.statements[0].kind);
        }
    }
    buf_fini(&alike);
    arena_fini(&arena);
}

/* One token at a time, as the scanner cuts them, with a space between: what a shape does at once
 * for plain words, numbers and marks is no different. */
static void check_spaced(struct slice text, bool escapes, const struct shape *shape)
{
    struct token_reader reader = { text, escapes };
    struct buf spaced = { 0 };
    struct shape other;
    struct token t;

    while (token_next_word(&reader, &t)) {
        buf_slice(&spaced, t.text);
        buf_text(&spaced, " ");
    }
    must(shape_of(buf_all(&spaced), escapes, &other));
    must(other.low == shape->low && other.high == shape->high);
    buf_fini(&spaced);
}

static void read_it(struct slice text, const struct statement_options *options)
{
    struct arena arena = { 0 };
    struct script script;
    struct shape shape;

    script_read(text, options, &arena, &script);
    check_script(&script, text);
    if (shape_of(text, options->backslash_escapes, &shape)) {
        must((shape.low | shape.high) != 0);
        check_spaced(text, options->backslash_escapes, &shape);
        if (!options->hides_ascii && script.count > 0)
            check_alike(&script, &shape, text, options);
    }
    arena_fini(&arena);
}

/* What is masked is no ASCII in any of these encodings, and what is left stands where it stood. */
static void mask_it(struct slice text)
{
    static const char *const ENCODINGS[] = { "UTF8", "SJIS",    "BIG5", "GBK",
                                             "UHC",  "GB18030", "JOHAB" };
    uint8_t *masked = malloc(text.len + 1), *again = malloc(text.len + 1);

    for (size_t i = 0; i < sizeof(ENCODINGS) / sizeof(ENCODINGS[0]); i++) {
        struct slice encoding = slice_text(ENCODINGS[i]);
        bool hides = statement_encoding_hides_ascii(encoding);

        masked[text.len] = again[text.len] = 0x5a;
        statement_mask(encoding, text, masked);
        for (size_t k = 0; k < text.len; k++) {
            must(masked[k] == text.at[k] || (hides && masked[k] == 0xff));
            must(masked[k] == text.at[k] || masked[k - 1] >= 0x80); /* none is a first byte */
        }
        must(masked[text.len] == 0x5a);
        statement_mask(encoding, slice_of(masked, text.len), again);
        for (size_t k = 0; k < text.len; k++)
            must(masked[k] < 0x80 || again[k] >= 0x80);
    }
    free(masked);
    free(again);
}

/* What people are shown of it, and what it sets if it is code. */
static void tell_it(struct slice text)
{
    char out[256];
    struct slice rest = text, name;

    for (size_t room = 1; room <= sizeof(out); room += 51) {
        size_t len = outline_of(text, room & 1, out, room);

        must(len < room && out[len] == '\0');
    }
    while (code_setting_next(&rest, &name))
        must(name.len > 0 && name.len <= CODE_SETTING_BYTES && lies_within(name, text) &&
             lies_within(rest, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    static const struct statement_options OPTIONS[] = {
        { 0 },
        { .backslash_escapes = true, .tries_unknown_functions = true },
        { .hides_ascii = true },
    };
    uint8_t *copy = malloc(size + 1); /* ends where the text does: a look beyond it is seen */

    if (size > 0)
        memcpy(copy + 1, at, size);
    for (size_t i = 0; i < sizeof(OPTIONS) / sizeof(OPTIONS[0]); i++)
        read_it(slice_of(copy + 1, size), &OPTIONS[i]);
    mask_it(slice_of(copy + 1, size));
    tell_it(slice_of(copy + 1, size));
    free(copy);
    statement_forget_thread();
    return 0;
}
