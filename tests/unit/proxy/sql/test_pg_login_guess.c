/* SCRAM's first message may be sent before it is asked for. */
#include "proxy/sql/pg_login.h"

#include "proxy/wire/pgwire_write.h"
#include "tests/unit/check.h"

#define NONCE     "rOprNGfwEbeRWgbNEkqOabcd"
#define CHALLENGE "r=" NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define FINAL     ",r=" NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p="
#define PROOF     "i7i0CADk4LRBAhTmMbwLbQeE/5zyHSU5Df1/tIuj3eM="
#define SIGNATURE "v=8EqxBErMA9WO1QPX1bWgUBivOKP578bcz/j6vY1e1Wo="

static struct pg_login_settings settings;
static struct pg_login login;
static struct buf said, out; /* said: what the server says next */
static size_t used;

static void begin(void)
{
    buf_clear(&said);
    buf_clear(&out);
    pg_login_begin(&login, &settings, &out);
    buf_clear(&out);
}

/* Shows what `said` holds, and forgets it. */
static enum err feed(void)
{
    enum err err = pg_login_feed(&login, buf_all(&said), &used, &out);

    buf_skip(&said, used);
    return err;
}

static void end(void)
{
    pg_login_fini(&login);
}

static void say_in(void)
{
    pg_put_auth_ok(&said);
    pg_put_parameter_status(&said, bytes("TimeZone"), bytes("UTC"));
    pg_put_key(&said, 4711, bytes("\xff\2\3\4"));
    pg_put_ready(&said, PG_STATUS_IDLE);
}

static void say_scram(void)
{
    static const char *const mechanism = "SCRAM-SHA-256";

    pg_put_auth_sasl(&said, &mechanism, 1);
}

/* The rest of the login fails with this error and this sentence. */
static void check_refused(enum err expected, const char *why)
{
    CHECK_INT(feed(), expected);
    CHECK_TEXT(login.why, why);
    CHECK_INT(login.step, PG_LOGIN_FAILED);
    end();
}

/* What we sent last, without its header; forgets it. */
static struct slice sent(uint8_t copy[1024])
{
    size_t len = out.len - PG_HEADER_BYTES;

    CHECK(out.len >= PG_HEADER_BYTES && out.len < 1024 && out.at[0] == PG_FRONT_PASSWORD);
    memcpy(copy, out.at + PG_HEADER_BYTES, len);
    buf_clear(&out);
    return slice_of(copy, len);
}

/* Reads our first message, and fixes its nonce. */
static void check_first(const char *mechanism, const char *head)
{
    struct pg_sasl_initial initial = { 0 };
    uint8_t copy[1024];

    CHECK_INT(pg_read_sasl_initial(sent(copy), &initial), ERR_NONE);
    CHECK_BYTES(initial.mechanism, slice_text(mechanism));
    CHECK(slice_starts(initial.data.bytes, slice_text(head)));
    CHECK_INT(initial.data.bytes.len, strlen(head) + strlen("n=,r=") + SCRAM_NONCE_BYTES);
    memcpy(login.prover.nonce, NONCE, SCRAM_NONCE_BYTES);
}

static void say_challenge(const char *text)
{
    pg_put_auth_sasl_continue(&said, slice_text(text));
}

static void guess_with(struct scram_keys *keys)
{
    static const uint8_t salt[] =
        "\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81";

    CHECK_INT(scram_keys_derive(bytes("pencil"), salt, 16, 4096, keys), ERR_NONE);
    settings = (struct pg_login_settings){ .user = slice_text("app"),
                                           .keys = keys,
                                           .guesses_scram = true };
}

static void a_guess_goes_with_the_startup_message(void)
{
    struct slice startup = bytes("\0\0\0\x12\0\3\0\0user\0app\0\0");
    struct scram_keys keys;
    uint8_t copy[1024];

    guess_with(&keys);
    buf_clear(&said);
    buf_clear(&out);
    pg_login_begin(&login, &settings, &out);
    CHECK(login.guessed);
    CHECK_BYTES(slice_of(out.at, startup.len), startup);
    buf_skip(&out, startup.len);
    check_first("SCRAM-SHA-256", "n,,");
    say_scram();
    CHECK_INT(said.len, PG_LOGIN_ASKED_BYTES);
    say_challenge(CHALLENGE);
    CHECK_INT(feed(), ERR_AGAIN);
    CHECK(!login.guessed);
    CHECK_BYTES(sent(copy), bytes("c=biws" FINAL PROOF));
    pg_put_auth_sasl_final(&said, bytes(SIGNATURE));
    say_in();
    CHECK_INT(feed(), ERR_NONE);
    CHECK(login.may_guess);
    end();
}

static void a_wrong_guess_is_known_as_one(void)
{
    static const char why[] = "the server does not ask for SCRAM, which was begun already";
    struct scram_keys keys;

    guess_with(&keys);
    settings.password = bytes("pencil");
    settings.is_private = true;
    begin();
    say_in();
    check_refused(ERR_LOGIN, why);
    CHECK_INT(out.len, 0);
    begin();
    pg_put_auth(&said, PG_AUTH_CLEARTEXT, (struct slice){ 0 });
    check_refused(ERR_LOGIN, why);
    CHECK_INT(out.len, 0);
    begin();
    pg_put_auth(&said, PG_AUTH_MD5, bytes("salt"));
    CHECK_INT(feed(), ERR_LOGIN);
    CHECK(login.guessed);
    CHECK_INT(out.len, 0);
    end();
}

static void check_no_guess(void)
{
    begin();
    CHECK(!login.guessed);
    end();
}

static void nothing_is_guessed_without_keys_or_where_more_is_demanded(void)
{
    struct scram_keys keys;

    guess_with(&keys);
    settings.keys = NULL;
    check_no_guess();
    settings.keys = &keys;
    settings.endpoint = bytes("hash");
    check_no_guess();
    settings.endpoint = (struct slice){ 0 };
    settings.must_bind = true;
    check_no_guess();
    settings.must_bind = false;
    settings.has_deputy = true;
    check_no_guess();
}

int main(void)
{
    RUN(a_guess_goes_with_the_startup_message);
    RUN(a_wrong_guess_is_known_as_one);
    RUN(nothing_is_guessed_without_keys_or_where_more_is_demanded);
    buf_fini(&said);
    buf_fini(&out);
    return check_report();
}
