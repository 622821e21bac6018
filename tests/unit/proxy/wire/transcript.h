/* Reads golden transcripts of tests/wire: "> request" and "< reply" lines, bytes escaped as in
 * C. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

struct transcript {
    FILE *file;
    char *line; /* owned */
    size_t line_cap;
    struct buf request, reply;
};

/* `path` from tests/wire; ends the program if there is no such file. */
static inline struct transcript transcript_open(const char *path)
{
    struct transcript t = { 0 };
    const char *here = __FILE__; /* ROOT/tests/unit/proxy/wire/transcript.h */
    const char *root = strstr(here, "unit/proxy/wire/transcript.h");
    char full[1024];

    snprintf(full, sizeof(full), "%.*swire/%s", root == NULL ? 0 : (int)(root - here), here, path);
    t.file = fopen(full, "r");
    if (t.file == NULL) {
        printf("no transcript %s\n", full);
        exit(1);
    }
    return t;
}

static inline void transcript_unescape(const char *text, struct buf *out)
{
    buf_clear(out);
    for (; *text != '\0' && *text != '\n'; text++) {
        char byte = *text;

        if (byte == '\\') {
            unsigned value;

            byte = *++text;
            if (byte == 'x' && sscanf(text + 1, "%2x", &value) == 1) {
                byte = (char)value;
                text += 2;
            } else {
                byte = byte == 'n' ? '\n' : byte == 'r' ? '\r' : byte == 't' ? '\t' : byte;
            }
        }
        buf_put(out, &byte, 1);
    }
}

/* The next pair; false at the end, where all is given back. */
static inline bool transcript_next(struct transcript *t)
{
    while (getline(&t->line, &t->line_cap, t->file) > 0) {
        if (t->line[0] == '>')
            transcript_unescape(t->line + 2, &t->request);
        if (t->line[0] == '<') {
            transcript_unescape(t->line + 2, &t->reply);
            return true;
        }
    }
    fclose(t->file);
    free(t->line);
    buf_fini(&t->request);
    buf_fini(&t->reply);
    return false;
}
