/* How expat reads a document: the oracle for s3_xml.h, which must read alike what both take, and
 * take nothing that expat refuses, nor refuse what expat takes, but where S3 or a limit is another
 * matter.  Both tell as text: "root=R +a +a/b -a/b=text -a= -=". */
#pragma once

#include <expat.h>

#include "proxy/base/buf.h"
#include "proxy/wire/s3_xml.h"
#include "proxy/wire/xml_text.h"

/* ---- ours ---- */

static inline enum err note_root(void *owner, struct slice name)
{
    buf_text(owner, "root=");
    buf_slice(owner, name);
    return slice_is_text(name, "Refused") ? ERR_RANGE : ERR_NONE;
}

static inline enum err note_opened(void *owner, struct slice path)
{
    buf_text(owner, " +");
    buf_slice(owner, path);
    return ERR_NONE;
}

static inline enum err note_closed(void *owner, struct slice path, struct slice text)
{
    buf_text(owner, " -");
    buf_slice(owner, path);
    buf_text(owner, "=");
    buf_slice(owner, text);
    return ERR_NONE;
}

/* In pieces of `step` bytes, each in memory of its own. */
static inline enum err read_in_steps(struct slice document, size_t step, size_t limit,
                                     struct buf *notes)
{
    static const struct s3_xml_calls NOTES = { note_root, note_opened, note_closed };
    struct s3_xml *xml = s3_xml_new(&NOTES, notes, limit);
    enum err err = ERR_NONE;

    while (document.len > 0 && err == ERR_NONE) {
        size_t len = document.len < step ? document.len : step;
        struct buf copy = { 0 };

        buf_put(&copy, document.at, len);
        err = s3_xml_feed(xml, buf_all(&copy));
        buf_fini(&copy);
        document = slice_from(document, len);
    }
    if (err == ERR_NONE)
        err = s3_xml_end(xml);
    s3_xml_free(&xml);
    return err;
}

/* ---- expat's ---- */

struct oracle {
    XML_Parser parser;
    struct buf notes, path, text; /* owned */
    size_t ends[S3_XML_DEPTH];    /* of the path, before each that is open */
    bool has_child[S3_XML_DEPTH];
    size_t depth;
    bool is_other; /* something that we refuse by a rule of our own */
};

static inline bool oracle_has_text(const struct oracle *o)
{
    return xml_blanks(buf_all(&o->text)) < o->text.len;
}

static inline void XMLCALL oracle_on_open(void *owner, const XML_Char *full,
                                          const XML_Char **attributes)
{
    struct oracle *o = owner;
    const char *colon = strrchr(full, ':');
    struct slice name = slice_text(colon != NULL ? colon + 1 : full);
    size_t count = 0;

    while (attributes[2 * count] != NULL)
        count++;
    o->is_other |= count > XML_ATTRIBUTES || o->depth == S3_XML_DEPTH || oracle_has_text(o);
    buf_clear(&o->text);
    if (o->is_other)
        return;
    if (o->depth > 0)
        o->has_child[o->depth - 1] = true;
    o->ends[o->depth] = o->path.len;
    o->has_child[o->depth++] = false;
    if (o->depth == 1) {
        o->is_other |= note_root(&o->notes, name) != ERR_NONE;
        return;
    }
    if (o->path.len > 0)
        buf_text(&o->path, "/");
    buf_slice(&o->path, name);
    o->is_other |= o->path.len > S3_XML_PATH_BYTES;
    (void)note_opened(&o->notes, buf_all(&o->path));
}

static inline void XMLCALL oracle_on_close(void *owner, const XML_Char *name)
{
    struct oracle *o = owner;

    (void)name;
    if (o->is_other)
        return;
    o->depth--;
    o->is_other |= o->has_child[o->depth] && oracle_has_text(o);
    if (o->has_child[o->depth])
        buf_clear(&o->text);
    (void)note_closed(&o->notes, buf_all(&o->path), buf_all(&o->text));
    buf_clear(&o->text);
    o->path.len = o->ends[o->depth];
}

static inline void XMLCALL oracle_on_text(void *owner, const XML_Char *text, int len)
{
    struct oracle *o = owner;

    buf_put(&o->text, text, (size_t)len);
    o->is_other |= o->text.len > S3_XML_TEXT_BYTES;
}

static inline void XMLCALL oracle_on_doctype(void *owner, const XML_Char *name,
                                             const XML_Char *system, const XML_Char *public,
                                             int has_subset)
{
    (void)name;
    (void)system;
    (void)public;
    (void)has_subset;
    ((struct oracle *)owner)->is_other = true;
}

/* Whether expat takes it. */
static inline bool oracle_read(struct oracle *o, struct slice document)
{
    bool is_taken;

    *o = (struct oracle){ .parser = XML_ParserCreate("UTF-8") };
    XML_SetUserData(o->parser, o);
    XML_SetElementHandler(o->parser, oracle_on_open, oracle_on_close);
    XML_SetCharacterDataHandler(o->parser, oracle_on_text);
    XML_SetStartDoctypeDeclHandler(o->parser, oracle_on_doctype);
    document = slice_from(document, xml_blanks(document));
    is_taken = XML_Parse(o->parser, (const char *)document.at, (int)document.len, XML_TRUE) ==
               XML_STATUS_OK;
    XML_ParserFree(o->parser);
    return is_taken;
}

static inline void oracle_done(struct oracle *o)
{
    buf_fini(&o->notes);
    buf_fini(&o->path);
    buf_fini(&o->text);
}

/* ---- both ---- */

/* What XML 1.0 can't say, and keys of S3 do: control characters and two noncharacters. */
static inline bool is_beyond_xml(struct slice document)
{
    for (; document.len > 0; document = slice_from(document, 1)) {
        uint8_t letter[XML_LETTER_BYTES] = { 0 };
        size_t len, letter_len = 0;
        bool is_reference = document.at[0] == '&' &&
                            xml_reference(document, &len, letter, &letter_len) == XML_TAKEN;

        if (is_reference && letter_len == 1 && letter[0] < ' ' && !xml_is_blank(letter[0]))
            return true;
        if (is_reference && letter_len == 3 && letter[0] == 0xEF && letter[1] == 0xBF &&
            letter[2] >= 0xBE)
            return true;
        if (slice_starts(document, slice_text("\xEF\xBF\xBE")) ||
            slice_starts(document, slice_text("\xEF\xBF\xBF")))
            return true;
    }
    return false;
}

/* Names of other letters than ASCII's, which are no names to us, stand outside of text only; and
 * expat takes UTF-16, which has zeros. */
static inline bool may_be_beyond_us(struct slice document)
{
    bool in_tag = false;

    for (size_t i = 0; i < document.len; i++) {
        uint8_t c = document.at[i];

        in_tag = c == '<' || (in_tag && c != '>');
        if (c == 0 || (in_tag && c >= 0x80))
            return true;
    }
    return false;
}

/* NULL: alike. */
static inline const char *oracle_differs(struct slice document, size_t step)
{
    struct buf notes = { 0 };
    struct oracle o;
    const char *problem = NULL;
    bool is_taken, is_ours;

    if (is_beyond_xml(document))
        return NULL;
    is_ours = read_in_steps(document, step, 1 << 20, &notes) == ERR_NONE;
    is_taken = oracle_read(&o, document);
    if (is_ours && !is_taken)
        problem = "we take what expat refuses";
    else if (is_ours && o.is_other)
        problem = "we take what we should refuse";
    else if (is_ours && !slice_is(buf_all(&notes), buf_all(&o.notes)))
        problem = "it is read otherwise";
    else if (!is_ours && is_taken && !o.is_other && !may_be_beyond_us(document))
        problem = "we refuse what expat takes";
    oracle_done(&o);
    buf_fini(&notes);
    return problem;
}
