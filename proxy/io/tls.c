/* See tls.h.  OpenSSL reads and writes the socket through a small BIO of our own, since its socket
 * BIO calls write(), which raises SIGPIPE.  A stream belongs to one thread; a context is not
 * changed after it was made, but for its count of references (atomic) and what OpenSSL locks
 * itself. */
#include "proxy/io/tls.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "proxy/base/mem.h"

struct tls_context {
    SSL_CTX *ssl; /* owned */
    enum tls_side side;
    bool verifies;
    uint64_t number;
    struct buf protocol; /* as ALPN has it: behind a byte of its length; empty: none */
    struct {
        _Atomic unsigned references; /* atomic */
    } shared;
};

struct tls_stream {
    SSL *ssl;                    /* owned */
    struct tls_context *context; /* owned: a reference */
    struct tls_resume *resume;   /* borrowed from the endpoint, which outlives the stream */
    struct buf before;           /* what comes before that which the descriptor has */
    int fd;                      /* borrowed from whoever made the stream */
    int socket_errno;            /* of the last failed call */
    int write_errno;             /* the peer takes no more; what it has sent may still be read */
    bool at_end;                 /* the peer's bytes are over */
    bool wants_write;
    bool is_dry; /* the last read found no whole record */
    bool is_broken;
    char reason[256];
    char description[96];
};

/* --- bytes to and from the socket --- */

static BIO_METHOD *socket_method;

static int socket_result(BIO *bio, struct tls_stream *s, ssize_t moved, int retry)
{
    if (moved >= 0)
        return (int)moved;
    s->socket_errno = errno;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
    return -1;
}

/* OpenSSL is told of a failure for good that there was no room: it would not read after one, and
 * what the peer said before it closed, an alert perhaps, would be lost. */
static int socket_write(BIO *bio, const char *at, int len)
{
    struct tls_stream *s = BIO_get_data(bio);
    ssize_t put;

    BIO_clear_retry_flags(bio);
    do
        put = send(s->fd, at, (size_t)len, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        s->write_errno = errno;
        errno = EAGAIN;
    }
    return socket_result(bio, s, put, BIO_FLAGS_WRITE);
}

static int socket_read(BIO *bio, char *at, int len)
{
    struct tls_stream *s = BIO_get_data(bio);
    ssize_t got;

    BIO_clear_retry_flags(bio);
    if (s->before.len > 0) {
        got = (ssize_t)((size_t)len < s->before.len ? (size_t)len : s->before.len);
        memcpy(at, s->before.at, (size_t)got);
        buf_skip(&s->before, (size_t)got);
        if (s->before.len == 0)
            buf_fini(&s->before);
        return (int)got;
    }
    do
        got = recv(s->fd, at, (size_t)len, 0);
    while (got < 0 && errno == EINTR);
    s->at_end = got == 0;
    return socket_result(bio, s, got, BIO_FLAGS_READ);
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
    struct tls_stream *s = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return s->at_end;
    return command == BIO_CTRL_FLUSH;
}

static void make_socket_method(void)
{
    socket_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    assert(socket_method != NULL);
    BIO_meth_set_write(socket_method, socket_write);
    BIO_meth_set_read(socket_method, socket_read);
    BIO_meth_set_ctrl(socket_method, socket_control);
}

/* --- contexts --- */

static const char *openssl_reason(unsigned long code)
{
    const char *reason = ERR_reason_error_string(code);

    if (ERR_SYSTEM_ERROR(code))
        return strerrordesc_np(ERR_GET_REASON(code));
    return reason != NULL ? reason : "unknown reason";
}

/* Says what is wrong with a file, in OpenSSL's words. */
static enum err refuse_file(struct buf *why, const char *what, const char *file)
{
    buf_format(why, "cannot use %s %s: %s", what, file, openssl_reason(ERR_peek_error()));
    ERR_clear_error();
    return ERR_CONFIG;
}

/* A key that needs a pass phrase is refused; nobody is asked for it at a terminal. */
static int no_passphrase(char *at, int len, int writing, void *was_asked)
{
    (void)at;
    (void)len;
    (void)writing;
    *(bool *)was_asked = true;
    return -1;
}

static enum err load_key(SSL_CTX *ssl, const char *file, struct buf *why)
{
    bool is_locked = false, is_loaded;

    SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, &is_locked);
    is_loaded = SSL_CTX_use_PrivateKey_file(ssl, file, SSL_FILETYPE_PEM) == 1 &&
                SSL_CTX_check_private_key(ssl) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
    if (is_loaded)
        return ERR_NONE;
    if (!is_locked)
        return refuse_file(why, "key", file);
    ERR_clear_error();
    buf_format(why, "cannot use key %s: it needs a pass phrase", file);
    return ERR_CONFIG;
}

static enum err load_own(SSL_CTX *ssl, const struct tls_options *o, struct buf *why)
{
    const char *key = o->key_file != NULL ? o->key_file : o->cert_file;

    if (o->cert_file == NULL) {
        if (o->side == TLS_CONNECT && o->key_file == NULL)
            return ERR_NONE;
        buf_text(why, "a certificate is needed");
        return ERR_CONFIG;
    }
    if (SSL_CTX_use_certificate_chain_file(ssl, o->cert_file) != 1)
        return refuse_file(why, "certificate", o->cert_file);
    return load_key(ssl, key, why);
}

static enum err load_trusted(SSL_CTX *ssl, const struct tls_options *o, struct buf *why)
{
    if (o->ca_file != NULL && SSL_CTX_load_verify_locations(ssl, o->ca_file, NULL) != 1)
        return refuse_file(why, "CA file", o->ca_file);
    if (o->side == TLS_CONNECT) {
        if (o->ca_file == NULL && SSL_CTX_set_default_verify_paths(ssl) != 1)
            return refuse_file(why, "the system's", "CA files");
        SSL_CTX_set_verify(ssl, o->accept_anyone ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
        return ERR_NONE;
    }
    if (o->ca_file == NULL && o->need_client_cert) {
        buf_text(why, "a CA file is needed to verify client certificates");
        return ERR_CONFIG;
    }
    if (o->ca_file != NULL) {
        int also = o->need_client_cert ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;

        SSL_CTX_set_client_CA_list(ssl, SSL_load_client_CA_file(o->ca_file));
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | also, NULL);
    }
    return ERR_NONE;
}

static void forget(struct tls_resume *resume)
{
    SSL_SESSION_free(resume->session);
    *resume = (struct tls_resume){ 0 };
}

/* OpenSSL calls it with each ticket, some time after the handshake; 1: the session is ours. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_stream *s = SSL_get_app_data(ssl);

    if (s->resume == NULL)
        return 0;
    forget(s->resume);
    *s->resume = (struct tls_resume){ .session = session, .made_for = s->context->number };
    return 1;
}

static void set_manners(SSL_CTX *ssl, const struct tls_options *o)
{
    static const unsigned char NAME[] = "sheaf";

    SSL_CTX_set_min_proto_version(ssl, o->only_tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ssl, 1); /* a record's head and body with one call */
    SSL_CTX_set_dh_auto(ssl, 1);
    if (o->side == TLS_ACCEPT) {
        SSL_CTX_set_session_id_context(ssl, NAME, sizeof(NAME) - 1);
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* tickets hold all */
        SSL_CTX_set_num_tickets(ssl, 1);
    } else {
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ssl, keep_session);
    }
}

static enum err configure(SSL_CTX *ssl, const struct tls_options *o, struct buf *why)
{
    set_manners(ssl, o);
    if (o->ciphers != NULL && SSL_CTX_set_cipher_list(ssl, o->ciphers) != 1)
        return refuse_file(why, "ciphers", o->ciphers);
    TRY(load_own(ssl, o, why));
    return load_trusted(ssl, o, why);
}

/* Of what the peer offers; it offers something. */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    const struct tls_context *c = arg;
    unsigned char *chosen;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_len, buf_all(&c->protocol).at, (unsigned)c->protocol.len,
                              in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void speak(struct tls_context *c, const char *protocol)
{
    uint8_t len = (uint8_t)strlen(protocol);

    buf_put(&c->protocol, &len, 1);
    buf_text(&c->protocol, protocol);
    SSL_CTX_set_alpn_select_cb(c->ssl, select_protocol, c);
}

enum err tls_context_new(const struct tls_options *options, struct tls_context **context,
                         struct buf *why)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Atomic uint64_t number;
    struct tls_context *made;
    SSL_CTX *ssl;
    enum err err;

    pthread_once(&once, make_socket_method);
    ERR_clear_error();
    ssl = SSL_CTX_new(options->side == TLS_ACCEPT ? TLS_server_method() : TLS_client_method());
    if (ssl == NULL) {
        buf_format(why, "OpenSSL does not start: %s", openssl_reason(ERR_peek_error()));
        return ERR_TLS;
    }
    err = configure(ssl, options, why);
    if (err != ERR_NONE) {
        SSL_CTX_free(ssl);
        return err;
    }
    made = mem_new(sizeof(*made));
    made->ssl = ssl;
    made->side = options->side;
    made->verifies = options->side == TLS_CONNECT && !options->accept_anyone;
    made->number = atomic_fetch_add(&number, 1) + 1;
    atomic_init(&made->shared.references, 1);
    if (options->protocol != NULL)
        speak(made, options->protocol);
    *context = made;
    return ERR_NONE;
}

static void say_time(const ASN1_TIME *at, const char *what, struct buf *why)
{
    char text[32] = "a time that is none";
    struct tm tm;

    if (ASN1_TIME_to_tm(at, &tm) == 1)
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    buf_format(why, "the certificate %s %s\n", what, text);
}

void tls_context_warn(const struct tls_context *context, struct buf *why)
{
    const X509 *own = SSL_CTX_get0_certificate(context->ssl);

    if (own == NULL)
        return;
    if (X509_cmp_current_time(X509_get0_notAfter(own)) < 0)
        say_time(X509_get0_notAfter(own), "has expired at", why);
    else if (X509_cmp_current_time(X509_get0_notBefore(own)) > 0)
        say_time(X509_get0_notBefore(own), "is not valid before", why);
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    atomic_fetch_add(&context->shared.references, 1);
    return context;
}

void tls_context_unref(struct tls_context **context)
{
    struct tls_context *c = *context;

    *context = NULL;
    if (c == NULL || atomic_fetch_sub(&c->shared.references, 1) != 1)
        return;
    SSL_CTX_free(c->ssl);
    buf_fini(&c->protocol);
    free(c);
}

/* --- streams --- */

static void say_reason(struct tls_stream *s, const char *reason)
{
    snprintf(s->reason, sizeof(s->reason), "%s", reason);
}

static void break_stream(struct tls_stream *s, const char *reason)
{
    s->is_broken = true;
    say_reason(s, reason);
}

/* Names the peer that must answer; a name that cannot be checked breaks the stream. */
static void expect_server(struct tls_stream *s, const char *name)
{
    unsigned char address[sizeof(struct in6_addr)];
    bool is_literal = name != NULL && (inet_pton(AF_INET, name, address) == 1 ||
                                       inet_pton(AF_INET6, name, address) == 1);
    bool is_set = true;

    if (name == NULL) {
        if (s->context->verifies)
            break_stream(s, "no server name to verify the certificate by");
        return;
    }
    if (!is_literal)
        is_set = SSL_set_tlsext_host_name(s->ssl, name) == 1;
    if (s->context->verifies && is_literal) {
        is_set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s->ssl), name) == 1;
    } else if (s->context->verifies) {
        SSL_set_hostflags(s->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        is_set = is_set && SSL_set1_host(s->ssl, name) == 1;
    }
    if (!is_set)
        break_stream(s, "the server name is not valid");
}

struct tls_stream *tls_stream_new(struct tls_context *context, int fd, const char *server_name,
                                  struct tls_resume *resume)
{
    struct tls_stream *s = mem_new(sizeof(*s));
    BIO *bio = BIO_new(socket_method);

    s->ssl = SSL_new(context->ssl);
    if (s->ssl == NULL || bio == NULL)
        abort(); /* OpenSSL has no memory left; see mem.h */
    s->context = tls_context_ref(context);
    s->resume = resume;
    s->fd = fd;
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(s->ssl, bio, bio);
    SSL_set_app_data(s->ssl, s);
    if (context->side == TLS_ACCEPT) {
        SSL_set_accept_state(s->ssl);
        return s;
    }
    SSL_set_connect_state(s->ssl);
    expect_server(s, server_name);
    if (resume != NULL && resume->session != NULL && resume->made_for == context->number)
        SSL_set_session(s->ssl, resume->session);
    return s;
}

void tls_stream_begin_with(struct tls_stream *s, struct slice bytes)
{
    buf_slice(&s->before, bytes);
}

void tls_stream_free(struct tls_stream **stream)
{
    struct tls_stream *s = *stream;

    *stream = NULL;
    if (s == NULL)
        return;
    /* A session is marked as not to be resumed when its connection ends without a word; ours is
     * good. */
    SSL_set_quiet_shutdown(s->ssl, 1);
    SSL_set_shutdown(s->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(s->ssl);
    buf_fini(&s->before);
    tls_context_unref(&s->context);
    free(s);
}

static enum err give_up(struct tls_stream *s, enum err err, const char *reason)
{
    if (!SSL_is_init_finished(s->ssl) && s->resume != NULL)
        forget(s->resume); /* perhaps the peer dislikes it */
    break_stream(s, reason);
    ERR_clear_error();
    return err;
}

static enum err fail(struct tls_stream *s)
{
    unsigned long code = ERR_peek_error();
    long verified = SSL_get_verify_result(s->ssl);
    char reason[200];

    if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        snprintf(reason, sizeof(reason), "the peer's certificate is refused: %s",
                 X509_verify_cert_error_string(verified));
    else
        snprintf(reason, sizeof(reason), "%s", openssl_reason(code));
    return give_up(s, ERR_TLS, reason);
}

/* Says what a call of OpenSSL that moved nothing means. */
static enum err outcome(struct tls_stream *s, int result)
{
    switch (SSL_get_error(s->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        s->wants_write = false;
        return ERR_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        if (s->write_errno != 0)
            return give_up(s, ERR_CLOSED, strerrordesc_np(s->write_errno));
        s->wants_write = true;
        return ERR_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return give_up(s, ERR_CLOSED, "the peer closed the connection");
    case SSL_ERROR_SSL:
        return fail(s);
    default: /* SSL_ERROR_SYSCALL; the others belong to features that are not used */
        return give_up(s, ERR_CLOSED,
                       s->at_end || s->socket_errno == 0 ? "the peer closed the connection"
                                                         : strerrordesc_np(s->socket_errno));
    }
}

static void begin_call(struct tls_stream *s)
{
    ERR_clear_error(); /* the queue is the thread's: others' leavings must not be taken for ours */
    s->socket_errno = 0;
}

enum err tls_handshake(struct tls_stream *s)
{
    int result;

    if (s->is_broken)
        return ERR_TLS;
    begin_call(s);
    result = SSL_do_handshake(s->ssl);
    s->is_dry = false; /* records may have come with the handshake's last one */
    return result == 1 ? ERR_NONE : outcome(s, result);
}

enum err tls_read(struct tls_stream *s, void *at, size_t len, size_t *got)
{
    int result;

    if (s->is_broken)
        return ERR_CLOSED;
    begin_call(s);
    result = SSL_read_ex(s->ssl, at, len, got);
    s->is_dry = result != 1;
    return result == 1 ? ERR_NONE : outcome(s, result);
}

enum err tls_write(struct tls_stream *s, const void *at, size_t len, size_t *put)
{
    int result;

    if (s->is_broken || s->write_errno != 0)
        return ERR_CLOSED;
    begin_call(s);
    result = SSL_write_ex(s->ssl, at, len, put);
    if (result == 1 || s->write_errno == 0)
        return result == 1 ? ERR_NONE : outcome(s, result);
    say_reason(s, strerrordesc_np(s->write_errno));
    return ERR_CLOSED;
}

enum err tls_shutdown(struct tls_stream *s)
{
    int result;

    if (s->is_broken || !SSL_is_init_finished(s->ssl))
        return ERR_NONE; /* there is nobody to tell */
    begin_call(s);
    result = SSL_shutdown(s->ssl);
    return result >= 0 ? ERR_NONE : outcome(s, result);
}

bool tls_wants_write(const struct tls_stream *s)
{
    return s->wants_write;
}

bool tls_has_pending(const struct tls_stream *s)
{
    /* OpenSSL also counts the beginning of a record, which only the descriptor can complete. */
    return SSL_pending(s->ssl) > 0 || (!s->is_dry && SSL_has_pending(s->ssl) == 1);
}

bool tls_was_resumed(const struct tls_stream *s)
{
    return SSL_session_reused(s->ssl) == 1;
}

bool tls_protocol_is_agreed(const struct tls_stream *s)
{
    const unsigned char *protocol;
    unsigned len;

    SSL_get0_alpn_selected(s->ssl, &protocol, &len);
    return len > 0;
}

bool tls_peer_is_verified(const struct tls_stream *s)
{
    return SSL_get0_peer_certificate(s->ssl) != NULL &&
           SSL_get_verify_mode(s->ssl) != SSL_VERIFY_NONE &&
           SSL_get_verify_result(s->ssl) == X509_V_OK;
}

enum err tls_peer_name(const struct tls_stream *s, char *at, size_t room)
{
    const X509_NAME *subject;
    enum err err = ERR_NONE;
    uint8_t *name = NULL;
    int place, len;

    if (!tls_peer_is_verified(s))
        return ERR_NOT_FOUND;
    subject = X509_get_subject_name(SSL_get0_peer_certificate(s->ssl));
    place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (place < 0)
        return ERR_NOT_FOUND;
    len = ASN1_STRING_to_UTF8(&name, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)));
    ERR_clear_error();
    if (len <= 0)
        err = ERR_NOT_FOUND;
    else if ((size_t)len >= room)
        err = ERR_LIMIT;
    else if (memchr(name, 0, (size_t)len) != NULL)
        err = ERR_SYNTAX;
    else
        memcpy(at, name, (size_t)len + 1);
    if (len >= 0)
        OPENSSL_free(name);
    return err;
}

enum err tls_server_end_point(const struct tls_stream *s, uint8_t at[TLS_END_POINT_MOST],
                              size_t *len)
{
    X509 *certificate = s->context->side == TLS_ACCEPT ? SSL_get_certificate(s->ssl)
                                                       : SSL_get0_peer_certificate(s->ssl);
    int digest = NID_undef, key;
    const EVP_MD *md;
    unsigned digest_len;

    if (certificate == NULL)
        return ERR_NOT_FOUND;
    if (X509_get_signature_info(certificate, &digest, &key, NULL, NULL) != 1)
        digest = NID_undef;
    if (digest == NID_md5 || digest == NID_sha1)
        digest = NID_sha256; /* RFC 5929, section 4.1 */
    md = digest == NID_undef ? NULL : EVP_get_digestbynid(digest);
    if (md == NULL || EVP_MD_get_size(md) > TLS_END_POINT_MOST ||
        X509_digest(certificate, md, at, &digest_len) != 1) {
        ERR_clear_error();
        return ERR_UNSUPPORTED;
    }
    *len = digest_len;
    return ERR_NONE;
}

const char *tls_reason(const struct tls_stream *s)
{
    return s->reason;
}

const char *tls_describe(struct tls_stream *s)
{
    snprintf(s->description, sizeof(s->description), "%s %s", SSL_get_version(s->ssl),
             SSL_get_cipher_name(s->ssl));
    return s->description;
}

void tls_resume_fini(struct tls_resume *resume)
{
    forget(resume);
}
