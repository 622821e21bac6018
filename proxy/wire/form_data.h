/* multipart/form-data, as browsers send forms by POST: read as it comes, its file never as a whole.
 *
 *     struct form_data form;
 *     TRY(form_data_init(&form, content_type));
 *     while ((found = form_data_next(&form, &in, &part)) ...)
 *         FORM_DATA_MORE: `in` is used up           FORM_DATA_FIELD: part.name, part.value
 *         FORM_DATA_FILE: part.name, part.file_name FORM_DATA_BYTES: a piece of it, in part.value
 *         FORM_DATA_FILE_END: of the file           FORM_DATA_END: of the form; what follows is
 *         FORM_DATA_BAD: it is no such form                        passed over
 *     form_data_fini(&form);
 *
 * The part called "file" is the file; parts behind it are passed over.  Memory is bounded by
 * FORM_DATA_TEXT_MOST.  Delimiters must stand in lines that end in CR LF, as they do from all that
 * send forms. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum {
    FORM_DATA_BOUNDARY_MOST = 70, /* RFC 2046 */
    FORM_DATA_HEAD_MOST = 4096,   /* of one part */
    FORM_DATA_TEXT_MOST = 65536,  /* of one field */
    /* Behind a file that is the form's last part: "\r\n--BOUNDARY" and "--\r\n". */
    FORM_DATA_CLOSE_BYTES = 4,
};

enum form_data_found {
    FORM_DATA_MORE,
    FORM_DATA_FIELD,
    FORM_DATA_FILE,
    FORM_DATA_BYTES,
    FORM_DATA_FILE_END,
    FORM_DATA_END,
    FORM_DATA_TOO_LONG, /* a field */
    FORM_DATA_BAD,
};

/* Borrowed until the next call. */
struct form_data_part {
    struct slice name, value;
    struct slice file_name; /* of FORM_DATA_FILE: without the folders before it; may be empty */
};

enum form_data_stage {
    FORM_DATA_IN_PREAMBLE,
    FORM_DATA_IN_DELIMITER, /* behind the boundary */
    FORM_DATA_IN_HEAD,
    FORM_DATA_IN_VALUE,
    FORM_DATA_IN_FILE,
    FORM_DATA_IN_REST, /* a part behind the file */
    FORM_DATA_IN_EPILOGUE,
    FORM_DATA_IS_BAD,
};

struct form_data {
    enum form_data_stage stage;
    bool had_file, ends_part;
    uint8_t delimiter_len, matched; /* bytes of the delimiter that the last piece ended with */
    uint8_t line_len;
    char line[4]; /* what follows the boundary */
    char delimiter[4 + FORM_DATA_BOUNDARY_MOST];
    struct buf head, value;                                /* of the part */
    size_t name_at, name_len, file_name_at, file_name_len; /* within the head */
};

/* By the request's Content-Type; ERR_SYNTAX: that is not multipart/form-data with a boundary. */
enum err form_data_init(struct form_data *f, struct slice content_type) MUST_CHECK;
void form_data_fini(struct form_data *f);
enum form_data_found form_data_next(struct form_data *f, struct slice *in,
                                    struct form_data_part *part);
