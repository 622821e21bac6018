/* Answers from stores: read at once or piece by piece they tell the same; a list that we write of
 * what was read is read as the same list. */
#include <stdlib.h>

#include "proxy/wire/s3_reply_xml.h"
#include "proxy/wire/s3_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

enum { ENTRIES_MOST = 1000 };

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* All that was told, as one row of bytes; and the same entries written again. */
struct told {
    struct buf seen;
    struct s3_list_writer writer;
    const struct s3_entry *before;
    struct arena arena;
    size_t count;
};

static void note(struct told *told, struct slice text)
{
    buf_slice(&told->seen, text);
    buf_put(&told->seen, "|", 1);
}

static enum err take(void *owner, const struct s3_entry *entry)
{
    struct told *told = owner;
    const struct s3_entry *copy = s3_entry_copy(&told->arena, entry, told->before);

    require(entry->name.len > 0 || entry->kind == S3_ENTRY_PART);
    told->before = copy;
    buf_format(&told->seen, "%d %d %u %llu %lld ", copy->kind, copy->is_latest, copy->part,
               (unsigned long long)copy->size, (long long)copy->time_ms);
    note(told, copy->name);
    note(told, copy->id);
    note(told, copy->etag);
    note(told, copy->storage_class);
    note(told, copy->owner_id);
    note(told, copy->checksum.value);
    if (copy->kind == S3_ENTRY_OBJECT || copy->kind == S3_ENTRY_PREFIX)
        s3_list_put(&told->writer, copy);
    return ++told->count < ENTRIES_MOST ? ERR_NONE : ERR_LIMIT;
}

static enum err read_in_steps(struct s3_reply_xml *reply, struct told *told, struct slice in,
                              size_t step, bool asked_url)
{
    *told = (struct told){ 0 };
    s3_list_open(&told->writer, S3_LIST_OBJECTS_V1, true);
    s3_reply_xml_open(reply, &told->arena, take, told, asked_url);
    while (in.len > 0) {
        size_t len = in.len < step ? in.len : step;
        uint8_t *copy = malloc(len);
        enum err err;

        memcpy(copy, in.at, len);
        err = s3_reply_xml_feed(reply, slice_of(copy, len));
        free(copy);
        TRY(err);
        in = slice_from(in, len);
    }
    return s3_reply_xml_end(reply);
}

static void done(struct s3_reply_xml *reply, struct told *told)
{
    s3_reply_xml_fini(reply);
    s3_list_fini(&told->writer);
    buf_fini(&told->seen);
    arena_fini(&told->arena);
}

/* Names are any bytes; they, and how many entries there are, must survive. */
static void check_written(const struct told *told)
{
    struct s3_reply_xml reply;
    struct told again;
    struct buf text = { 0 };

    s3_list_close(&told->writer, &(struct s3_list_head){ .is_truncated = true }, &text);
    require(read_in_steps(&reply, &again, buf_all(&text), text.len, true) == ERR_NONE);
    require(reply.root == S3_ROOT_OBJECTS && reply.is_truncated);
    require(again.count == told->writer.count && again.writer.count == told->writer.count);
    require(slice_is(buf_all(&again.writer.prefixes), buf_all(&told->writer.prefixes)));
    done(&reply, &again);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct s3_reply_xml whole, parts;
    struct told first, second;
    struct slice text;
    bool asked_url, is_good;

    if (len < 2 || len > S3_XML_TOKEN_BYTES)
        return 0;
    asked_url = at[0] % 2 == 0;
    text = slice_of(at + 2, len - 2);
    is_good = read_in_steps(&whole, &first, text, len, asked_url) == ERR_NONE;
    require((read_in_steps(&parts, &second, text, 1 + at[1] % 32, asked_url) == ERR_NONE) ==
            is_good);
    if (is_good) {
        require(whole.root != S3_ROOT_NONE && whole.root == parts.root);
        require(slice_is(buf_all(&first.seen), buf_all(&second.seen)));
        require(slice_is(whole.code, parts.code) && slice_is(whole.etag, parts.etag) &&
                slice_is(whole.next_token, parts.next_token));
        check_written(&first);
    }
    done(&whole, &first);
    done(&parts, &second);
    return 0;
}
