/* A login at a server that may say anything.  The input begins with what is known of the user; the
 * rest is what the server sends.  Shown at once or in pieces it must come to the same end, a
 * clear password must not go out where others hear it, and nothing is said once it has failed.
 *
 * No input could guess a nonce: ours are made of zeros here. */
#include <stdlib.h>
#include <sys/random.h>

#include "proxy/sql/pg_login.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void begin(struct pg_login *l, const struct pg_login_settings *s, struct buf *out)
{
    pg_login_begin(l, s, out);
    must(out->len > 8);
    buf_clear(out);
}

/* In the place of the C library's. */
ssize_t getrandom(void *at, size_t len, unsigned flags)
{
    (void)flags;
    memset(at, 0, len);
    return (ssize_t)len;
}

static enum err feed_in_pieces(struct pg_login *l, struct slice in, size_t step, struct buf *out,
                               size_t *total)
{
    enum err err = ERR_AGAIN;
    size_t shown = 0;

    *total = 0;
    while (err == ERR_AGAIN && *total + shown < in.len) {
        size_t used, left = in.len - *total;
        uint8_t *copy;

        shown = shown + step < left ? shown + step : left;
        copy = malloc(shown);
        memcpy(copy, in.at + *total, shown);
        err = pg_login_feed(l, slice_of(copy, shown), &used, out);
        free(copy);
        must(used <= shown);
        *total += used;
        shown -= used;
    }
    return err;
}

static void check_end(const struct pg_login *l, enum err err)
{
    must((err == ERR_NONE) == (l->step == PG_LOGIN_READY));
    must((err != ERR_NONE && err != ERR_AGAIN) == (l->step == PG_LOGIN_FAILED));
    must(l->parameters.len <= PG_LOGIN_PARAMETER_BYTES);
    must(l->passed <= PG_LOGIN_BYTES_MOST + PG_LOGIN_MESSAGE_MOST || l->notice_left > 0 ||
         l->step == PG_LOGIN_FAILED);
    must(strlen(l->why) < sizeof(l->why));
    must((l->why[0] != '\0') <= (l->step == PG_LOGIN_FAILED));
    for (const char *c = l->why; *c != '\0'; c++)
        must((uint8_t)*c >= ' ');
}

/* It could only be the first answer. */
static bool tells_password(struct slice said)
{
    return slice_starts(said, slice_of("p\0\0\0\x0bpencil", 11));
}

static void settle(uint8_t how, struct pg_login_settings *s, struct scram_keys *keys)
{
    static const char endpoint[32] = "the hash of a certificate";

    *s = (struct pg_login_settings){ .user = slice_text("app"), .database = slice_text("main") };
    if (how & 1)
        s->password = slice_text("pencil");
    if (how & 2) {
        keys->verifier = (struct scram_verifier){ .iterations = 1, .salt_len = 1, .salt = "s" };
        s->keys = keys;
    }
    if (how & 4)
        s->endpoint = slice_of(endpoint, sizeof(endpoint));
    s->is_private = how & 8;
    s->must_bind = how & 16;
    s->has_deputy = how & 32;
    s->guesses_scram = how & 64;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct pg_login_settings settings;
    struct scram_keys keys = { 0 };
    struct pg_login whole, parts;
    struct buf out = { 0 }, out_of_parts = { 0 };
    size_t used, total;
    enum err err;

    if (size < 2)
        return 0;
    settle(at[0], &settings, &keys);
    begin(&whole, &settings, &out);
    begin(&parts, &settings, &out_of_parts);
    err = feed_in_pieces(&whole, slice_of(at + 2, size - 2), SIZE_MAX / 2, &out, &used);
    must(feed_in_pieces(&parts, slice_of(at + 2, size - 2), 1 + at[1] % 32, &out_of_parts,
                        &total) == err);
    check_end(&whole, err);
    check_end(&parts, err);
    must(used == total && slice_is(buf_all(&out), buf_all(&out_of_parts)));
    must(strcmp(whole.why, parts.why) == 0);
    must(slice_is(buf_all(&whole.for_deputy), buf_all(&parts.for_deputy)));
    must(settings.has_deputy || whole.for_deputy.len == 0);
    must(settings.is_private || !tells_password(buf_all(&out)));
    must(!settings.must_bind || whole.step != PG_LOGIN_READY || whole.is_bound);
    pg_login_fini(&whole);
    pg_login_fini(&parts);
    buf_fini(&out);
    buf_fini(&out_of_parts);
    return 0;
}
