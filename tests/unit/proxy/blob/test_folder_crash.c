/* Ends the process, or lets a call fail, at each call that an operation makes of the system, and
 * looks at what is there afterwards: the old state or the new one, and nothing else. */
#include <signal.h>
#include <sys/wait.h>

#include "proxy/base/log.h"
#include "tests/unit/proxy/blob/folder_stage.h"

enum { MOST_CALLS = 200, CALLS_SEEN = 400 };

/* What the hook does: it counts, and at one call it fails or kills. */
static struct {
    int left, error;
    bool kills;
    enum folder_call seen[CALLS_SEEN];
    size_t count;
} fault;

static int at_call(void *state, enum folder_call call)
{
    (void)state;
    if (fault.count < CALLS_SEEN)
        fault.seen[fault.count++] = call;
    if (fault.left == 0 || --fault.left > 0)
        return 0;
    if (fault.kills)
        kill(getpid(), SIGKILL);
    return fault.error;
}

static void arm(int left, bool kills, int error)
{
    fault.left = left;
    fault.kills = kills;
    fault.error = error;
    fault.count = 0;
}

static const struct folder_settings VARIANTS[] = {
    { .sync = FOLDER_SYNC_ALWAYS },
    { .sync = FOLDER_SYNC_NEVER, .without_nameless = true },
    { .sync = FOLDER_SYNC_NEVER, .without_attributes = true },
    { .sync = FOLDER_SYNC_NEVER, .without_attributes = true, .without_nameless = true },
};
enum { VARIANT_COUNT = 4 };

/* ---- operations, each from a first state to a second ---- */

#define OLD bytes("the old bytes")
#define NEW bytes("new ones, and more of them")

static const struct folder_pair OLD_PAIR = { FOLDER_HEADER,
                                             { (const uint8_t *)"x-amz-meta-is", 13 },
                                             { (const uint8_t *)"old", 3 } };
static const struct folder_pair NEW_PAIR = { FOLDER_HEADER,
                                             { (const uint8_t *)"x-amz-meta-is", 13 },
                                             { (const uint8_t *)"new", 3 } };

static enum folder_outcome put_old(struct stage *s)
{
    return stage_put_with(
        s, bytes("a/b/key"), OLD,
        &(struct folder_commit){ .pairs = &OLD_PAIR, .pair_count = 1, .size = 13 });
}

static enum folder_outcome put_new(struct stage *s)
{
    return stage_put_with(
        s, bytes("a/b/key"), NEW,
        &(struct folder_commit){ .pairs = &NEW_PAIR, .pair_count = 1, .size = 26 });
}

static enum folder_outcome put_if_none(struct stage *s)
{
    struct folder_commit commit = { .pairs = &NEW_PAIR, .pair_count = 1, .size = 26 };

    commit.conditions.if_none_match = bytes("*");
    return stage_put_with(s, bytes("a/b/key"), NEW, &commit);
}

static enum folder_outcome delete (struct stage *s) {
    return folder_delete(s->folder, B, bytes("a/b/key"), NULL, NULL);
}

static enum folder_outcome retag(struct stage *s)
{
    return folder_replace_pairs(s->folder, B, bytes("a/b/key"), FOLDER_HEADER, &NEW_PAIR, 1);
}

static enum folder_outcome copy(struct stage *s)
{
    struct folder_reader reader = { .fd = -1 };
    struct folder_commit commit = { .pairs = &NEW_PAIR, .pair_count = 1, .size = 26 };
    struct folder_written written;
    struct folder_put *put = NULL;
    bool done = false;
    enum folder_outcome outcome = folder_get(s->folder, B, bytes("source"), &reader);

    if (outcome == FOLDER_OK)
        outcome = folder_copy_begin(s->folder, &reader, 0, 26, B, bytes("a/b/key"), &put);
    if (outcome == FOLDER_OK)
        outcome = folder_put_step(put, 1000, &done);
    if (outcome == FOLDER_OK)
        outcome = folder_put_commit(&put, &commit, &written);
    folder_put_abort(&put);
    folder_reader_close(&reader);
    return outcome;
}

static struct folder_upload_id upload; /* made before the operation */

static enum folder_outcome put_part(struct stage *s, unsigned number, struct slice value,
                                    char *etag)
{
    struct folder_commit commit = { .size = value.len };
    struct folder_written written = { 0 };
    struct folder_put *put = NULL;
    enum folder_outcome outcome = folder_part_begin(
        s->folder, B, bytes("a/b/key"), slice_text(upload.text), number, value.len, &put);

    if (outcome == FOLDER_OK)
        outcome = folder_put_write(put, value);
    if (outcome == FOLDER_OK)
        outcome = folder_put_commit(&put, &commit, &written);
    folder_put_abort(&put);
    if (outcome == FOLDER_OK && etag != NULL)
        memcpy(etag, written.etag, sizeof(written.etag));
    return outcome;
}

static char part_etags[2][FOLDER_ETAG_BYTES];

static enum folder_outcome prepare_upload(struct stage *s)
{
    enum folder_outcome outcome =
        folder_upload_create(s->folder, B, bytes("a/b/key"), &NEW_PAIR, 1, &upload);

    if (outcome == FOLDER_OK)
        outcome = put_part(s, 1, slice_of(NEW.at, 10), part_etags[0]);
    if (outcome == FOLDER_OK)
        outcome = put_part(s, 7, slice_from(NEW, 10), part_etags[1]);
    return outcome;
}

static enum folder_outcome complete(struct stage *s)
{
    struct folder_part_choice parts[] = { { .number = 1, .etag = slice_text(part_etags[0]) },
                                          { .number = 7, .etag = slice_text(part_etags[1]) } };
    struct folder_completion completion = {
        parts, 2, FOLDER_SIZE_UNKNOWN, CHECKSUMS, { 0 }, { 0 }
    };
    struct folder_commit commit = { .size = 26 };
    struct folder_written written;
    struct folder_put *put = NULL;
    bool done = false;
    enum folder_outcome outcome = folder_complete_begin(s->folder, B, bytes("a/b/key"),
                                                        slice_text(upload.text), &completion, &put);

    while (outcome == FOLDER_OK && !done)
        outcome = folder_put_step(put, 4, &done);
    if (outcome == FOLDER_OK)
        outcome = folder_put_commit(&put, &commit, &written);
    folder_put_abort(&put);
    return outcome;
}

static enum folder_outcome abort_upload(struct stage *s)
{
    return folder_upload_abort(s->folder, B, bytes("a/b/key"), slice_text(upload.text));
}

static enum folder_outcome part_again(struct stage *s)
{
    return put_part(s, 1, bytes("another first part"), NULL);
}

static enum folder_outcome create_upload(struct stage *s)
{
    struct folder_upload_id id;

    return folder_upload_create(s->folder, B, bytes("a/b/key"), &NEW_PAIR, 1, &id);
}

static enum folder_outcome stamp(struct stage *s)
{
    return folder_stamp_write(s->folder, NEW, true);
}

/* ---- what may be there ---- */

enum state { GONE, IS_OLD, IS_NEW, IS_OLD_BYTES_NEW_PAIR, IS_WRONG };

static enum state state_of(struct stage *s)
{
    struct folder_object object = { 0 };
    struct slice found = stage_get(s, bytes("a/b/key"));
    bool old_bytes = slice_is(found, OLD), new_bytes = slice_is(found, NEW), old_pair, new_pair;
    enum state state = IS_WRONG;

    if (slice_is_text(found, "NoSuchKey"))
        return GONE;
    if (folder_head(s->folder, B, bytes("a/b/key"), &object) != FOLDER_OK)
        return IS_WRONG;
    old_pair = slice_is_text(folder_object_find(&object, FOLDER_HEADER, "x-amz-meta-is"), "old");
    new_pair = slice_is_text(folder_object_find(&object, FOLDER_HEADER, "x-amz-meta-is"), "new");
    if (old_bytes && old_pair)
        state = IS_OLD;
    else if (new_bytes && new_pair)
        state = IS_NEW;
    else if (old_bytes && new_pair)
        state = IS_OLD_BYTES_NEW_PAIR;
    folder_object_fini(&object);
    return state;
}

static size_t keys_in_list(struct stage *s)
{
    struct folder_list_request r = { .most = 10 };
    struct folder_page page = { 0 };
    size_t count;

    CHECK_INT(folder_list(s->folder, B, &r, &page), FOLDER_OK);
    count = page.count;
    folder_page_fini(&page);
    return count;
}

/* Nothing in .sheaf/tmp but the empty directory of the store that is open. */
static bool is_swept(const struct stage *s)
{
    stage_count(s, ".sheaf/tmp");
    return stage_entries == 1;
}

/* Whatever became of the upload: it is whole, with both parts, or it is gone. */
static void check_upload(struct stage *s)
{
    struct folder_part *parts = NULL;
    size_t count = 0;
    bool more = false;
    enum folder_outcome outcome = folder_parts(
        s->folder, B, bytes("a/b/key"), slice_text(upload.text), 0, 100, &parts, &count, &more);

    CHECK(outcome == FOLDER_NO_SUCH_UPLOAD || (outcome == FOLDER_OK && count == 2));
    free(parts);
    if (outcome == FOLDER_OK) /* and may be tried again */
        CHECK_INT(abort_upload(s), FOLDER_OK);
}

struct operation {
    const char *name;
    enum folder_outcome (*run)(struct stage *s);
    bool old_first, with_upload, with_source;
    enum state before, after;
};

static const struct operation OPERATIONS[] = {
    { "put", put_new, .before = GONE, .after = IS_NEW },
    { "put over", put_new, .old_first = true, .before = IS_OLD, .after = IS_NEW },
    { "put if none", put_if_none, .before = GONE, .after = IS_NEW },
    { "delete", delete, .old_first = true, .before = IS_OLD, .after = GONE },
    { "retag", retag, .old_first = true, .before = IS_OLD, .after = IS_OLD_BYTES_NEW_PAIR },
    { "copy", copy, .old_first = true, .with_source = true, .before = IS_OLD, .after = IS_NEW },
    { "complete", complete, .old_first = true, .with_upload = true, .before = IS_OLD,
      .after = IS_NEW },
    { "abort", abort_upload, .with_upload = true, .before = GONE, .after = GONE },
    { "part", part_again, .with_upload = true, .before = GONE, .after = GONE },
    { "create", create_upload, .before = GONE, .after = GONE },
    { "stamp", stamp, .before = GONE, .after = GONE },
};
enum { OPERATION_COUNT = sizeof(OPERATIONS) / sizeof(OPERATIONS[0]) };

static struct stage prepare(const struct operation *o, struct folder_settings settings)
{
    struct stage s;

    settings.fault = at_call;
    settings.min_part = 1;
    arm(0, false, 0);
    s = stage_new(settings);
    if (o->old_first)
        CHECK_INT(put_old(&s), FOLDER_OK);
    if (o->with_source)
        CHECK_INT(stage_put(&s, bytes("source"), NEW), FOLDER_OK);
    if (o->with_upload)
        CHECK_INT(prepare_upload(&s), FOLDER_OK);
    return s;
}

/* Looks at the folder with a store that was opened after the fault. */
static void check_after(struct stage *s, const struct operation *o, bool must_be_done, int at)
{
    enum state state = state_of(s);
    size_t keys = (state == GONE ? 0U : 1U) + (o->with_source ? 1U : 0U);

    if (state != o->after && (must_be_done || state != o->before)) {
        printf("%s, call %d: state %d\n", o->name, at, (int)state);
        CHECK(false);
    }
    CHECK_INT(keys_in_list(s), keys);
    if (!is_swept(s)) {
        printf("%s, call %d: not swept\n", o->name, at);
        CHECK(false);
    }
    if (o->with_upload)
        check_upload(s);
    /* Everything still works. */
    CHECK_INT(put_old(s), FOLDER_OK);
    CHECK(state_of(s) == IS_OLD);
    CHECK_INT(delete (s), FOLDER_OK);
    CHECK_INT(keys_in_list(s), o->with_source ? 1 : 0);
}

/* One operation that is killed at its n-th call; true if it was done before. */
static bool kill_at(const struct operation *o, const struct folder_settings *settings, int n)
{
    struct stage s = prepare(o, *settings);
    int status = 0;
    pid_t child;

    folder_close(&s.folder);
    child = fork();
    if (child == 0) {
        stage_open(&s);
        arm(n, true, 0);
        _exit(o->run(&s) == FOLDER_OK ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    arm(0, false, 0);
    stage_open(&s);
    check_after(&s, o, WIFEXITED(status), n);
    stage_end(&s);
    return WIFEXITED(status);
}

static void a_killed_process_leaves_old_or_new(void)
{
    for (size_t v = 0; v < VARIANT_COUNT; v++)
        for (size_t i = 0; i < OPERATION_COUNT; i++) {
            int n = 1;

            while (n < MOST_CALLS && !kill_at(&OPERATIONS[i], &VARIANTS[v], n))
                n++;
            CHECK(n > 2 && n < MOST_CALLS);
        }
}

/* One operation whose n-th call fails; true if it made fewer calls. */
static bool fail_at(const struct operation *o, const struct folder_settings *settings, int n,
                    int error)
{
    struct stage s = prepare(o, *settings);
    enum folder_outcome outcome;
    bool reached;

    arm(n, false, error);
    outcome = o->run(&s);
    reached = fault.left == 0;
    arm(0, false, 0);
    CHECK(reached || outcome == FOLDER_OK);
    CHECK(outcome == FOLDER_OK || outcome == FOLDER_INTERNAL || outcome == FOLDER_FULL);
    folder_close(&s.folder); /* what could not be removed is removed now */
    stage_open(&s);
    check_after(&s, o, outcome == FOLDER_OK, n);
    stage_end(&s);
    return !reached;
}

static void a_call_that_fails_leaves_old_or_new(void)
{
    for (size_t v = 0; v < VARIANT_COUNT; v++)
        for (size_t i = 0; i < OPERATION_COUNT; i++) {
            int n = 1;

            while (n < MOST_CALLS &&
                   !fail_at(&OPERATIONS[i], &VARIANTS[v], n, v % 2 == 0 ? EIO : ENOSPC))
                n++;
            CHECK(n > 2 && n < MOST_CALLS);
        }
}

/* A child writes objects over and over, and is killed after any number of them. */
static void a_kill_at_any_time_leaves_whole_objects(void)
{
    srand(3);
    for (int round = 0; round < 12; round++) {
        struct stage s = prepare(&OPERATIONS[0], VARIANTS[round % VARIANT_COUNT]);
        int pipes[2], left = rand() % 40;
        char byte;
        pid_t child;

        folder_close(&s.folder);
        CHECK(pipe(pipes) == 0);
        child = fork();
        if (child == 0) {
            stage_open(&s);
            for (;;)
                if (put_old(&s) != FOLDER_OK || put_new(&s) != FOLDER_OK ||
                    delete (&s) != FOLDER_OK || write(pipes[1], "x", 1) != 1)
                    _exit(1);
        }
        do
            CHECK(read(pipes[0], &byte, 1) == 1);
        while (--left > 0);
        kill(child, SIGKILL);
        CHECK(waitpid(child, NULL, 0) == child);
        close(pipes[0]);
        close(pipes[1]);
        stage_open(&s);
        CHECK(state_of(&s) != IS_WRONG && state_of(&s) != IS_OLD_BYTES_NEW_PAIR);
        CHECK(is_swept(&s));
        stage_end(&s);
    }
}

static void a_store_that_is_open_is_not_swept_by_another(void)
{
    struct stage s = stage_new((struct folder_settings){ .without_nameless = true }), other = s;
    struct folder_commit commit = { .size = NEW.len };
    struct folder_written written;
    struct folder_put *put = NULL;

    CHECK_INT(folder_put_begin(s.folder, B, bytes("k"), NEW.len, &put), FOLDER_OK);
    CHECK_INT(folder_put_write(put, NEW), FOLDER_OK);
    stage_open(&other);
    folder_sweep(other.folder, 1000);
    CHECK_INT(folder_put_commit(&put, &commit, &written), FOLDER_OK);
    CHECK_BYTES(stage_get(&other, bytes("k")), NEW);
    folder_close(&other.folder);
    stage_end(&s);
}

/* ---- when bytes are safe ---- */

static size_t count_calls(enum folder_call call)
{
    size_t count = 0;

    for (size_t i = 0; i < fault.count; i++)
        count += fault.seen[i] == call;
    return count;
}

static size_t place_of(enum folder_call call, bool last)
{
    size_t place = CALLS_SEEN;

    for (size_t i = 0; i < fault.count && (last || place == CALLS_SEEN); i++)
        if (fault.seen[i] == call)
            place = i;
    return place;
}

static void an_object_is_safe_before_it_has_its_name(void)
{
    struct stage s = prepare(&OPERATIONS[0], VARIANTS[0]);

    arm(0, false, 0);
    CHECK_INT(put_new(&s), FOLDER_OK);
    CHECK_INT(count_calls(FOLDER_CALL_SYNC_FILE), 1);
    CHECK(place_of(FOLDER_CALL_WRITE, true) < place_of(FOLDER_CALL_SYNC_FILE, false));
    CHECK(place_of(FOLDER_CALL_ATTRIBUTE, true) < place_of(FOLDER_CALL_SYNC_FILE, false));
    CHECK(place_of(FOLDER_CALL_SYNC_FILE, true) < place_of(FOLDER_CALL_LINK, false));
    CHECK(place_of(FOLDER_CALL_LINK, true) < place_of(FOLDER_CALL_SYNC_DIRECTORY, true));
    /* Two directories were made, and each name is safe in the one above. */
    CHECK_INT(count_calls(FOLDER_CALL_MKDIR), 2);
    CHECK_INT(count_calls(FOLDER_CALL_SYNC_DIRECTORY), 3);
    arm(0, false, 0);
    CHECK_INT(put_old(&s), FOLDER_OK);
    CHECK(place_of(FOLDER_CALL_RENAME, true) < place_of(FOLDER_CALL_SYNC_DIRECTORY, false));
    arm(0, false, 0);
    CHECK_INT(delete (&s), FOLDER_OK);
    CHECK_INT(count_calls(FOLDER_CALL_SYNC_DIRECTORY), 1);
    CHECK(place_of(FOLDER_CALL_UNLINK, true) < place_of(FOLDER_CALL_SYNC_DIRECTORY, false));
    stage_end(&s);
}

static void without_sync_nothing_waits_for_the_disk(void)
{
    static const enum folder_sync POLICIES[] = { FOLDER_SYNC_NEVER, FOLDER_SYNC_INTERVAL };

    for (size_t i = 0; i < 2; i++) {
        struct stage s = prepare(&OPERATIONS[6], (struct folder_settings){ .sync = POLICIES[i] });

        arm(0, false, 0);
        CHECK_INT(put_new(&s), FOLDER_OK);
        CHECK_INT(complete(&s), FOLDER_OK);
        CHECK_INT(delete (&s), FOLDER_OK);
        CHECK_INT(count_calls(FOLDER_CALL_SYNC_FILE) + count_calls(FOLDER_CALL_SYNC_DIRECTORY), 0);
        CHECK_INT(folder_sync(s.folder), FOLDER_OK);
        CHECK_INT(count_calls(FOLDER_CALL_SYNC_FILE), 1);
        stage_end(&s);
    }
}

int main(void)
{
    /* Each failure is a line of the log. */
    log_setup(&(struct log_settings){ .fd = open("/dev/null", O_WRONLY) });
    stage_place = stage_memory();
    RUN(a_killed_process_leaves_old_or_new);
    RUN(a_call_that_fails_leaves_old_or_new);
    RUN(a_kill_at_any_time_leaves_whole_objects);
    RUN(a_store_that_is_open_is_not_swept_by_another);
    RUN(an_object_is_safe_before_it_has_its_name);
    RUN(without_sync_nothing_waits_for_the_disk);
    return check_report();
}
