/* What tags and text of XML are made of, as far as documents of S3 have it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum {
    XML_LETTER_BYTES = 4,
    XML_ATTRIBUTES = 16, /* of one element */
};

enum xml_take {
    XML_TAKEN,
    XML_MORE, /* what is there may become one */
    XML_BAD,
};

static inline bool xml_is_blank(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* How many stand at the front. */
size_t xml_blanks(struct slice in);
/* The letter of UTF-8 that stands at the front, of whatever length: not one that is overlong, of a
 * surrogate or too great.  `in` must not be empty. */
enum xml_take xml_letter(struct slice in, size_t *len);
/* The reference that `in` begins with, from its '&': one of the five that need no declaration, or a
 * number.  What it stands for goes to `out`.  Control characters, which XML 1.0 can't write, and
 * noncharacters are taken: keys of S3 have them. */
enum xml_take xml_reference(struct slice in, size_t *len, uint8_t out[XML_LETTER_BYTES],
                            size_t *out_len);
/* How long the name at the front is; 0: there is none.  Nothing that S3 or a store says has names
 * of other letters than ASCII's. */
size_t xml_name(struct slice in);
/* Whether these are letters of XML, and, of an attribute's value, references. */
bool xml_is_sound(struct slice in, bool is_value);
/* What stands behind an element's name: attributes, with blanks before each.  ERR_SYNTAX, or
 * ERR_LIMIT if there are too many. */
enum err xml_check_attributes(struct slice in) MUST_CHECK;
/* Whether this may stand behind "<?xml". */
bool xml_is_declaration(struct slice in);
