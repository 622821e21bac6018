#include <openssl/evp.h>
#include <pthread.h>
#include <sys/xattr.h>

#include "tests/unit/proxy/blob/folder_stage.h"

static void what_was_put_is_got(void)
{
    struct stage s = stage_fast();

    CHECK_INT(stage_put(&s, bytes("photos/2024/cat.jpg"), bytes("meow")), FOLDER_OK);
    CHECK_BYTES(stage_get(&s, bytes("photos/2024/cat.jpg")), bytes("meow"));
    CHECK(stage_has_file(&s, "bucket/photos+/2024+/cat.jpg"));
    CHECK_INT(stage_put(&s, bytes("photos/2024/cat.jpg"), bytes("purr")), FOLDER_OK);
    CHECK_BYTES(stage_get(&s, bytes("photos/2024/cat.jpg")), bytes("purr"));
    CHECK_BYTES(stage_get(&s, bytes("photos")), bytes("NoSuchKey"));
    CHECK_INT(stage_put(&s, bytes("photos"), bytes("file")), FOLDER_OK);
    CHECK_BYTES(stage_get(&s, bytes("photos")), bytes("file"));
    CHECK_INT(folder_delete(s.folder, B, bytes("photos/2024/cat.jpg"), NULL, NULL), FOLDER_OK);
    CHECK(!stage_has_file(&s, "bucket/photos+"));
    CHECK_BYTES(stage_get(&s, bytes("photos")), bytes("file"));
    CHECK_BYTES(stage_get(&s, bytes("photos/2024/cat.jpg")), bytes("NoSuchKey"));
    stage_end(&s);
}

static void what_is_missing_is_named(void)
{
    struct stage s = stage_fast();
    struct folder_reader reader;
    struct folder_put *put = NULL;
    struct folder_conditions match = { .if_match = bytes("*") };
    bool existed = true;
    char long_key[FOLDER_KEY_BYTES + 1];

    memset(long_key, 'k', sizeof(long_key));
    CHECK_INT(folder_get(s.folder, bytes("none"), bytes("k"), &reader), FOLDER_NO_SUCH_BUCKET);
    CHECK_INT(folder_get(s.folder, bytes("../x"), bytes("k"), &reader), FOLDER_BUCKET_NAME);
    CHECK_INT(folder_get(s.folder, bytes(".sheaf"), bytes("stamp"), &reader), FOLDER_BUCKET_NAME);
    CHECK_INT(folder_put_begin(s.folder, bytes("none"), bytes("k"), 1, &put),
              FOLDER_NO_SUCH_BUCKET);
    CHECK_INT(folder_put_begin(s.folder, B, slice_of(long_key, sizeof(long_key)), 1, &put),
              FOLDER_KEY_TOO_LONG);
    CHECK_INT(folder_put_begin(s.folder, B, bytes("a\0b"), 1, &put), FOLDER_KEY_REFUSED);
    CHECK_INT(folder_delete(s.folder, B, bytes("k"), NULL, &existed), FOLDER_OK);
    CHECK(!existed);
    CHECK_INT(folder_delete(s.folder, B, bytes("k"), &match, NULL), FOLDER_NO_SUCH_KEY);
    CHECK_INT(folder_delete(s.folder, bytes("none"), bytes("k"), NULL, NULL),
              FOLDER_NO_SUCH_BUCKET);
    CHECK_INT(folder_delete(s.folder, B, bytes("a\0b"), NULL, NULL), FOLDER_OK);
    stage_end(&s);
}

static const struct folder_pair PAIRS[] = {
    { FOLDER_HEADER,
      { (const uint8_t *)"content-type", 12 },
      { (const uint8_t *)"text/plain", 10 } },
    { FOLDER_HEADER,
      { (const uint8_t *)"x-amz-meta-c", 12 },
      { (const uint8_t *)"r\xc3\xa9%d\n", 6 } },
    { FOLDER_SUM,
      { (const uint8_t *)"x-amz-checksum-crc32", 20 },
      { (const uint8_t *)"y9ThSQ==", 8 } },
    { FOLDER_TAG, { (const uint8_t *)"pro ject", 8 }, { (const uint8_t *)"", 0 } },
};

static void check_pairs(const struct folder_object *object)
{
    CHECK_INT(object->pair_count, 4);
    CHECK_BYTES(folder_object_find(object, FOLDER_HEADER, "content-type"), bytes("text/plain"));
    CHECK_BYTES(folder_object_find(object, FOLDER_HEADER, "x-amz-meta-c"), bytes("r\xc3\xa9%d\n"));
    CHECK_BYTES(folder_object_find(object, FOLDER_SUM, "x-amz-checksum-crc32"), bytes("y9ThSQ=="));
    CHECK(folder_object_find(object, FOLDER_TAG, "pro ject").at != NULL);
    CHECK(folder_object_find(object, FOLDER_TAG, "content-type").at == NULL);
}

static int side_files(const struct stage *s)
{
    stage_count(s, ".sheaf/side");
    return stage_files;
}

static void check_metadata(struct folder_settings settings, bool large)
{
    struct stage s = stage_new(settings);
    struct folder_commit commit = { .pairs = PAIRS, .pair_count = 4, .size = 5 };
    struct folder_pair many[FOLDER_PAIRS], tag = PAIRS[3];
    static char value[8000];
    struct folder_object object = { 0 };
    int sides = large || settings.without_attributes ? 1 : 0;

    memcpy(many, PAIRS, sizeof(PAIRS));
    memset(value, 'v', sizeof(value));
    many[4] = (struct folder_pair){ FOLDER_HEADER, bytes("x-amz-meta-long"),
                                    slice_of(value, sizeof(value)) };
    if (large) {
        commit.pairs = many;
        commit.pair_count = 5;
    }
    CHECK_INT(stage_put_with(&s, bytes("a/k"), bytes("hello"), &commit), FOLDER_OK);
    CHECK_INT(folder_head(s.folder, B, bytes("a/k"), &object), FOLDER_OK);
    CHECK_TEXT(object.etag, "5d41402abc4b2a76b9719d911017c592");
    CHECK_INT(object.size, 5);
    if (large) {
        CHECK_BYTES(folder_object_find(&object, FOLDER_HEADER, "x-amz-meta-long"),
                    slice_of(value, sizeof(value)));
        object.pair_count--;
    }
    check_pairs(&object);
    folder_object_fini(&object);
    CHECK_INT(side_files(&s), sides);

    /* Other tags, the rest stays. */
    tag.value = bytes("Sheaf");
    CHECK_INT(folder_replace_pairs(s.folder, B, bytes("a/k"), FOLDER_TAG, &tag, 1), FOLDER_OK);
    CHECK_INT(folder_head(s.folder, B, bytes("a/k"), &object), FOLDER_OK);
    CHECK_BYTES(folder_object_find(&object, FOLDER_TAG, "pro ject"), bytes("Sheaf"));
    CHECK_TEXT(object.etag, "5d41402abc4b2a76b9719d911017c592");
    CHECK_INT(object.pair_count, large ? 5 : 4);
    folder_object_fini(&object);
    CHECK_INT(side_files(&s), sides);

    /* One without any replaces it: no side file is left over. */
    CHECK_INT(stage_put(&s, bytes("a/k"), bytes("hello!")), FOLDER_OK);
    CHECK_INT(folder_head(s.folder, B, bytes("a/k"), &object), FOLDER_OK);
    CHECK_INT(object.pair_count, 0);
    folder_object_fini(&object);
    CHECK_INT(side_files(&s), settings.without_attributes ? 1 : 0);
    CHECK_INT(folder_delete(s.folder, B, bytes("a/k"), NULL, NULL), FOLDER_OK);
    CHECK_INT(side_files(&s), 0);
    stage_end(&s);
}

static void metadata_is_kept_wherever_there_is_room(void)
{
    check_metadata((struct folder_settings){ .sync = FOLDER_SYNC_NEVER }, false);
    check_metadata((struct folder_settings){ .sync = FOLDER_SYNC_NEVER, .without_nameless = true },
                   false);
    check_metadata(
        (struct folder_settings){ .sync = FOLDER_SYNC_NEVER, .without_attributes = true }, false);
    check_metadata((struct folder_settings){ .without_attributes = true, .without_nameless = true },
                   true);
}

/* What ext4's attributes do not hold is in a side file (a file system with large ones has none). */
static void metadata_larger_than_an_attribute_is_kept(void)
{
    struct stage s = stage_fast();
    char path[128];
    static char large[8000];
    int fd;
    bool fits;

    snprintf(path, sizeof(path), "%s/probe", s.path);
    fd = open(path, O_CREAT | O_RDWR, 0666);
    fits = fsetxattr(fd, "user.large", large, sizeof(large), 0) == 0;
    close(fd);
    stage_end(&s);
    if (!fits)
        check_metadata((struct folder_settings){ .sync = FOLDER_SYNC_NEVER }, true);
}

static void too_much_metadata_is_refused(void)
{
    struct stage s = stage_fast();
    static char value[FOLDER_RECORD_BYTES + 1];
    struct folder_pair pair = { FOLDER_HEADER, bytes("x"), slice_of(value, sizeof(value)) };
    struct folder_commit commit = { .pairs = &pair, .pair_count = 1, .size = 1 };

    CHECK_INT(stage_put_with(&s, bytes("k"), bytes("v"), &commit), FOLDER_META_TOO_LARGE);
    CHECK_BYTES(stage_get(&s, bytes("k")), bytes("NoSuchKey"));
    stage_end(&s);
}

static void conditions_are_kept(void)
{
    struct stage s = stage_fast();
    struct folder_commit commit = { .size = 5 };

    commit.conditions.if_match = bytes("*");
    CHECK_INT(stage_put_with(&s, bytes("k"), bytes("hello"), &commit), FOLDER_NO_SUCH_KEY);
    commit.conditions = (struct folder_conditions){ .if_none_match = bytes("*") };
    CHECK_INT(stage_put_with(&s, bytes("k"), bytes("hello"), &commit), FOLDER_OK);
    CHECK_INT(stage_put_with(&s, bytes("k"), bytes("HELLO"), &commit), FOLDER_PRECONDITION);
    CHECK_BYTES(stage_get(&s, bytes("k")), bytes("hello"));
    commit.conditions =
        (struct folder_conditions){ .if_match =
                                        bytes("\"0\", \"5d41402abc4b2a76b9719d911017c592\"") };
    CHECK_INT(stage_put_with(&s, bytes("k"), bytes("HELLO"), &commit), FOLDER_OK);
    CHECK_INT(stage_put_with(&s, bytes("k"), bytes("other"), &commit), FOLDER_PRECONDITION);
    CHECK_BYTES(stage_get(&s, bytes("k")), bytes("HELLO"));
    CHECK_INT(folder_delete(s.folder, B, bytes("k"), &commit.conditions, NULL),
              FOLDER_PRECONDITION);
    CHECK_BYTES(stage_get(&s, bytes("k")), bytes("HELLO"));
    stage_end(&s);
}

static void a_file_of_someone_else_is_an_object(void)
{
    struct stage s = stage_fast();
    struct folder_object object = { 0 };
    char path[128], etag[FOLDER_ETAG_BYTES];
    int fd;

    snprintf(path, sizeof(path), "%s/bucket/mine", s.path);
    fd = open(path, O_CREAT | O_WRONLY, 0666);
    CHECK(write(fd, "abc", 3) == 3);
    close(fd);
    CHECK_INT(folder_head(s.folder, B, bytes("mine"), &object), FOLDER_OK);
    CHECK_INT(object.size, 3);
    CHECK(strlen(object.etag) == 34 && strcmp(object.etag + 32, "-1") == 0);
    memcpy(etag, object.etag, sizeof(etag));
    fd = open(path, O_WRONLY | O_APPEND);
    CHECK(write(fd, "d", 1) == 1);
    close(fd);
    CHECK_INT(folder_head(s.folder, B, bytes("mine"), &object), FOLDER_OK);
    CHECK(strcmp(etag, object.etag) != 0);

    /* One of ours that was changed by hand has another ETag than before. */
    CHECK_INT(stage_put(&s, bytes("ours"), bytes("hello")), FOLDER_OK);
    snprintf(path, sizeof(path), "%s/bucket/ours", s.path);
    fd = open(path, O_WRONLY | O_APPEND);
    CHECK(write(fd, "!", 1) == 1);
    CHECK(futimens(fd, (struct timespec[2]){ { 1, 1 }, { 1, 1 } }) ==
          0); /* whatever the clock says */
    close(fd);
    CHECK_INT(folder_head(s.folder, B, bytes("ours"), &object), FOLDER_OK);
    CHECK(strcmp(object.etag, "5d41402abc4b2a76b9719d911017c592") != 0);
    CHECK_BYTES(stage_get(&s, bytes("ours")), bytes("hello!"));
    stage_end(&s);
}

/* As a crash of the machine can leave it without FOLDER_SYNC_ALWAYS: a name, but not all bytes. */
static void an_object_that_lost_its_end_is_not_served(void)
{
    struct stage s = stage_fast();
    struct stat stat;
    char path[128];
    int fd;

    CHECK_INT(stage_put(&s, bytes("k"), bytes("hello")), FOLDER_OK);
    snprintf(path, sizeof(path), "%s/bucket/k", s.path);
    fd = open(path, O_WRONLY);
    CHECK(fstat(fd, &stat) == 0 && ftruncate(fd, 2) == 0);
    CHECK(futimens(fd, (struct timespec[2]){ stat.st_atim, stat.st_mtim }) == 0);
    close(fd);
    CHECK_BYTES(stage_get(&s, bytes("k")), bytes("InternalError"));
    CHECK_INT(stage_put(&s, bytes("k"), bytes("again")), FOLDER_OK);
    CHECK_BYTES(stage_get(&s, bytes("k")), bytes("again"));
    stage_end(&s);
}

static void an_upload_is_what_was_promised(void)
{
    struct stage s = stage_fast();
    struct folder_written written;
    struct folder_put *put = NULL;
    uint8_t md5[16] = { 0 };
    struct folder_commit commit = { .size = 6 };

    CHECK_INT(stage_put_with(&s, bytes("k"), bytes("hello"), &commit), FOLDER_INCOMPLETE);
    commit = (struct folder_commit){ .size = 5, .md5 = md5 };
    CHECK_INT(stage_put_with(&s, bytes("k"), bytes("hello"), &commit), FOLDER_BAD_DIGEST);
    CHECK_BYTES(stage_get(&s, bytes("k")), bytes("NoSuchKey"));
    EVP_Digest("hello", 5, md5, NULL, EVP_md5(), NULL);
    CHECK_INT(stage_put_with(&s, bytes("k"), bytes("hello"), &commit), FOLDER_OK);
    CHECK_INT(folder_put_begin(s.folder, B, bytes("k"), 3, &put), FOLDER_OK);
    CHECK_INT(folder_put_write(put, bytes("ab")), FOLDER_OK);
    CHECK_INT(folder_put_write(put, bytes("cd")), FOLDER_INCOMPLETE);
    commit.size = FOLDER_SIZE_UNKNOWN;
    CHECK(folder_put_commit(&put, &commit, &written) != FOLDER_OK && put == NULL);
    CHECK_BYTES(stage_get(&s, bytes("k")), bytes("hello"));
    CHECK_INT(folder_put_begin(s.folder, B, bytes("k"), (5ULL << 40) + 1, &put), FOLDER_TOO_LARGE);
    stage_end(&s);
}

static void an_aborted_upload_leaves_nothing(void)
{
    struct stage s = stage_new((struct folder_settings){ .without_nameless = true });
    struct folder_put *put = NULL;

    CHECK_INT(folder_put_begin(s.folder, B, bytes("k"), FOLDER_SIZE_UNKNOWN, &put), FOLDER_OK);
    CHECK_INT(folder_put_write(put, bytes("ab")), FOLDER_OK);
    folder_put_abort(&put);
    stage_count(&s, ".sheaf/tmp");
    CHECK_INT(stage_files, 0);
    CHECK_BYTES(stage_get(&s, bytes("k")), bytes("NoSuchKey"));
    stage_end(&s);
}

static void pipes_carry_bytes_both_ways(enum folder_etag etag)
{
    struct stage s = stage_new((struct folder_settings){ .sync = FOLDER_SYNC_NEVER, .etag = etag });
    struct folder_written written;
    struct folder_reader reader = { .fd = -1 };
    struct folder_put *put = NULL;
    struct folder_commit commit = { .size = 4096 };
    uint8_t sent[4096], found[4096];
    int pipes[2];
    size_t moved = 0, all = 0;

    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (uint8_t)(i * 31 >> 3);
    CHECK(pipe2(pipes, O_NONBLOCK) == 0);
    CHECK_INT(folder_put_begin(s.folder, B, bytes("k"), sizeof(sent), &put), FOLDER_OK);
    CHECK_INT(folder_put_pipe(put, pipes[0], 100, &moved), FOLDER_OK);
    CHECK_INT(moved, 0);
    CHECK(write(pipes[1], sent, sizeof(sent)) == sizeof(sent));
    while (all < sizeof(sent) && folder_put_pipe(put, pipes[0], 1000, &moved) == FOLDER_OK)
        all += moved;
    CHECK_INT(folder_put_commit(&put, &commit, &written), FOLDER_OK);
    CHECK(strlen(written.etag) == (etag == FOLDER_ETAG_MD5 ? 32 : 34));

    CHECK_INT(folder_get(s.folder, B, bytes("k"), &reader), FOLDER_OK);
    CHECK_TEXT(reader.object.etag, written.etag);
    for (all = 0; all < sizeof(sent) - 96; all += moved) {
        CHECK_INT(folder_read_pipe(s.folder, &reader, 96 + all, 4096, pipes[1], &moved), FOLDER_OK);
        CHECK(moved > 0 && read(pipes[0], found + all, moved) == (ssize_t)moved);
    }
    CHECK_BYTES(slice_of(found, all), slice_of(sent + 96, sizeof(sent) - 96));
    CHECK_INT(folder_read(s.folder, &reader, 5000, found, 1, &moved), FOLDER_RANGE);
    folder_reader_close(&reader);
    close(pipes[0]);
    close(pipes[1]);
    stage_end(&s);
}

static void bytes_come_and_go_by_pipes(void)
{
    pipes_carry_bytes_both_ways(FOLDER_ETAG_MD5);
    pipes_carry_bytes_both_ways(FOLDER_ETAG_RANDOM);
}

static void a_copy_is_the_same_object(void)
{
    struct stage s = stage_fast();
    struct folder_commit commit = { .pairs = PAIRS, .pair_count = 4, .size = 5 };
    struct folder_reader reader = { .fd = -1 };
    struct folder_written written;
    struct folder_put *put = NULL;
    bool done = false;

    CHECK_INT(stage_put_with(&s, bytes("k"), bytes("hello"), &commit), FOLDER_OK);
    CHECK_INT(folder_get(s.folder, B, bytes("k"), &reader), FOLDER_OK);
    CHECK_INT(folder_copy_begin(s.folder, &reader, 0, 5, B, bytes("x/y"), &put), FOLDER_OK);
    while (!done && folder_put_step(put, 2, &done) == FOLDER_OK)
        continue;
    commit.pairs = reader.object.pairs;
    CHECK_INT(folder_put_commit(&put, &commit, &written), FOLDER_OK);
    CHECK_TEXT(written.etag, "5d41402abc4b2a76b9719d911017c592");
    CHECK_BYTES(stage_get(&s, bytes("x/y")), bytes("hello"));

    /* A part of it has an ETag of its own; and a copy may go to where it comes from. */
    CHECK_INT(folder_copy_begin(s.folder, &reader, 1, 3, B, bytes("k"), &put), FOLDER_OK);
    commit.size = 3;
    CHECK(folder_put_commit(&put, &commit, &written) != FOLDER_OK); /* it was not copied yet */
    CHECK_INT(folder_copy_begin(s.folder, &reader, 1, 3, B, bytes("k"), &put), FOLDER_OK);
    CHECK_INT(folder_put_step(put, 100, &done), FOLDER_OK);
    CHECK_INT(folder_put_commit(&put, &commit, &written), FOLDER_OK);
    CHECK_TEXT(written.etag, "3123059c1c816471780539f6b6b738dc"); /* of "ell" */
    CHECK_BYTES(stage_get(&s, bytes("k")), bytes("ell"));
    CHECK_INT(folder_copy_begin(s.folder, &reader, 1, 5, B, bytes("k"), &put), FOLDER_RANGE);
    folder_reader_close(&reader);
    stage_end(&s);
}

static void a_reader_keeps_what_it_opened(void)
{
    struct stage s = stage_fast();
    struct folder_reader reader = { .fd = -1 };
    char text[8];
    size_t got = 0;

    CHECK_INT(stage_put(&s, bytes("k"), bytes("first")), FOLDER_OK);
    CHECK_INT(folder_get(s.folder, B, bytes("k"), &reader), FOLDER_OK);
    CHECK_INT(stage_put(&s, bytes("k"), bytes("second")), FOLDER_OK);
    CHECK_INT(folder_read(s.folder, &reader, 0, text, sizeof(text), &got), FOLDER_OK);
    CHECK_BYTES(slice_of(text, got), bytes("first"));
    folder_reader_close(&reader);
    stage_end(&s);
}

static void buckets_come_and_go(void)
{
    struct stage s = stage_fast();
    struct folder_bucket *buckets = NULL;
    size_t count = 0;
    bool more = false;
    char path[128];

    CHECK_INT(folder_bucket_create(s.folder, B), FOLDER_BUCKET_EXISTS);
    CHECK_INT(folder_bucket_create(s.folder, bytes(".sheaf")), FOLDER_BUCKET_NAME);
    CHECK_INT(folder_bucket_create(s.folder, bytes("another")), FOLDER_OK);
    CHECK_INT(folder_bucket_create(s.folder, bytes("zoo")), FOLDER_OK);
    snprintf(path, sizeof(path), "%s/lost+found", s.path);
    CHECK(mkdir(path, 0700) == 0);
    CHECK_INT(folder_buckets(s.folder, bytes(""), 2, &buckets, &count, &more), FOLDER_OK);
    CHECK(count == 2 && more);
    CHECK_TEXT(buckets[0].name, "another");
    CHECK_TEXT(buckets[1].name, "bucket");
    CHECK(buckets[0].created_us > 1000000);
    free(buckets);
    CHECK_INT(folder_buckets(s.folder, bytes("bucket"), 2, &buckets, &count, &more), FOLDER_OK);
    CHECK(count == 1 && !more && strcmp(buckets[0].name, "zoo") == 0);
    free(buckets);

    CHECK_INT(stage_put(&s, bytes("a/b/c"), bytes("")), FOLDER_OK);
    CHECK_INT(folder_bucket_delete(s.folder, B), FOLDER_BUCKET_NOT_EMPTY);
    CHECK_INT(folder_delete(s.folder, B, bytes("a/b/c"), NULL, NULL), FOLDER_OK);
    snprintf(path, sizeof(path), "%s/bucket/left+", s.path); /* as a crash may leave it */
    CHECK(mkdir(path, 0777) == 0);
    snprintf(path, sizeof(path), "%s/bucket/left+/over+", s.path);
    CHECK(mkdir(path, 0777) == 0);
    CHECK_INT(folder_bucket_delete(s.folder, B), FOLDER_OK);
    CHECK_INT(folder_bucket_head(s.folder, B), FOLDER_NO_SUCH_BUCKET);
    CHECK_INT(folder_bucket_delete(s.folder, B), FOLDER_NO_SUCH_BUCKET);
    stage_end(&s);
}

static void the_deepest_keys_are_no_trouble(void)
{
    struct stage s = stage_fast();
    struct folder_list_request r = { .most = 10, .delimiter = bytes("/") };
    struct folder_page page = { 0 };
    char key[FOLDER_KEY_BYTES];

    memset(key, '/', sizeof(key));
    CHECK_INT(stage_put(&s, slice_of(key, sizeof(key)), bytes("deep")), FOLDER_OK);
    CHECK_BYTES(stage_get(&s, slice_of(key, sizeof(key))), bytes("deep"));
    CHECK_INT(folder_list(s.folder, B, &r, &page), FOLDER_OK);
    CHECK(page.count == 1 && page.entries[0].is_prefix && page.entries[0].name.len == 1);
    folder_page_fini(&page);
    r.delimiter = bytes("");
    CHECK_INT(folder_list(s.folder, B, &r, &page), FOLDER_OK);
    CHECK(page.count == 1 && page.entries[0].name.len == FOLDER_KEY_BYTES);
    folder_page_fini(&page);
    CHECK_INT(folder_bucket_delete(s.folder, B), FOLDER_BUCKET_NOT_EMPTY);
    CHECK_INT(folder_delete(s.folder, B, slice_of(key, sizeof(key)), NULL, NULL), FOLDER_OK);
    CHECK_INT(folder_bucket_delete(s.folder, B), FOLDER_OK);
    stage_end(&s);
}

static void the_stamp_is_written_once(void)
{
    struct stage s = stage_fast();
    struct buf text = { 0 };

    CHECK_INT(folder_stamp_read(s.folder, &text), FOLDER_NO_SUCH_KEY);
    CHECK_INT(folder_stamp_write(s.folder, bytes("sheaf-stamp 1"), false), FOLDER_OK);
    CHECK_INT(folder_stamp_write(s.folder, bytes("other"), false), FOLDER_PRECONDITION);
    CHECK_INT(folder_stamp_read(s.folder, &text), FOLDER_OK);
    CHECK_BYTES(buf_all(&text), bytes("sheaf-stamp 1"));
    CHECK_INT(folder_stamp_write(s.folder, bytes("other"), true), FOLDER_OK);
    buf_clear(&text);
    CHECK_INT(folder_stamp_read(s.folder, &text), FOLDER_OK);
    CHECK_BYTES(buf_all(&text), bytes("other"));
    buf_fini(&text);
    stage_end(&s);
}

static void what_cannot_be_opened_says_why(void)
{
    static const struct folder_settings NONE = { 0 };
    static const struct folder_settings NAMELESS = { .layout = FOLDER_LAYOUT_STALWART };
    struct stage s = stage_fast();
    struct folder *folder = NULL;
    struct buf why = { 0 };

    CHECK(folder_open("/nonexistent/folder", &NONE, &folder, &why) == ERR_CONFIG && folder == NULL);
    CHECK_BYTES(buf_all(&why),
                bytes("cannot use the folder /nonexistent/folder: No such file or directory"));
    buf_clear(&why);
    CHECK(folder_open(s.path, &NAMELESS, &folder, &why) == ERR_CONFIG && why.len > 0);
    buf_fini(&why);
    stage_end(&s);
}

/* ---- many at once ---- */

enum { THREADS = 4, ROUNDS = 300 };

struct racer {
    pthread_t thread;
    struct stage *stage;
    unsigned number;
    int wrong, won;
};

/* Writes, reads and deletes keys that share a directory, so that it comes and goes. */
static void *race(void *arg)
{
    struct racer *r = arg;
    char value[4][16] = { "aaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbb", "ccccccccccccccc",
                          "ddddddddddddddd" };

    for (int i = 0; i < ROUNDS; i++) {
        struct folder_reader reader = { .fd = -1 };
        enum folder_outcome outcome;
        char found[16];
        size_t got = 0;

        r->wrong +=
            stage_put(r->stage, bytes("d/e/key"), slice_of(value[r->number], 15)) != FOLDER_OK;
        outcome = folder_get(r->stage->folder, B, bytes("d/e/key"), &reader);
        if (outcome == FOLDER_OK) {
            outcome = folder_read(r->stage->folder, &reader, 0, found, sizeof(found), &got);
            r->wrong += outcome != FOLDER_OK || got != 15 || reader.object.etag[32] != '\0';
            for (size_t n = 1; n < got; n++)
                r->wrong += found[n] != found[0];
            folder_reader_close(&reader);
        } else {
            r->wrong += outcome != FOLDER_NO_SUCH_KEY;
        }
        if (i % 3 == 0)
            r->wrong +=
                folder_delete(r->stage->folder, B, bytes("d/e/key"), NULL, NULL) != FOLDER_OK;
    }
    return NULL;
}

static void *race_to_be_first(void *arg)
{
    struct racer *r = arg;
    struct folder_commit commit = { .conditions.if_none_match = bytes("*"), .size = 1 };
    char key[24];

    for (int i = 0; i < ROUNDS; i++) {
        enum folder_outcome outcome;

        snprintf(key, sizeof(key), "first%d", i);
        outcome = stage_put_with(r->stage, slice_text(key), bytes("x"), &commit);
        r->won += outcome == FOLDER_OK;
        r->wrong += outcome != FOLDER_OK && outcome != FOLDER_PRECONDITION;
    }
    return NULL;
}

static int run_race(struct folder_settings settings, void *(*run)(void *arg))
{
    struct stage s = stage_new(settings);
    struct racer racers[THREADS];
    int wrong = 0, won = 0;

    for (unsigned i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){ .stage = &s, .number = i };
        pthread_create(&racers[i].thread, NULL, run, &racers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(racers[i].thread, NULL);
        wrong += racers[i].wrong;
        won += racers[i].won;
    }
    stage_end(&s);
    CHECK_INT(wrong, 0);
    return won;
}

static void writers_readers_and_deleters_see_whole_objects(void)
{
    run_race((struct folder_settings){ .sync = FOLDER_SYNC_NEVER }, race);
    run_race((struct folder_settings){ .sync = FOLDER_SYNC_NEVER, .without_nameless = true }, race);
    run_race((struct folder_settings){ .sync = FOLDER_SYNC_NEVER, .without_attributes = true },
             race);
}

static void one_alone_is_first(void)
{
    struct folder_settings settings = { .sync = FOLDER_SYNC_NEVER };

    CHECK_INT(run_race(settings, race_to_be_first), ROUNDS);
    settings.without_nameless = true;
    CHECK_INT(run_race(settings, race_to_be_first), ROUNDS);
}

int main(void)
{
    RUN(what_was_put_is_got);
    RUN(what_is_missing_is_named);
    RUN(metadata_is_kept_wherever_there_is_room);
    RUN(metadata_larger_than_an_attribute_is_kept);
    RUN(too_much_metadata_is_refused);
    RUN(conditions_are_kept);
    RUN(a_file_of_someone_else_is_an_object);
    RUN(an_object_that_lost_its_end_is_not_served);
    RUN(an_upload_is_what_was_promised);
    RUN(an_aborted_upload_leaves_nothing);
    RUN(bytes_come_and_go_by_pipes);
    RUN(a_copy_is_the_same_object);
    RUN(a_reader_keeps_what_it_opened);
    RUN(buckets_come_and_go);
    RUN(the_deepest_keys_are_no_trouble);
    RUN(the_stamp_is_written_once);
    RUN(what_cannot_be_opened_says_why);
    stage_place = stage_memory();
    RUN(writers_readers_and_deleters_see_whole_objects);
    RUN(one_alone_is_first);
    return check_report();
}
