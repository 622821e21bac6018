/* The mail server's own file store, as its code writes it. */
#include "proxy/blob/folder_bucket.h"
#include "tests/unit/proxy/blob/folder_stage.h"

enum { KEYS = 300 };

static const char ALPHABET[] = "abcdefghijklmnopqrstuvwxyz792013";

/* That server's own encoding, bit by bit. */
static void name_of(const uint8_t *key, size_t len, char *out)
{
    size_t used = 0;

    for (size_t bit = 0; bit < len * 8; bit += 5) {
        unsigned value = 0;

        for (size_t i = bit; i < bit + 5; i++)
            value = value << 1 | (i < len * 8 ? key[i / 8] >> (7 - i % 8) & 1 : 0);
        out[used++] = ALPHABET[value];
    }
    out[used] = '\0';
}

/* Writes a file as that server does. */
static void write_as_server(const struct stage *s, const uint8_t *key, size_t len, unsigned depth)
{
    char path[256], name[128];
    size_t used = (size_t)snprintf(path, sizeof(path), "%s", s->path);
    int fd;

    name_of(key, len, name);
    for (unsigned i = 0; i < depth && i < len; i++) {
        used += (size_t)snprintf(path + used, sizeof(path) - used, "/%x", key[i]);
        mkdir(path, 0777);
    }
    snprintf(path + used, sizeof(path) - used, "/%s", name);
    fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0666);
    CHECK(fd >= 0 && write(fd, name, strlen(name)) == (ssize_t)strlen(name));
    close(fd);
}

static struct stage stage_of_server(unsigned depth)
{
    stage_place = stage_memory();
    return stage_new((struct folder_settings){
        .layout = FOLDER_LAYOUT_STALWART, .stalwart_depth = depth, .stalwart_bucket = "bucket" });
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void check_lists(struct stage *s, char **names, size_t count)
{
    struct buf after = { 0 };
    size_t seen = 0;
    bool more;

    do {
        struct folder_list_request r = { .most = 17, .after = buf_all(&after) };
        struct folder_page page = { 0 };

        CHECK_INT(folder_list(s->folder, B, &r, &page), FOLDER_OK);
        for (size_t i = 0; i < page.count; i++, seen++)
            CHECK_BYTES(page.entries[i].name, slice_text(seen < count ? names[seen] : "no more"));
        buf_clear(&after);
        if (page.count > 0)
            buf_slice(&after, page.entries[page.count - 1].name);
        more = page.more;
        folder_page_fini(&page);
    } while (more);
    CHECK_INT(seen, count);
    buf_fini(&after);
    for (int i = 0; i < 50; i++) {
        struct folder_list_request r = { .most = 1000 };
        struct folder_page page = { 0 };
        size_t expected = 0;

        r.prefix = slice_text(names[(size_t)rand() % count]);
        r.prefix.len = (size_t)rand() % 4;
        for (size_t n = 0; n < count; n++)
            expected += slice_starts(slice_text(names[n]), r.prefix);
        CHECK_INT(folder_list(s->folder, B, &r, &page), FOLDER_OK);
        CHECK_INT(page.count, expected);
        folder_page_fini(&page);
    }
}

static void what_the_server_wrote_is_found_and_listed(void)
{
    for (unsigned depth = 1; depth <= FOLDER_STALWART_DEPTH; depth++) {
        struct stage s = stage_of_server(depth);
        char *names[KEYS];

        srand(depth);
        for (size_t i = 0; i < KEYS; i++) {
            uint8_t key[32];
            char name[64];
            size_t len = i % 50 == 0 ? 1 + i / 50 : sizeof(key);

            for (size_t n = 0; n < sizeof(key); n++)
                key[n] = (uint8_t)(n < 2 && i % 3 == 0 ? rand() % 4 : rand());
            key[len - 1] |= 1; /* one of each */
            write_as_server(&s, key, len, depth);
            name_of(key, len, name);
            names[i] = strdup(name);
            CHECK_BYTES(stage_get(&s, slice_text(name)), slice_text(name));
        }
        qsort(names, KEYS, sizeof(names[0]), by_text);
        check_lists(&s, names, KEYS);
        for (size_t i = 0; i < KEYS; i++)
            free(names[i]);
        stage_end(&s);
    }
}

static void what_is_written_is_where_the_server_looks(void)
{
    struct stage s = stage_of_server(2);
    struct slice name = bytes("aaaqeayeaudaocajbifqydiob2ibceqtcqkrmfyydenbwha0dypq");

    CHECK_INT(stage_put(&s, name, bytes("mail")), FOLDER_OK);
    CHECK(stage_has_file(&s, "0/1/aaaqeayeaudaocajbifqydiob2ibceqtcqkrmfyydenbwha0dypq"));
    CHECK_BYTES(stage_get(&s, name), bytes("mail"));
    CHECK_INT(folder_delete(s.folder, B, name, NULL, NULL), FOLDER_OK);
    CHECK(!stage_has_file(&s, "0"));
    stage_end(&s);
}

static void other_names_and_buckets_are_refused(void)
{
    struct stage s = stage_of_server(0);
    struct folder_bucket *buckets = NULL;
    struct folder_reader reader;
    size_t count = 0;
    bool more = false;

    CHECK_INT(stage_put(&s, bytes("photos/cat.jpg"), bytes("x")), FOLDER_KEY_REFUSED);
    CHECK_INT(stage_put(&s, bytes("../x"), bytes("x")), FOLDER_KEY_REFUSED);
    CHECK_INT(folder_get(s.folder, bytes("other"), bytes("aa"), &reader), FOLDER_NO_SUCH_BUCKET);
    CHECK_INT(folder_bucket_create(s.folder, B), FOLDER_BUCKET_EXISTS);
    CHECK_INT(folder_bucket_create(s.folder, bytes("other")), FOLDER_DENIED);
    CHECK_INT(folder_bucket_delete(s.folder, B), FOLDER_DENIED);
    CHECK_INT(folder_buckets(s.folder, bytes(""), 10, &buckets, &count, &more), FOLDER_OK);
    CHECK(count == 1 && !more && strcmp(buckets[0].name, "bucket") == 0);
    free(buckets);
    stage_end(&s);
}

int main(void)
{
    RUN(what_the_server_wrote_is_found_and_listed);
    RUN(what_is_written_is_where_the_server_looks);
    RUN(other_names_and_buckets_are_refused);
    return check_report();
}
