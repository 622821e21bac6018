/* Documents of S3 in XML, read as their bytes come.  Elements are told by their path below the
 * root ("Contents/Owner/ID"); attributes and prefixes of names mean nothing to S3 and are passed
 * over.  Hostile documents are refused: declarations of types and entities, more bytes, depth or
 * text than allowed, a tag or comment that does not end.  Control characters that are written as
 * references (&#x1;) are legal in S3's keys, though not in XML 1.0, and are taken.
 *
 *     static const struct s3_xml_calls CALLS = { .opened = .., .closed = .. };
 *     struct s3_xml *xml = s3_xml_new(&CALLS, owner, 64 * 1024);
 *     TRY(s3_xml_feed(xml, bytes)); ...
 *     TRY(s3_xml_end(xml));
 *     s3_xml_free(&xml);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum {
    S3_XML_DEPTH = 8,          /* elements within each other, the root counted */
    S3_XML_PATH_BYTES = 256,   /* the names of them all */
    S3_XML_TEXT_BYTES = 65536, /* of one element: some errors repeat the whole request */
    S3_XML_TOKEN_BYTES = 4096, /* of one tag or comment */
};

struct s3_xml; /* owned by whoever made it; one thread */

/* Paths do not have the root's name in them; that of the root itself is empty.  What a call
 * returns ends the reading, if it is not ERR_NONE, and is what s3_xml_feed() returns.  Slices are
 * good during the call. */
struct s3_xml_calls {
    enum err (*root)(void *owner, struct slice name);
    enum err (*opened)(void *owner, struct slice path);                    /* may be NULL */
    enum err (*closed)(void *owner, struct slice path, struct slice text); /* its own text only */
};

/* No more than `limit` bytes of a document are taken. */
struct s3_xml *s3_xml_new(const struct s3_xml_calls *calls, void *owner, size_t limit);
/* ERR_SYNTAX if it can't become a document, ERR_LIMIT if one of the limits is reached. */
enum err s3_xml_feed(struct s3_xml *xml, struct slice in) MUST_CHECK;
/* ERR_SYNTAX if the document is not whole. */
enum err s3_xml_end(struct s3_xml *xml) MUST_CHECK;
void s3_xml_free(struct s3_xml **xml);
