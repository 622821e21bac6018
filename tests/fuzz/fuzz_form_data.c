/* Any bytes as a form: in one piece and in pieces it has the same fields, the same file and the
 * same end.  And any bytes as the file of a form that is well made: they come out as they are. */
#include <stdlib.h>

#include "proxy/wire/form_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static const char TYPE[] = "multipart/form-data; boundary=\"-b\"";

static void must(bool condition)
{
    if (!condition)
        abort();
}

struct outcome {
    enum form_data_found last; /* END, TOO_LONG, BAD; MORE: it does not end */
    struct buf said, file;
};

static void note(struct outcome *o, enum form_data_found found, const struct form_data_part *part)
{
    switch (found) {
    case FORM_DATA_FIELD:
        must(part->name.len > 0 && part->name.len < FORM_DATA_HEAD_MOST);
        must(part->value.len <= FORM_DATA_TEXT_MOST);
        buf_slice(&o->said, part->name);
        buf_text(&o->said, "=");
        buf_slice(&o->said, part->value);
        return;
    case FORM_DATA_FILE:
        buf_text(&o->said, "<");
        buf_slice(&o->said, part->file_name);
        return;
    case FORM_DATA_BYTES:
        must(part->value.len > 0);
        buf_slice(&o->file, part->value);
        return;
    case FORM_DATA_FILE_END:
        buf_text(&o->said, ">");
        return;
    case FORM_DATA_MORE:
        return;
    case FORM_DATA_END:
    case FORM_DATA_TOO_LONG:
    case FORM_DATA_BAD:
        o->last = found;
    }
}

/* In pieces of up to `most` bytes, each in memory of its own. */
static void read_form(struct slice in, size_t most, struct outcome *o)
{
    struct form_data f;
    struct form_data_part part;

    *o = (struct outcome){ .last = FORM_DATA_MORE };
    must(form_data_init(&f, slice_text(TYPE)) == ERR_NONE);
    while (in.len > 0 && o->last < FORM_DATA_TOO_LONG) {
        size_t len = in.len < most ? in.len : most;
        uint8_t *own = malloc(len);
        struct slice piece = slice_of(own, len);
        enum form_data_found found;

        memcpy(own, in.at, len);
        in = slice_from(in, len);
        while ((found = form_data_next(&f, &piece, &part)) != FORM_DATA_MORE &&
               found < FORM_DATA_TOO_LONG)
            note(o, found, &part);
        note(o, found, &part);
        must(found != FORM_DATA_MORE || piece.len == 0);
        free(own);
    }
    form_data_fini(&f);
}

static void outcome_fini(struct outcome *o)
{
    buf_fini(&o->said);
    buf_fini(&o->file);
}

static void read_in_all_ways(struct slice in, struct outcome *whole)
{
    static const size_t most[] = { 1, 2, 5, 64 };

    read_form(in, SIZE_MAX, whole);
    for (size_t i = 0; i < sizeof(most) / sizeof(*most); i++) {
        struct outcome o;

        read_form(in, most[i], &o);
        must(o.last == whole->last);
        must(slice_is(buf_all(&o.said), buf_all(&whole->said)));
        if (o.last < FORM_DATA_TOO_LONG)
            must(slice_is(buf_all(&o.file), buf_all(&whole->file)));
        outcome_fini(&o);
    }
}

static void as_it_came(struct slice in)
{
    struct outcome whole;

    read_in_all_ways(in, &whole);
    outcome_fini(&whole);
}

static void as_a_file(struct slice file)
{
    struct buf form = { 0 };
    struct outcome whole;

    if (memmem(file.at, file.len, "\r\n---b", 6) != NULL)
        return;
    buf_text(&form, "---b\r\nContent-Disposition: form-data; name=key\r\n\r\nk\r\n---b\r\n"
                    "Content-Disposition: form-data; name=file; filename=n\r\n\r\n");
    buf_slice(&form, file);
    buf_text(&form, "\r\n---b--\r\n");
    read_in_all_ways(buf_all(&form), &whole);
    must(whole.last == FORM_DATA_END);
    must(slice_is(buf_all(&whole.said), slice_text("key=k<n>")));
    must(slice_is(buf_all(&whole.file), file));
    outcome_fini(&whole);
    buf_fini(&form);
}

static void as_a_type(struct slice type)
{
    struct form_data f;

    if (form_data_init(&f, type) == ERR_NONE)
        must(f.delimiter_len > 4 && f.delimiter_len <= sizeof(f.delimiter));
    form_data_fini(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    if (size < 1)
        return 0;
    if (at[0] == 'T')
        as_a_type(slice_of(at + 1, size - 1));
    else if (at[0] == 'F')
        as_a_file(slice_of(at + 1, size - 1));
    else
        as_it_came(slice_of(at, size));
    return 0;
}
