/* The uploads of a bucket in order: they lie in their directory as they came, so each page reads
 * what each of them is and keeps the first ones. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/mem.h"
#include "proxy/blob/folder_bucket.h"
#include "proxy/blob/folder_put.h"

enum { PAGE_UPLOADS = 1000 };

/* What is collected; keys are offsets into the text, which moves. */
struct row {
    size_t at, len;
    struct folder_upload upload;
};

struct collection {
    const struct folder_uploads_request *request;
    struct row *rows; /* owned */
    size_t count, most;
    struct buf text;
};

void folder_uploads_page_fini(struct folder_uploads_page *page)
{
    free(page->uploads);
    buf_fini(&page->text);
    *page = (struct folder_uploads_page){ 0 };
}

static struct slice key_of(const struct collection *c, const struct row *row)
{
    return slice_of(c->text.at + row->at, row->len);
}

static int in_order(const void *a, const void *b, void *collection)
{
    const struct row *one = a, *other = b;
    int order = folder_compare(key_of(collection, one), key_of(collection, other));

    return order != 0 ? order : strcmp(one->upload.id.text, other->upload.id.text);
}

/* Keeps the first rows, one more than a page has, each prefix once. */
static void cut(struct collection *c)
{
    struct buf text = { 0 };
    struct slice last = { 0 };
    size_t kept = 0;

    if (c->count > 0)
        qsort_r(c->rows, c->count, sizeof(*c->rows), in_order, c);
    for (size_t i = 0; i < c->count && kept <= c->most; i++) {
        struct row row = c->rows[i];
        struct slice key = key_of(c, &row);

        if (row.upload.is_prefix && slice_is(key, last))
            continue;
        last = key;
        row.at = text.len;
        buf_slice(&text, key);
        c->rows[kept++] = row;
    }
    buf_fini(&c->text);
    c->text = text;
    c->count = kept;
}

/* How much of a key is a common prefix; 0: it is none. */
static size_t folded(const struct folder_uploads_request *request, struct slice key)
{
    struct slice rest = slice_from(key, request->prefix.len);
    const uint8_t *found = NULL;

    if (request->delimiter.len > 0 && rest.len > 0)
        found = memmem(rest.at, rest.len, request->delimiter.at, request->delimiter.len);
    return found == NULL ? 0 : (size_t)(found - key.at) + request->delimiter.len;
}

static void add(struct collection *c, struct slice key, const char *id)
{
    const struct folder_uploads_request *request = c->request;
    struct row row = { .at = c->text.len };
    int order;
    size_t fold;

    if (!slice_starts(key, request->prefix))
        return;
    fold = folded(request, key);
    row.upload.is_prefix = fold > 0;
    row.len = fold > 0 ? fold : key.len;
    key.len = row.len;
    order = folder_compare(key, request->after_key);
    if (order < 0 || (order == 0 && (fold > 0 || request->after_id.len == 0 ||
                                     folder_compare(slice_text(id), request->after_id) <= 0)))
        return;
    if (fold == 0) {
        memcpy(row.upload.id.text, id, FOLDER_UPLOAD_ID_BYTES);
        row.upload.begun_us = folder_upload_begun(id);
    }
    buf_slice(&c->text, key);
    c->rows[c->count++] = row;
    if (c->count == 2 * (c->most + 1))
        cut(c);
}

/* Reads all uploads of a bucket. */
static enum folder_outcome collect(struct folder *f, const char *bucket, struct collection *c)
{
    char upload[FOLDER_UPLOAD_BYTES + 256];
    struct buf key = { 0 };
    enum folder_outcome outcome = FOLDER_OK;
    int fd = folder_open_at(f, f->uploads, bucket, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return errno == ENOENT ? FOLDER_OK : folder_failed(f, "read uploads", errno);
    }
    for (struct dirent *each; (each = readdir(dir)) != NULL;) { // NOLINT: own stream
        if (strlen(each->d_name) != FOLDER_UPLOAD_ID_BYTES - 1)
            continue;
        snprintf(upload, sizeof(upload), "%s/%s", bucket, each->d_name);
        buf_clear(&key);
        outcome = folder_upload_read(f, upload, &key, NULL);
        if (outcome == FOLDER_OK)
            add(c, buf_all(&key), each->d_name);
        else if (outcome != FOLDER_NO_SUCH_UPLOAD)
            break;
        outcome = FOLDER_OK;
    }
    buf_fini(&key);
    closedir(dir);
    return outcome;
}

enum folder_outcome folder_uploads(struct folder *f, struct slice bucket,
                                   const struct folder_uploads_request *request,
                                   struct folder_uploads_page *out)
{
    struct collection c = { .request = request,
                            .most = request->most < PAGE_UPLOADS ? request->most : PAGE_UPLOADS };
    char name[FOLDER_BUCKET_BYTES + 1];
    struct folder_uploads_page page = { 0 };
    enum folder_outcome outcome = folder_bucket_head(f, bucket);

    if (outcome != FOLDER_OK)
        return outcome;
    snprintf(name, sizeof(name), "%.*s", (int)bucket.len, (const char *)bucket.at);
    c.rows = mem_new(2 * (c.most + 1) * sizeof(*c.rows));
    outcome = c.most == 0 ? FOLDER_OK : collect(f, name, &c);
    if (outcome == FOLDER_OK) {
        cut(&c);
        page.more = c.count > c.most;
        page.count = page.more ? c.most : c.count;
        page.uploads = mem_new((page.count + 1) * sizeof(*page.uploads));
        page.text = c.text;
        for (size_t i = 0; i < page.count; i++) {
            page.uploads[i] = c.rows[i].upload;
            page.uploads[i].key = key_of(&c, &c.rows[i]);
        }
        *out = page;
    } else {
        buf_fini(&c.text);
    }
    free(c.rows);
    return outcome;
}
