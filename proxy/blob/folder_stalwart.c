/* Lists of that mail server's file store.  A file lies in directories named by the first bytes that
 * its name stands for; the alphabet's order is not that of the bytes, so directories are looked at
 * in the order of the least name that can be in them, and those that cannot hold a wanted name are
 * not read: all names in a directory have the bits of its bytes in common, so they begin alike. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/blob/folder_bucket.h"
#include "proxy/blob/folder_window.h"

static const char ALPHABET[] = "abcdefghijklmnopqrstuvwxyz792013";

enum { RANGE_BYTES = 9 };

/* How the names begin that stand for bytes which begin with the given ones. */
struct range {
    char least[RANGE_BYTES], last[RANGE_BYTES];
    size_t len;
};

static struct range range_of(const uint8_t *bytes, size_t count)
{
    struct range range = { 0 };
    unsigned held = 0, bits = 0;

    for (size_t i = 0; i < count; i++) {
        held = (held << 8 | bytes[i]) & 0xffff;
        for (bits += 8; bits >= 5; range.len++) {
            bits -= 5;
            range.least[range.len] = range.last[range.len] = ALPHABET[held >> bits & 31];
        }
    }
    if (bits > 0) {
        unsigned first = held << (5 - bits) & 31;

        range.least[range.len] = range.last[range.len] = ALPHABET[first];
        for (unsigned i = 1; i < 1U << (5 - bits); i++) {
            char each = ALPHABET[first + i];

            if (each < range.least[range.len])
                range.least[range.len] = each;
            if (each > range.last[range.len])
                range.last[range.len] = each;
        }
        range.len++;
    }
    return range;
}

struct folder_of_byte {
    uint8_t byte;
    struct range range;
};

/* One directory: its files are collected as they are read, its directories kept for afterwards. */
struct visit {
    struct folder_collect *collect;
    uint8_t bytes[FOLDER_STALWART_DEPTH];
    size_t depth;
    char path[FOLDER_STALWART_DEPTH * 3 + 4];
    struct folder_of_byte inside[256];
    size_t count;
};

static void take_directory(struct visit *v, const char *name)
{
    const struct folder_settings *settings = &v->collect->walk->folder->settings;
    struct folder_of_byte *each = &v->inside[v->count];
    char *end;
    unsigned long byte = strtoul(name, &end, 16);
    char again[4];

    if (v->depth == settings->stalwart_depth || *end != '\0' || byte > 255 || v->count == 256)
        return;
    snprintf(again, sizeof(again), "%lx", byte);
    if (strcmp(again, name) != 0)
        return; /* another way to write the number is another directory, and not that server's */
    each->byte = v->bytes[v->depth] = (uint8_t)byte;
    each->range = range_of(v->bytes, v->depth + 1);
    v->count++;
}

static void take_name(void *state, const char *name, unsigned char type)
{
    struct visit *v = state;
    char path[FOLDER_PATH_BYTES], here[FOLDER_PATH_BYTES];
    size_t len;

    if (type == DT_DIR) {
        take_directory(v, name);
        return;
    }
    snprintf(here, sizeof(here), "%s%s", v->path, name);
    if (folder_stalwart_path(slice_text(name), v->collect->walk->folder->settings.stalwart_depth,
                             path, &len) == FOLDER_OK &&
        strcmp(path, here) == 0)
        folder_collect_object(v->collect, slice_text(name), slice_of(path, len));
}

static int by_least(const void *a, const void *b)
{
    const struct folder_of_byte *one = a, *other = b;

    return memcmp(one->range.least, other->range.least, RANGE_BYTES);
}

/* At most FOLDER_STALWART_DEPTH deep. */
static enum folder_outcome visit(struct visit *above, const struct folder_of_byte *byte)
{
    struct visit v = { .collect = above->collect };
    enum folder_outcome outcome;

    if (byte != NULL) {
        memcpy(v.bytes, above->bytes, above->depth);
        v.bytes[above->depth] = byte->byte;
        v.depth = above->depth + 1;
        snprintf(v.path, sizeof(v.path), "%.*s%x/", FOLDER_STALWART_DEPTH * 3, above->path,
                 byte->byte);
    }
    outcome = folder_read_names(v.collect->walk->folder, v.path, take_name, &v);
    qsort(v.inside, v.count, sizeof(v.inside[0]), by_least);
    for (size_t i = 0; i < v.count && outcome == FOLDER_OK; i++) {
        const struct range *range = &v.inside[i].range;

        if (folder_collect_range(v.collect, slice_of(range->least, range->len),
                                 slice_of(range->last, range->len)))
            outcome = visit(&v, &v.inside[i]);
    }
    return outcome;
}

enum folder_outcome folder_stalwart_collect(struct folder_collect *c)
{
    struct visit top = { .collect = c };

    return visit(&top, NULL);
}
