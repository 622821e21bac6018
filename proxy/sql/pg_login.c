/* See pg_login.h.  Each message is taken by its type, and the step says whether it was due:
 *
 *     BEGUN --cleartext, md5--> ANSWERED --ok--> IN --ReadyForQuery--> READY
 *       (SCRAM's first message may be sent with the startup: then nothing but SASL is due)
 *       |  \--SASL--> CHALLENGE --continue--> SIGNATURE --final--> ANSWERED
 *       +--ok (trust)--> IN
 *       +--what only a deputy can prove--> DEPUTY --ok--> IN
 *     any --ErrorResponse, or what is not due--> FAILED
 *
 * ParameterStatus and BackendKeyData are due once we are IN; notices always. */
#include "proxy/sql/pg_login.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>

#include "proxy/wire/pg_md5.h"
#include "proxy/wire/pgwire_write.h"

enum { OLD_ERROR_TEXT = 1000 };

/* --- Failing --------------------------------------------------------------------------------- */

/* One printable line. */
static void tidy_why(struct pg_login *l)
{
    for (char *c = l->why; *c != '\0'; c++) {
        if ((uint8_t)*c < ' ' || *c == 0x7f)
            *c = ' ';
    }
}

static enum err PRINTF_LIKE(3, 4) refuse(struct pg_login *l, enum err err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    /* It is begun above: NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    vsnprintf(l->why, sizeof(l->why), format, args);
    va_end(args);
    tidy_why(l);
    return err;
}

static enum err not_due(struct pg_login *l, const char *what)
{
    return refuse(l, ERR_PROTOCOL, "the server sent %s out of turn", what);
}

static enum err malformed(struct pg_login *l, const char *what)
{
    return refuse(l, ERR_PROTOCOL, "the server sent a malformed %s", what);
}

static enum err no_password(struct pg_login *l, const char *method)
{
    return refuse(l, ERR_LOGIN,
                  "the server asks for a password (%s), and none is known of \"%.*s\"", method,
                  (int)l->settings->user.len, (const char *)l->settings->user.at);
}

static enum err scram_failed(struct pg_login *l, enum err err)
{
    return refuse(l, err, "SCRAM: %s", l->prover.why != NULL ? l->prover.why : err_text(err));
}

/* A text that a printf can have: a bad length of a precision can't come from here. */
#define SHOWN(s) (int)((s).len < PG_LOGIN_WHY_BYTES ? (s).len : PG_LOGIN_WHY_BYTES), (s).at

static enum err err_of_sqlstate(struct slice sqlstate)
{
    if (slice_starts(sqlstate, slice_text("53")))
        return ERR_LIMIT;
    if (slice_starts(sqlstate, slice_text("57P0")))
        return ERR_DOWN;
    return ERR_LOGIN;
}

static enum err take_error(struct pg_login *l, struct slice body)
{
    struct pg_report report;

    if (pg_read_report(body, &report) != ERR_NONE)
        return malformed(l, "ErrorResponse");
    if (report.sqlstate.len == PG_SQLSTATE_BYTES)
        memcpy(l->sqlstate, report.sqlstate.at, PG_SQLSTATE_BYTES);
    l->is_wrong_secret = slice_is_text(report.sqlstate, "28P01");
    return refuse(l, err_of_sqlstate(report.sqlstate), "%.*s", SHOWN(report.message));
}

/* What a server says that can't start a process for us, or knows no 3.0: "E", text, and a zero. */
static enum err take_old_error(struct pg_login *l, struct slice in)
{
    struct slice text = slice_from(in, 1);
    const uint8_t *end = memchr(text.at, 0, text.len);

    if (end == NULL && text.len < OLD_ERROR_TEXT)
        return ERR_AGAIN;
    if (end != NULL)
        text.len = (size_t)(end - text.at);
    while (text.len > 0 && text.at[text.len - 1] == '\n')
        text.len--;
    return refuse(l, ERR_DOWN, "%.*s", SHOWN(text));
}

/* --- Who we are ------------------------------------------------------------------------------ */

static enum err answer_cleartext(struct pg_login *l, struct buf *out)
{
    const struct pg_login_settings *s = l->settings;

    if (s->password.len == 0)
        return no_password(l, "in clear");
    if (pg_md5_is_hash(s->password) || scram_is_verifier(s->password))
        return refuse(l, ERR_LOGIN,
                      "the server asks for a clear password, and only a hash of it is known");
    if (!s->is_private && !s->may_tell_password)
        return refuse(l, ERR_TLS,
                      "the server asks for a clear password, and the way to it is not "
                      "encrypted");
    pg_put_password(out, s->password);
    l->step = PG_LOGIN_ANSWERED;
    return ERR_NONE;
}

static enum err answer_md5(struct pg_login *l, struct slice salt, struct buf *out)
{
    const struct pg_login_settings *s = l->settings;
    struct pg_md5 hash, answer;

    if (s->password.len == 0)
        return no_password(l, "md5");
    if (scram_is_verifier(s->password))
        return refuse(l, ERR_LOGIN,
                      "the server asks for an md5 password, and only a SCRAM verifier is "
                      "known");
    if (pg_md5_is_hash(s->password)) {
        answer = pg_md5_answer(s->password, salt.at);
    } else {
        hash = pg_md5_of_password(s->password, s->user);
        answer = pg_md5_answer(slice_text(hash.text), salt.at);
        OPENSSL_cleanse(&hash, sizeof(hash));
    }
    pg_put_password(out, slice_text(answer.text));
    l->step = PG_LOGIN_ANSWERED;
    return ERR_NONE;
}

/* Which mechanism of those offered, and what the first message says of channel binding. */
static enum err choose_mechanism(struct pg_login *l, struct slice offered, const char **mechanism)
{
    const struct pg_login_settings *s = l->settings;
    bool has_plain = false, has_plus = false;
    struct slice rest = offered, name;

    while (pg_mechanism_next(&rest, &name)) {
        has_plain = has_plain || slice_is_text(name, SCRAM_MECHANISM);
        has_plus = has_plus || slice_is_text(name, SCRAM_MECHANISM_PLUS);
    }
    if (has_plus && s->endpoint.len > 0) {
        *mechanism = SCRAM_MECHANISM_PLUS;
        l->prover.binding = SCRAM_BINDING_ENDPOINT;
        l->prover.endpoint = s->endpoint;
        return ERR_NONE;
    }
    if (s->must_bind)
        return refuse(l, ERR_TLS, "channel binding is demanded, and %s",
                      has_plus ? "there is no hash of the server's certificate"
                               : "the server does not offer it");
    if (!has_plain)
        return refuse(l, ERR_UNSUPPORTED,
                      "the server asks for the SASL mechanism \"%.*s\", which is not supported",
                      SHOWN(offered));
    *mechanism = SCRAM_MECHANISM;
    l->prover.binding = s->endpoint.len > 0 ? SCRAM_BINDING_WOULD : SCRAM_BINDING_NONE;
    return ERR_NONE;
}

static bool has_clear_password(const struct pg_login_settings *s)
{
    return s->password.len > 0 && !pg_md5_is_hash(s->password) && !scram_is_verifier(s->password);
}

static bool has_keys(const struct pg_login_settings *s)
{
    return s->keys != NULL || s->other_keys != NULL;
}

static enum err begin_scram(struct pg_login *l, struct slice offered, struct buf *out)
{
    struct buf first = { 0 };
    const char *mechanism = SCRAM_MECHANISM;
    enum err err;

    TRY(choose_mechanism(l, offered, &mechanism));
    if (l->guessed) { /* it was sent */
        l->guessed = false;
        l->step = PG_LOGIN_CHALLENGE;
        return ERR_NONE;
    }
    if (!has_clear_password(l->settings) && !has_keys(l->settings))
        return l->settings->password.len == 0
                   ? no_password(l, "SCRAM")
                   : refuse(l, ERR_LOGIN,
                            "the server asks for SCRAM, and only a hash of the password is "
                            "known");
    err = scram_prove_first(&l->prover, &first);
    if (err == ERR_NONE) {
        pg_put_sasl_initial(out, slice_text(mechanism), buf_all(&first));
        l->step = PG_LOGIN_CHALLENGE;
    }
    buf_fini(&first);
    return err == ERR_NONE ? ERR_NONE : scram_failed(l, err);
}

/* The kept keys if they fit, else new ones from the password. */
static enum err find_keys(struct pg_login *l, const struct scram_keys **keys)
{
    const struct pg_login_settings *s = l->settings;
    const struct scram_keys *kept[] = { s->keys, s->other_keys };
    enum err err;

    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        if (kept[i] == NULL || !scram_prove_fits(&l->prover, kept[i]))
            continue;
        *keys = kept[i];
        return ERR_NONE;
    }
    if (!has_clear_password(s)) {
        l->is_wrong_secret = true;
        return refuse(l, ERR_LOGIN,
                      "the keys that are known of \"%.*s\" are for another verifier than "
                      "the server's",
                      SHOWN(s->user));
    }
    if (l->prover.iterations > SCRAM_ITERATIONS_MOST)
        return refuse(l, ERR_LIMIT, "SCRAM: the server demands %u iterations, more than %d",
                      l->prover.iterations, SCRAM_ITERATIONS_MOST);
    err = scram_keys_derive(s->password, l->prover.salt, l->prover.salt_len, l->prover.iterations,
                            &l->keys);
    *keys = &l->keys;
    return err == ERR_NONE ? ERR_NONE : scram_failed(l, err);
}

static enum err answer_challenge(struct pg_login *l, struct slice challenge, struct buf *out)
{
    const struct scram_keys *keys = l->settings->keys;
    struct buf final = { 0 };
    enum err err = scram_prove_challenge(&l->prover, challenge);

    if (err != ERR_NONE)
        return scram_failed(l, err);
    TRY(find_keys(l, &keys));
    err = scram_prove_final(&l->prover, keys, &final);
    if (err == ERR_NONE) {
        pg_put_sasl_response(out, buf_all(&final));
        l->step = PG_LOGIN_SIGNATURE;
    }
    buf_fini(&final);
    return err == ERR_NONE ? ERR_NONE : scram_failed(l, err);
}

static enum err check_signature(struct pg_login *l, struct slice final)
{
    enum err err = scram_prove_end(&l->prover, final);

    if (err != ERR_NONE)
        return scram_failed(l, err);
    l->is_bound = l->prover.binding == SCRAM_BINDING_ENDPOINT;
    l->may_guess = l->prover.binding == SCRAM_BINDING_NONE;
    l->step = PG_LOGIN_ANSWERED;
    return ERR_NONE;
}

static enum err wrong_guess(struct pg_login *l)
{
    return refuse(l, ERR_LOGIN, "the server does not ask for SCRAM, which was begun already");
}

static enum err take_ok(struct pg_login *l)
{
    if (l->guessed)
        return wrong_guess(l);
    if (l->step == PG_LOGIN_CHALLENGE || l->step == PG_LOGIN_SIGNATURE)
        return refuse(l, ERR_LOGIN,
                      "the server let us in without a proof that it knows the password");
    if (l->step != PG_LOGIN_BEGUN && l->step != PG_LOGIN_ANSWERED && l->step != PG_LOGIN_DEPUTY)
        return not_due(l, "AuthenticationOk");
    if (l->settings->must_bind && !l->is_bound)
        return refuse(l, ERR_TLS,
                      "channel binding is demanded, and the server let us in without it");
    l->step = PG_LOGIN_IN;
    return ERR_NONE;
}

static const char *method_name(uint32_t kind)
{
    switch (kind) {
    case PG_AUTH_KERBEROS_V5:
        return "Kerberos V5";
    case PG_AUTH_SCM:
        return "SCM credentials";
    case PG_AUTH_GSS:
    case PG_AUTH_GSS_CONTINUE:
        return "GSSAPI";
    case PG_AUTH_SSPI:
        return "SSPI";
    }
    return NULL;
}

static enum err answer_first(struct pg_login *l, struct pg_auth auth, struct buf *out)
{
    const char *name = method_name(auth.kind);

    if (l->step != PG_LOGIN_BEGUN)
        return not_due(l, "a second request for authentication");
    if (l->guessed && auth.kind != PG_AUTH_SASL)
        return wrong_guess(l);
    if (l->settings->must_bind && auth.kind != PG_AUTH_SASL)
        return refuse(l, ERR_TLS,
                      "channel binding is demanded, and the server asks for something else");
    switch (auth.kind) {
    case PG_AUTH_CLEARTEXT:
        return answer_cleartext(l, out);
    case PG_AUTH_MD5:
        return answer_md5(l, auth.data, out);
    case PG_AUTH_SASL:
        return begin_scram(l, auth.data, out);
    }
    if (name == NULL)
        return refuse(l, ERR_UNSUPPORTED,
                      "the server asks for authentication by method %u, which is not supported",
                      auth.kind);
    return refuse(l, ERR_UNSUPPORTED,
                  "the server asks for authentication by %s, which is not supported", name);
}

/* Nothing else goes there: a deputy might know passwords, to be said to nobody who asks. */
static bool is_deputys(const struct pg_login *l, uint32_t kind)
{
    if (!l->settings->has_deputy || l->settings->must_bind)
        return false;
    return l->step == PG_LOGIN_DEPUTY
               ? kind == PG_AUTH_GSS_CONTINUE
               : l->step == PG_LOGIN_BEGUN && (kind == PG_AUTH_GSS || kind == PG_AUTH_SSPI);
}

static enum err take_auth(struct pg_login *l, struct slice body, struct buf *out)
{
    struct pg_auth auth;

    if (pg_read_auth(body, &auth) != ERR_NONE)
        return malformed(l, "request for authentication");
    if (is_deputys(l, auth.kind)) {
        l->step = PG_LOGIN_DEPUTY;
        pg_put_auth(&l->for_deputy, auth.kind, auth.data);
        return ERR_NONE;
    }
    switch (auth.kind) {
    case PG_AUTH_OK:
        return take_ok(l);
    case PG_AUTH_SASL_CONTINUE:
        return l->step == PG_LOGIN_CHALLENGE ? answer_challenge(l, auth.data, out)
                                             : not_due(l, "AuthenticationSASLContinue");
    case PG_AUTH_SASL_FINAL:
        return l->step == PG_LOGIN_SIGNATURE ? check_signature(l, auth.data)
                                             : not_due(l, "AuthenticationSASLFinal");
    }
    return answer_first(l, auth, out);
}

/* --- Once we are in -------------------------------------------------------------------------- */

/* True: perhaps not for the first time. */
static bool is_told_again(struct pg_login *l, struct slice name)
{
    uint64_t bit = 1ull << ((name.at[0] + 5u * name.at[name.len - 1] + name.len) & 63);
    bool seen = l->parameter_names & bit;

    l->parameter_names |= bit;
    return seen;
}

/* Forgets the pair of this name, if there is one. */
static void drop_parameter(struct buf *parameters, struct slice name)
{
    struct slice rest = buf_all(parameters), before;
    struct pg_parameter p;

    for (before = rest; pg_parameter_next(&rest, &p); before = rest) {
        if (!slice_is(p.name, name))
            continue;
        memmove(parameters->at + (before.at - parameters->at), rest.at, rest.len);
        parameters->len -= before.len - rest.len;
        return;
    }
}

static enum err take_parameter(struct pg_login *l, struct slice body)
{
    struct pg_parameter p;

    if (pg_read_parameter_status(body, &p) != ERR_NONE || p.name.len == 0)
        return malformed(l, "ParameterStatus");
    if (++l->parameter_messages > PG_LOGIN_PARAMETERS_MOST)
        return refuse(l, ERR_LIMIT, "the server tells of more than %d parameters",
                      PG_LOGIN_PARAMETERS_MOST);
    if (is_told_again(l, p.name))
        drop_parameter(&l->parameters, p.name);
    if (l->parameters.len + body.len > PG_LOGIN_PARAMETER_BYTES)
        return refuse(l, ERR_LIMIT, "the server's parameters take more than %d bytes",
                      PG_LOGIN_PARAMETER_BYTES);
    buf_slice(&l->parameters, body); /* just the pair */
    return ERR_NONE;
}

static enum err take_key(struct pg_login *l, struct slice body)
{
    struct pg_key key;

    if (pg_read_key(body, &key) != ERR_NONE)
        return malformed(l, "BackendKeyData");
    l->pid = key.pid;
    l->secret_len = (uint16_t)key.secret.len;
    memcpy(l->secret, key.secret.at, key.secret.len);
    return ERR_NONE;
}

static enum err take_ready(struct pg_login *l, struct slice body)
{
    if (pg_read_ready(body, &l->status) != ERR_NONE)
        return malformed(l, "ReadyForQuery");
    l->step = PG_LOGIN_READY;
    return ERR_NONE;
}

/* We ask for 3.0: a server that has less, or says less of what we asked, is one to go on with. */
static enum err take_negotiation(struct pg_login *l, struct slice body)
{
    struct pg_negotiation negotiation;

    if (pg_read_negotiation(body, &negotiation) != ERR_NONE)
        return malformed(l, "NegotiateProtocolVersion");
    return ERR_NONE;
}

static enum err take_when_in(struct pg_login *l, uint8_t type, struct slice body)
{
    if (l->step != PG_LOGIN_IN)
        return refuse(l, ERR_PROTOCOL, "the server sent a message of type %u before it let us in",
                      type);
    switch (type) {
    case PG_BACK_PARAMETER_STATUS:
        return take_parameter(l, body);
    case PG_BACK_KEY_DATA:
        return take_key(l, body);
    case PG_BACK_READY:
        return take_ready(l, body);
    }
    return refuse(l, ERR_PROTOCOL, "the server sent a message of type %u during the login", type);
}

static enum err take_message(struct pg_login *l, uint8_t type, struct slice body, struct buf *out)
{
    switch (type) {
    case PG_BACK_AUTHENTICATION:
        return take_auth(l, body, out);
    case PG_BACK_ERROR:
        return take_error(l, body);
    case PG_BACK_NOTICE:
        return ERR_NONE;
    case PG_BACK_NEGOTIATE_VERSION:
        return take_negotiation(l, body);
    }
    return take_when_in(l, type, body);
}

/* --- Messages -------------------------------------------------------------------------------- */

static enum err other_protocol(struct pg_login *l)
{
    return refuse(l, ERR_PROTOCOL, "the server does not speak PostgreSQL's protocol");
}

/* A message that is too long to be gathered, by its header. */
static enum err take_long(struct pg_login *l, struct slice in, struct pg_frame f)
{
    if (f.type == PG_BACK_NOTICE) {
        l->notice_left = f.bytes;
        return ERR_NONE;
    }
    if (l->step == PG_LOGIN_BEGUN) /* the "length" is the beginning of a text */
        return f.type == PG_BACK_ERROR ? take_old_error(l, in) : other_protocol(l);
    return refuse(l, ERR_LIMIT, "the server sent a message of %u bytes during the login", f.bytes);
}

/* The message at the front of `in`, or of a long notice what is there of it. */
static enum err take_front(struct pg_login *l, struct slice in, size_t *len, struct buf *out)
{
    struct pg_frame f;
    enum err err;

    if (l->notice_left > 0) {
        *len = in.len < l->notice_left ? in.len : l->notice_left;
        l->notice_left -= (uint32_t)*len;
        return *len > 0 ? ERR_NONE : ERR_AGAIN;
    }
    err = pg_frame_read(in, &f);
    if (err == ERR_PROTOCOL)
        return other_protocol(l);
    TRY(err);
    if (f.bytes > PG_LOGIN_MESSAGE_MOST) {
        *len = 0;
        return take_long(l, in, f);
    }
    if (!pg_frame_is_whole(in, f))
        return ERR_AGAIN;
    *len = f.bytes;
    return take_message(l, f.type, pg_frame_body(in, f), out);
}

/* What the server will ask for first, if it is as before. */
static void guess(struct pg_login *l, struct buf *out)
{
    const struct pg_login_settings *s = l->settings;
    struct buf first = { 0 };

    if (!s->guesses_scram || !has_keys(s) || s->endpoint.len > 0 || s->must_bind || s->has_deputy)
        return;
    l->guessed = scram_prove_first(&l->prover, &first) == ERR_NONE;
    if (l->guessed)
        pg_put_sasl_initial(out, slice_text(SCRAM_MECHANISM), buf_all(&first));
    buf_fini(&first);
}

void pg_login_begin(struct pg_login *l, const struct pg_login_settings *settings, struct buf *out)
{
    struct buf parameters = { 0 };
    struct pg_parameter named[2] = {
        { slice_text("user"), settings->user },
        { slice_text(settings->database.len > 0 ? "database" : ""), settings->database },
    };
    size_t count = settings->parameter_count;

    buf_put(&parameters, named, sizeof(named));
    buf_put(&parameters, settings->parameters, count * sizeof(*settings->parameters));
    pg_put_startup(out, (const struct pg_parameter *)parameters.at, count + 2);
    buf_fini(&parameters);
    *l = (struct pg_login){ .settings = settings };
    guess(l, out);
}

enum err pg_login_feed(struct pg_login *l, struct slice in, size_t *used, struct buf *out)
{
    enum err err = ERR_NONE;
    size_t at = 0;

    assert(l->step != PG_LOGIN_READY && l->step != PG_LOGIN_FAILED);
    while (err == ERR_NONE && l->step != PG_LOGIN_READY) {
        size_t len = 0;

        err = at < in.len ? take_front(l, slice_from(in, at), &len, out) : ERR_AGAIN;
        at += len;
        if (err == ERR_NONE && l->passed + at > PG_LOGIN_BYTES_MOST)
            err = refuse(l, ERR_LIMIT, "the server says more than %d bytes during the login",
                         PG_LOGIN_BYTES_MOST);
    }
    *used = at;
    l->passed += (uint32_t)at;
    if (err != ERR_NONE && err != ERR_AGAIN)
        l->step = PG_LOGIN_FAILED;
    return err;
}

void pg_login_fini(struct pg_login *l)
{
    scram_prover_fini(&l->prover);
    buf_fini(&l->parameters);
    buf_fini(&l->for_deputy);
    OPENSSL_cleanse(l, sizeof(*l));
}
