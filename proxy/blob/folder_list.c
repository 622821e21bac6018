/* Pages of a bucket's keys and common prefixes. */
#include "proxy/blob/folder_list.h"

#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/mem.h"
#include "proxy/blob/folder_walk.h"

void folder_page_fini(struct folder_page *page)
{
    free(page->entries);
    buf_fini(&page->text);
    *page = (struct folder_page){ 0 };
}

/* What a list tells of an object; false if it went meanwhile. */
static enum folder_outcome look_at(struct folder *f, const char *path,
                                   struct folder_list_entry *entry, bool *gone)
{
    struct folder_object object = { 0 };
    int fd = -1;
    enum folder_outcome outcome =
        folder_meta_open(f, f->root, path, path, FOLDER_DEPTH_LINE, &fd, &object);

    *gone = outcome == FOLDER_NO_SUCH_KEY;
    if (outcome == FOLDER_TORN || outcome == FOLDER_DENIED)
        outcome = FOLDER_OK; /* it is there all the same: whoever reads it is told */
    if (outcome != FOLDER_OK)
        return *gone ? FOLDER_OK : outcome;
    if (fd >= 0)
        close(fd);
    entry->size = object.size;
    entry->modified_us = object.modified_us;
    memcpy(entry->etag, object.etag, sizeof(entry->etag));
    folder_object_fini(&object);
    return FOLDER_OK;
}

static enum folder_outcome add(struct folder *f, const struct folder_walk_item *item,
                               bool keys_alone, struct folder_page *page)
{
    struct folder_list_entry entry = { .name = { NULL, item->key.len },
                                       .is_prefix = item->is_prefix };
    bool gone = false;

    if (!item->is_prefix && !keys_alone) {
        enum folder_outcome outcome = look_at(f, item->path, &entry, &gone);

        if (outcome != FOLDER_OK)
            return outcome;
    }
    if (gone)
        return FOLDER_OK;
    buf_slice(&page->text, item->key);
    page->entries[page->count++] = entry;
    return FOLDER_OK;
}

static enum folder_outcome fill(struct folder_walk *walk, const struct folder_list_request *request,
                                size_t most, struct folder_page *page)
{
    struct folder_walk_item item;
    enum folder_outcome outcome;

    while ((outcome = folder_walk_next(walk, most - page->count + 1, &item)) == FOLDER_OK &&
           item.key.len > 0) {
        if (page->count == most) {
            page->more = true;
            break;
        }
        outcome = add(walk->folder, &item, request->keys_alone, page);
        if (outcome != FOLDER_OK)
            break;
    }
    return outcome;
}

enum folder_outcome folder_list(struct folder *f, struct slice bucket,
                                const struct folder_list_request *request, struct folder_page *out)
{
    size_t most = request->most < FOLDER_LIST_KEYS ? request->most : FOLDER_LIST_KEYS, at = 0;
    struct folder_walk *walk = mem_new(sizeof(*walk));
    struct folder_page page = { 0 };
    enum folder_outcome outcome = folder_walk_begin(walk, f, bucket, request);

    if (outcome == FOLDER_OK && most > 0) {
        page.entries = mem_new(most * sizeof(*page.entries));
        outcome = fill(walk, request, most, &page);
    }
    folder_walk_end(walk);
    free(walk);
    if (outcome != FOLDER_OK) {
        folder_page_fini(&page);
        return outcome;
    }
    for (size_t i = 0; i < page.count; i++) { /* only now they move no more */
        page.entries[i].name.at = page.text.at + at;
        at += page.entries[i].name.len;
    }
    *out = page;
    return FOLDER_OK;
}
