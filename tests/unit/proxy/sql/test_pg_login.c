#include "proxy/sql/pg_login.h"

#include <stdlib.h>

#include "proxy/wire/pgwire_write.h"
#include "tests/unit/check.h"
#include "tests/unit/proxy/wire/transcript.h"

/* What is fixed in these tests, so that proofs are: computed by another program (Python's hashlib)
 * from the password and salt of RFC 7677's example. */
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

static void begin_as(const char *user, const char *password)
{
    settings = (struct pg_login_settings){
        .user = slice_text(user),
        .password = slice_text(password),
        .is_private = true,
    };
    begin();
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

static void say_sasl(void)
{
    static const char *const mechanisms[] = { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256" };

    pg_put_auth_sasl(&said, mechanisms, 2);
}

static void say_scram(void)
{
    static const char *const mechanism = "SCRAM-SHA-256";

    pg_put_auth_sasl(&said, &mechanism, 1);
}

static void check_in(void)
{
    CHECK_INT(login.pid, 4711);
    CHECK_BYTES(slice_of(login.secret, login.secret_len), bytes("\xff\2\3\4"));
    CHECK_BYTES(buf_all(&login.parameters), bytes("TimeZone\0UTC\0"));
    CHECK_INT(login.status, PG_STATUS_IDLE);
    CHECK_INT(said.len, 0);
}

/* The rest of the login fails with this error and this sentence. */
static void check_refused(enum err expected, const char *why)
{
    CHECK_INT(feed(), expected);
    CHECK_TEXT(login.why, why);
    CHECK_INT(login.step, PG_LOGIN_FAILED);
    end();
}

/* --- Without a password, and with a plain one ------------------------------------------------- */

static void it_begins_with_the_startup_message(void)
{
    const struct pg_parameter more[] = {
        { bytes("application_name"), bytes("sheaf") },
        { bytes("replication"), bytes("true") },
    };
    struct pg_login_settings s = {
        .user = bytes("app"), .database = bytes("main"), .parameters = more, .parameter_count = 2
    };

    buf_clear(&out);
    pg_login_begin(&login, &s, &out);
    CHECK_BYTES(buf_all(&out), bytes("\0\0\0\x48\0\3\0\0user\0app\0database\0main\0"
                                     "application_name\0sheaf\0replication\0true\0\0"));
    end();
    buf_clear(&out);
    s = (struct pg_login_settings){ .user = bytes("app") };
    pg_login_begin(&login, &s, &out);
    CHECK_BYTES(buf_all(&out), bytes("\0\0\0\x12\0\3\0\0user\0app\0\0"));
    end();
}

/* A recorded login, shown `step` bytes at a time in memory of just their size. */
static void check_recorded(struct slice reply, size_t step)
{
    struct slice rest = reply;
    size_t shown = 0;
    enum err err = ERR_AGAIN;

    begin_as("root", "");
    while (err == ERR_AGAIN && shown < rest.len) {
        struct buf piece = { 0 };

        shown = shown + step < rest.len ? shown + step : rest.len;
        buf_put(&piece, rest.at, shown);
        err = pg_login_feed(&login, buf_all(&piece), &used, &out);
        buf_fini(&piece);
        CHECK(used <= shown);
        rest = slice_from(rest, used);
        shown -= used;
    }
    CHECK_INT(err, ERR_NONE);
    CHECK_INT(rest.len, 0);
    CHECK_INT(out.len, 0);
    end();
}

static void a_server_that_trusts_lets_us_in(void)
{
    struct transcript t = transcript_open("postgresql/logins.txt");
    struct slice value;

    CHECK(transcript_next(&t));
    for (size_t step = 1; step < t.reply.len; step += 1 + step / 4)
        check_recorded(buf_all(&t.reply), step);
    begin_as("root", "");
    CHECK_INT(pg_login_feed(&login, buf_all(&t.reply), &used, &out), ERR_NONE);
    CHECK_INT(used, t.reply.len);
    CHECK(login.pid != 0 && login.secret_len == 4);
    CHECK(pg_parameter_find(buf_all(&login.parameters), "server_version", &value));
    CHECK(slice_starts(value, bytes("15.")));
    CHECK(pg_parameter_find(buf_all(&login.parameters), "application_name", &value));
    CHECK_BYTES(value, bytes("recorder"));
    end();
    CHECK(transcript_next(&t)); /* it negotiates, for a client that asked for 3.2 */
    check_recorded(buf_all(&t.reply), 7);
    while (transcript_next(&t))
        ;
}

static void what_follows_readyforquery_is_left(void)
{
    begin_as("app", "");
    say_in();
    pg_put_parameter_status(&said, bytes("TimeZone"), bytes("CET"));
    CHECK_INT(feed(), ERR_NONE);
    CHECK_INT(said.len, 18);
    end();
}

static void a_clear_password_is_for_private_ways(void)
{
    begin_as("app", "pencil");
    pg_put_auth_cleartext(&said);
    CHECK_INT(feed(), ERR_AGAIN);
    CHECK_BYTES(buf_all(&out), bytes("p\0\0\0\x0bpencil\0"));
    say_in();
    CHECK_INT(feed(), ERR_NONE);
    check_in();
    end();

    settings.is_private = false;
    begin();
    pg_put_auth_cleartext(&said);
    check_refused(ERR_TLS,
                  "the server asks for a clear password, and the way to it is not encrypted");
    CHECK_INT(out.len, 0);

    settings.may_tell_password = true;
    begin();
    pg_put_auth_cleartext(&said);
    CHECK_INT(feed(), ERR_AGAIN);
    CHECK_INT(out.len, 12);
    end();
}

static void a_clear_password_must_be_known_as_such(void)
{
    static const char *const hashes[] = {
        "md506d701b4dd9f7cbb00816251a451b978",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
    };

    for (int i = 0; i < 2; i++) {
        begin_as("app", hashes[i]);
        pg_put_auth_cleartext(&said);
        check_refused(ERR_LOGIN,
                      "the server asks for a clear password, and only a hash of it is known");
        begin_as("app", hashes[i]);
        say_scram();
        check_refused(ERR_LOGIN,
                      "the server asks for SCRAM, and only a hash of the password is known");
    }
    pg_put_auth_md5(&said, (const uint8_t *)"salt");
    begin_as("app", hashes[1]);
    pg_put_auth_md5(&said, (const uint8_t *)"salt");
    check_refused(ERR_LOGIN,
                  "the server asks for an md5 password, and only a SCRAM verifier is known");
}

static void md5_is_answered_from_a_password_or_its_hash(void)
{
    static const char *const known[] = { "pencil", "md506d701b4dd9f7cbb00816251a451b978" };

    for (int i = 0; i < 2; i++) {
        begin_as("app", known[i]);
        settings.is_private = false;
        pg_put_auth_md5(&said, (const uint8_t *)"salt");
        CHECK_INT(feed(), ERR_AGAIN);
        CHECK_BYTES(buf_all(&out), bytes("p\0\0\0\x28md52afb5b311168c70c7e1783b3f1da0ac3\0"));
        say_in();
        CHECK_INT(feed(), ERR_NONE);
        check_in();
        end();
    }
}

static void a_method_that_needs_a_password_says_that_there_is_none(void)
{
    begin_as("app", "");
    pg_put_auth_cleartext(&said);
    check_refused(ERR_LOGIN,
                  "the server asks for a password (in clear), and none is known of \"app\"");
    begin_as("app", "");
    pg_put_auth_md5(&said, (const uint8_t *)"salt");
    check_refused(ERR_LOGIN, "the server asks for a password (md5), and none is known of \"app\"");
    begin_as("app", "");
    say_scram();
    check_refused(ERR_LOGIN,
                  "the server asks for a password (SCRAM), and none is known of \"app\"");
}

/* --- SCRAM ----------------------------------------------------------------------------------- */

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

static void scram_goes_the_way_of_the_standard(void)
{
    uint8_t copy[1024];

    begin_as("app", "pencil");
    settings.is_private = false;
    say_scram();
    CHECK_INT(feed(), ERR_AGAIN);
    check_first("SCRAM-SHA-256", "n,,");
    say_challenge(CHALLENGE);
    CHECK_INT(feed(), ERR_AGAIN);
    CHECK_BYTES(sent(copy), bytes("c=biws" FINAL PROOF));
    pg_put_auth_sasl_final(&said, bytes(SIGNATURE));
    say_in();
    CHECK_INT(feed(), ERR_NONE);
    check_in();
    CHECK_INT(out.len, 0);
    CHECK_INT(login.keys.verifier.iterations, 4096); /* to be kept */
    end();
}

static void kept_keys_spare_the_password(void)
{
    struct scram_keys keys;
    uint8_t salt[] = "\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81";
    uint8_t copy[1024];

    CHECK_INT(scram_keys_derive(bytes("pencil"), salt, 16, 4096, &keys), ERR_NONE);
    begin_as("app", "");
    settings.keys = &keys;
    begin();
    say_scram();
    CHECK_INT(feed(), ERR_AGAIN);
    check_first("SCRAM-SHA-256", "n,,");
    say_challenge(CHALLENGE);
    CHECK_INT(feed(), ERR_AGAIN);
    CHECK_BYTES(sent(copy), bytes("c=biws" FINAL PROOF));
    pg_put_auth_sasl_final(&said, bytes(SIGNATURE));
    say_in();
    CHECK_INT(feed(), ERR_NONE);
    CHECK_INT(login.keys.verifier.iterations, 0); /* none were made */
    end();

    begin();
    say_scram();
    CHECK_INT(feed(), ERR_AGAIN);
    check_first("SCRAM-SHA-256", "n,,");
    pg_put_error_text(&said, "FATAL", "28P01", "password authentication failed for user \"app\"");
    CHECK_INT(feed(), ERR_LOGIN);
    CHECK(login.is_wrong_secret);
    end();
}

static void keys_of_another_verifier_are_told(void)
{
    struct scram_keys keys;
    uint8_t copy[1024];

    CHECK_INT(scram_keys_derive(bytes("pencil"), (const uint8_t *)"other", 5, 4096, &keys),
              ERR_NONE);
    begin_as("app", "");
    settings.keys = &keys;
    begin();
    say_scram();
    CHECK_INT(feed(), ERR_AGAIN);
    check_first("SCRAM-SHA-256", "n,,");
    say_challenge(CHALLENGE);
    CHECK_INT(feed(), ERR_LOGIN);
    CHECK(login.is_wrong_secret);
    CHECK_TEXT(login.why, "the keys that are known of \"app\" are for another verifier than the "
                          "server's");
    end();

    settings.password = bytes("pencil"); /* then new ones are made */
    begin();
    say_scram();
    CHECK_INT(feed(), ERR_AGAIN);
    check_first("SCRAM-SHA-256", "n,,");
    say_challenge(CHALLENGE);
    CHECK_INT(feed(), ERR_AGAIN);
    CHECK_BYTES(sent(copy), bytes("c=biws" FINAL PROOF));
    CHECK_INT(login.keys.verifier.iterations, 4096);
    end();
}

static void channel_binding_is_used_where_it_can_be(void)
{
    uint8_t endpoint[32], copy[1024];

    for (int i = 0; i < 32; i++)
        endpoint[i] = (uint8_t)i;
    begin_as("app", "pencil");
    settings.endpoint = slice_of(endpoint, sizeof(endpoint));
    settings.must_bind = true;
    begin();
    say_sasl();
    CHECK_INT(feed(), ERR_AGAIN);
    check_first("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,");
    say_challenge(CHALLENGE);
    CHECK_INT(feed(), ERR_AGAIN);
    CHECK_BYTES(
        sent(copy),
        bytes("c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" FINAL
              "16yiRms73ykw83j4eFH5L9HT5QSa72tQ+RbnxgyCU9o="));
    pg_put_auth_sasl_final(&said, bytes("v=oqu6s6taYEgB9GNEjMsB3cxtVr4NtIqrCbvYTAG/Vqg="));
    say_in();
    CHECK_INT(feed(), ERR_NONE);
    CHECK(login.is_bound);
    end();

    settings.must_bind = false; /* and where it is not offered, that we could is said */
    begin();
    say_scram();
    CHECK_INT(feed(), ERR_AGAIN);
    check_first("SCRAM-SHA-256", "y,,");
    say_challenge(CHALLENGE);
    CHECK_INT(feed(), ERR_AGAIN);
    CHECK_BYTES(sent(copy), bytes("c=eSws" FINAL "420O0DbpeOZHeRypEyaVU/aq/e/8uePJGVOxq+tgl90="));
    end();

    settings.endpoint = (struct slice){ 0 };
    begin();
    say_sasl();
    CHECK_INT(feed(), ERR_AGAIN);
    check_first("SCRAM-SHA-256", "n,,");
    end();
}

static void demanded_channel_binding_is_not_done_without(void)
{
    begin_as("app", "pencil");
    settings.must_bind = true;
    settings.endpoint = bytes("0123456789abcdef0123456789abcdef");
    begin();
    say_scram();
    check_refused(ERR_TLS, "channel binding is demanded, and the server does not offer it");
    begin();
    pg_put_auth_ok(&said);
    check_refused(ERR_TLS, "channel binding is demanded, and the server let us in without it");
    begin();
    pg_put_auth_cleartext(&said);
    check_refused(ERR_TLS, "channel binding is demanded, and the server asks for something else");
    settings.endpoint = (struct slice){ 0 };
    begin();
    say_sasl();
    check_refused(ERR_TLS,
                  "channel binding is demanded, and there is no hash of the server's certificate");
}

static void begin_scram(void)
{
    begin_as("app", "pencil");
    say_scram();
    CHECK_INT(feed(), ERR_AGAIN);
    check_first("SCRAM-SHA-256", "n,,");
}

static void a_server_must_prove_that_it_knows_the_password(void)
{
    begin_scram();
    say_in();
    check_refused(ERR_LOGIN, "the server let us in without a proof that it knows the password");

    begin_scram();
    say_challenge(CHALLENGE);
    say_in();
    check_refused(ERR_LOGIN, "the server let us in without a proof that it knows the password");

    begin_scram();
    say_challenge(CHALLENGE);
    pg_put_auth_sasl_final(&said, bytes("v=8EqxBErMA9WO1QPX1bWgUBivOKP578bcz/j6vY1e1WA="));
    say_in();
    check_refused(ERR_LOGIN,
                  "SCRAM: the server does not know the password: its signature is wrong");
}

static void challenges_that_are_wrong_are_refused(void)
{
    static const char *const wrong[] = {
        "",
        "r=",
        "e=other-error",
        "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", /* nothing of the server's own */
        "r=xOprNGfwEbeRWgbNEkqOabcdmore,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=" NONCE "more,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
        "r=" NONCE "more,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=-1",
        "r=" NONCE "more,s=W22Z!J0SNY7soEsUEjb6gQ==,i=4096",
        "r=" NONCE "more,s=W22ZaJ0SNY7soEsUEjb6gQ==",
        "m=x,r=" NONCE "more,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        begin_scram();
        say_challenge(wrong[i]);
        CHECK(feed() != ERR_AGAIN);
        CHECK_INT(login.step, PG_LOGIN_FAILED);
        CHECK(strncmp(login.why, "SCRAM: ", 7) == 0);
        CHECK_INT(out.len, 0);
        end();
    }
}

static void iterations_without_end_are_refused(void)
{
    begin_scram();
    say_challenge("r=" NONCE "more,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=2147483647");
    check_refused(ERR_LIMIT, "SCRAM: the server demands 2147483647 iterations, more than 100000");
}

/* --- Out of turn ----------------------------------------------------------------------------- */

static void a_server_that_asks_twice_is_refused(void)
{
    begin_as("app", "pencil");
    pg_put_auth_md5(&said, (const uint8_t *)"salt");
    pg_put_auth_cleartext(&said);
    check_refused(ERR_PROTOCOL, "the server sent a second request for authentication out of turn");

    begin_scram();
    pg_put_auth_cleartext(&said);
    check_refused(ERR_PROTOCOL, "the server sent a second request for authentication out of turn");

    begin_as("app", "pencil");
    pg_put_auth_ok(&said);
    pg_put_auth_ok(&said);
    check_refused(ERR_PROTOCOL, "the server sent AuthenticationOk out of turn");

    begin_scram();
    pg_put_auth_sasl_final(&said, bytes(SIGNATURE));
    check_refused(ERR_PROTOCOL, "the server sent AuthenticationSASLFinal out of turn");

    begin_as("app", "pencil");
    say_challenge(CHALLENGE);
    check_refused(ERR_PROTOCOL, "the server sent AuthenticationSASLContinue out of turn");
}

static void nothing_comes_before_we_are_in(void)
{
    begin_as("app", "");
    pg_put_ready(&said, PG_STATUS_IDLE);
    check_refused(ERR_PROTOCOL, "the server sent a message of type 90 before it let us in");
    begin_as("app", "");
    pg_put_parameter_status(&said, bytes("a"), bytes("b"));
    check_refused(ERR_PROTOCOL, "the server sent a message of type 83 before it let us in");
    begin_as("app", "");
    pg_put_auth_ok(&said);
    pg_put_complete(&said, "SELECT 1");
    check_refused(ERR_PROTOCOL, "the server sent a message of type 67 during the login");
}

static void messages_that_are_malformed_are_named(void)
{
    const struct {
        struct slice message;
        const char *why;
    } cases[] = {
        { bytes("R\0\0\0\6\0\0"), "the server sent a malformed request for authentication" },
        { bytes("R\0\0\0\x09\0\0\0\5s"), "the server sent a malformed request for authentication" },
        { bytes("E\0\0\0\5S"), "the server sent a malformed ErrorResponse" },
        { bytes("v\0\0\0\5S"), "the server sent a malformed NegotiateProtocolVersion" },
        { bytes("R\0\0\0\x08\0\0\0\0S\0\0\0\6a\0"), "the server sent a malformed ParameterStatus" },
        { bytes("R\0\0\0\x08\0\0\0\0S\0\0\0\6\0\0"),
          "the server sent a malformed ParameterStatus" },
        { bytes("R\0\0\0\x08\0\0\0\0K\0\0\0\x08\0\0\0\1"),
          "the server sent a malformed BackendKeyData" },
        { bytes("R\0\0\0\x08\0\0\0\0Z\0\0\0\5X"), "the server sent a malformed ReadyForQuery" },
        { bytes("HTTP/1.1 400 Bad Request"), "the server does not speak PostgreSQL's protocol" },
        { bytes("\xff\xff\xff\xff\xff"), "the server does not speak PostgreSQL's protocol" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        begin_as("app", "");
        buf_slice(&said, cases[i].message);
        CHECK_INT(feed(), ERR_PROTOCOL);
        CHECK_TEXT(login.why, cases[i].why);
        end();
    }
}

static void methods_that_are_not_supported_are_named(void)
{
    static const struct {
        uint8_t kind;
        const char *name;
    } cases[] = {
        { 2, "Kerberos V5" }, { 6, "SCM credentials" }, { 7, "GSSAPI" },
        { 9, "SSPI" },        { 99, "method 99" },
    };
    static const char *const oauth = "OAUTHBEARER";

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint8_t message[] = { 'R', 0, 0, 0, 8, 0, 0, 0, cases[i].kind };
        char why[200];

        snprintf(why, sizeof(why),
                 "the server asks for authentication by %s, which is not supported", cases[i].name);
        begin_as("app", "pencil");
        buf_put(&said, message, sizeof(message));
        check_refused(ERR_UNSUPPORTED, why);
    }
    begin_as("app", "pencil");
    pg_put_auth_sasl(&said, &oauth, 1);
    check_refused(ERR_UNSUPPORTED,
                  "the server asks for the SASL mechanism \"OAUTHBEARER\", which is not supported");
}

/* --- What the server says -------------------------------------------------------------------- */

static void a_refusal_keeps_the_server_s_words(void)
{
    static const struct {
        const char *sqlstate;
        enum err err;
        bool is_wrong_secret;
    } cases[] = {
        { "28P01", ERR_LOGIN, true },  { "28000", ERR_LOGIN, false }, { "3D000", ERR_LOGIN, false },
        { "53300", ERR_LIMIT, false }, { "57P03", ERR_DOWN, false },  { "57P01", ERR_DOWN, false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        begin_as("app", "pencil");
        if (i % 2 == 0)
            pg_put_auth_ok(&said);
        pg_put_error_text(&said, "FATAL", cases[i].sqlstate, "no\nway\x1b[m");
        CHECK_INT(feed(), cases[i].err);
        CHECK_TEXT(login.sqlstate, cases[i].sqlstate);
        CHECK_TEXT(login.why, "no way [m");
        CHECK_INT(login.is_wrong_secret, cases[i].is_wrong_secret);
        end();
    }
}

static void a_long_refusal_is_cut(void)
{
    struct buf text = { 0 };

    for (int i = 0; i < 1000; i++)
        buf_text(&text, "never ");
    buf_put(&text, "", 1);
    begin_as("app", "");
    pg_put_error_text(&said, "FATAL", "28000", "%s", (const char *)text.at);
    CHECK_INT(feed(), ERR_LOGIN);
    CHECK_INT(strlen(login.why), PG_LOGIN_WHY_BYTES - 1);
    end();
    buf_fini(&text);
}

static void a_refusal_from_before_3_0_is_read(void)
{
    struct slice text = bytes("EFATAL:  sorry, too many clients already\n\0");

    begin_as("app", "");
    for (size_t n = 0; n < text.len; n++) {
        buf_clear(&said);
        buf_put(&said, text.at, n);
        CHECK_INT(feed(), ERR_AGAIN);
    }
    buf_clear(&said);
    buf_slice(&said, text);
    check_refused(ERR_DOWN, "FATAL:  sorry, too many clients already");

    begin_as("app", "");
    for (int i = 0; i < 300; i++)
        buf_text(&said, "EFATAL");
    CHECK_INT(feed(), ERR_DOWN);
    end();
}

static void notices_are_passed_by(void)
{
    struct pg_report notice = { .severity = bytes("WARNING"), .message = bytes("mind the gap") };

    begin_as("app", "");
    pg_put_notice(&said, &notice);
    pg_put_auth_ok(&said);
    pg_put_notice(&said, &notice);
    pg_put_ready(&said, PG_STATUS_IDLE);
    CHECK_INT(feed(), ERR_NONE);
    CHECK_INT(login.secret_len, 0);
    end();
}

static void a_long_notice_is_passed_by_in_pieces(void)
{
    static uint8_t text[100 * 1024];
    struct pg_report notice = { .severity = bytes("WARNING"),
                                .message = slice_of(text, sizeof(text)) };
    struct buf all = { 0 };
    size_t at = 0;

    memset(text, 'x', sizeof(text));
    pg_put_notice(&all, &notice);
    begin_as("app", "");
    for (; at < all.len; at += 1000) {
        buf_put(&said, all.at + at, all.len - at < 1000 ? all.len - at : 1000);
        CHECK_INT(feed(), ERR_AGAIN);
        CHECK_INT(said.len, 0); /* nothing of it is kept */
    }
    say_in();
    CHECK_INT(feed(), ERR_NONE);
    check_in();
    end();
    buf_fini(&all);
}

static void a_parameter_that_is_told_again_has_its_last_value(void)
{
    begin_as("app", "");
    pg_put_auth_ok(&said);
    pg_put_parameter_status(&said, bytes("a"), bytes("1"));
    pg_put_parameter_status(&said, bytes("b"), bytes(""));
    pg_put_parameter_status(&said, bytes("c"), bytes("3"));
    pg_put_parameter_status(&said, bytes("b"), bytes("22"));
    pg_put_parameter_status(&said, bytes("c"), bytes("33"));
    pg_put_key(&said, 1, bytes("1234"));
    pg_put_key(&said, 2, bytes("a key of protocol 3.2"));
    pg_put_ready(&said, PG_STATUS_IDLE);
    CHECK_INT(feed(), ERR_NONE);
    CHECK_BYTES(buf_all(&login.parameters), bytes("a\0001\0b\00022\0c\00033\0"));
    CHECK_BYTES(slice_of(login.secret, login.secret_len), bytes("a key of protocol 3.2"));
    end();
}

static void what_a_server_may_say_has_limits(void)
{
    static uint8_t value[PG_LOGIN_MESSAGE_MOST];
    struct pg_report notice = { .message = slice_of(value, 30000) };
    enum err err = ERR_AGAIN;

    memset(value, 'v', sizeof(value));
    begin_as("app", "");
    pg_put_auth_ok(&said);
    for (int i = 0; i <= PG_LOGIN_PARAMETERS_MOST; i++)
        pg_put_parameter_status(&said, bytes("same"), bytes("value"));
    check_refused(ERR_LIMIT, "the server tells of more than 256 parameters");

    begin_as("app", "");
    pg_put_auth_ok(&said);
    pg_put_parameter_status(&said, bytes("a"), slice_of(value, 10000));
    pg_put_parameter_status(&said, bytes("b"), slice_of(value, 10000));
    check_refused(ERR_LIMIT, "the server's parameters take more than 16384 bytes");

    begin_as("app", "");
    pg_put_auth_ok(&said);
    pg_put_parameter_status(&said, bytes("a"), slice_of(value, sizeof(value)));
    said.len = 9 + 5; /* the header is enough */
    check_refused(ERR_LIMIT, "the server sent a message of 32776 bytes during the login");

    begin_as("app", "");
    for (int i = 0; i < 100 && err == ERR_AGAIN; i++) {
        pg_put_notice(&said, &notice);
        err = feed();
    }
    CHECK_INT(err, ERR_LIMIT);
    CHECK_TEXT(login.why, "the server says more than 1048576 bytes during the login");
    end();
}

static void secrets_are_wiped(void)
{
    static const struct pg_login wiped;

    begin_scram();
    say_challenge(CHALLENGE);
    CHECK_INT(feed(), ERR_AGAIN);
    end();
    CHECK(memcmp(&login, &wiped, sizeof(login)) == 0);
}

int main(void)
{
    RUN(it_begins_with_the_startup_message);
    RUN(a_server_that_trusts_lets_us_in);
    RUN(what_follows_readyforquery_is_left);
    RUN(a_clear_password_is_for_private_ways);
    RUN(a_clear_password_must_be_known_as_such);
    RUN(md5_is_answered_from_a_password_or_its_hash);
    RUN(a_method_that_needs_a_password_says_that_there_is_none);
    RUN(scram_goes_the_way_of_the_standard);
    RUN(kept_keys_spare_the_password);
    RUN(keys_of_another_verifier_are_told);
    RUN(channel_binding_is_used_where_it_can_be);
    RUN(demanded_channel_binding_is_not_done_without);
    RUN(a_server_must_prove_that_it_knows_the_password);
    RUN(challenges_that_are_wrong_are_refused);
    RUN(iterations_without_end_are_refused);
    RUN(a_server_that_asks_twice_is_refused);
    RUN(nothing_comes_before_we_are_in);
    RUN(messages_that_are_malformed_are_named);
    RUN(methods_that_are_not_supported_are_named);
    RUN(a_refusal_keeps_the_server_s_words);
    RUN(a_long_refusal_is_cut);
    RUN(a_refusal_from_before_3_0_is_read);
    RUN(notices_are_passed_by);
    RUN(a_long_notice_is_passed_by_in_pieces);
    RUN(a_parameter_that_is_told_again_has_its_last_value);
    RUN(what_a_server_may_say_has_limits);
    RUN(secrets_are_wiped);
    buf_fini(&said);
    buf_fini(&out);
    return check_report();
}
