/* Keys come from clients and names from whoever can write to a folder.  A key's path stays in its
 * bucket, in names that a file system takes, and stands for that key alone; a path that is taken
 * for a key's is the only one of it.  What is read of metadata can be written again. */
#include <stdlib.h>

#include "proxy/blob/folder_parts.h"
#include "proxy/blob/folder_path.h"
#include "proxy/blob/folder_record.h"

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_path(const char *path, size_t len)
{
    require(len < FOLDER_PATH_BYTES && strlen(path) == len && len > 0);
    for (const char *at = path; at != NULL;) {
        size_t name = strcspn(at, "/");

        require(name > 0 && name <= 255 && at[0] != '.');
        at = at[name] == '/' ? at + name + 1 : NULL;
    }
}

static void check_key(struct slice key)
{
    char path[FOLDER_PATH_BYTES];
    uint8_t again[FOLDER_KEY_BYTES];
    size_t len = 0, used = 0;

    if (folder_path_of_prefix(key, path, &len, &used) == FOLDER_OK)
        require(used <= key.len && (len == 0 || path[len - 1] == '/'));
    if (folder_path_of_key(key, path, &len) != FOLDER_OK)
        return;
    check_path(path, len);
    require(folder_path_to_key(path, again, &used));
    require(slice_is(slice_of(again, used), key));
}

static void check_text(struct slice text)
{
    char *path = malloc(text.len + 1), again[FOLDER_PATH_BYTES];
    uint8_t key[FOLDER_KEY_BYTES], raw[FOLDER_STALWART_DEPTH];
    size_t len = 0, wrote = 0;

    memcpy(path, text.at, text.len);
    path[text.len] = '\0';
    if (folder_path_to_key(path, key, &len)) {
        require(folder_path_of_key(slice_of(key, len), again, &wrote) == FOLDER_OK);
        require(strcmp(path, again) == 0);
    }
    if (folder_stalwart_path(text, 5, again, &len) == FOLDER_OK) {
        check_path(again, len);
        require(folder_stalwart_read(text, raw, sizeof(raw), &len));
    }
    if (folder_bucket_is_valid(text))
        check_path(path, text.len);
    free(path);
}

static void check_record(struct slice text)
{
    struct folder_record record;
    struct folder_object object = { 0 };
    struct buf again = { 0 };
    struct slice rest = text;

    (void)(folder_record_read(text, &record, &rest) == ERR_NONE);
    if (folder_pairs_read(rest, &object) == ERR_NONE && rest.len <= FOLDER_RECORD_BYTES) {
        struct folder_object twice = { 0 };

        if (folder_pairs_write(object.pairs, object.pair_count, &again) == FOLDER_OK) {
            require(folder_pairs_read(buf_all(&again), &twice) == ERR_NONE);
            require(twice.pair_count == object.pair_count);
            for (size_t i = 0; i < twice.pair_count; i++)
                require(slice_is(twice.pairs[i].name, object.pairs[i].name) &&
                        slice_is(twice.pairs[i].value, object.pairs[i].value));
        }
        folder_object_fini(&twice);
    }
    folder_object_fini(&object);
    buf_fini(&again);
}

static void check_parts(struct slice text)
{
    struct folder_span span = { 0 }, found;
    struct slice rest, parts;
    uint64_t end = 0;

    folder_record_split(text, &rest, &parts);
    require(rest.len + parts.len <= text.len);
    while (folder_span_next(&parts, &span, &span) == ERR_NONE) {
        require(span.first <= span.last && span.last <= 10000 && span.from >= end);
        end = span.from + span.size * (span.last - span.first + 1);
        require(end <= INT64_MAX);
    }
    (void)!folder_span_find(text, 17, &found);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    check_key(slice_of(at, len));
    check_text(slice_of(at, len));
    check_record(slice_of(at, len));
    check_parts(slice_of(at, len));
    return 0;
}
