/* Passwords, keys and verifiers of SCRAM; see scram.h.  The messages are in scram.c. */
#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <stringprep.h>
#include <sys/random.h>

#include "proxy/base/mem.h"
#include "proxy/wire/base64.h"
#include "proxy/wire/hmac_sha256.h"
#include "proxy/wire/scram.h"

/* Preparing takes time with the square of the length in the worst case; longer passwords are taken
 * as they are. */
enum {
    PREPARED_MOST = 1024,
    GROWS_MOST = 18, /* NFKC makes of three bytes 33 at most */
    PROFILE_STEPS = 32,
};

#define PREFIX "SCRAM-SHA-256$"

/* --- verifiers as text --- */

static enum err take_until(struct slice *rest, char stop, struct slice *out)
{
    const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->at, stop, rest->len);

    if (end == NULL)
        return ERR_SYNTAX;
    *out = slice_of(rest->at, (size_t)(end - rest->at));
    *rest = slice_from(*rest, out->len + 1);
    return ERR_NONE;
}

static enum err read_key(struct slice text, uint8_t key[SCRAM_KEY_BYTES])
{
    size_t len;

    if (base64_decode(text, key, SCRAM_KEY_BYTES, &len) != ERR_NONE || len != SCRAM_KEY_BYTES)
        return ERR_SYNTAX;
    return ERR_NONE;
}

bool scram_is_verifier(struct slice text)
{
    return slice_starts(text, slice_text(PREFIX));
}

enum err scram_verifier_parse(struct slice text, struct scram_verifier *out)
{
    struct scram_verifier v = { 0 };
    struct slice rest, part;
    uint64_t iterations;
    size_t salt_len;

    if (!scram_is_verifier(text))
        return ERR_SYNTAX;
    rest = slice_from(text, sizeof(PREFIX) - 1);
    TRY(take_until(&rest, ':', &part));
    if (!slice_to_u64(part, &iterations) || iterations == 0 || iterations > INT32_MAX)
        return ERR_SYNTAX;
    v.iterations = (uint32_t)iterations;
    TRY(take_until(&rest, '$', &part));
    TRY(base64_decode(part, v.salt, sizeof(v.salt), &salt_len));
    v.salt_len = (uint8_t)salt_len;
    TRY(take_until(&rest, ':', &part));
    TRY(read_key(part, v.stored_key));
    TRY(read_key(rest, v.server_key));
    if (v.salt_len == 0)
        return ERR_SYNTAX;
    *out = v;
    return ERR_NONE;
}

static void put_base64(struct buf *out, const uint8_t *at, size_t len)
{
    base64_encode(slice_of(at, len), (char *)buf_reserve(out, BASE64_BYTES(len)));
    buf_grow(out, BASE64_BYTES(len));
}

void scram_verifier_print(const struct scram_verifier *v, struct buf *out)
{
    buf_format(out, PREFIX "%u:", v->iterations);
    put_base64(out, v->salt, v->salt_len);
    buf_text(out, "$");
    put_base64(out, v->stored_key, sizeof(v->stored_key));
    buf_text(out, ":");
    put_base64(out, v->server_key, sizeof(v->server_key));
}

bool scram_verifier_is(const struct scram_verifier *a, const struct scram_verifier *b)
{
    return a->iterations == b->iterations && a->is_mock == b->is_mock &&
           slice_is(slice_of(a->salt, a->salt_len), slice_of(b->salt, b->salt_len)) &&
           CRYPTO_memcmp(a->stored_key, b->stored_key, SCRAM_KEY_BYTES) == 0 &&
           CRYPTO_memcmp(a->server_key, b->server_key, SCRAM_KEY_BYTES) == 0;
}

void scram_salt_of_user(struct slice user, struct slice secret, uint8_t *salt, size_t len)
{
    uint8_t digest[SCRAM_KEY_BYTES];
    struct hmac_sha256 h;

    for (uint8_t part = 0; len > 0; part++) {
        size_t more = len < sizeof(digest) ? len : sizeof(digest);

        hmac_sha256_begin(&h, secret);
        hmac_sha256_add(&h, user);
        if (part > 0)
            hmac_sha256_add(&h, slice_of(&part, 1));
        hmac_sha256_end(&h, digest);
        memcpy(salt, digest, more);
        salt += more;
        len -= more;
    }
}

struct scram_form scram_form_or_default(struct scram_form form)
{
    return form.iterations > 0 ? form : (struct scram_form){ SCRAM_ITERATIONS, SCRAM_SALT_BYTES };
}

void scram_verifier_mock(struct slice user, struct slice secret, struct scram_form form,
                         struct scram_verifier *out)
{
    form = scram_form_or_default(form);
    *out = (struct scram_verifier){ .iterations = form.iterations,
                                    .salt_len = form.salt_len,
                                    .is_mock = true };
    scram_salt_of_user(user, secret, out->salt, form.salt_len);
}

/* --- keys --- */

static bool is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] >= 0x80)
            return false;
    return true;
}

/* SASLprep as PostgreSQL does it: what is not allowed is looked for before it is normalized. */
static int saslprep(char *text, size_t room)
{
    Stringprep_profile steps[PROFILE_STEPS + 1];
    const Stringprep_profile *step = stringprep_saslprep;
    size_t count = 0;

    for (; step->operation != 0; step++) {
        assert(count < PROFILE_STEPS - 1);
        if (step->operation != STRINGPREP_NFKC)
            steps[count++] = *step;
    }
    steps[count++] = (Stringprep_profile){ .operation = STRINGPREP_NFKC };
    steps[count] = (Stringprep_profile){ 0 };
    return stringprep(text, room, STRINGPREP_NO_UNASSIGNED, steps);
}

/* The prepared form of the password, of `room` bytes; NULL: it is to be taken as it is.  free() */
static char *prepare(struct slice password, size_t *room)
{
    char *text;

    if (is_ascii(password) || password.len > PREPARED_MOST ||
        memchr(password.at, 0, password.len) != NULL)
        return NULL;
    *room = password.len * GROWS_MOST + 1;
    text = mem_new(*room);
    memcpy(text, password.at, password.len);
    if (saslprep(text, *room) == STRINGPREP_OK && text[0] != '\0')
        return text;
    OPENSSL_cleanse(text, *room);
    free(text);
    return NULL;
}

static void hmac_text(const struct hmac_sha256 *keyed, const char *text,
                      uint8_t digest[SCRAM_KEY_BYTES])
{
    hmac_sha256_of(keyed, slice_text(text), digest);
}

/* RFC 5802's Hi(): PBKDF2 with one block. */
static void salted_password(struct slice password, const struct scram_verifier *v,
                            uint8_t out[SCRAM_KEY_BYTES])
{
    static const uint8_t FIRST_BLOCK[4] = { 0, 0, 0, 1 };
    struct hmac_sha256 keyed, h;
    uint8_t u[SCRAM_KEY_BYTES];

    hmac_sha256_begin(&keyed, password);
    h = keyed;
    hmac_sha256_add(&h, slice_of(v->salt, v->salt_len));
    hmac_sha256_add(&h, slice_of(FIRST_BLOCK, sizeof(FIRST_BLOCK)));
    hmac_sha256_end(&h, u);
    memcpy(out, u, sizeof(u));
    hmac_sha256_fold(&keyed, u, out, v->iterations - 1);
    OPENSSL_cleanse(&keyed, sizeof(keyed));
    OPENSSL_cleanse(u, sizeof(u));
}

/* Salt and iterations are set already. */
static void derive(struct slice password, struct scram_keys *keys)
{
    size_t room = 0;
    char *prepared = prepare(password, &room);
    uint8_t salted[SCRAM_KEY_BYTES];
    struct hmac_sha256 keyed;

    salted_password(prepared != NULL ? slice_text(prepared) : password, &keys->verifier, salted);
    hmac_sha256_begin(&keyed, slice_of(salted, sizeof(salted)));
    hmac_text(&keyed, "Client Key", keys->client_key);
    hmac_text(&keyed, "Server Key", keys->verifier.server_key);
    SHA256(keys->client_key, sizeof(keys->client_key), keys->verifier.stored_key);
    OPENSSL_cleanse(salted, sizeof(salted));
    OPENSSL_cleanse(&keyed, sizeof(keyed));
    if (prepared != NULL)
        OPENSSL_cleanse(prepared, room);
    free(prepared);
}

enum err scram_keys_derive(struct slice password, const uint8_t *salt, size_t salt_len,
                           uint32_t iterations, struct scram_keys *out)
{
    struct scram_keys keys = { .verifier = { .iterations = iterations } };

    if (iterations == 0)
        return ERR_RANGE;
    if (iterations > SCRAM_ITERATIONS_MOST || salt_len > SCRAM_SALT_MOST)
        return ERR_LIMIT;
    memcpy(keys.verifier.salt, salt, salt_len);
    keys.verifier.salt_len = (uint8_t)salt_len;
    derive(password, &keys);
    *out = keys;
    scram_keys_wipe(&keys);
    return ERR_NONE;
}

enum err scram_keys_make(struct slice password, struct scram_keys *out)
{
    uint8_t salt[SCRAM_SALT_BYTES];

    if (getrandom(salt, sizeof(salt), 0) != sizeof(salt))
        return ERR_SYSTEM;
    return scram_keys_derive(password, salt, sizeof(salt), SCRAM_ITERATIONS, out);
}

enum err scram_keys_of_password(struct slice password, const struct scram_verifier *v,
                                struct scram_keys *out)
{
    struct scram_keys keys;
    bool is_right;

    TRY(scram_keys_derive(password, v->salt, v->salt_len, v->iterations, &keys));
    is_right = CRYPTO_memcmp(keys.verifier.stored_key, v->stored_key, SCRAM_KEY_BYTES) == 0;
    is_right &= CRYPTO_memcmp(keys.verifier.server_key, v->server_key, SCRAM_KEY_BYTES) == 0;
    is_right &= !v->is_mock;
    if (is_right)
        *out = keys;
    scram_keys_wipe(&keys);
    return is_right ? ERR_NONE : ERR_LOGIN;
}

void scram_keys_wipe(struct scram_keys *keys)
{
    OPENSSL_cleanse(keys, sizeof(*keys));
}
