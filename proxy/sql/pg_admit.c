/* See pg_admit.h.  The steps:
 *
 *     BEGUN --trust, cert, peer--> IN
 *       +--password, md5--> AWAIT_PASSWORD --> IN
 *       +--SCRAM--> AWAIT_SASL --mechanism and first message--> AWAIT_FINAL --> IN
 *                      +--mechanism alone--> AWAIT_FIRST --> AWAIT_FINAL
 *     any --what is wrong--> REFUSED
 *
 * Who has no secret that serves goes the same way with a mock one, and is refused at its end. */
#include "proxy/sql/pg_admit.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>

#include "proxy/wire/pg_md5.h"
#include "proxy/wire/pgwire_write.h"

/* A text that a printf can have. */
#define SHOWN(s) (int)((s).len < PG_ADMIT_WHY_BYTES ? (s).len : PG_ADMIT_WHY_BYTES), (s).at

enum secret_kind { SECRET_NONE, SECRET_CLEAR, SECRET_MD5, SECRET_SCRAM };

/* A verifier that cannot be read is no password, though PostgreSQL takes it for one. */
static enum secret_kind kind_of(struct slice secret)
{
    if (secret.len == 0)
        return SECRET_NONE;
    if (scram_is_verifier(secret))
        return SECRET_SCRAM;
    return pg_md5_is_hash(secret) ? SECRET_MD5 : SECRET_CLEAR;
}

/* --- Secrets --------------------------------------------------------------------------------- */

static void put_secret(struct buf *to, struct slice secret)
{
    if (secret.len == 0)
        return;
    buf_reserve(to, secret.len); /* in one piece: nothing of it is left elsewhere */
    buf_slice(to, secret);
}

static void wipe(struct buf *secret)
{
    if (secret->cap > 0)
        OPENSSL_cleanse(secret->at, secret->cap);
    buf_fini(secret);
}

/* --- Refusing -------------------------------------------------------------------------------- */

static void PRINTF_LIKE(2, 3) note_why(struct pg_admit *a, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(a->why, sizeof(a->why), format, args);
    va_end(args);
    for (char *c = a->why; *c != '\0'; c++)
        if ((uint8_t)*c < ' ' || *c == 0x7f)
            *c = ' ';
}

/* `message` is what the client is told; `why` too, if nothing else is noted yet.  Nothing is kept
 * of a secret that was right where something else is not: a certificate of another user. */
static enum err refuse(struct pg_admit *a, struct buf *out, enum err err, const char *sqlstate,
                       struct slice message, struct slice detail)
{
    struct pg_report report = { .severity = slice_text("FATAL"),
                                .sqlstate = slice_text(sqlstate),
                                .message = message,
                                .detail = detail };

    snprintf(a->sqlstate, sizeof(a->sqlstate), "%s", sqlstate);
    if (a->why[0] == '\0')
        note_why(a, "%.*s%s%.*s", SHOWN(message), detail.len > 0 ? ": " : "", SHOWN(detail));
    a->step = PG_ADMIT_REFUSED;
    wipe(&a->secret);
    OPENSSL_cleanse(&a->keys, sizeof(a->keys));
    pg_put_error(out, &report);
    return err;
}

static enum err refuse_text(struct pg_admit *a, struct buf *out, enum err err, const char *sqlstate,
                            const char *message)
{
    return refuse(a, out, err, sqlstate, slice_text(message), (struct slice){ 0 });
}

/* By the words of the method, with the user's name in quotes behind them. */
static enum err refuse_user(struct pg_admit *a, struct buf *out)
{
    static const char *const WORDS[] = {
        [PG_ADMIT_TRUST] = "\"trust\"",    [PG_ADMIT_PASSWORD] = "password",
        [PG_ADMIT_MD5] = "password",       [PG_ADMIT_SCRAM] = "password",
        [PG_ADMIT_CERT] = "certificate",   [PG_ADMIT_PEER] = "Peer",
        [PG_ADMIT_REJECT] = "certificate", [PG_ADMIT_NO_RULE] = "certificate",
    };
    const struct pg_admit_settings *s = a->settings;
    const char *sqlstate = strcmp(WORDS[s->method], "password") == 0 ? "28P01" : "28000";
    struct buf message = { 0 };
    enum err err;

    buf_format(&message, "%s authentication failed for user \"", WORDS[s->method]);
    buf_slice(&message, s->user);
    buf_text(&message, "\"");
    err = refuse(a, out, ERR_LOGIN, sqlstate, buf_all(&message), (struct slice){ 0 });
    buf_fini(&message);
    return err;
}

/* What hba says, in PostgreSQL's words. */
static enum err refuse_by_rule(struct pg_admit *a, struct buf *out)
{
    const struct pg_admit_settings *s = a->settings;
    bool is_rule = s->method == PG_ADMIT_REJECT;
    struct buf message = { 0 };
    enum err err;

    buf_text(&message, is_rule ? "pg_hba.conf rejects " : "no pg_hba.conf entry for ");
    if (s->is_replication)
        buf_text(&message,
                 is_rule ? "replication connection for " : "replication connection from ");
    else
        buf_text(&message, is_rule ? "connection for " : "");
    buf_format(&message, "host \"%s\", user \"", s->host == NULL ? "[local]" : s->host);
    buf_slice(&message, s->user);
    if (!s->is_replication) {
        buf_text(&message, "\", database \"");
        buf_slice(&message, s->database);
    }
    buf_text(&message, s->is_tls ? "\", SSL encryption" : "\", no encryption");
    err = refuse(a, out, ERR_LOGIN, "28000", buf_all(&message), (struct slice){ 0 });
    buf_fini(&message);
    return err;
}

static enum err refuse_form(struct pg_admit *a, struct buf *out, const char *message)
{
    return refuse_text(a, out, ERR_PROTOCOL, "08P01", message);
}

/* --- Letting in ------------------------------------------------------------------------------ */

/* What is asked of the certificate is asked of those who are right otherwise, too. */
static enum err let_in(struct pg_admit *a, struct buf *out)
{
    const struct pg_admit_settings *s = a->settings;
    enum secret_kind kind = kind_of(buf_all(&a->known));

    if (s->cert == PG_ADMIT_CERT_OF_USER && !s->is_vouched) {
        note_why(a, "the certificate is another user's than \"%.*s\"", SHOWN(s->user));
        return refuse_user(a, out);
    }
    if (a->secret.len == 0 && (kind == SECRET_CLEAR || kind == SECRET_MD5))
        put_secret(&a->secret, buf_all(&a->known));
    if (a->keys.verifier.iterations == 0)
        a->keys = a->known_keys;
    a->step = PG_ADMIT_IN;
    pg_put_auth_ok(out);
    return ERR_NONE;
}

static enum err wrong_secret(struct pg_admit *a, struct buf *out)
{
    const struct pg_admit_settings *s = a->settings;

    if (a->why[0] == '\0' && a->known.len == 0)
        note_why(a, "user \"%.*s\" does not exist or has no password", SHOWN(s->user));
    else if (a->why[0] == '\0')
        note_why(a, "password does not match for user \"%.*s\"", SHOWN(s->user));
    return refuse_user(a, out);
}

/* --- Passwords ------------------------------------------------------------------------------- */

/* Both are hashed first, so that time tells nothing of their lengths. */
static bool is_same_text(struct slice a, struct slice b)
{
    uint8_t a_hash[SHA256_DIGEST_LENGTH], b_hash[SHA256_DIGEST_LENGTH];
    bool is_same;

    SHA256(a.at, a.len, a_hash);
    SHA256(b.at, b.len, b_hash);
    is_same = CRYPTO_memcmp(a_hash, b_hash, sizeof(a_hash)) == 0;
    OPENSSL_cleanse(a_hash, sizeof(a_hash));
    OPENSSL_cleanse(b_hash, sizeof(b_hash));
    return is_same;
}

/* As costly as where there is a verifier to compare with, where others have one: time does not
 * tell who exists. */
static bool is_of_mock(struct pg_admit *a, struct slice password)
{
    const struct pg_admit_settings *s = a->settings;

    if (s->has_no_verifier)
        return is_same_text(password, s->process_secret) && false;
    scram_verifier_mock(s->user, s->process_secret, s->form, &a->verifier);
    return scram_keys_of_password(password, &a->verifier, &a->keys) == ERR_NONE;
}

static bool is_clear_password(struct pg_admit *a, struct slice password)
{
    const struct pg_admit_settings *s = a->settings;
    struct slice known = buf_all(&a->known);
    struct pg_md5 hash;
    enum err err;

    switch (kind_of(known)) {
    case SECRET_NONE:
        return is_of_mock(a, password);
    case SECRET_CLEAR:
        (void)is_of_mock(a, password);
        return is_same_text(password, known);
    case SECRET_MD5:
        hash = pg_md5_of_password(password, s->user);
        (void)is_of_mock(a, password);
        return pg_md5_is(known, &hash);
    case SECRET_SCRAM:
        err = scram_verifier_parse(known, &a->verifier);
        if (err == ERR_NONE)
            err = scram_keys_of_password(password, &a->verifier, &a->keys);
        if (err != ERR_NONE && err != ERR_LOGIN)
            note_why(a, "the SCRAM verifier of user \"%.*s\" cannot be used: %s", SHOWN(s->user),
                     err_text(err));
        return err == ERR_NONE;
    }
    return false;
}

static bool is_md5_answer(struct pg_admit *a, struct slice answer)
{
    struct slice known = buf_all(&a->known);
    struct pg_md5 hash, expected;
    bool is_right;

    if (kind_of(known) == SECRET_MD5)
        memcpy(hash.text, known.at, PG_MD5_BYTES);
    else
        hash = pg_md5_of_password(known, a->settings->user);
    expected = pg_md5_answer(slice_of(hash.text, PG_MD5_BYTES), a->salt);
    is_right = pg_md5_is(answer, &expected) & (known.len > 0);
    OPENSSL_cleanse(&hash, sizeof(hash));
    return is_right;
}

static enum err take_password(struct pg_admit *a, struct slice body, struct buf *out)
{
    bool is_clear = a->settings->method == PG_ADMIT_PASSWORD;
    struct slice password;

    if (pg_read_password(body, &password) != ERR_NONE)
        return refuse_form(a, out, "invalid password packet size");
    if (password.len == 0)
        return refuse_text(a, out, ERR_LOGIN, "28P01", "empty password returned by client");
    if (!(is_clear ? is_clear_password(a, password) : is_md5_answer(a, password)))
        return wrong_secret(a, out);
    if (is_clear)
        put_secret(&a->secret, password);
    return let_in(a, out);
}

static enum err ask_password(struct pg_admit *a, struct buf *out)
{
    if (a->settings->method == PG_ADMIT_PASSWORD) {
        pg_put_auth_cleartext(out);
    } else {
        if (getrandom(a->salt, sizeof(a->salt), 0) != sizeof(a->salt))
            return refuse_text(a, out, ERR_SYSTEM, "XX000", "could not generate random MD5 salt");
        pg_put_auth_md5(out, a->salt);
    }
    a->step = PG_ADMIT_AWAIT_PASSWORD;
    return ERR_AGAIN;
}

/* --- SCRAM ----------------------------------------------------------------------------------- */

/* Of a clear password, derived where it was not yet. */
static enum err verifier_of_password(struct pg_admit *a)
{
    const struct pg_admit_settings *s = a->settings;
    struct scram_form form = scram_form_or_default(s->form);
    uint8_t salt[SCRAM_SALT_MOST];

    if (a->known_keys.verifier.iterations != form.iterations ||
        a->known_keys.verifier.salt_len != form.salt_len) {
        scram_salt_of_user(s->user, s->process_secret, salt, form.salt_len);
        TRY(scram_keys_derive(s->secret, salt, form.salt_len, form.iterations, &a->known_keys));
        if (s->kept != NULL)
            *s->kept = a->known_keys;
    }
    a->verifier = a->known_keys.verifier;
    return ERR_NONE;
}

static enum err choose_verifier(struct pg_admit *a)
{
    const struct pg_admit_settings *s = a->settings;
    enum err err = ERR_NOT_FOUND;

    switch (kind_of(s->secret)) {
    case SECRET_NONE:
        break;
    case SECRET_CLEAR:
        err = verifier_of_password(a);
        break;
    case SECRET_MD5:
        note_why(a, "user \"%.*s\" has an md5 hash, which cannot serve for SCRAM", SHOWN(s->user));
        break;
    case SECRET_SCRAM:
        err = scram_verifier_parse(s->secret, &a->verifier);
        if (err != ERR_NONE)
            note_why(a, "user \"%.*s\" does not have a valid SCRAM verifier", SHOWN(s->user));
        break;
    }
    return err;
}

static enum err ask_scram(struct pg_admit *a, struct buf *out)
{
    static const char *const MECHANISMS[] = { SCRAM_MECHANISM_PLUS, SCRAM_MECHANISM };
    bool binds = a->settings->endpoint.len > 0;

    if (choose_verifier(a) != ERR_NONE)
        scram_verifier_mock(a->settings->user, a->settings->process_secret, a->settings->form,
                            &a->verifier);
    a->checker.verifier = &a->verifier;
    a->checker.endpoint = a->settings->endpoint;
    pg_put_auth_sasl(out, binds ? MECHANISMS : MECHANISMS + 1, binds ? 2 : 1);
    a->step = PG_ADMIT_AWAIT_SASL;
    return ERR_AGAIN;
}

/* SCRAM's refusals as PostgreSQL words them. */
static enum err refuse_scram(struct pg_admit *a, enum err err, struct buf *out)
{
    const char *why = a->checker.why;

    if (err == ERR_LOGIN)
        return wrong_secret(a, out);
    a->why[0] = '\0'; /* that of choose_verifier() is not the reason */
    if (err == ERR_UNSUPPORTED)
        return refuse_text(a, out, err, "0A000", why);
    if (err == ERR_SYSTEM)
        return refuse_text(a, out, err, "XX000", why);
    if (err == ERR_TLS && a->step == PG_ADMIT_AWAIT_FINAL)
        return refuse_text(a, out, err, "28000", why);
    if (err == ERR_TLS)
        return refuse(a, out, err, "28000", slice_text("SCRAM channel binding negotiation error"),
                      slice_text(why));
    return refuse(a, out, err, "08P01", slice_text("malformed SCRAM message"), slice_text(why));
}

static enum err take_first(struct pg_admit *a, struct slice message, struct buf *out)
{
    struct buf challenge = { 0 };
    enum err err = scram_check_first(&a->checker, message, &challenge);

    if (err == ERR_NONE) {
        pg_put_auth_sasl_continue(out, buf_all(&challenge));
        a->step = PG_ADMIT_AWAIT_FINAL;
    }
    buf_fini(&challenge);
    return err == ERR_NONE ? ERR_AGAIN : refuse_scram(a, err, out);
}

static enum err take_sasl(struct pg_admit *a, struct slice body, struct buf *out)
{
    struct pg_sasl_initial initial;

    if (pg_read_sasl_initial(body, &initial) != ERR_NONE)
        return refuse_form(a, out, "invalid message format");
    a->checker.is_plus = slice_is_text(initial.mechanism, SCRAM_MECHANISM_PLUS);
    if (a->checker.is_plus ? a->settings->endpoint.len == 0
                           : !slice_is_text(initial.mechanism, SCRAM_MECHANISM))
        return refuse_form(a, out, "client selected an invalid SASL authentication mechanism");
    if (!initial.data.is_null)
        return take_first(a, initial.data.bytes, out);
    pg_put_auth_sasl_continue(out, (struct slice){ 0 });
    a->step = PG_ADMIT_AWAIT_FIRST;
    return ERR_AGAIN;
}

static enum err take_final(struct pg_admit *a, struct slice message, struct buf *out)
{
    struct buf signature = { 0 };
    enum err err = scram_check_final(&a->checker, message, &a->keys, &signature);

    if (err == ERR_NONE)
        pg_put_auth_sasl_final(out, buf_all(&signature));
    buf_fini(&signature);
    return err == ERR_NONE ? let_in(a, out) : refuse_scram(a, err, out);
}

/* --- The whole ------------------------------------------------------------------------------- */

/* Are the users of this pool asked for md5, as far as one can tell from outside? */
static bool asks_md5(const struct pg_admit_settings *s)
{
    enum secret_kind kind = kind_of(s->secret);

    return kind == SECRET_NONE ? s->has_no_verifier : kind != SECRET_SCRAM;
}

enum err pg_admit_begin(struct pg_admit *a, const struct pg_admit_settings *s, struct buf *out)
{
    *a = (struct pg_admit){ .settings = s };
    put_secret(&a->known, s->secret);
    if (s->kept != NULL && kind_of(s->secret) == SECRET_CLEAR)
        a->known_keys = *s->kept;
    if (s->method == PG_ADMIT_REJECT || s->method == PG_ADMIT_NO_RULE)
        return refuse_by_rule(a, out);
    if ((s->cert != PG_ADMIT_CERT_NOTHING || s->method == PG_ADMIT_CERT) && !s->has_cert)
        return refuse_text(a, out, ERR_LOGIN, "28000",
                           "connection requires a valid client certificate");
    switch (s->method) {
    case PG_ADMIT_TRUST:
        return let_in(a, out);
    case PG_ADMIT_CERT:
    case PG_ADMIT_PEER:
        return s->is_vouched ? let_in(a, out) : refuse_user(a, out);
    case PG_ADMIT_PASSWORD:
        return ask_password(a, out);
    case PG_ADMIT_MD5:
        return asks_md5(s) ? ask_password(a, out) : ask_scram(a, out);
    case PG_ADMIT_SCRAM:
        return ask_scram(a, out);
    case PG_ADMIT_REJECT:
    case PG_ADMIT_NO_RULE:
        break;
    }
    return ERR_LOGIN;
}

static enum err check_frame(struct pg_admit *a, struct pg_frame frame, struct buf *out)
{
    bool is_password = a->step == PG_ADMIT_AWAIT_PASSWORD;
    uint32_t most = is_password ? PG_ADMIT_MESSAGE_MOST : PG_ADMIT_SASL_MOST;
    char text[80];

    if (frame.type != PG_FRONT_PASSWORD) {
        snprintf(text, sizeof(text), "expected %s response, got message type %u",
                 is_password ? "password" : "SASL", frame.type);
        return refuse_form(a, out, text);
    }
    return frame.bytes <= most ? ERR_NONE : refuse_form(a, out, "invalid message length");
}

enum err pg_admit_feed(struct pg_admit *a, struct slice in, size_t *used, struct buf *out)
{
    struct pg_frame frame;
    struct slice body;
    enum err err;

    assert(a->step > PG_ADMIT_BEGUN && a->step < PG_ADMIT_IN);
    *used = 0;
    err = pg_frame_read(in, &frame);
    if (err == ERR_PROTOCOL)
        return refuse_form(a, out, "invalid message length");
    TRY(err);
    TRY(check_frame(a, frame, out));
    if (!pg_frame_is_whole(in, frame))
        return ERR_AGAIN;
    body = pg_frame_body(in, frame);
    *used = frame.bytes;
    switch (a->step) {
    case PG_ADMIT_AWAIT_PASSWORD:
        return take_password(a, body, out);
    case PG_ADMIT_AWAIT_SASL:
        return take_sasl(a, body, out);
    case PG_ADMIT_AWAIT_FIRST:
        return take_first(a, body, out);
    case PG_ADMIT_AWAIT_FINAL:
        return take_final(a, body, out);
    case PG_ADMIT_BEGUN:
    case PG_ADMIT_IN:
    case PG_ADMIT_REFUSED:
        break;
    }
    return ERR_PROTOCOL;
}

void pg_admit_fini(struct pg_admit *a)
{
    wipe(&a->known);
    wipe(&a->secret);
    OPENSSL_cleanse(a, sizeof(*a));
}
