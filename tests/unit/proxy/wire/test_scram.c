#include "proxy/wire/scram.h"

#include <sys/random.h>

#include "tests/unit/check.h"

/* Of RFC 7677, section 3. */
#define RFC_VERIFIER                                                                               \
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="     \
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define RFC_NONCES "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"

/* Of the others: password "pencil", salt "defghijklmnopqrs", and this nonce of 18 counted bytes. */
#define OUR_NONCE "AAECAwQFBgcICQoLDA0ODxAR"
#define BOTH      OUR_NONCE "SERVERnonce"
#define CHALLENGE "r=" BOTH ",s=ZGVmZ2hpamtsbW5vcHFycw==,i=4096"
#define OUR_VERIFIER                                                                               \
    "SCRAM-SHA-256$4096:ZGVmZ2hpamtsbW5vcHFycw==$VrzMdChSMLkjmQR3qtXv6v++uQiBSF1X4PC95pFNDDE="     \
    ":9ApbgDU1FIpXSZP24HBygR2sFb8CCUZeiyQVzzQhQ9M="

static bool random_is_counted, random_fails;

/* Instead of the C library's. */
ssize_t getrandom(void *at, size_t len, unsigned flags)
{
    static uint8_t seed;

    (void)flags;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)at)[i] = (uint8_t)(random_is_counted ? i : ++seed);
    return random_fails ? -1 : (ssize_t)len;
}

static struct scram_verifier verifier_of(const char *text)
{
    struct scram_verifier v = { 0 };

    CHECK_INT(scram_verifier_parse(slice_text(text), &v), ERR_NONE);
    return v;
}

static const uint8_t ENDPOINT[32] = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                      11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                      22, 23, 24, 25, 26, 27, 28, 29, 30, 31 };

static struct slice endpoint(void)
{
    return slice_of(ENDPOINT, sizeof(ENDPOINT));
}

/* --- keys and verifiers --- */

static void the_keys_of_a_password_are_those_of_the_standard(void)
{
    struct scram_verifier v = verifier_of(RFC_VERIFIER);
    struct scram_keys keys = { 0 };

    CHECK_INT(v.iterations, 4096);
    CHECK_INT(v.salt_len, 16);
    CHECK_INT(scram_keys_of_password(bytes("pencil"), &v, &keys), ERR_NONE);
    CHECK(scram_verifier_is(&keys.verifier, &v));
    CHECK_INT(scram_keys_of_password(bytes("Pencil"), &v, &keys), ERR_LOGIN);
    CHECK_INT(scram_keys_of_password(bytes(""), &v, &keys), ERR_LOGIN);
    CHECK(scram_verifier_is(&keys.verifier, &v));
    scram_keys_wipe(&keys);
    CHECK_INT(keys.verifier.iterations, 0);
}

/* Made by ALTER ROLE ... PASSWORD of PostgreSQL 15. */
static const struct {
    const char *password, *verifier;
} MADE_BY_POSTGRESQL[] = {
    { "pencil", "SCRAM-SHA-256$4096:7ELb9EdMmNKyz/iQHLl3iw==$0w/v/quO/pcj8eJgzPXtoOHgvfKU8CR3/"
                "FPRCQEsMMY=:CxUcRRNM4ygD3XPke03pVP+rRZzvLeVitMEUD7qq2no=" },
    { "IX", "SCRAM-SHA-256$4096:6xfLHbypOjdmnmxLRbOpBA==$RlreWFVM+YouRcAei5TPxenOeQS+"
            "5zC1QsY4Cz2DUno=:PeLvTRA5NUrZmOMGeTHJLZSM+tfa9b+h2OZUFGetZTM=" },
    { "\x49\xc2\xad\x58",
      "SCRAM-SHA-256$4096:mpBCCNvBJHelRKJomjQraQ==$PtMSZgSBawIMmAV373+BXiIN2G2F9uQ7Ayugf+ZQcFU=:"
      "VyIOxSxosad1fH4GDK7DcqWULHtT+PagtYfaBo30IRE=" },
    { "\xc2\xaa", "SCRAM-SHA-256$4096:kIF5aaJPwqLBL/f3LepOIQ==$P7Ak8cyXc9Kznhp+vY/+Rk7UbeOGn5/"
                  "I59h6b2UHp5c=:HZ8XALm6enlElPlDgIX9XBuG2842isGYNoBXRof0xNY=" },
    { "\xe2\x85\xa8",
      "SCRAM-SHA-256$4096:S2iArssaKAJEFxUX+W8HUQ==$BQfpsPynDwuv4t/"
      "tvADgytjYXdoTKENXjKjXn6rYxAs=:jxkhOoyV3H/JL1gwZ5GAs6GNH/ie4hwsLY5p5sgy4xs=" },
    { "\xc2\xa0\x78\xe3\x80\x80\x79", "SCRAM-SHA-256$4096:SsswyEnp5npLIGt/"
                                      "QM9tOQ==$ETLX5nsu9MrxHG+tekZ5YCg9eD9QiApuL0pXFhOG7OM=:"
                                      "KsXVwYUT4sxbWLNFvcVYTuxVzUJ13pZXpEc/PkFv6v0=" },
    { "\xd8\xa7\x31", "SCRAM-SHA-256$4096:iEi/moaDzZ1ivY3c8Z/"
                      "9bw==$GOSH3qX9K9vw0+drOKyP5JQ2zpOMtW7w+4Kb7dnBg0c=:"
                      "2d1cK3HZjfvzM1IKgm0umKRrJ/NPqGJMMYZ9PxYNPmI=" },
    { "\xd8\xa7\xd8\xa8", "SCRAM-SHA-256$4096:DST6j3dSL8FPKk5xs4jeaQ==$9P8wxExrMsGsI4dF2BhBm8+"
                          "rmdNi7ie6HcjFoVt3gJ4=:Psj3lHRwu/cxeXhpoV5oLa/cWkqHYwlp4W+XKpMs6vI=" },
    { "\x61\x07\x62", "SCRAM-SHA-256$4096:HJvsYi/nToYYrvX3MOhBFA==$GFEqLOLCXHIcfJL6neR3LQ/"
                      "7u9TQ1NyN+lLXcAr9KMw=:H1V43v6b2HYHseoAFOAgmI2ywnIh2fgqhHwk88iIo/8=" },
    { "\x07\xc3\xa9",
      "SCRAM-SHA-256$4096:60cpxYfxw9nPbdeA2L9Z+w==$sjvYAzJQDjm9uS3iup9eHc0qci8LLdm2sIQ5q5cViAI=:"
      "1wxn8aiM/34RhsP02a84wKN5ECxsYsfQKjbYSQDniJg=" },
    { "\xc8\xa1\x78", "SCRAM-SHA-256$4096:iZHOLT0qyZgSBv/"
                      "J3+gFyw==$9fmZlY73YbZacXR+J5UmlOT2U5mwCAi48jDS1L4JxwU=:EVk6JDZ7BJc1RLSO/zJC/"
                      "3x8vlpCDX+Cw/PinFAQBQE=" },
    { "\x65\xcc\x81", "SCRAM-SHA-256$4096:TBxijtVN9MU7RyiseuvN2Q==$cvcaB+Apbl6x4sO3gVO/"
                      "yEU9nX2+5wr+9YIN7T3SDWs=:jledR5hpnXhi7ELacQ5S5cf82MieiQstoATWtsHysVk=" },
    { "\xe1\xba\x9b\xcc\xa3",
      "SCRAM-SHA-256$4096:+uAaMezPg8myWVaQfjiwrg==$CAfY7T6Txl18vlqJC90NJvriVI24u7JcGvVafdhyPuI=:"
      "U8yTkwWj2cMxicObly07aFeTWr84VfB2S720AerX9j4=" },
    { "\xef\xac\x81", "SCRAM-SHA-256$4096:d3esoJ+bQdQm3LJ4gndiAw==$7psjMSxWt1KRm/xW3xQTwpwcrhDqSK/"
                      "W1ntvB4KKHPM=:l2BzzgtdOZsVgN2i0+HER3s/ae3HJLyLUF//k0RlViY=" },
    { "\xf0\x9f\x98\x80",
      "SCRAM-SHA-256$4096:aQKQh56c8Ox9oa9tG06udA==$9Ya7n6x7JU2TwvP1ClMS76KPOnIVFm0JvjXunzzkDKQ=:"
      "mOHoFq2dvrp9rTdN0AjwR8iIB3xv/jrcuzsaAbTub9g=" },
    { "\xea\xb0\x80\xe1\x86\xa8",
      "SCRAM-SHA-256$4096:B2dkuxIgzqosQyS4xm5ddQ==$TufGvB8mRcWyGZmMYpe/"
      "3yX4gzKTZslth3ZFXD6LJ3A=:WrGdauRn/wnANgwUM9w7MHoJWn+5a/BxqYg1T8+llHw=" },
    { "\xc2\xad", "SCRAM-SHA-256$4096:NaHeZ4qdy2ji59oJlrlEWg==$muBVTNoeiEeZCEbTiUa9r+"
                  "sN7LZ39YXRe4UcDCgst+8=:khOym0TOjjlCrHqs+LMdg1UOK+4zBbDCy2K45A5CXno=" },
    { "\xe2\x80\x8b\x7a\xc3\xa9",
      "SCRAM-SHA-256$4096:0nGaswT1hVAjkwbp03P9Fg==$DQTzYJiJavcO7cuFClnzX08vvQicKFyUU74M2GRVwBU=:"
      "X2MxZPlR5KhXrSawxPZmgXQEt3g0FW+6vqnD3KYWY6E=" },
    { "\xcd\x80",
      "SCRAM-SHA-256$4096:mpdxp3cj4YcaW23B6sYlKg==$jPvForQ6UXvMbpXg5vqJnkzltfdXBxNW9oNKsZzGTUg=:"
      "x3AyAfMZgwTia4WbvGUgES5YV1KX+TYbH1v2l4CagRo=" },
    { "\xef\xb7\xba", "SCRAM-SHA-256$4096:4YeqThGnjvIl4w/"
                      "HqMGRXA==$pmpfBKzlxAd09gj8UOitychOailEDGulPbycKfuxsAA=:"
                      "w33JjSYUB1QW9B10QtP6xHK7bcTEJ4dILYNWF6063z0=" },
};

static void passwords_are_prepared_as_postgresql_does(void)
{
    for (size_t i = 0; i < sizeof(MADE_BY_POSTGRESQL) / sizeof(MADE_BY_POSTGRESQL[0]); i++) {
        struct scram_verifier v = verifier_of(MADE_BY_POSTGRESQL[i].verifier);
        struct slice password = slice_text(MADE_BY_POSTGRESQL[i].password);
        struct scram_keys keys;

        if (scram_keys_of_password(password, &v, &keys) != ERR_NONE) {
            printf("%s (%zu)\n", MADE_BY_POSTGRESQL[i].password, i);
            CHECK(false);
        }
    }
}

/* A key of HMAC longer than a block is hashed first; computed elsewhere. */
static void long_passwords_are_keys_like_others(void)
{
    static const struct {
        size_t len;
        const char *verifier;
    } LONG[] = {
        { 64,
          "SCRAM-SHA-256$2:MDEyMzQ1Njc4OWFiY2RlZg==$uQZn6y4W5plZj29aperwctruMH1bcS/AdpCOiGvear8=:"
          "WXnZsx4OZsjlsXSX6MrujDP6oth0AXHOCIKvmGM4LhM=" },
        { 65,
          "SCRAM-SHA-256$2:MDEyMzQ1Njc4OWFiY2RlZg==$Rde26k0C8gDkSRz5EvsAhUb49B0E6xXqGv1xauoiLG4=:"
          "RTmrxYtVi/33M0yUyUrX55bU8oKkJC/vxxRDjTRE+GE=" },
        { 200,
          "SCRAM-SHA-256$2:MDEyMzQ1Njc4OWFiY2RlZg==$sAHs1tQjC+vd72h3ZYrd+bwiLn6OPrL0eOUFAQAnsNY=:"
          "0SmKX6TwqY9lcVhYfQXAc7fmXf9FSHJ8B8SYzBcVCys=" },
    };
    char password[200];

    memset(password, 'x', sizeof(password));
    for (size_t i = 0; i < sizeof(LONG) / sizeof(LONG[0]); i++) {
        struct scram_verifier v = verifier_of(LONG[i].verifier);
        struct scram_keys keys;

        CHECK_INT(scram_keys_of_password(slice_of(password, LONG[i].len), &v, &keys), ERR_NONE);
    }
}

/* Prepared, both would be "e" with an accent. */
static void passwords_too_long_to_be_prepared_or_with_zeros_are_taken_as_they_are(void)
{
    static const char *const ACCENTS[2] = { "e\xcc\x81", "\xc3\xa9" };
    static char text[2][1100];
    struct scram_keys keys[2];
    static const uint8_t SALT[16] = { 1 };

    for (int pass = 0; pass < 3; pass++) {
        for (int i = 0; i < 2; i++) {
            size_t len = strlen(ACCENTS[i]);

            memset(text[i], 'x', sizeof(text[i]));
            memcpy(text[i], ACCENTS[i], len);
            text[i][len + 10] = pass == 2 ? '\0' : 'x';
            CHECK_INT(scram_keys_derive(slice_of(text[i], len + (pass == 1 ? 1022 : 1000)), SALT,
                                        sizeof(SALT), 1, &keys[i]),
                      ERR_NONE);
        }
        CHECK_INT(scram_verifier_is(&keys[0].verifier, &keys[1].verifier), pass == 0);
    }
}

static void a_verifier_is_printed_as_it_was_read(void)
{
    struct scram_verifier v = verifier_of(RFC_VERIFIER);
    struct buf out = { 0 };

    scram_verifier_print(&v, &out);
    CHECK_BYTES(buf_all(&out), bytes(RFC_VERIFIER));
    buf_fini(&out);
}

static void a_new_verifier_has_a_salt_of_its_own(void)
{
    struct scram_keys a, b, again;

    CHECK_INT(scram_keys_make(bytes("pencil"), &a), ERR_NONE);
    CHECK_INT(scram_keys_make(bytes("pencil"), &b), ERR_NONE);
    CHECK_INT(a.verifier.iterations, 4096);
    CHECK_INT(a.verifier.salt_len, 16);
    CHECK(!scram_verifier_is(&a.verifier, &b.verifier));
    CHECK_INT(scram_keys_of_password(bytes("pencil"), &b.verifier, &again), ERR_NONE);
    random_fails = true;
    CHECK_INT(scram_keys_make(bytes("pencil"), &a), ERR_SYSTEM);
    random_fails = false;
}

static void text_that_is_no_verifier_is_refused(void)
{
#define KEYS                                                                                       \
    "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    static const char *const BAD[] = {
        "",
        "SCRAM-SHA-256",
        "SCRAM-SHA-256$",
        "scram-sha-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==" KEYS,
        "SCRAM-SHA-1$4096:W22ZaJ0SNY7soEsUEjb6gQ==" KEYS,
        "SCRAM-SHA-256$0:W22ZaJ0SNY7soEsUEjb6gQ==" KEYS,
        "SCRAM-SHA-256$-1:W22ZaJ0SNY7soEsUEjb6gQ==" KEYS,
        "SCRAM-SHA-256$2147483648:W22ZaJ0SNY7soEsUEjb6gQ==" KEYS,
        "SCRAM-SHA-256$4096 :W22ZaJ0SNY7soEsUEjb6gQ==" KEYS,
        "SCRAM-SHA-256$:W22ZaJ0SNY7soEsUEjb6gQ==" KEYS,
        "SCRAM-SHA-256$4096" KEYS,
        "SCRAM-SHA-256$4096:" KEYS,
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=" KEYS,
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6g!==" KEYS,
        RFC_VERIFIER "=",
        RFC_VERIFIER " ",
        RFC_VERIFIER ":",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4q==:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$:",
    };
    struct scram_verifier v = { .iterations = 7 };

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        if (scram_verifier_parse(slice_text(BAD[i]), &v) != ERR_SYNTAX) {
            printf("taken: %s\n", BAD[i]);
            CHECK(false);
        }
    CHECK_INT(v.iterations, 7);
    CHECK(scram_is_verifier(bytes("SCRAM-SHA-256$and so on")));
    CHECK(!scram_is_verifier(bytes("SCRAM-SHA-256")));
}

/* 64 bytes of salt are taken, 65 are not. */
static void a_salt_may_be_only_so_long(void)
{
    struct buf text = { 0 };
    struct scram_verifier v;

    buf_text(&text, "SCRAM-SHA-256$1:");
    for (int i = 0; i < 21; i++)
        buf_text(&text, "AAAA");
    buf_text(&text, "AA==" KEYS);
    CHECK_INT(scram_verifier_parse(buf_all(&text), &v), ERR_NONE);
    CHECK_INT(v.salt_len, 64);
    buf_clear(&text);
    buf_text(&text, "SCRAM-SHA-256$1:");
    for (int i = 0; i < 21; i++)
        buf_text(&text, "AAAA");
    buf_text(&text, "AAA=" KEYS);
    CHECK_INT(scram_verifier_parse(buf_all(&text), &v), ERR_LIMIT);
    buf_fini(&text);
}

static void keys_are_derived_with_so_many_iterations_and_no_more(void)
{
    struct scram_keys keys = { .verifier = { .iterations = 3 } };
    static const uint8_t SALT[65] = { 1 };

    CHECK_INT(scram_keys_derive(bytes("p"), SALT, 16, SCRAM_ITERATIONS_MOST + 1, &keys), ERR_LIMIT);
    CHECK_INT(scram_keys_derive(bytes("p"), SALT, 16, UINT32_MAX, &keys), ERR_LIMIT);
    CHECK_INT(scram_keys_derive(bytes("p"), SALT, 16, 0, &keys), ERR_RANGE);
    CHECK_INT(scram_keys_derive(bytes("p"), SALT, 65, 1, &keys), ERR_LIMIT);
    CHECK_INT(keys.verifier.iterations, 3);
    CHECK_INT(scram_keys_derive(bytes("p"), SALT, 16, 1, &keys), ERR_NONE);
}

static void a_mock_verifier_is_the_same_each_time_and_no_proof_fits(void)
{
    struct scram_verifier a, b, other, elsewhere;
    struct scram_form form = { 0 };
    struct scram_keys keys;

    scram_verifier_mock(bytes("nobody"), bytes("a secret"), form, &a);
    scram_verifier_mock(bytes("nobody"), bytes("a secret"), form, &b);
    scram_verifier_mock(bytes("nobody2"), bytes("a secret"), form, &other);
    scram_verifier_mock(bytes("nobody"), bytes("another"), form, &elsewhere);
    CHECK(scram_verifier_is(&a, &b));
    CHECK(!scram_verifier_is(&a, &other));
    CHECK(!scram_verifier_is(&a, &elsewhere));
    CHECK_INT(a.iterations, 4096);
    CHECK_INT(a.salt_len, 16);
    CHECK_INT(scram_keys_of_password(bytes(""), &a, &keys), ERR_LOGIN);
    form = (struct scram_form){ .iterations = 10000, .salt_len = SCRAM_SALT_MOST };
    scram_verifier_mock(bytes("nobody"), bytes("a secret"), form, &other);
    CHECK_INT(other.iterations, 10000);
    CHECK_INT(other.salt_len, SCRAM_SALT_MOST);
    CHECK(memcmp(other.salt, a.salt, 16) == 0); /* it goes on where a shorter one ends */
    CHECK(memcmp(other.salt, other.salt + 32, 32) != 0);
}

/* --- the prover --- */

static void prove_to_the_challenge(struct scram_prover *p, const char *first, struct buf *out)
{
    random_is_counted = true;
    CHECK_INT(scram_prove_first(p, out), ERR_NONE);
    random_is_counted = false;
    CHECK_BYTES(buf_all(out), slice_text(first));
    buf_clear(out);
}

static void expect_proof(struct scram_prover p, const char *first, const char *final,
                         const char *end)
{
    struct buf out = { 0 };
    struct scram_keys keys;
    char challenge[] = CHALLENGE;

    prove_to_the_challenge(&p, first, &out);
    CHECK_INT(scram_prove_challenge(&p, slice_text(challenge)), ERR_NONE);
    CHECK_INT(scram_keys_derive(bytes("pencil"), p.salt, p.salt_len, p.iterations, &keys),
              ERR_NONE);
    CHECK(scram_prove_fits(&p, &keys));
    buf_text(&out, "behind this ");
    CHECK_INT(scram_prove_final(&p, &keys, &out), ERR_NONE);
    memset(challenge, 0, sizeof(challenge)); /* it was borrowed till here */
    CHECK_BYTES(slice_from(buf_all(&out), 12), slice_text(final));
    CHECK_INT(scram_prove_end(&p, slice_text(end)), ERR_NONE);
    CHECK_INT(scram_prove_end(&p, slice_text(end)), ERR_PROTOCOL);
    scram_prover_fini(&p);
    buf_fini(&out);
}

static void a_proof_is_as_computed_elsewhere(void)
{
    expect_proof((struct scram_prover){ .binding = SCRAM_BINDING_NONE }, "n,,n=,r=" OUR_NONCE,
                 "c=biws,r=" BOTH ",p=O/QMXZ+941RFA6P4RiVuV2k8iH78DvS0ZdE4IPi7fhU=",
                 "v=0Eq/68l4B1NLIH5smT+QvQYUItlCGhcPV+VX6f+sHJg=");
    expect_proof((struct scram_prover){ .binding = SCRAM_BINDING_WOULD }, "y,,n=,r=" OUR_NONCE,
                 "c=eSws,r=" BOTH ",p=wUnhYlAqrOzQsg5IcDR2r3fhxr+/bwxQB5hL+Vy0+iI=",
                 "v=nV1eA+k96heGp524SiP3+XpphdHH3hIcCKNk2cW6COA=");
    expect_proof((struct scram_prover){ .binding = SCRAM_BINDING_ENDPOINT, .endpoint = endpoint() },
                 "p=tls-server-end-point,,n=,r=" OUR_NONCE,
                 "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,"
                 "r=" BOTH ",p=L/VEhMLZt6ipFviSX9M/cKvLcqugTIz4Japn2rfyhTo=",
                 "v=9PDVnr1Ab3sr6qaq65rOg/1NPr+Iuxt5WDwP/rSwlt8=");
}

static void expect_bad_challenge(const char *challenge, enum err err, const char *why)
{
    struct scram_prover p = { 0 };
    struct buf out = { 0 };

    prove_to_the_challenge(&p, "n,,n=,r=" OUR_NONCE, &out);
    CHECK_INT(scram_prove_challenge(&p, slice_text(challenge)), err);
    CHECK_TEXT(p.why == NULL ? "" : p.why, why);
    buf_fini(&out);
}

static void a_bad_challenge_is_refused(void)
{
    struct scram_prover early = { 0 };

    CHECK_INT(scram_prove_challenge(&early, bytes(CHALLENGE)), ERR_PROTOCOL);
    expect_bad_challenge("", ERR_PROTOCOL, "The message is empty.");
    expect_bad_challenge("r=" OUR_NONCE ",s=AAAA,i=1", ERR_PROTOCOL,
                         "its nonce does not continue ours");
    expect_bad_challenge("r=BAECAwQFBgcICQoLDA0ODxARx,s=AAAA,i=1", ERR_PROTOCOL,
                         "its nonce does not continue ours");
    expect_bad_challenge("r=,s=AAAA,i=1", ERR_PROTOCOL, "a nonce must come first");
    expect_bad_challenge("s=AAAA,r=" BOTH ",i=1", ERR_PROTOCOL, "a nonce must come first");
    expect_bad_challenge("r=" BOTH "\x7f,s=AAAA,i=1", ERR_PROTOCOL, "a nonce must come first");
    expect_bad_challenge("r=" BOTH, ERR_PROTOCOL, "a salt must come second");
    expect_bad_challenge("r=" BOTH ",s=,i=1", ERR_PROTOCOL, "a salt must come second");
    expect_bad_challenge("r=" BOTH ",s=AAA,i=1", ERR_PROTOCOL, "the salt is no base64");
    expect_bad_challenge("r=" BOTH ",s=AAAA", ERR_PROTOCOL,
                         "a number of iterations must come third");
    expect_bad_challenge("r=" BOTH ",s=AAAA,i=0", ERR_PROTOCOL,
                         "a number of iterations must come third");
    expect_bad_challenge("r=" BOTH ",s=AAAA,i=", ERR_PROTOCOL,
                         "a number of iterations must come third");
    expect_bad_challenge("r=" BOTH ",s=AAAA,i=4294967297", ERR_PROTOCOL,
                         "a number of iterations must come third");
    expect_bad_challenge("r=" BOTH ",s=AAAA,i=4096x", ERR_PROTOCOL,
                         "a number of iterations must come third");
    expect_bad_challenge(CHALLENGE ",x=y", ERR_PROTOCOL,
                         "there is something behind the number of iterations");
    expect_bad_challenge(CHALLENGE ",", ERR_PROTOCOL,
                         "there is something behind the number of iterations");
    expect_bad_challenge("m=x," CHALLENGE, ERR_UNSUPPORTED, "an extension is demanded");
    expect_bad_challenge("r=" BOTH ",s="
                         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                         "AAAAAAAAAAAAAAAA,i=1",
                         ERR_LIMIT, "the salt is too long");
    CHECK_INT(scram_prove_challenge(&early, bytes(CHALLENGE)), ERR_PROTOCOL);
}

static void every_shorter_challenge_is_refused(void)
{
    static const char WHOLE[] = CHALLENGE;

    for (size_t len = 0; len < sizeof(WHOLE) - 4; len++) { /* "i=4" and the like are whole */
        struct scram_prover p = { 0 };
        struct buf out = { 0 };

        prove_to_the_challenge(&p, "n,,n=,r=" OUR_NONCE, &out);
        CHECK_INT(scram_prove_challenge(&p, slice_of(WHOLE, len)), ERR_PROTOCOL);
        buf_fini(&out);
    }
}

static void expect_bad_end(struct slice end, enum err err)
{
    struct scram_prover p = { 0 };
    struct scram_keys keys;
    struct buf out = { 0 };

    prove_to_the_challenge(&p, "n,,n=,r=" OUR_NONCE, &out);
    CHECK_INT(scram_prove_challenge(&p, bytes(CHALLENGE)), ERR_NONE);
    CHECK_INT(scram_keys_derive(bytes("pencil"), p.salt, p.salt_len, p.iterations, &keys),
              ERR_NONE);
    CHECK_INT(scram_prove_end(&p, end), ERR_PROTOCOL); /* out of turn */
    CHECK_INT(scram_prove_final(&p, &keys, &out), ERR_NONE);
    CHECK_INT(scram_prove_end(&p, end), err);
    CHECK(p.why != NULL);
    buf_fini(&out);
}

static void a_server_that_does_not_know_the_password_is_told(void)
{
    expect_bad_end(bytes("v=0Eq/68l4B1NLIH5smT+QvQYUItlCGhcPV+VX6f+sHJh="), ERR_PROTOCOL);
    expect_bad_end(bytes("v=1Eq/68l4B1NLIH5smT+QvQYUItlCGhcPV+VX6f+sHJg="), ERR_LOGIN);
    expect_bad_end(bytes("e=invalid-proof"), ERR_LOGIN);
    expect_bad_end(bytes("v=0Eq/68l4B1NLIH5smT+QvQYUItlCGhcPV+VX6f+sHJg=,x=1"), ERR_PROTOCOL);
    expect_bad_end(bytes("v=0Eq/68l4B1NLIH5smT+QvQYUItlCGhcPV+VX6f+sHJg=,"), ERR_PROTOCOL);
    expect_bad_end(bytes("v=0Eq/68l4B1NLIH5smT+QvQYUItlCGhcPV+VX6f+s"), ERR_PROTOCOL);
    expect_bad_end(bytes("v="), ERR_PROTOCOL);
    expect_bad_end(bytes("v"), ERR_PROTOCOL);
    expect_bad_end(bytes(""), ERR_PROTOCOL);
    expect_bad_end(bytes("v=0Eq/68l4B1NLIH5smT+QvQYUItlCGhcPV+VX6f+sHJg=\0"), ERR_PROTOCOL);
}

static void keys_for_another_verifier_do_not_fit(void)
{
    struct scram_verifier v = verifier_of(OUR_VERIFIER);
    struct scram_keys keys = { .verifier = v };
    struct scram_prover p = { 0 };
    struct buf out = { 0 };

    prove_to_the_challenge(&p, "n,,n=,r=" OUR_NONCE, &out);
    CHECK_INT(scram_prove_challenge(&p, bytes(CHALLENGE)), ERR_NONE);
    CHECK(scram_prove_fits(&p, &keys));
    keys.verifier.salt[3] ^= 1;
    CHECK(!scram_prove_fits(&p, &keys));
    keys.verifier = v;
    keys.verifier.iterations++;
    CHECK(!scram_prove_fits(&p, &keys));
    keys.verifier = v;
    keys.verifier.salt_len--;
    CHECK(!scram_prove_fits(&p, &keys));
    buf_fini(&out);
}

/* --- the checker --- */

static struct scram_checker rfc_checker(const struct scram_verifier *v)
{
    struct scram_checker c = { .verifier = v, .nonce_len = sizeof(RFC_NONCES) - 1 };

    memcpy(c.nonce, RFC_NONCES, sizeof(RFC_NONCES) - 1);
    return c;
}

static void the_exchange_of_the_standard_is_accepted_and_tells_the_client_key(void)
{
    struct scram_verifier v = verifier_of(RFC_VERIFIER);
    struct scram_checker c = rfc_checker(&v);
    struct scram_keys keys = { 0 }, derived;
    struct buf out = { 0 };

    CHECK_INT(scram_check_first(&c, bytes("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), &out), ERR_NONE);
    CHECK_BYTES(buf_all(&out), bytes("r=" RFC_NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
    buf_clear(&out);
    CHECK_INT(scram_check_final(
                  &c,
                  bytes("c=biws,r=" RFC_NONCES ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
                  &keys, &out),
              ERR_NONE);
    CHECK_BYTES(buf_all(&out), bytes("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    CHECK_INT(scram_keys_of_password(bytes("pencil"), &v, &derived), ERR_NONE);
    CHECK_BYTES(slice_of(keys.client_key, 32), slice_of(derived.client_key, 32));
    CHECK(scram_verifier_is(&keys.verifier, &v));
    CHECK_INT(scram_check_final(&c, bytes("c=biws"), &keys, &out), ERR_PROTOCOL);
    buf_fini(&out);
}

static void expect_bad_first(struct scram_checker c, struct slice first, enum err err,
                             const char *why)
{
    struct scram_verifier v = verifier_of(RFC_VERIFIER);
    struct buf out = { 0 };

    c.verifier = &v;
    CHECK_INT(scram_check_first(&c, first, &out), err);
    CHECK_TEXT(c.why == NULL ? "" : c.why, why);
    CHECK_INT(out.len, 0);
    buf_fini(&out);
}

static void a_bad_first_message_is_refused(void)
{
    struct scram_checker c = { 0 };

    expect_bad_first(c, bytes(""), ERR_PROTOCOL, "The message is empty.");
    expect_bad_first(c, bytes("n,,n=,r=abc\0"), ERR_PROTOCOL,
                     "Message length does not match input length.");
    expect_bad_first(c, bytes("x,,n=,r=abc"), ERR_PROTOCOL, "Unexpected channel-binding flag.");
    expect_bad_first(c, bytes("n"), ERR_PROTOCOL,
                     "Comma expected behind the channel-binding flag.");
    expect_bad_first(c, bytes("n=,,n=,r=abc"), ERR_PROTOCOL,
                     "Comma expected behind the channel-binding flag.");
    expect_bad_first(c, bytes("n,"), ERR_PROTOCOL, "Unexpected attribute in client-first-message.");
    expect_bad_first(c, bytes("n,a=root,n=,r=abc"), ERR_UNSUPPORTED,
                     "client uses authorization identity, but it is not supported");
    expect_bad_first(c, bytes("n,,m=x,n=,r=abc"), ERR_UNSUPPORTED,
                     "client requires an unsupported SCRAM extension");
    expect_bad_first(c, bytes("n,,"), ERR_PROTOCOL,
                     "Attribute \"n\" expected in client-first-message.");
    expect_bad_first(c, bytes("n,,r=abc,n="), ERR_PROTOCOL,
                     "Attribute \"n\" expected in client-first-message.");
    expect_bad_first(c, bytes("n,,n="), ERR_PROTOCOL,
                     "Attribute \"r\" expected in client-first-message.");
    expect_bad_first(c, bytes("n,,n=,r="), ERR_PROTOCOL,
                     "Non-printable characters in SCRAM nonce.");
    expect_bad_first(c, bytes("n,,n=,r=a c"), ERR_PROTOCOL,
                     "Non-printable characters in SCRAM nonce.");
    expect_bad_first(c, bytes("n,,n=,r=a\xc3\xa9"), ERR_PROTOCOL,
                     "Non-printable characters in SCRAM nonce.");
    expect_bad_first(c, bytes("n,,n=,r=abc,,x=1"), ERR_PROTOCOL,
                     "Attribute expected, but found invalid character.");
    expect_bad_first(c, bytes("n,,n=,r=abc,x"), ERR_PROTOCOL,
                     "Attribute expected, but found invalid character.");
    expect_bad_first(c, bytes("n,,n=,r=abc,1=x"), ERR_PROTOCOL,
                     "Attribute expected, but found invalid character.");
    random_fails = true;
    expect_bad_first(c, bytes("n,,n=,r=abc"), ERR_SYSTEM, "no random bytes for a nonce");
    random_fails = false;
}

static void nonces_and_messages_may_be_only_so_long(void)
{
    struct scram_verifier v = verifier_of(RFC_VERIFIER);
    struct buf in = { 0 }, out = { 0 };

    for (int extra = 0; extra < 2; extra++) {
        struct scram_checker c = { .verifier = &v };

        buf_clear(&in);
        buf_text(&in, "n,,n=,r=");
        for (int i = 0; i < SCRAM_NONCE_MOST + extra; i++)
            buf_text(&in, "x");
        CHECK_INT(scram_check_first(&c, buf_all(&in), &out), extra ? ERR_PROTOCOL : ERR_NONE);
        CHECK_INT(c.nonce_len, extra ? 0 : SCRAM_NONCE_MOST + SCRAM_NONCE_BYTES);
    }
    for (int extra = 0; extra < 2; extra++) {
        struct scram_checker c = { .verifier = &v };

        buf_clear(&in);
        buf_text(&in, "n,,n=");
        while (in.len < SCRAM_MESSAGE_MOST - 4 + (size_t)extra)
            buf_text(&in, "x");
        buf_text(&in, ",r=x");
        CHECK_INT(scram_check_first(&c, buf_all(&in), &out), extra ? ERR_PROTOCOL : ERR_NONE);
    }
    buf_fini(&in);
    buf_fini(&out);
}

static void channel_binding_must_be_what_was_offered_and_chosen(void)
{
    struct scram_checker plain = { 0 }, offered = { .endpoint = endpoint() };
    struct scram_checker chosen = { .endpoint = endpoint(), .is_plus = true };

    expect_bad_first(offered, bytes("y,,n=,r=abc"), ERR_TLS,
                     "The client supports SCRAM channel binding but thinks the server does not.  "
                     "However, this server does support channel binding.");
    expect_bad_first(plain, bytes("p=tls-server-end-point,,n=,r=abc"), ERR_PROTOCOL,
                     "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM "
                     "message includes channel binding data.");
    expect_bad_first(offered, bytes("p=tls-server-end-point,,n=,r=abc"), ERR_PROTOCOL,
                     "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM "
                     "message includes channel binding data.");
    expect_bad_first(chosen, bytes("n,,n=,r=abc"), ERR_PROTOCOL,
                     "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not "
                     "include channel binding data.");
    expect_bad_first(chosen, bytes("y,,n=,r=abc"), ERR_PROTOCOL,
                     "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not "
                     "include channel binding data.");
    expect_bad_first(chosen, bytes("p=tls-unique,,n=,r=abc"), ERR_PROTOCOL,
                     "Unsupported SCRAM channel-binding type.");
    expect_bad_first(chosen, bytes("p=tls-server-end-point"), ERR_PROTOCOL,
                     "Channel-binding type expected.");
    expect_bad_first(chosen, bytes("p,,n=,r=abc"), ERR_PROTOCOL, "Channel-binding type expected.");
    expect_bad_first(plain, bytes("y,,n="), ERR_PROTOCOL,
                     "Attribute \"r\" expected in client-first-message.");
}

static void expect_bad_final(struct slice final, enum err err, const char *why)
{
    struct scram_verifier v = verifier_of(RFC_VERIFIER);
    struct scram_checker c = rfc_checker(&v);
    struct scram_keys keys = { .client_key = { 42 } };
    struct buf out = { 0 };

    CHECK_INT(scram_check_first(&c, bytes("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), &out), ERR_NONE);
    buf_clear(&out);
    CHECK_INT(scram_check_final(&c, final, &keys, &out), err);
    CHECK_TEXT(c.why == NULL ? "" : c.why, why);
    CHECK_INT(out.len, 0);
    CHECK_INT(keys.client_key[0], 42);
    /* There is no second try, not even with the right one. */
    CHECK_INT(scram_check_final(
                  &c,
                  bytes("c=biws,r=" RFC_NONCES ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
                  &keys, &out),
              ERR_PROTOCOL);
    buf_fini(&out);
}

static void a_bad_final_message_is_refused(void)
{
#define PROOF ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    expect_bad_final(bytes(""), ERR_PROTOCOL, "The message is empty.");
    expect_bad_final(bytes("r=" RFC_NONCES PROOF), ERR_PROTOCOL,
                     "Attribute \"c\" expected in client-final-message.");
    expect_bad_final(bytes("c=eSws,r=" RFC_NONCES PROOF), ERR_PROTOCOL,
                     "Unexpected SCRAM channel-binding attribute in client-final-message.");
    expect_bad_final(bytes("c=biw,r=" RFC_NONCES PROOF), ERR_PROTOCOL,
                     "Unexpected SCRAM channel-binding attribute in client-final-message.");
    expect_bad_final(bytes("c=biws" PROOF), ERR_PROTOCOL,
                     "Attribute \"r\" expected in client-final-message.");
    expect_bad_final(bytes("c=biws,r=" RFC_NONCES), ERR_PROTOCOL,
                     "Attribute \"p\" expected in client-final-message.");
    expect_bad_final(bytes("c=biws,r=" RFC_NONCES ",x=1"), ERR_PROTOCOL,
                     "Attribute \"p\" expected in client-final-message.");
    expect_bad_final(bytes("c=biws,r=" RFC_NONCES ",p=dHzb"), ERR_PROTOCOL,
                     "Malformed proof in client-final-message.");
    expect_bad_final(bytes("c=biws,r=" RFC_NONCES ",p="), ERR_PROTOCOL,
                     "Malformed proof in client-final-message.");
    expect_bad_final(bytes("c=biws,r=" RFC_NONCES PROOF ","), ERR_PROTOCOL,
                     "Garbage found at the end of client-final-message.");
    expect_bad_final(bytes("c=biws,r=" RFC_NONCES PROOF ",x=1"), ERR_PROTOCOL,
                     "Garbage found at the end of client-final-message.");
    expect_bad_final(bytes("c=biws,r=rOprNGfwEbeRWgbNEkqO" PROOF), ERR_PROTOCOL,
                     "Nonce does not match.");
    expect_bad_final(bytes("c=biws,r=" RFC_NONCES "x" PROOF), ERR_PROTOCOL,
                     "Nonce does not match.");
    expect_bad_final(
        bytes("c=biws,r=" RFC_NONCES ",p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), ERR_LOGIN,
        "The proof is wrong.");
    /* The proof covers what stands before it. */
    expect_bad_final(bytes("c=biws,r=" RFC_NONCES ",x=1" PROOF), ERR_LOGIN, "The proof is wrong.");
}

/* --- both --- */

struct meeting {
    enum scram_binding binding;
    struct slice theirs, ours; /* what prover and checker take for the certificate's hash */
    const char *password;
    bool is_mock;
    enum err final, end;
};

static void meet(struct meeting m)
{
    struct scram_keys kept, derived, recovered = { 0 };
    struct scram_verifier v;
    struct scram_prover p = { .binding = m.binding, .endpoint = m.theirs };
    struct scram_checker c = { .endpoint = m.ours, .is_plus = m.binding == SCRAM_BINDING_ENDPOINT };
    struct buf out[4] = { 0 };

    CHECK_INT(scram_keys_make(bytes("pencil"), &kept), ERR_NONE);
    v = kept.verifier;
    if (m.is_mock)
        scram_verifier_mock(bytes("nobody"), bytes("secret"), (struct scram_form){ 0 }, &v);
    c.verifier = &v;
    CHECK_INT(scram_prove_first(&p, &out[0]), ERR_NONE);
    CHECK_INT(scram_check_first(&c, buf_all(&out[0]), &out[1]), ERR_NONE);
    CHECK_INT(scram_prove_challenge(&p, buf_all(&out[1])), ERR_NONE);
    CHECK_INT(scram_keys_derive(slice_text(m.password), p.salt, p.salt_len, p.iterations, &derived),
              ERR_NONE);
    CHECK_INT(scram_prove_final(&p, &derived, &out[2]), ERR_NONE);
    CHECK_INT(scram_check_final(&c, buf_all(&out[2]), &recovered, &out[3]), m.final);
    CHECK_INT(scram_prove_end(&p, buf_all(&out[3])), m.end);
    if (m.final == ERR_NONE)
        CHECK(memcmp(&recovered, &derived, sizeof(derived)) == 0);
    for (int i = 0; i < 4; i++)
        buf_fini(&out[i]);
}

static void both_sides_understand_each_other(void)
{
    static const uint8_t OTHER[64] = { 1 };
    struct slice other = slice_of(OTHER, sizeof(OTHER));

    meet((struct meeting){ .binding = SCRAM_BINDING_NONE, .password = "pencil" });
    meet((struct meeting){
        .binding = SCRAM_BINDING_NONE, .ours = endpoint(), .password = "pencil" });
    meet((struct meeting){ .binding = SCRAM_BINDING_WOULD, .password = "pencil" });
    meet((struct meeting){ .binding = SCRAM_BINDING_ENDPOINT,
                           .theirs = endpoint(),
                           .ours = endpoint(),
                           .password = "pencil" });
    meet((struct meeting){
        .binding = SCRAM_BINDING_ENDPOINT, .theirs = other, .ours = other, .password = "pencil" });
    meet((struct meeting){ .binding = SCRAM_BINDING_ENDPOINT,
                           .theirs = other,
                           .ours = endpoint(),
                           .password = "pencil",
                           .final = ERR_TLS,
                           .end = ERR_PROTOCOL });
    meet((struct meeting){ .password = "Pencil", .final = ERR_LOGIN, .end = ERR_PROTOCOL });
    meet((struct meeting){
        .password = "pencil", .is_mock = true, .final = ERR_LOGIN, .end = ERR_PROTOCOL });
}

/* What was recovered from a proof logs in elsewhere, where the verifier is the same. */
static void recovered_keys_prove_to_another_checker(void)
{
    struct scram_verifier v = verifier_of(RFC_VERIFIER);
    struct scram_checker first = rfc_checker(&v), second = { .verifier = &v };
    struct scram_prover p = { 0 };
    struct scram_keys keys, again;
    struct buf out = { 0 }, final = { 0 }, end = { 0 };

    CHECK_INT(scram_check_first(&first, bytes("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), &out), ERR_NONE);
    CHECK_INT(scram_check_final(&first, bytes("c=biws,r=" RFC_NONCES PROOF), &keys, &out),
              ERR_NONE);
    buf_clear(&out);
    CHECK_INT(scram_prove_first(&p, &final), ERR_NONE);
    CHECK_INT(scram_check_first(&second, buf_all(&final), &out), ERR_NONE);
    CHECK_INT(scram_prove_challenge(&p, buf_all(&out)), ERR_NONE);
    CHECK(scram_prove_fits(&p, &keys));
    buf_clear(&final);
    CHECK_INT(scram_prove_final(&p, &keys, &final), ERR_NONE);
    CHECK_INT(scram_check_final(&second, buf_all(&final), &again, &end), ERR_NONE);
    CHECK_INT(scram_prove_end(&p, buf_all(&end)), ERR_NONE);
    buf_fini(&out);
    buf_fini(&final);
    buf_fini(&end);
}

int main(void)
{
    RUN(the_keys_of_a_password_are_those_of_the_standard);
    RUN(passwords_are_prepared_as_postgresql_does);
    RUN(long_passwords_are_keys_like_others);
    RUN(passwords_too_long_to_be_prepared_or_with_zeros_are_taken_as_they_are);
    RUN(a_verifier_is_printed_as_it_was_read);
    RUN(a_new_verifier_has_a_salt_of_its_own);
    RUN(text_that_is_no_verifier_is_refused);
    RUN(a_salt_may_be_only_so_long);
    RUN(keys_are_derived_with_so_many_iterations_and_no_more);
    RUN(a_mock_verifier_is_the_same_each_time_and_no_proof_fits);
    RUN(a_proof_is_as_computed_elsewhere);
    RUN(a_bad_challenge_is_refused);
    RUN(every_shorter_challenge_is_refused);
    RUN(a_server_that_does_not_know_the_password_is_told);
    RUN(keys_for_another_verifier_do_not_fit);
    RUN(the_exchange_of_the_standard_is_accepted_and_tells_the_client_key);
    RUN(a_bad_first_message_is_refused);
    RUN(nonces_and_messages_may_be_only_so_long);
    RUN(channel_binding_must_be_what_was_offered_and_chosen);
    RUN(a_bad_final_message_is_refused);
    RUN(both_sides_understand_each_other);
    RUN(recovered_keys_prove_to_another_checker);
    return check_report();
}
