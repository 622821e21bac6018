/* Lists against a model: a sorted row of keys. */
#include <stdbool.h>

#include "proxy/base/arena.h"
#include "proxy/blob/folder_bucket.h"
#include "tests/unit/proxy/blob/folder_stage.h"

enum { MODEL_KEYS = 512 };

static struct slice model[MODEL_KEYS];
static size_t model_count;
static struct arena keys; /* the texts of the model */

static int by_bytes(const void *a, const void *b)
{
    return folder_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static void model_sort(void)
{
    qsort(model, model_count, sizeof(model[0]), by_bytes);
}

/* What a list must say: names and '/' or '.' behind them for prefixes and keys. */
static void model_list(const struct folder_list_request *r, struct buf *out, bool *more)
{
    struct slice last = { 0 };
    size_t count = 0;

    *more = false;
    for (size_t i = 0; i < model_count; i++) {
        struct slice name = model[i];
        const uint8_t *found = NULL;

        if (!slice_starts(name, r->prefix))
            continue;
        if (r->delimiter.len > 0)
            found = memmem(name.at + r->prefix.len, name.len - r->prefix.len, r->delimiter.at,
                           r->delimiter.len);
        if (found != NULL)
            name.len = (size_t)(found - name.at) + r->delimiter.len;
        if ((r->after.len > 0 && folder_compare(name, r->after) <= 0) ||
            (found != NULL && slice_is(name, last)))
            continue;
        if (count == r->most) {
            *more = r->most > 0;
            return;
        }
        if (found != NULL)
            last = name;
        buf_format(out, "%c%.*s\n", found != NULL ? '/' : '.', (int)name.len,
                   (const char *)name.at);
        count++;
    }
}

static bool list_agrees(struct stage *s, const struct folder_list_request *r)
{
    struct buf expected = { 0 }, found = { 0 };
    struct folder_page page = { 0 };
    bool more = false, same;
    enum folder_outcome outcome = folder_list(s->folder, B, r, &page);

    model_list(r, &expected, &more);
    for (size_t i = 0; i < page.count; i++)
        buf_format(&found, "%c%.*s\n", page.entries[i].is_prefix ? '/' : '.',
                   (int)page.entries[i].name.len, (const char *)page.entries[i].name.at);
    same =
        outcome == FOLDER_OK && slice_is(buf_all(&expected), buf_all(&found)) && more == page.more;
    if (!same) {
        printf("prefix \"%.*s\" delimiter \"%.*s\" after \"%.*s\" most %zu: outcome %d\n",
               (int)r->prefix.len, (const char *)r->prefix.at, (int)r->delimiter.len,
               (const char *)r->delimiter.at, (int)r->after.len, (const char *)r->after.at, r->most,
               outcome);
        CHECK_BYTES(buf_all(&found), buf_all(&expected));
        CHECK_INT(page.more, more);
    }
    folder_page_fini(&page);
    buf_fini(&expected);
    buf_fini(&found);
    return same;
}

static void put_all(struct stage *s)
{
    for (size_t i = 0; i < model_count; i++)
        if (stage_put(s, model[i], model[i]) != FOLDER_OK)
            CHECK(false);
}

static void keys_come_in_the_order_of_their_bytes(void)
{
    static const char *const KEYS[] = { "a!",
                                        "a",
                                        "a/",
                                        "a/b",
                                        "a/b/c",
                                        "a/b!",
                                        "a0",
                                        "a//b",
                                        "a+",
                                        "a+/b",
                                        "b",
                                        "B",
                                        "../x",
                                        ".",
                                        "/",
                                        "//",
                                        "\xf0\x9f\x98\x80",
                                        "\xef\xbf\xae",
                                        "a.b",
                                        "a-b",
                                        "a%",
                                        "a%2Fb",
                                        "c/d/e/f/g",
                                        "c/d/e.f",
                                        "~" };
    struct stage s = stage_fast();
    struct folder_list_request r = { .most = 1000 };

    model_count = sizeof(KEYS) / sizeof(KEYS[0]);
    for (size_t i = 0; i < model_count; i++)
        model[i] = slice_text(KEYS[i]);
    put_all(&s);
    model_sort();
    CHECK(list_agrees(&s, &r));
    r.delimiter = bytes("/");
    CHECK(list_agrees(&s, &r));
    /* From each name on, and from what stands between them. */
    for (size_t i = 0; i < model_count; i++)
        for (int d = 0; d < 2; d++)
            for (size_t most = 0; most < 4; most++) {
                r = (struct folder_list_request){ .after = model[i], .most = most };
                r.delimiter = d == 1 ? bytes("/") : bytes("");
                CHECK(list_agrees(&s, &r));
                r.after.len--;
                CHECK(list_agrees(&s, &r));
                r.prefix = r.after;
                r.after = bytes("");
                CHECK(list_agrees(&s, &r));
            }
    stage_end(&s);
}

static struct slice random_key(void)
{
    static const char *const UNITS[] = { "/", "/", "a",  "b", "!", ".",        "+",
                                         "%", "0", "a/", "-", "~", "\xc3\xbc", "LONG" };
    char text[1100] = "";
    int units = 1 + rand() % 6;

    for (int i = 0; i < units; i++) {
        const char *unit = UNITS[rand() % 14];

        if (strcmp(unit, "LONG") == 0) {
            if (rand() % 4 == 0)
                for (int n = 0; n < 25; n++)
                    strcat(text, "0123456789"); // lint: six of them
        } else {
            strcat(text, unit); // lint: short
        }
    }
    if (strlen(text) > 1000)
        text[1000] = '\0';
    return arena_copy(&keys, slice_text(text));
}

static bool model_has(struct slice key)
{
    for (size_t i = 0; i < model_count; i++)
        if (slice_is(model[i], key))
            return true;
    return false;
}

static struct slice random_part(void)
{
    struct slice key = rand() % 3 == 0 ? random_key() : model[(size_t)rand() % model_count];

    if (rand() % 2 == 0 && key.len > 0)
        key.len = (size_t)rand() % (key.len + 1);
    return key;
}

/* Keys that are put and deleted, and lists of all kinds in between. */
static void lists_agree_with_the_model(void)
{
    static const char *const DELIMITERS[] = { "", "/", "/", "-", "//", "a", "/a", "012", "\xc3" };

    srand(11);
    for (int round = 0; round < 4; round++) {
        struct stage s = stage_new((struct folder_settings){ .sync = FOLDER_SYNC_NEVER,
                                                             .without_attributes = round == 1,
                                                             .without_nameless = round == 2,
                                                             .without_openat2 = round == 3 });
        int wrong = 0;

        model_count = 0;
        for (int step = 0; step < 250 && wrong == 0; step++) {
            struct slice key = random_key();

            if (key.len > 0 && !model_has(key) && model_count < MODEL_KEYS) {
                CHECK_INT(stage_put(&s, key, key), FOLDER_OK);
                model[model_count++] = key;
            }
            if (rand() % 4 == 0) {
                size_t gone = (size_t)rand() % model_count;

                CHECK_INT(folder_delete(s.folder, B, model[gone], NULL, NULL), FOLDER_OK);
                model[gone] = model[--model_count];
            }
            if (model_count == 0 || step % 4 != 0)
                continue;
            model_sort();
            for (int i = 0; i < 20; i++) {
                struct folder_list_request r = { .most = (size_t)(rand() % 40) };

                if (rand() % 2 == 0)
                    r.prefix = random_part();
                if (rand() % 2 == 0)
                    r.after = random_part();
                r.delimiter = slice_text(DELIMITERS[rand() % 9]);
                wrong += !list_agrees(&s, &r);
            }
        }
        stage_end(&s);
        arena_fini(&keys);
    }
}

static void pages_join_to_the_whole(void)
{
    struct stage s = stage_fast();
    struct folder_list_request r = { .most = 7, .keys_alone = true };
    struct folder_page page = { 0 };
    struct buf after = { 0 };
    size_t seen = 0;

    model_count = 0;
    for (int i = 0; i < 300; i++) {
        char key[32];

        snprintf(key, sizeof(key), "%d/%d", rand() % 20, i);
        model[model_count++] = arena_copy(&keys, slice_text(key));
    }
    put_all(&s);
    model_sort();
    do {
        folder_page_fini(&page);
        r.after = buf_all(&after);
        CHECK_INT(folder_list(s.folder, B, &r, &page), FOLDER_OK);
        for (size_t i = 0; i < page.count && seen < model_count; i++)
            CHECK_BYTES(page.entries[i].name, model[seen++]);
        buf_clear(&after);
        if (page.count > 0)
            buf_slice(&after, page.entries[page.count - 1].name);
    } while (page.more);
    CHECK_INT(seen, model_count);
    folder_page_fini(&page);
    buf_fini(&after);
    arena_fini(&keys);
    stage_end(&s);
}

static void a_directory_larger_than_a_window_is_listed_whole(void)
{
    struct stage s = stage_fast();
    struct folder_list_request r = { .most = 1000, .delimiter = bytes("-") };
    struct folder_page page = { 0 };
    char key[32];
    size_t seen = 0;

    for (int i = 0; i < 6000; i++) {
        snprintf(key, sizeof(key), "%d-%05d", i / 3000, (i * 7919) % 6000);
        CHECK_INT(stage_put(&s, slice_text(key), bytes("")), FOLDER_OK);
    }
    CHECK_INT(folder_list(s.folder, B, &r, &page), FOLDER_OK);
    CHECK_INT(page.count, 2);
    folder_page_fini(&page);
    r.delimiter = bytes("");
    r.keys_alone = true;
    key[0] = '\0';
    do {
        char last[32];

        snprintf(last, sizeof(last), "%s", key);
        folder_page_fini(&page);
        r.after = slice_text(last);
        CHECK_INT(folder_list(s.folder, B, &r, &page), FOLDER_OK);
        for (size_t i = 0; i < page.count; i++) {
            CHECK(folder_compare(page.entries[i].name, slice_text(key)) > 0);
            snprintf(key, sizeof(key), "%.*s", (int)page.entries[i].name.len,
                     (const char *)page.entries[i].name.at);
        }
        seen += page.count;
    } while (page.more && page.count > 0);
    CHECK_INT(seen, 6000);
    folder_page_fini(&page);
    stage_end(&s);
}

static void make(const struct stage *s, const char *path, bool directory)
{
    char whole[512];
    int fd;

    snprintf(whole, sizeof(whole), "%s/bucket/%s", s->path, path);
    if (directory) {
        CHECK(mkdir(whole, 0777) == 0);
        return;
    }
    fd = open(whole, O_CREAT | O_WRONLY, 0666);
    CHECK(fd >= 0);
    close(fd);
}

static void what_others_put_there_is_in_no_list(void)
{
    struct stage s = stage_fast();
    struct folder_list_request r = { .most = 1000 };
    char link[128];

    model_count = 1;
    model[0] = bytes("key");
    put_all(&s);
    make(&s, "plain-directory", true);
    make(&s, "plain-directory/file", false);
    make(&s, "empty+", true);
    make(&s, "empty+/inside+", true);
    make(&s, "%41", false);
    make(&s, ".hidden", false);
    make(&s, "%42+", true);
    make(&s, "%42+/file", false);
    make(&s, "file+", true);
    snprintf(link, sizeof(link), "%s/bucket/link", s.path);
    CHECK(symlink("/etc/passwd", link) == 0);
    snprintf(link, sizeof(link), "%s/bucket/away+", s.path);
    CHECK(symlink("/etc", link) == 0);
    CHECK(list_agrees(&s, &r));
    r.delimiter = bytes("/");
    CHECK(list_agrees(&s, &r));
    CHECK_BYTES(stage_get(&s, bytes("link")), bytes("NoSuchKey"));
    CHECK_BYTES(stage_get(&s, bytes("away/passwd")), bytes("NoSuchKey"));
    CHECK_INT(stage_put(&s, bytes("away/x"), bytes("x")), FOLDER_DENIED);
    stage_end(&s);
}

static void a_list_tells_what_a_head_tells(void)
{
    struct stage s = stage_fast();
    struct folder_list_request r = { .most = 10 };
    struct folder_object object = { 0 };
    struct folder_page page = { 0 };

    CHECK_INT(stage_put(&s, bytes("k"), bytes("hello")), FOLDER_OK);
    CHECK_INT(folder_head(s.folder, B, bytes("k"), &object), FOLDER_OK);
    CHECK_INT(folder_list(s.folder, B, &r, &page), FOLDER_OK);
    CHECK_INT(page.count, 1);
    CHECK_INT(page.entries[0].size, 5);
    CHECK_TEXT(page.entries[0].etag, "5d41402abc4b2a76b9719d911017c592");
    CHECK_TEXT(page.entries[0].etag, object.etag);
    CHECK_INT(page.entries[0].modified_us, object.modified_us);
    folder_page_fini(&page);
    folder_object_fini(&object);
    CHECK_INT(folder_list(s.folder, bytes("nobucket"), &r, &page), FOLDER_NO_SUCH_BUCKET);
    stage_end(&s);
}

static void whatever_is_asked_for_has_an_answer(void)
{
    struct stage s = stage_fast();
    static char text[3000];
    struct folder_list_request r = { .most = SIZE_MAX };

    model_count = 2;
    model[0] = bytes("a/b");
    model[1] = bytes("x");
    put_all(&s);
    memset(text, 'b', sizeof(text));
    memcpy(text, "a/", 2);
    r.after = slice_of(text, sizeof(text));
    CHECK(list_agrees(&s, &r));
    r.after = bytes("a/\0");
    CHECK(list_agrees(&s, &r));
    r.after = bytes("");
    r.delimiter = slice_of(text, sizeof(text));
    CHECK(list_agrees(&s, &r));
    r.prefix = slice_of(text, sizeof(text));
    CHECK(list_agrees(&s, &r));
    r.prefix = bytes("a\0/");
    CHECK(list_agrees(&s, &r));
    memset(text, '/', sizeof(text));
    r = (struct folder_list_request){ .after = slice_of(text, 1024), .most = 5 };
    CHECK(list_agrees(&s, &r));
    stage_end(&s);
}

int main(void)
{
    stage_place = stage_memory();
    RUN(keys_come_in_the_order_of_their_bytes);
    RUN(lists_agree_with_the_model);
    RUN(pages_join_to_the_whole);
    RUN(a_directory_larger_than_a_window_is_listed_whole);
    stage_place = NULL;
    RUN(what_others_put_there_is_in_no_list);
    RUN(whatever_is_asked_for_has_an_answer);
    RUN(a_list_tells_what_a_head_tells);
    return check_report();
}
