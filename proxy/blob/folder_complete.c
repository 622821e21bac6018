/* The end of an upload: its parts are copied into a new file (the file system shares the blocks if
 * it can), so until the object has its name nothing of the upload has changed, and a second try is
 * possible.  What is declared of the whole is compared before the first byte. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/blob/folder_parts.h"
#include "proxy/blob/folder_put.h"

enum { MD5_BYTES = 16 };

/* ---- ETags ---- */

static struct slice unquoted(struct slice etag)
{
    if (etag.len >= 2 && etag.at[0] == '"' && etag.at[etag.len - 1] == '"')
        return slice_of(etag.at + 1, etag.len - 2);
    return etag;
}

static uint8_t nibble(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* An ETag of ETags: what it is made of are the first 32 digits of each part's, or its text. */
static void digest_etag(EVP_MD_CTX *digest, const char *etag)
{
    uint8_t bytes[MD5_BYTES];

    if (strspn(etag, "0123456789abcdefABCDEF") < 2 * MD5_BYTES) {
        EVP_DigestUpdate(digest, etag, strlen(etag));
        return;
    }
    for (size_t i = 0; i < MD5_BYTES; i++)
        bytes[i] = (uint8_t)(nibble(etag[2 * i]) << 4 | nibble(etag[2 * i + 1]));
    EVP_DigestUpdate(digest, bytes, sizeof(bytes));
}

static void etag_of_parts(const struct folder *f, const struct folder_source *parts, size_t count,
                          char out[FOLDER_ETAG_BYTES])
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    uint8_t bytes[EVP_MAX_MD_SIZE] = { 0 };
    size_t len = 0;

    /* Without MD5 it is SHA-256, cut: nobody compares it with an MD5. */
    if (digest != NULL && EVP_DigestInit_ex(digest, f->md5 != NULL ? f->md5 : EVP_sha256(), NULL)) {
        for (size_t i = 0; i < count; i++)
            digest_etag(digest, parts[i].etag);
        EVP_DigestFinal_ex(digest, bytes, NULL);
    }
    EVP_MD_CTX_free(digest);
    for (size_t i = 0; i < MD5_BYTES; i++)
        len += (size_t)snprintf(out + len, FOLDER_ETAG_BYTES - len, "%02x", bytes[i]);
    snprintf(out + len, FOLDER_ETAG_BYTES - len, "-%zu", count);
}

/* ---- parts ---- */

/* What is gathered of the chosen parts. */
struct choice {
    const struct folder *folder;
    const char *upload;
    const struct folder_completion *completion;
    enum checksum kind; /* of the parts' checksums, and of the whole; CHECKSUMS: none */
    bool is_composite, lacks_sums;
    struct checksum_parts sums;
    struct folder_source *sources; /* owned until the put has them */
    uint64_t size;
    struct folder_span span; /* that the next part may belong to */
    struct buf text;         /* of the spans before it */
};

static void put_span(struct choice *c)
{
    if (c->span.last > 0)
        folder_span_put(&c->text, &c->span);
    c->span = (struct folder_span){ 0 };
}

static void note_part(struct choice *c, const struct folder_part *part)
{
    struct slice sum = slice_text(part->sum);

    if (c->span.last + 1 != part->number || c->span.size != part->size || sum.len > 0 ||
        c->span.last == 0)
        put_span(c);
    if (c->span.last == 0)
        c->span.first = part->number;
    c->span.last = part->number;
    c->span.size = part->size;
    if (sum.len > 0) { /* it is borrowed, so it is told at once */
        struct folder_span span = c->span;

        span.sum = sum;
        folder_span_put(&c->text, &span);
        c->span = (struct folder_span){ 0 };
    }
    if (c->kind != CHECKSUMS && checksum_parts_add(&c->sums, sum, part->size) != ERR_NONE)
        c->lacks_sums = true;
}

/* Is it the part that the client means? */
static bool is_meant(const struct choice *c, const struct folder_part_choice *meant,
                     const struct folder_part *part)
{
    if (!slice_is_text(unquoted(meant->etag), part->etag))
        return false;
    return meant->sum.len == 0 || meant->sum_kind != c->kind ||
           slice_is_text(meant->sum, part->sum);
}

/* Looks at each chosen part. */
static enum folder_outcome choose_parts(struct choice *c)
{
    const struct folder_part_choice *parts = c->completion->parts;
    size_t count = c->completion->count;
    unsigned last = 0;

    for (size_t i = 0; i < count; i++) {
        struct folder_part part;
        enum folder_outcome outcome;

        if (parts[i].number <= last)
            return FOLDER_PART_ORDER;
        last = parts[i].number;
        outcome = last > FOLDER_PARTS
                      ? FOLDER_INVALID_PART
                      : folder_part_look(c->folder, c->upload, last, c->kind, &part);
        if (outcome == FOLDER_NO_SUCH_KEY || outcome == FOLDER_TORN)
            outcome = FOLDER_INVALID_PART;
        if (outcome == FOLDER_OK && !is_meant(c, &parts[i], &part))
            outcome = FOLDER_INVALID_PART;
        if (outcome == FOLDER_OK && i + 1 < count && part.size < c->folder->settings.min_part)
            outcome = FOLDER_PART_TOO_SMALL;
        if (outcome != FOLDER_OK)
            return outcome;
        c->sources[i] = (struct folder_source){ .fd = -1, .part = last, .len = part.size };
        memcpy(c->sources[i].etag, part.etag, sizeof(part.etag));
        c->size += part.size;
        note_part(c, &part);
    }
    put_span(c);
    return count == 0 ? FOLDER_INVALID_PART : FOLDER_OK;
}

/* ---- what is declared of the whole ---- */

/* An upload that named no checksum has those that its parts came with. */
static enum folder_outcome choose_sum(struct choice *c, const struct folder_object *upload)
{
    const struct folder_completion *meant = c->completion;
    bool has_number = meant->sum.len > 0 && memchr(meant->sum.at, '-', meant->sum.len) != NULL;
    struct slice type = meant->sum_type;
    bool is_composite = false;

    c->kind = folder_upload_sum(upload, &c->is_composite);
    if (meant->sum.len == 0)
        return FOLDER_OK;
    if (c->kind == CHECKSUMS) {
        c->kind = meant->sum_kind;
        if (type.len == 0)
            type = slice_text(has_number ? "COMPOSITE" : "FULL_OBJECT");
        return checksum_parts_type(c->kind, type, &c->is_composite) ? FOLDER_OK
                                                                    : FOLDER_SUM_UNKNOWN;
    }
    if (c->kind != meant->sum_kind)
        return FOLDER_SUM_UNKNOWN;
    if (type.len > 0 &&
        (!checksum_parts_type(c->kind, type, &is_composite) || is_composite != c->is_composite))
        return FOLDER_SUM_UNKNOWN;
    return FOLDER_OK;
}

/* The number of parts behind it need not be said. */
static bool is_sum(struct slice said, struct slice found)
{
    const uint8_t *end = memchr(found.at, '-', found.len);

    return slice_is(said, found) ||
           (end != NULL && slice_is(said, slice_of(found.at, (size_t)(end - found.at))));
}

static enum folder_outcome compare(struct choice *c, struct folder_put *put)
{
    const struct folder_completion *meant = c->completion;
    size_t len;

    if (meant->size != FOLDER_SIZE_UNKNOWN && meant->size != c->size)
        return FOLDER_SIZE_DIFFERS;
    if (c->kind == CHECKSUMS)
        return FOLDER_OK;
    if (c->lacks_sums)
        return meant->sum.len > 0 ? FOLDER_SUM_UNKNOWN : FOLDER_OK;
    len = checksum_parts_end(&c->sums, put->sum_text[0]);
    if (meant->sum.len > 0 && !is_sum(meant->sum, slice_of(put->sum_text[0], len)))
        return FOLDER_SUM_DIFFERS;
    put->sum_len = len;
    put->sum_kind = c->kind;
    put->sum_is_composite = c->is_composite;
    return FOLDER_OK;
}

/* The checksum of the whole in the place of what the upload said of it. */
static void keep_sum(struct folder_put *put)
{
    struct folder_object *kept = &put->kept;
    struct folder_pair *pairs = mem_new((kept->pair_count + 2) * sizeof(*pairs));
    size_t count = 0;

    for (size_t i = 0; i < kept->pair_count; i++)
        if (kept->pairs[i].kind != FOLDER_SUM)
            pairs[count++] = kept->pairs[i];
    count += folder_put_sums(put, pairs + count);
    free(kept->pairs);
    kept->pairs = pairs;
    kept->pair_count = count;
}

/* ---- the whole ---- */

static enum folder_outcome choose(struct choice *c, const struct folder_object *kept)
{
    enum folder_outcome outcome =
        c->completion->count > FOLDER_PARTS ? FOLDER_INVALID_PART : choose_sum(c, kept);

    if (outcome == FOLDER_OK && c->kind != CHECKSUMS &&
        !checksum_parts_begin(&c->sums, c->kind, c->is_composite))
        outcome = FOLDER_SUM_UNKNOWN;
    if (outcome != FOLDER_OK)
        return outcome;
    c->sources = mem_new((c->completion->count + 1) * sizeof(*c->sources));
    return choose_parts(c);
}

enum folder_outcome folder_complete_begin(struct folder *f, struct slice bucket, struct slice key,
                                          struct slice id,
                                          const struct folder_completion *completion,
                                          struct folder_put **out)
{
    char upload[FOLDER_UPLOAD_BYTES];
    struct choice c = { .folder = f, .upload = upload, .completion = completion };
    struct folder_object kept = { 0 };
    struct folder_put *put = NULL;
    struct folder_place place;
    enum folder_outcome outcome =
        folder_upload_find(f, bucket, key, id, upload, sizeof(upload), &kept);

    if (outcome == FOLDER_OK)
        outcome = folder_find_place(f, bucket, key, &place);
    if (outcome == FOLDER_OK)
        outcome = choose(&c, &kept);
    if (outcome == FOLDER_OK)
        outcome = folder_put_new(f, &place, c.size, &put);
    if (outcome == FOLDER_OK) {
        outcome = compare(&c, put);
        if (outcome != FOLDER_OK)
            folder_put_abort(&put);
    }
    if (outcome != FOLDER_OK) {
        free(c.sources);
        buf_fini(&c.text);
        folder_object_fini(&kept);
        return outcome;
    }
    put->sources = c.sources;
    put->source_count = completion->count;
    put->kept = kept;
    put->parts = (unsigned)completion->count;
    put->part_text = c.text;
    memcpy(put->upload, upload, sizeof(upload));
    etag_of_parts(f, put->sources, put->source_count, put->etag);
    keep_sum(put);
    *out = put;
    return FOLDER_OK;
}
