/* The messages of SCRAM; see scram.h.
 *
 *     prover                                            checker
 *     first      n,,n=,r=NONCE                     ->   first
 *     challenge  r=NONCE-NONCE,s=SALT,i=ITERATIONS <-
 *     final      c=BINDING,r=NONCE-NONCE,p=PROOF   ->   final
 *     end        v=SIGNATURE                       <-
 *
 * What proof and signature cover is what was said: the first message without its head ("n,,"), the
 * challenge, and the final message without the proof, with commas between them. */
#include "proxy/wire/scram.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <sys/random.h>

#include "proxy/wire/base64.h"
#include "proxy/wire/hmac_sha256.h"

#define ENDPOINT_HEAD "p=tls-server-end-point,,"

enum {
    STEP_FIRST,
    STEP_CHALLENGE,
    STEP_FINAL,
    STEP_END,
    STEP_OVER,
    RAW_NONCE_BYTES = SCRAM_NONCE_BYTES / 4 * 3,
    BINDING_MOST = sizeof(ENDPOINT_HEAD) + SCRAM_ENDPOINT_MOST,
};

/* --- what both sides need --- */

static enum err fail(const char **why, enum err err, const char *text)
{
    *why = text;
    return err;
}

static enum err malformed(const char **why, const char *text)
{
    return fail(why, ERR_PROTOCOL, text);
}

static enum err make_nonce(char out[SCRAM_NONCE_BYTES], const char **why)
{
    uint8_t raw[RAW_NONCE_BYTES];

    if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
        return fail(why, ERR_SYSTEM, "no random bytes for a nonce");
    base64_encode(slice_of(raw, sizeof(raw)), out);
    return ERR_NONE;
}

/* "r=" and the like; the value goes to the next comma, which is taken too. */
static enum err take_value(struct slice *rest, uint8_t name, struct slice *value)
{
    size_t len = 0;

    if (rest->len < 2 || rest->at[0] != name || rest->at[1] != '=')
        return ERR_PROTOCOL;
    *rest = slice_from(*rest, 2);
    while (len < rest->len && rest->at[len] != ',')
        len++;
    *value = slice_of(rest->at, len);
    *rest = slice_from(*rest, len < rest->len ? len + 1 : len);
    return ERR_NONE;
}

/* Of any name but this one; true: it was there and is taken. */
static bool take_other(struct slice *rest, uint8_t but)
{
    struct slice value;
    uint8_t name = rest->len > 0 ? rest->at[0] : 0;

    if (name == but || !((name >= 'a' && name <= 'z') || (name >= 'A' && name <= 'Z')))
        return false;
    return take_value(rest, name, &value) == ERR_NONE;
}

static bool is_nonce(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] < 0x21 || s.at[i] > 0x7e)
            return false;
    return s.len > 0;
}

static enum err check_size(struct slice message, const char **why)
{
    if (message.len == 0)
        return malformed(why, "The message is empty.");
    if (message.len > SCRAM_MESSAGE_MOST)
        return malformed(why, "The message is too long.");
    if (memchr(message.at, 0, message.len) != NULL)
        return malformed(why, "Message length does not match input length.");
    return ERR_NONE;
}

/* What "c=" must say. */
static size_t put_binding(enum scram_binding binding, struct slice endpoint,
                          char out[BASE64_BYTES(BINDING_MOST)])
{
    struct slice head = slice_text(binding == SCRAM_BINDING_NONE    ? "n,,"
                                   : binding == SCRAM_BINDING_WOULD ? "y,,"
                                                                    : ENDPOINT_HEAD);
    uint8_t bytes[BINDING_MOST];
    size_t len = head.len;

    memcpy(bytes, head.at, head.len);
    if (binding == SCRAM_BINDING_ENDPOINT) {
        assert(endpoint.len > 0 && endpoint.len <= SCRAM_ENDPOINT_MOST);
        memcpy(bytes + len, endpoint.at, endpoint.len);
        len += endpoint.len;
    }
    base64_encode(slice_of(bytes, len), out);
    return BASE64_BYTES(len);
}

static void flip(uint8_t key[SCRAM_KEY_BYTES], const uint8_t by[SCRAM_KEY_BYTES])
{
    for (size_t i = 0; i < SCRAM_KEY_BYTES; i++)
        key[i] ^= by[i];
}

static void put_key(struct buf *out, const uint8_t key[SCRAM_KEY_BYTES])
{
    base64_encode(slice_of(key, SCRAM_KEY_BYTES),
                  (char *)buf_reserve(out, BASE64_BYTES(SCRAM_KEY_BYTES)));
    buf_grow(out, BASE64_BYTES(SCRAM_KEY_BYTES));
}

static bool read_key(struct slice text, uint8_t key[SCRAM_KEY_BYTES])
{
    size_t len;

    return base64_decode(text, key, SCRAM_KEY_BYTES, &len) == ERR_NONE && len == SCRAM_KEY_BYTES;
}

/* --- the prover --- */

enum err scram_prove_first(struct scram_prover *p, struct buf *out)
{
    assert(p->step == STEP_FIRST);
    TRY(make_nonce(p->nonce, &p->why));
    buf_text(out, p->binding == SCRAM_BINDING_NONE    ? "n,,"
                  : p->binding == SCRAM_BINDING_WOULD ? "y,,"
                                                      : ENDPOINT_HEAD);
    buf_format(out, "n=,r=%s", p->nonce);
    p->step = STEP_CHALLENGE;
    return ERR_NONE;
}

enum err scram_prove_challenge(struct scram_prover *p, struct slice message)
{
    struct slice rest = message, nonces, salt, number;
    uint64_t iterations;
    size_t salt_len;
    enum err err;

    if (p->step != STEP_CHALLENGE)
        return malformed(&p->why, "it came out of turn");
    TRY(check_size(message, &p->why));
    if (rest.at[0] == 'm')
        return fail(&p->why, ERR_UNSUPPORTED, "an extension is demanded");
    if (take_value(&rest, 'r', &nonces) != ERR_NONE || !is_nonce(nonces))
        return malformed(&p->why, "a nonce must come first");
    if (nonces.len <= SCRAM_NONCE_BYTES || memcmp(nonces.at, p->nonce, SCRAM_NONCE_BYTES) != 0)
        return malformed(&p->why, "its nonce does not continue ours");
    if (take_value(&rest, 's', &salt) != ERR_NONE || salt.len == 0)
        return malformed(&p->why, "a salt must come second");
    err = base64_decode(salt, p->salt, sizeof(p->salt), &salt_len);
    if (err != ERR_NONE)
        return err == ERR_LIMIT ? fail(&p->why, ERR_LIMIT, "the salt is too long")
                                : malformed(&p->why, "the salt is no base64");
    if (take_value(&rest, 'i', &number) != ERR_NONE || !slice_to_u64(number, &iterations) ||
        iterations == 0 || iterations > INT32_MAX)
        return malformed(&p->why, "a number of iterations must come third");
    if (rest.len > 0 || number.at + number.len != message.at + message.len)
        return malformed(&p->why, "there is something behind the number of iterations");
    p->salt_len = (uint8_t)salt_len;
    p->iterations = (uint32_t)iterations;
    p->both_nonces = nonces;
    p->challenge = message;
    p->step = STEP_FINAL;
    return ERR_NONE;
}

bool scram_prove_fits(const struct scram_prover *p, const struct scram_keys *keys)
{
    const struct scram_verifier *v = &keys->verifier;

    return p->iterations == v->iterations &&
           slice_is(slice_of(p->salt, p->salt_len), slice_of(v->salt, v->salt_len));
}

/* What proof and signature cover: the last part of it is `final`. */
static void sign(const struct scram_prover *p, const uint8_t key[SCRAM_KEY_BYTES],
                 struct slice final, uint8_t signature[SCRAM_KEY_BYTES])
{
    struct hmac_sha256 h;

    hmac_sha256_begin(&h, slice_of(key, SCRAM_KEY_BYTES));
    hmac_sha256_add(&h, slice_text("n=,r="));
    hmac_sha256_add(&h, slice_of(p->nonce, SCRAM_NONCE_BYTES));
    hmac_sha256_add(&h, slice_text(","));
    hmac_sha256_add(&h, p->challenge);
    hmac_sha256_add(&h, slice_text(","));
    hmac_sha256_add(&h, final);
    hmac_sha256_end(&h, signature);
}

enum err scram_prove_final(struct scram_prover *p, const struct scram_keys *keys, struct buf *out)
{
    char binding[BASE64_BYTES(BINDING_MOST)];
    size_t binding_len = put_binding(p->binding, p->endpoint, binding), begins = out->len;
    uint8_t proof[SCRAM_KEY_BYTES];
    struct slice final;

    assert(p->step == STEP_FINAL);
    buf_text(out, "c=");
    buf_put(out, binding, binding_len);
    buf_text(out, ",r=");
    buf_slice(out, p->both_nonces);
    final = slice_from(buf_all(out), begins);
    sign(p, keys->verifier.stored_key, final, proof);
    sign(p, keys->verifier.server_key, final, p->signature);
    flip(proof, keys->client_key);
    buf_text(out, ",p=");
    put_key(out, proof);
    p->challenge = p->both_nonces = (struct slice){ 0 };
    p->step = STEP_END;
    return ERR_NONE;
}

enum err scram_prove_end(struct scram_prover *p, struct slice message)
{
    uint8_t signature[SCRAM_KEY_BYTES];
    struct slice rest = message, value;

    if (p->step != STEP_END)
        return malformed(&p->why, "it came out of turn");
    TRY(check_size(message, &p->why));
    if (take_value(&rest, 'e', &value) == ERR_NONE)
        return fail(&p->why, ERR_LOGIN, "the server refuses our proof");
    if (take_value(&rest, 'v', &value) != ERR_NONE || !read_key(value, signature))
        return malformed(&p->why, "a signature must come first");
    if (rest.len > 0 || value.at + value.len != message.at + message.len)
        return malformed(&p->why, "there is something behind the signature");
    if (CRYPTO_memcmp(signature, p->signature, sizeof(signature)) != 0)
        return fail(&p->why, ERR_LOGIN,
                    "the server does not know the password: its signature is wrong");
    p->step = STEP_OVER;
    return ERR_NONE;
}

void scram_prover_fini(struct scram_prover *p)
{
    OPENSSL_cleanse(p, sizeof(*p));
}

/* --- the checker --- */

static const char NO_BINDING[] = "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message "
                                 "does not include channel binding data.";
static const char BINDING_UNASKED[] = "The client selected SCRAM-SHA-256 without channel binding, "
                                      "but the SCRAM message includes channel binding data.";
static const char DOWNGRADED[] =
    "The client supports SCRAM channel binding but thinks the server does not.  However, this "
    "server does support channel binding.";

/* "n,", "y," or "p=tls-server-end-point,". */
static enum err take_binding(struct scram_checker *c, struct slice *rest)
{
    struct slice type;

    switch (rest->at[0]) {
    case 'n':
    case 'y':
        if (c->is_plus)
            return malformed(&c->why, NO_BINDING);
        c->binding = rest->at[0] == 'n' ? SCRAM_BINDING_NONE : SCRAM_BINDING_WOULD;
        if (c->binding == SCRAM_BINDING_WOULD && c->endpoint.len > 0)
            return fail(&c->why, ERR_TLS, DOWNGRADED);
        *rest = slice_from(*rest, 1);
        if (rest->len == 0 || rest->at[0] != ',')
            return malformed(&c->why, "Comma expected behind the channel-binding flag.");
        *rest = slice_from(*rest, 1);
        return ERR_NONE;
    case 'p':
        if (!c->is_plus)
            return malformed(&c->why, BINDING_UNASKED);
        c->binding = SCRAM_BINDING_ENDPOINT;
        if (take_value(rest, 'p', &type) != ERR_NONE || type.at + type.len == rest->at)
            return malformed(&c->why, "Channel-binding type expected.");
        if (!slice_is_text(type, "tls-server-end-point"))
            return malformed(&c->why, "Unsupported SCRAM channel-binding type.");
        return ERR_NONE;
    default:
        return malformed(&c->why, "Unexpected channel-binding flag.");
    }
}

/* Reads the first message up to its nonce; `bare` is what proofs cover of it. */
static enum err read_first(struct scram_checker *c, struct slice message, struct slice *bare,
                           struct slice *nonce)
{
    struct slice rest = message, user;

    TRY(take_binding(c, &rest));
    if (rest.len > 0 && rest.at[0] == 'a')
        return fail(&c->why, ERR_UNSUPPORTED,
                    "client uses authorization identity, but it is not supported");
    if (rest.len == 0 || rest.at[0] != ',')
        return malformed(&c->why, "Unexpected attribute in client-first-message.");
    rest = *bare = slice_from(rest, 1);
    if (rest.len > 0 && rest.at[0] == 'm')
        return fail(&c->why, ERR_UNSUPPORTED, "client requires an unsupported SCRAM extension");
    if (take_value(&rest, 'n', &user) != ERR_NONE)
        return malformed(&c->why, "Attribute \"n\" expected in client-first-message.");
    if (take_value(&rest, 'r', nonce) != ERR_NONE)
        return malformed(&c->why, "Attribute \"r\" expected in client-first-message.");
    if (!is_nonce(*nonce))
        return malformed(&c->why, "Non-printable characters in SCRAM nonce.");
    if (nonce->len > SCRAM_NONCE_MOST)
        return malformed(&c->why, "The nonce is too long.");
    while (rest.len > 0)
        if (!take_other(&rest, 0))
            return malformed(&c->why, "Attribute expected, but found invalid character.");
    return ERR_NONE;
}

static void note_said(struct scram_checker *c, struct slice said)
{
    hmac_sha256_add(&c->by_stored, said);
    hmac_sha256_add(&c->by_server, said);
}

static void put_challenge(struct scram_checker *c, struct buf *out)
{
    const struct scram_verifier *v = c->verifier;

    buf_format(out, "r=%.*s,s=", (int)c->nonce_len, c->nonce);
    base64_encode(slice_of(v->salt, v->salt_len),
                  (char *)buf_reserve(out, BASE64_BYTES((size_t)v->salt_len)));
    buf_grow(out, BASE64_BYTES((size_t)v->salt_len));
    buf_format(out, ",i=%u", v->iterations);
}

enum err scram_check_first(struct scram_checker *c, struct slice message, struct buf *out)
{
    struct slice bare, nonce;
    size_t begins = out->len;

    assert(c->verifier->iterations > 0 && (!c->is_plus || c->endpoint.len > 0));
    if (c->step != STEP_FIRST)
        return malformed(&c->why, "The message came out of turn.");
    TRY(check_size(message, &c->why));
    TRY(read_first(c, message, &bare, &nonce));
    if (c->nonce_len == 0) {
        memcpy(c->nonce, nonce.at, nonce.len);
        TRY(make_nonce(c->nonce + nonce.len, &c->why));
        c->nonce_len = (uint16_t)(nonce.len + SCRAM_NONCE_BYTES);
    }
    hmac_sha256_begin(&c->by_stored, slice_of(c->verifier->stored_key, SCRAM_KEY_BYTES));
    hmac_sha256_begin(&c->by_server, slice_of(c->verifier->server_key, SCRAM_KEY_BYTES));
    put_challenge(c, out);
    note_said(c, bare);
    note_said(c, slice_text(","));
    note_said(c, slice_from(buf_all(out), begins));
    note_said(c, slice_text(","));
    c->step = STEP_FINAL;
    return ERR_NONE;
}

static enum err check_binding(struct scram_checker *c, struct slice said)
{
    char expected[BASE64_BYTES(BINDING_MOST)];
    size_t len = put_binding(c->binding, c->endpoint, expected);

    if (slice_is(said, slice_of(expected, len)))
        return ERR_NONE;
    if (c->binding == SCRAM_BINDING_ENDPOINT)
        return fail(&c->why, ERR_TLS, "SCRAM channel binding check failed");
    return malformed(&c->why,
                     "Unexpected SCRAM channel-binding attribute in client-final-message.");
}

/* Reads the final message; `unproved` is what comes before the proof. */
static enum err read_final(struct scram_checker *c, struct slice message, struct slice *unproved,
                           uint8_t proof[SCRAM_KEY_BYTES])
{
    struct slice rest = message, binding, nonce, text;

    if (take_value(&rest, 'c', &binding) != ERR_NONE)
        return malformed(&c->why, "Attribute \"c\" expected in client-final-message.");
    TRY(check_binding(c, binding));
    if (take_value(&rest, 'r', &nonce) != ERR_NONE)
        return malformed(&c->why, "Attribute \"r\" expected in client-final-message.");
    while (take_other(&rest, 'p'))
        ;
    *unproved = slice_of(message.at, (size_t)(rest.at - message.at));
    if (take_value(&rest, 'p', &text) != ERR_NONE || unproved->at[unproved->len - 1] != ',')
        return malformed(&c->why, "Attribute \"p\" expected in client-final-message.");
    unproved->len--;
    if (!read_key(text, proof))
        return malformed(&c->why, "Malformed proof in client-final-message.");
    if (rest.len > 0 || text.at + text.len != message.at + message.len)
        return malformed(&c->why, "Garbage found at the end of client-final-message.");
    if (!slice_is(nonce, slice_of(c->nonce, c->nonce_len)))
        return malformed(&c->why, "Nonce does not match.");
    return ERR_NONE;
}

enum err scram_check_final(struct scram_checker *c, struct slice message, struct scram_keys *keys,
                           struct buf *out)
{
    uint8_t key[SCRAM_KEY_BYTES], stored[SCRAM_KEY_BYTES], signature[SCRAM_KEY_BYTES];
    struct slice unproved;
    bool is_right;

    if (c->step != STEP_FINAL)
        return malformed(&c->why, "The message came out of turn.");
    c->step = STEP_OVER;
    TRY(check_size(message, &c->why));
    TRY(read_final(c, message, &unproved, key));
    note_said(c, unproved);
    hmac_sha256_end(&c->by_stored, signature);
    flip(key, signature);
    SHA256(key, sizeof(key), stored);
    hmac_sha256_end(&c->by_server, signature);
    is_right = CRYPTO_memcmp(stored, c->verifier->stored_key, sizeof(stored)) == 0;
    is_right &= !c->verifier->is_mock;
    if (is_right) {
        keys->verifier = *c->verifier;
        memcpy(keys->client_key, key, sizeof(key));
        buf_text(out, "v=");
        put_key(out, signature);
    }
    OPENSSL_cleanse(key, sizeof(key));
    return is_right ? ERR_NONE : fail(&c->why, ERR_LOGIN, "The proof is wrong.");
}
