#include "proxy/sql/pg_admit.h"

#include <stdlib.h>
#include <sys/random.h>

#include "proxy/wire/pg_md5.h"
#include "proxy/wire/pgwire_write.h"
#include "tests/unit/check.h"

#define VERIFIER                                                                                   \
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="     \
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
/* md5("pencil" "app") */
#define MD5_HASH "md506d701b4dd9f7cbb00816251a451b978"

#define OK      "R\0\0\0\10\0\0\0\0"
#define SASL    "R\0\0\0\27\0\0\0\12SCRAM-SHA-256\0\0"
#define REFUSED "SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user \"app\"\0\0"

static struct pg_admit_settings settings;
static struct pg_admit admit;
static struct buf out, said; /* ours, the client's */
static size_t used;
static bool random_fails;

/* Instead of the C library's. */
ssize_t getrandom(void *at, size_t len, unsigned flags)
{
    static uint8_t next;

    (void)flags;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)at)[i] = ++next;
    return random_fails ? -1 : (ssize_t)len;
}

static enum err begin(enum pg_admit_method method, const char *secret)
{
    settings.method = method;
    settings.secret = slice_text(secret);
    if (settings.user.len == 0)
        settings.user = bytes("app");
    settings.process_secret = bytes("0123456789abcdef0123456789abcdef");
    buf_clear(&said);
    buf_clear(&out);
    return pg_admit_begin(&admit, &settings, &out);
}

/* Shows what `said` holds, which is one message. */
static enum err feed(void)
{
    enum err err;

    buf_clear(&out);
    err = pg_admit_feed(&admit, buf_all(&said), &used, &out);
    CHECK_INT(used, admit.step == PG_ADMIT_REFUSED && used == 0 ? 0 : said.len);
    buf_clear(&said);
    return err;
}

static void end(void)
{
    pg_admit_fini(&admit);
    settings = (struct pg_admit_settings){ 0 };
}

static void check_out(struct slice expected)
{
    CHECK_BYTES(buf_all(&out), expected);
}

/* The whole ErrorResponse but for its header. */
static void check_error(struct slice fields)
{
    CHECK(out.len == fields.len + 5 && out.at[0] == 'E');
    CHECK_BYTES(slice_from(buf_all(&out), out.len < 5 ? out.len : 5), fields);
    CHECK_INT(admit.step, PG_ADMIT_REFUSED);
    CHECK_INT(admit.secret.len, 0);
    CHECK_INT(admit.keys.verifier.iterations, 0);
}

static void check_in(const char *secret, uint32_t iterations)
{
    CHECK(out.len >= 9);
    CHECK_BYTES(slice_from(buf_all(&out), out.len - 9), bytes(OK));
    CHECK_BYTES(buf_all(&admit.secret), slice_text(secret));
    CHECK_INT(admit.keys.verifier.iterations, iterations);
    CHECK_INT(admit.step, PG_ADMIT_IN);
}

/* --- without a secret --- */

static void who_is_trusted_or_vouched_for_is_in_at_once(void)
{
    static const enum pg_admit_method METHODS[] = { PG_ADMIT_TRUST, PG_ADMIT_CERT, PG_ADMIT_PEER };

    for (int i = 0; i < 3; i++) {
        settings.has_cert = settings.is_vouched = true;
        CHECK_INT(begin(METHODS[i], ""), ERR_NONE);
        check_out(bytes(OK));
        check_in("", 0);
        end();
    }
    /* What is known of the user serves at the servers all the same. */
    CHECK_INT(begin(PG_ADMIT_TRUST, "pencil"), ERR_NONE);
    check_in("pencil", 0);
    end();
    CHECK_INT(begin(PG_ADMIT_TRUST, MD5_HASH), ERR_NONE);
    check_in(MD5_HASH, 0);
    end();
    CHECK_INT(begin(PG_ADMIT_TRUST, VERIFIER), ERR_NONE);
    check_in("", 0);
    end();
}

static void who_is_not_vouched_for_is_refused(void)
{
    settings.has_cert = true;
    CHECK_INT(begin(PG_ADMIT_CERT, ""), ERR_LOGIN);
    check_error(
        bytes("SFATAL\0VFATAL\0C28000\0Mcertificate authentication failed for user \"app\"\0\0"));
    end();
    CHECK_INT(begin(PG_ADMIT_CERT, ""), ERR_LOGIN);
    check_error(
        bytes("SFATAL\0VFATAL\0C28000\0Mconnection requires a valid client certificate\0\0"));
    CHECK_TEXT(admit.sqlstate, "28000");
    CHECK_TEXT(admit.why, "connection requires a valid client certificate");
    end();
    CHECK_INT(begin(PG_ADMIT_PEER, ""), ERR_LOGIN);
    check_error(bytes("SFATAL\0VFATAL\0C28000\0MPeer authentication failed for user \"app\"\0\0"));
    end();
}

static void a_certificate_may_be_asked_for_besides(void)
{
    settings.cert = PG_ADMIT_CERT_VALID;
    CHECK_INT(begin(PG_ADMIT_PASSWORD, "pencil"), ERR_LOGIN);
    check_error(
        bytes("SFATAL\0VFATAL\0C28000\0Mconnection requires a valid client certificate\0\0"));
    end();
    settings.cert = PG_ADMIT_CERT_VALID;
    settings.has_cert = true;
    CHECK_INT(begin(PG_ADMIT_TRUST, ""), ERR_NONE);
    end();
    for (int vouched = 0; vouched < 2; vouched++) {
        settings.cert = PG_ADMIT_CERT_OF_USER;
        settings.has_cert = true;
        settings.is_vouched = vouched;
        CHECK_INT(begin(PG_ADMIT_PASSWORD, "pencil"), ERR_AGAIN);
        pg_put_password(&said, bytes("pencil"));
        CHECK_INT(feed(), vouched ? ERR_NONE : ERR_LOGIN);
        if (!vouched)
            CHECK_TEXT(admit.why, "the certificate is another user's than \"app\"");
        CHECK_INT(admit.secret.len, vouched ? 6 : 0);
        end();
    }
    settings.cert = PG_ADMIT_CERT_OF_USER;
    settings.has_cert = true;
    CHECK_INT(begin(PG_ADMIT_TRUST, ""), ERR_LOGIN);
    check_error(
        bytes("SFATAL\0VFATAL\0C28000\0M\"trust\" authentication failed for user \"app\"\0\0"));
    end();
}

static void a_rule_that_rejects_says_so_as_postgresql_does(void)
{
    settings.host = "10.0.0.1";
    settings.database = bytes("db");
    settings.is_tls = true;
    CHECK_INT(begin(PG_ADMIT_REJECT, ""), ERR_LOGIN);
    check_error(
        bytes("SFATAL\0VFATAL\0C28000\0Mpg_hba.conf rejects connection for host \"10.0.0.1\", user "
              "\"app\", database \"db\", SSL encryption\0\0"));
    end();
    settings.database = bytes("db");
    CHECK_INT(begin(PG_ADMIT_NO_RULE, ""), ERR_LOGIN);
    check_error(
        bytes("SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry for host \"[local]\", user \"app\", "
              "database \"db\", no encryption\0\0"));
    end();
    settings.is_replication = true;
    settings.host = "::1";
    CHECK_INT(begin(PG_ADMIT_REJECT, ""), ERR_LOGIN);
    check_error(bytes(
        "SFATAL\0VFATAL\0C28000\0Mpg_hba.conf rejects replication connection for host \"::1\", "
        "user \"app\", no encryption\0\0"));
    end();
    settings.is_replication = true;
    settings.host = "::1";
    CHECK_INT(begin(PG_ADMIT_NO_RULE, ""), ERR_LOGIN);
    check_error(
        bytes("SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry for replication connection from host "
              "\"::1\", user \"app\", no encryption\0\0"));
    end();
}

/* --- clear passwords --- */

static void expect_password(const char *secret, const char *password, bool is_right,
                            uint32_t iterations)
{
    CHECK_INT(begin(PG_ADMIT_PASSWORD, secret), ERR_AGAIN);
    check_out(bytes("R\0\0\0\10\0\0\0\3"));
    pg_put_password(&said, slice_text(password));
    CHECK_INT(feed(), is_right ? ERR_NONE : ERR_LOGIN);
    if (is_right)
        check_in(password, iterations);
    else
        check_error(bytes(REFUSED));
    end();
}

static void a_clear_password_is_checked_against_each_kind_of_secret(void)
{
    expect_password("pencil", "pencil", true, 0);
    expect_password("pencil", "Pencil", false, 0);
    expect_password("pencil", "pencils", false, 0);
    expect_password(MD5_HASH, "pencil", true, 0);
    expect_password(MD5_HASH, "Pencil", false, 0);
    expect_password(MD5_HASH, MD5_HASH, false, 0);
    expect_password(VERIFIER, "pencil", true, 4096);
    expect_password(VERIFIER, "Pencil", false, 0);
    expect_password(VERIFIER, VERIFIER, false, 0);
    expect_password("", "pencil", false, 0);
    /* No verifier after all: it is not taken for a password. */
    expect_password("SCRAM-SHA-256$x", "SCRAM-SHA-256$x", false, 0);
}

static void the_log_knows_what_a_client_is_not_told(void)
{
    CHECK_INT(begin(PG_ADMIT_PASSWORD, ""), ERR_AGAIN);
    pg_put_password(&said, bytes("x"));
    CHECK_INT(feed(), ERR_LOGIN);
    CHECK_TEXT(admit.why, "user \"app\" does not exist or has no password");
    CHECK_TEXT(admit.sqlstate, "28P01");
    end();
    settings.user = bytes("a\nb");
    CHECK_INT(begin(PG_ADMIT_PASSWORD, "y"), ERR_AGAIN);
    pg_put_password(&said, bytes("x"));
    CHECK_INT(feed(), ERR_LOGIN);
    CHECK_TEXT(admit.why, "password does not match for user \"a b\"");
    end();
    CHECK_INT(begin(PG_ADMIT_PASSWORD,
                    "SCRAM-SHA-256$200000:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnk"
                    "di4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQx"
                    "SrmfPwDl2dU="),
              ERR_AGAIN);
    pg_put_password(&said, bytes("pencil"));
    CHECK_INT(feed(), ERR_LOGIN);
    CHECK_TEXT(admit.why,
               "the SCRAM verifier of user \"app\" cannot be used: a configured limit is reached");
    end();
}

static void what_is_no_password_is_refused(void)
{
    CHECK_INT(begin(PG_ADMIT_PASSWORD, "x"), ERR_AGAIN);
    pg_put_password(&said, bytes(""));
    CHECK_INT(feed(), ERR_LOGIN);
    check_error(bytes("SFATAL\0VFATAL\0C28P01\0Mempty password returned by client\0\0"));
    end();
    CHECK_INT(begin(PG_ADMIT_PASSWORD, "x"), ERR_AGAIN);
    buf_put(&said, "p\0\0\0\7x\0y", 8);
    CHECK_INT(feed(), ERR_PROTOCOL);
    check_error(bytes("SFATAL\0VFATAL\0C08P01\0Minvalid password packet size\0\0"));
    end();
    CHECK_INT(begin(PG_ADMIT_PASSWORD, "x"), ERR_AGAIN);
    buf_put(&said, "p\0\0\0\5x", 6);
    CHECK_INT(feed(), ERR_PROTOCOL);
    check_error(bytes("SFATAL\0VFATAL\0C08P01\0Minvalid password packet size\0\0"));
    end();
    CHECK_INT(begin(PG_ADMIT_PASSWORD, "x"), ERR_AGAIN);
    pg_put_query(&said, bytes("SELECT 1"));
    CHECK_INT(feed(), ERR_PROTOCOL);
    check_error(
        bytes("SFATAL\0VFATAL\0C08P01\0Mexpected password response, got message type 81\0\0"));
    end();
    CHECK_INT(begin(PG_ADMIT_PASSWORD, "x"), ERR_AGAIN);
    buf_put(&said, "p\0\0\0\3", 5);
    CHECK_INT(feed(), ERR_PROTOCOL);
    check_error(bytes("SFATAL\0VFATAL\0C08P01\0Minvalid message length\0\0"));
    end();
}

/* By the header alone: nobody waits for the rest. */
static void too_long_a_message_is_refused_before_it_has_come(void)
{
    CHECK_INT(begin(PG_ADMIT_PASSWORD, "x"), ERR_AGAIN);
    buf_put(&said, "p\0\0\xff\xff", 5);
    CHECK_INT(pg_admit_feed(&admit, buf_all(&said), &used, &out), ERR_AGAIN);
    CHECK_INT(used, 0);
    buf_clear(&said);
    buf_put(&said, "p\0\1\0\0", 5);
    CHECK_INT(feed(), ERR_PROTOCOL);
    check_error(bytes("SFATAL\0VFATAL\0C08P01\0Minvalid message length\0\0"));
    end();
    CHECK_INT(begin(PG_ADMIT_SCRAM, "x"), ERR_AGAIN);
    buf_put(&said, "p\0\0\4\x3f", 5);
    CHECK_INT(pg_admit_feed(&admit, buf_all(&said), &used, &out), ERR_AGAIN);
    buf_clear(&said);
    buf_put(&said, "p\0\0\4\x40", 5);
    CHECK_INT(feed(), ERR_PROTOCOL);
    end();
}

static void every_prefix_of_a_message_asks_for_more(void)
{
    CHECK_INT(begin(PG_ADMIT_PASSWORD, "pencil"), ERR_AGAIN);
    pg_put_password(&said, bytes("pencil"));
    for (size_t len = 0; len < said.len; len++) {
        CHECK_INT(pg_admit_feed(&admit, slice_of(said.at, len), &used, &out), ERR_AGAIN);
        CHECK_INT(used, 0);
    }
    pg_put_query(&said, bytes("behind it"));
    CHECK_INT(pg_admit_feed(&admit, buf_all(&said), &used, &out), ERR_NONE);
    CHECK_INT(used, 12);
    end();
}

/* --- md5 --- */

static void say_md5(const char *password)
{
    struct pg_md5 hash = pg_md5_of_password(slice_text(password), bytes("app"));
    struct pg_md5 answer = pg_md5_answer(slice_text(hash.text), admit.salt);

    pg_put_password(&said, slice_text(answer.text));
}

static void expect_md5(const char *secret, const char *password, bool is_right)
{
    CHECK_INT(begin(PG_ADMIT_MD5, secret), ERR_AGAIN);
    CHECK_INT(out.len, 13);
    CHECK_BYTES(slice_of(out.at, 9), bytes("R\0\0\0\14\0\0\0\5"));
    CHECK_BYTES(slice_from(buf_all(&out), 9), slice_of(admit.salt, 4));
    say_md5(password);
    CHECK_INT(feed(), is_right ? ERR_NONE : ERR_LOGIN);
    if (is_right)
        check_in(secret, 0);
    else
        check_error(bytes(REFUSED));
    end();
}

static void an_answer_of_md5_is_checked_against_password_and_hash(void)
{
    expect_md5("pencil", "pencil", true);
    expect_md5("pencil", "Pencil", false);
    expect_md5(MD5_HASH, "pencil", true);
    expect_md5(MD5_HASH, "Pencil", false);
}

static void who_does_not_exist_is_asked_as_the_others_are(void)
{
    settings.has_no_verifier = true;
    expect_md5("", "", false);
    CHECK_INT(begin(PG_ADMIT_MD5, ""), ERR_AGAIN);
    check_out(bytes(SASL));
    end();
    CHECK_INT(begin(PG_ADMIT_MD5, VERIFIER), ERR_AGAIN);
    check_out(bytes(SASL));
    end();
}

static void each_challenge_of_md5_has_a_salt_of_its_own(void)
{
    uint8_t salt[4];

    CHECK_INT(begin(PG_ADMIT_MD5, "pencil"), ERR_AGAIN);
    memcpy(salt, admit.salt, 4);
    say_md5("pencil");
    pg_admit_fini(&admit);
    CHECK_INT(pg_admit_begin(&admit, &settings, &out), ERR_AGAIN);
    CHECK(memcmp(salt, admit.salt, 4) != 0);
    CHECK_INT(feed(), ERR_LOGIN);
    end();
    random_fails = true;
    CHECK_INT(begin(PG_ADMIT_MD5, "pencil"), ERR_SYSTEM);
    check_error(bytes("SFATAL\0VFATAL\0CXX000\0Mcould not generate random MD5 salt\0\0"));
    random_fails = false;
    end();
}

/* --- SCRAM --- */

static const uint8_t ENDPOINT[32] = { 1, 2, 3 };

struct exchange {
    enum pg_admit_method method;
    const char *secret, *password;
    struct scram_keys *kept;
    enum scram_binding binding;
    bool offers_binding, without_initial, other_endpoint;
};

/* What AuthenticationSASLContinue and Final say. */
static struct slice sasl_data(void)
{
    struct pg_frame frame = { 0 };
    struct pg_auth auth = { 0 };

    CHECK_INT(pg_frame_read(buf_all(&out), &frame), ERR_NONE);
    CHECK_INT(pg_read_auth(pg_frame_body(buf_all(&out), frame), &auth), ERR_NONE);
    return auth.data;
}

static void say_initial(const struct exchange *x, struct slice first)
{
    struct slice mechanism =
        x->binding == SCRAM_BINDING_ENDPOINT ? bytes(SCRAM_MECHANISM_PLUS) : bytes(SCRAM_MECHANISM);

    if (!x->without_initial) {
        pg_put_sasl_initial(&said, mechanism, first);
        return;
    }
    buf_put(&said, "p\0\0\0\26SCRAM-SHA-256\0\xff\xff\xff\xff", 23);
    CHECK_INT(feed(), ERR_AGAIN);
    check_out(bytes("R\0\0\0\10\0\0\0\13"));
    pg_put_sasl_response(&said, first);
}

/* Ends with what the client's proof is answered. */
static enum err exchange(struct exchange x, struct scram_prover *p)
{
    static const uint8_t OTHER[32] = { 9 };
    struct scram_keys keys;
    struct buf text = { 0 };
    enum err err;

    settings.kept = x.kept;
    if (x.offers_binding)
        settings.endpoint = slice_of(ENDPOINT, sizeof(ENDPOINT));
    CHECK_INT(begin(x.method, x.secret), ERR_AGAIN);
    *p = (struct scram_prover){ .binding = x.binding,
                                .endpoint = slice_of(x.other_endpoint ? OTHER : ENDPOINT, 32) };
    CHECK_INT(scram_prove_first(p, &text), ERR_NONE);
    say_initial(&x, buf_all(&text));
    err = feed();
    if (err == ERR_AGAIN) {
        CHECK_INT(scram_prove_challenge(p, sasl_data()), ERR_NONE);
        CHECK_INT(
            scram_keys_derive(slice_text(x.password), p->salt, p->salt_len, p->iterations, &keys),
            ERR_NONE);
        buf_clear(&text);
        CHECK_INT(scram_prove_final(p, &keys, &text), ERR_NONE);
        pg_put_sasl_response(&said, buf_all(&text));
        err = feed();
    }
    buf_fini(&text);
    return err;
}

static void expect_scram(struct exchange x, const char *secret)
{
    struct scram_prover p;

    CHECK_INT(exchange(x, &p), ERR_NONE);
    CHECK_INT(scram_prove_end(&p, sasl_data()), ERR_NONE);
    check_in(secret, 4096);
    CHECK(scram_prove_fits(&p, &admit.keys));
    end();
}

static void a_proof_lets_in_and_gives_the_keys(void)
{
    struct scram_prover p;
    struct scram_keys derived;

    expect_scram(
        (struct exchange){ .method = PG_ADMIT_SCRAM, .secret = VERIFIER, .password = "pencil" },
        "");
    expect_scram(
        (struct exchange){ .method = PG_ADMIT_MD5, .secret = VERIFIER, .password = "pencil" }, "");
    expect_scram((struct exchange){ .method = PG_ADMIT_SCRAM,
                                    .secret = VERIFIER,
                                    .password = "pencil",
                                    .without_initial = true },
                 "");
    expect_scram(
        (struct exchange){ .method = PG_ADMIT_SCRAM, .secret = "pencil", .password = "pencil" },
        "pencil");
    CHECK_INT(
        exchange(
            (struct exchange){ .method = PG_ADMIT_SCRAM, .secret = VERIFIER, .password = "pencil" },
            &p),
        ERR_NONE);
    CHECK_INT(scram_keys_of_password(bytes("pencil"), &admit.keys.verifier, &derived), ERR_NONE);
    CHECK(memcmp(&derived, &admit.keys, sizeof(derived)) == 0);
    end();
}

static void the_keys_of_a_clear_password_are_derived_once(void)
{
    struct scram_keys kept = { 0 }, first;
    struct exchange x = {
        .method = PG_ADMIT_SCRAM, .secret = "pencil", .password = "pencil", .kept = &kept
    };
    struct scram_prover p;

    expect_scram(x, "pencil");
    CHECK_INT(kept.verifier.iterations, 4096);
    first = kept;
    expect_scram(x, "pencil");
    CHECK(memcmp(&first, &kept, sizeof(kept)) == 0);
    /* What is kept is used: another secret beside the same keys changes nothing. */
    x.secret = "another";
    expect_scram(x, "another");
    /* They serve where SCRAM was not done, too. */
    settings.kept = &kept;
    CHECK_INT(begin(PG_ADMIT_TRUST, "pencil"), ERR_NONE);
    CHECK_INT(admit.keys.verifier.iterations, 4096);
    end();
    /* Who does not exist has the same salt as if he did. */
    x = (struct exchange){ .method = PG_ADMIT_SCRAM, .secret = "", .password = "pencil" };
    CHECK_INT(exchange(x, &p), ERR_LOGIN);
    CHECK_BYTES(slice_of(p.salt, p.salt_len), slice_of(first.verifier.salt, 16));
    end();
}

/* As when the configuration is read anew, and the old one goes, between two messages. */
static void the_secret_may_go_while_a_login_is_under_way(void)
{
    static const char *const SECRETS[] = { "pencil", MD5_HASH, VERIFIER };
    static const enum pg_admit_method METHODS[] = { PG_ADMIT_PASSWORD, PG_ADMIT_MD5 };

    for (int i = 0; i < 6; i++) {
        char *secret = strdup(SECRETS[i % 3]);
        struct scram_keys *kept = calloc(1, sizeof(*kept));

        settings.kept = kept;
        CHECK_INT(begin(METHODS[i / 3], secret), ERR_AGAIN);
        free(secret);
        free(kept);
        if (i / 3 == 0)
            pg_put_password(&said, bytes("pencil"));
        else
            say_md5("pencil");
        CHECK_INT(feed(), i == 5 ? ERR_PROTOCOL : ERR_NONE); /* a verifier is asked by SCRAM */
        end();
    }
}

static void expect_no_proof(struct exchange x, const char *why)
{
    struct scram_prover p;

    CHECK_INT(exchange(x, &p), ERR_LOGIN);
    check_error(bytes(REFUSED));
    CHECK_TEXT(admit.why, why);
    end();
}

static void whoever_is_not_let_in_is_told_the_same(void)
{
    expect_no_proof((struct exchange){ PG_ADMIT_SCRAM, VERIFIER, "Pencil", .kept = NULL },
                    "password does not match for user \"app\"");
    expect_no_proof((struct exchange){ PG_ADMIT_SCRAM, "pencil", "Pencil", .kept = NULL },
                    "password does not match for user \"app\"");
    expect_no_proof((struct exchange){ PG_ADMIT_SCRAM, "", "pencil", .kept = NULL },
                    "user \"app\" does not exist or has no password");
    expect_no_proof((struct exchange){ PG_ADMIT_SCRAM, MD5_HASH, "pencil", .kept = NULL },
                    "user \"app\" has an md5 hash, which cannot serve for SCRAM");
    expect_no_proof((struct exchange){ PG_ADMIT_SCRAM, "SCRAM-SHA-256$x", "pencil", .kept = NULL },
                    "user \"app\" does not have a valid SCRAM verifier");
    expect_no_proof((struct exchange){ PG_ADMIT_MD5, "", "pencil", .kept = NULL },
                    "user \"app\" does not exist or has no password");
}

static void binding_is_offered_with_a_certificate_and_must_be_right(void)
{
    struct exchange x = { .method = PG_ADMIT_SCRAM,
                          .secret = VERIFIER,
                          .password = "pencil",
                          .binding = SCRAM_BINDING_ENDPOINT,
                          .offers_binding = true };
    struct scram_prover p;

    expect_scram(x, "");
    x.other_endpoint = true;
    CHECK_INT(exchange(x, &p), ERR_TLS);
    check_error(bytes("SFATAL\0VFATAL\0C28000\0MSCRAM channel binding check failed\0\0"));
    end();
    x.offers_binding = false;
    CHECK_INT(exchange(x, &p), ERR_PROTOCOL);
    check_error(bytes("SFATAL\0VFATAL\0C08P01\0Mclient selected an invalid SASL authentication "
                      "mechanism\0\0"));
    end();
    x.binding = SCRAM_BINDING_WOULD;
    expect_scram(x, "");
    x.offers_binding = true;
    CHECK_INT(exchange(x, &p), ERR_TLS);
    check_error(
        bytes("SFATAL\0VFATAL\0C28000\0MSCRAM channel binding negotiation error\0DThe client "
              "supports SCRAM channel binding but thinks the server does not.  However, this "
              "server does support channel binding.\0\0"));
    end();
    x.binding = SCRAM_BINDING_NONE;
    expect_scram(x, "");
    settings.endpoint = slice_of(ENDPOINT, 32);
    CHECK_INT(begin(PG_ADMIT_SCRAM, ""), ERR_AGAIN);
    check_out(bytes("R\0\0\0\x2a\0\0\0\12SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"));
    end();
}

static void expect_bad_initial(struct slice body, enum err err, struct slice fields)
{
    CHECK_INT(begin(PG_ADMIT_SCRAM, VERIFIER), ERR_AGAIN);
    buf_put(&said, "p\0\0\0", 4);
    buf_put(&said, &(uint8_t){ (uint8_t)(body.len + 4) }, 1);
    buf_slice(&said, body);
    CHECK_INT(feed(), err);
    check_error(fields);
    end();
}

static void what_is_not_of_scram_is_refused(void)
{
    expect_bad_initial(bytes(""), ERR_PROTOCOL,
                       bytes("SFATAL\0VFATAL\0C08P01\0Minvalid message format\0\0"));
    expect_bad_initial(bytes("SCRAM-SHA-256\0\0\0\0\5n,,n"), ERR_PROTOCOL,
                       bytes("SFATAL\0VFATAL\0C08P01\0Minvalid message format\0\0"));
    expect_bad_initial(bytes("SCRAM-SHA-1\0\0\0\0\4n,,n"), ERR_PROTOCOL,
                       bytes("SFATAL\0VFATAL\0C08P01\0Mclient selected an invalid SASL "
                             "authentication mechanism\0\0"));
    expect_bad_initial(bytes("SCRAM-SHA-256\0\0\0\0\4n,,n"), ERR_PROTOCOL,
                       bytes("SFATAL\0VFATAL\0C08P01\0Mmalformed SCRAM message\0DAttribute \"n\" "
                             "expected in client-first-message.\0\0"));
    expect_bad_initial(
        bytes("SCRAM-SHA-256\0\0\0\0\7n,a=x,n"), ERR_UNSUPPORTED,
        bytes("SFATAL\0VFATAL\0C0A000\0Mclient uses authorization identity, but it is "
              "not supported\0\0"));
    CHECK_INT(begin(PG_ADMIT_SCRAM, VERIFIER), ERR_AGAIN);
    pg_put_sync(&said);
    CHECK_INT(feed(), ERR_PROTOCOL);
    check_error(bytes("SFATAL\0VFATAL\0C08P01\0Mexpected SASL response, got message type 83\0\0"));
    end();
}

static void a_final_message_that_is_none_is_refused(void)
{
    CHECK_INT(begin(PG_ADMIT_SCRAM, VERIFIER), ERR_AGAIN);
    pg_put_sasl_initial(&said, bytes("SCRAM-SHA-256"), bytes("n,,n=,r=abc"));
    CHECK_INT(feed(), ERR_AGAIN);
    pg_put_sasl_response(&said, bytes("c=biws,r=abc,p=x"));
    CHECK_INT(feed(), ERR_PROTOCOL);
    check_error(bytes("SFATAL\0VFATAL\0C08P01\0Mmalformed SCRAM message\0DMalformed proof in "
                      "client-final-message.\0\0"));
    end();
}

int main(void)
{
    RUN(who_is_trusted_or_vouched_for_is_in_at_once);
    RUN(who_is_not_vouched_for_is_refused);
    RUN(a_certificate_may_be_asked_for_besides);
    RUN(a_rule_that_rejects_says_so_as_postgresql_does);
    RUN(a_clear_password_is_checked_against_each_kind_of_secret);
    RUN(the_log_knows_what_a_client_is_not_told);
    RUN(what_is_no_password_is_refused);
    RUN(too_long_a_message_is_refused_before_it_has_come);
    RUN(every_prefix_of_a_message_asks_for_more);
    RUN(an_answer_of_md5_is_checked_against_password_and_hash);
    RUN(who_does_not_exist_is_asked_as_the_others_are);
    RUN(each_challenge_of_md5_has_a_salt_of_its_own);
    RUN(a_proof_lets_in_and_gives_the_keys);
    RUN(the_keys_of_a_clear_password_are_derived_once);
    RUN(the_secret_may_go_while_a_login_is_under_way);
    RUN(whoever_is_not_let_in_is_told_the_same);
    RUN(binding_is_offered_with_a_certificate_and_must_be_right);
    RUN(what_is_not_of_scram_is_refused);
    RUN(a_final_message_that_is_none_is_refused);
    buf_fini(&out);
    buf_fini(&said);
    return check_report();
}
