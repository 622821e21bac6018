/* Any bytes from a client who is to log in, in pieces.  The first byte chooses how he is asked, the
 * second what his secret is and what of TLS there is.  He is let in by the right answers alone: a
 * clear password may be in the input, a proof or an answer of md5 cannot. */
#include <stdlib.h>

#include "proxy/sql/pg_admit.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

#define VERIFIER                                                                                   \
    "SCRAM-SHA-256$1:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="        \
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static const char *const SECRETS[] = { "", "pencil", "md50473389d4fcfe8afdbecc1ee4c8a2dac",
                                       VERIFIER };
static const uint8_t ENDPOINT[32] = { 7 };

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void read_settings(struct pg_admit_settings *s, uint8_t how, uint8_t what)
{
    static struct scram_keys kept;

    *s = (struct pg_admit_settings){
        .method = how % 8,
        .user = slice_text("app"),
        .secret = slice_text(SECRETS[what % 4]),
        .kept = &kept,
        .process_secret = slice_text("0123456789abcdef0123456789abcdef"),
        .has_no_verifier = how & 8,
        .endpoint = slice_of(ENDPOINT, what & 4 ? sizeof(ENDPOINT) : 0),
        .cert = how / 16 % 3,
        .has_cert = what & 8,
        .is_vouched = what & 16,
        .database = slice_text("db"),
        .is_tls = what & 4,
        .is_replication = what & 32,
    };
}

static void check_end(const struct pg_admit *a, enum err err, const struct buf *out)
{
    bool by_secret = a->settings->method == PG_ADMIT_MD5 || a->settings->method == PG_ADMIT_SCRAM;

    must(err != ERR_AGAIN);
    must((err == ERR_NONE) == (a->step == PG_ADMIT_IN));
    must(err != ERR_NONE || !by_secret);
    must(out->len > 0);
    if (err == ERR_NONE)
        return;
    must(a->step == PG_ADMIT_REFUSED && a->why[0] != '\0' && strlen(a->sqlstate) == 5);
    must(a->secret.len == 0 && a->keys.verifier.iterations == 0);
    for (const char *c = a->why; *c != '\0'; c++)
        must((uint8_t)*c >= ' ');
}

/* Shows ever more of the input, as it comes from a socket, in memory that ends where it ends. */
static enum err feed_all(struct pg_admit *a, struct slice in, size_t step, struct buf *out)
{
    enum err err = ERR_AGAIN;
    size_t shown = 0, used;

    while (err == ERR_AGAIN && shown <= in.len) {
        uint8_t *own = malloc(shown);

        if (shown > 0)
            memcpy(own, in.at, shown);
        err = pg_admit_feed(a, slice_of(own, shown), &used, out);
        free(own);
        must(used <= shown);
        in = slice_from(in, used);
        shown = used > 0 ? shown - used : shown + step;
    }
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct pg_admit_settings settings;
    struct pg_admit admit;
    struct buf out = { 0 };
    enum err err;

    if (size < 3)
        return 0;
    read_settings(&settings, at[0], at[1]);
    err = pg_admit_begin(&admit, &settings, &out);
    if (err == ERR_AGAIN)
        err = feed_all(&admit, slice_of(at + 3, size - 3), 1 + at[2] % 64, &out);
    if (err != ERR_AGAIN)
        check_end(&admit, err, &out);
    pg_admit_fini(&admit);
    must(admit.secret.at == NULL);
    buf_fini(&out);
    return 0;
}
