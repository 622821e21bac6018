/* Where buckets and objects are, relative to the folder; the stripes that serialise the writers of
 * a key. */
#include <errno.h>
#include <fcntl.h>
#include <xxhash.h>

#include "proxy/blob/folder_store.h"

const struct folder_outcome_words *folder_outcome_words(enum folder_outcome outcome)
{
    static const struct folder_outcome_words WORDS[] = {
        [FOLDER_OK] = { 200, "", "" },
#define FOLDER(name, status, code, text) [FOLDER_##name] = { status, code, text },
#include "proxy/blob/folder_outcome.def"
#undef FOLDER
    };

    return &WORDS[outcome];
}

enum folder_outcome folder_bucket_path(const struct folder *f, struct slice bucket,
                                       char out[FOLDER_BUCKET_BYTES + 2], size_t *len)
{
    if (f->settings.layout == FOLDER_LAYOUT_STALWART) {
        *len = 0;
        out[0] = '\0';
        return slice_is_text(bucket, f->bucket) ? FOLDER_OK : FOLDER_NO_SUCH_BUCKET;
    }
    if (!folder_bucket_is_valid(bucket))
        return FOLDER_BUCKET_NAME;
    memcpy(out, bucket.at, bucket.len);
    out[bucket.len] = '/';
    out[bucket.len + 1] = '\0';
    *len = bucket.len + 1;
    return FOLDER_OK;
}

pthread_mutex_t *folder_stripe(struct folder *f, const char *path)
{
    return &f->shared.stripes[XXH3_64bits(path, strlen(path)) % FOLDER_STRIPES];
}

enum folder_outcome folder_find_place(struct folder *f, struct slice bucket, struct slice key,
                                      struct folder_place *out)
{
    char path[FOLDER_PATH_BYTES];
    size_t len = 0;
    enum folder_outcome outcome = folder_bucket_path(f, bucket, out->path, &out->bucket);

    if (outcome == FOLDER_OK && f->settings.layout == FOLDER_LAYOUT_STALWART)
        outcome = folder_stalwart_path(key, f->settings.stalwart_depth, path, &len);
    else if (outcome == FOLDER_OK)
        outcome = folder_path_of_key(key, path, &len);
    if (outcome != FOLDER_OK)
        return outcome;
    out->len = out->bucket + len;
    if (out->len >= sizeof(out->path))
        return FOLDER_KEY_REFUSED; /* which no key and bucket are long enough for */
    memcpy(out->path + out->bucket, path, len + 1);
    for (out->name = out->len; out->name > 0 && out->path[out->name - 1] != '/';)
        out->name--;
    out->stripe = folder_stripe(f, out->path);
    return FOLDER_OK;
}

enum folder_outcome folder_missing(const struct folder *f, struct slice bucket)
{
    char path[FOLDER_BUCKET_BYTES + 2];
    size_t len = 0;
    struct stat stat;
    enum folder_outcome outcome = folder_bucket_path(f, bucket, path, &len);

    if (outcome != FOLDER_OK)
        return outcome;
    if (len == 0)
        return FOLDER_NO_SUCH_KEY;
    path[len - 1] = '\0';
    if (fstatat(f->root, path, &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(stat.st_mode))
        return FOLDER_NO_SUCH_KEY;
    return FOLDER_NO_SUCH_BUCKET;
}
