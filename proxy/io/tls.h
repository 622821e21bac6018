/* TLS over a descriptor that is there already and does not block.  No loop in here: each call does
 * what it can and says ERR_AGAIN when the descriptor must be waited for, for reading, or for
 * writing if tls_wants_write().
 *
 *     struct tls_options options = { .side = TLS_CONNECT, .ca_file = ca };
 *     TRY(tls_context_new(&options, &tls, &why));
 *     stream = tls_stream_new(tls, fd, "db.example.org", &resume);
 *     err = tls_handshake(stream);                      again and again while ERR_AGAIN
 *     err = tls_read(stream, at, sizeof(at), &got);
 *
 * TLS 1.2 or newer, no renegotiation.  On upstreams the server's certificate and name are verified
 * unless the options say otherwise.  A peer that is gone raises no SIGPIPE. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

struct tls_context;
struct tls_stream;

enum tls_side { TLS_ACCEPT, TLS_CONNECT };

enum { TLS_END_POINT_MOST = 64 };

struct tls_options {
    enum tls_side side;
    const char *cert_file; /* PEM, with its chain; required to accept */
    const char *key_file;  /* PEM; NULL: in cert_file */
    const char *ca_file;   /* whom to trust; NULL: to connect, the system's; to accept, nobody */
    const char *ciphers;   /* of TLS 1.2, OpenSSL's words; NULL: OpenSSL's choice */
    const char *protocol;  /* accepting: what is spoken, by ALPN's name; a peer that offers others
                            * alone is refused, one that offers none is not.  NULL: no ALPN */
    bool accept_anyone;    /* connecting: neither certificate nor name are verified */
    bool need_client_cert; /* accepting: the peer must show a certificate of ca_file */
    bool only_tls_1_3;     /* else 1.2 as well */
};

/* What an upstream may remember to save the next handshake to the same server; zero is empty.  It
 * belongs to one thread and outlives the streams that were given it. */
struct tls_resume {
    void *session;     /* owned, OpenSSL's */
    uint64_t made_for; /* the context's number: another one trusts others */
};

/* Reads all files at once, so later changes on disk matter only to the next context.  On failure
 * `why` has a sentence with the file's name appended.  A context may be used by all threads. */
MUST_CHECK enum err tls_context_new(const struct tls_options *options, struct tls_context **context,
                                    struct buf *why);
/* A line if its own certificate is not valid now. */
void tls_context_warn(const struct tls_context *context, struct buf *why);
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context **context);

/* The stream borrows the descriptor and keeps a reference of the context.  Connecting:
 * `server_name` is the host name or address literal of the endpoint, sent as SNI where it is a name
 * and checked against the certificate; it is copied.  `resume` may be NULL.  Accepting: both are
 * NULL. */
struct tls_stream *tls_stream_new(struct tls_context *context, int fd, const char *server_name,
                                  struct tls_resume *resume);
/* What was read from the descriptor before, when it was not known to be TLS: copied, comes first.
 * To be called before anything else. */
void tls_stream_begin_with(struct tls_stream *stream, struct slice bytes);
/* Closes nothing and says nothing to the peer: tls_shutdown() is for that, before. */
void tls_stream_free(struct tls_stream **stream);

/* ERR_NONE when done; ERR_AGAIN; ERR_CLOSED or ERR_TLS for good, see tls_reason(). */
MUST_CHECK enum err tls_handshake(struct tls_stream *stream);
/* ERR_NONE with *got > 0; ERR_AGAIN; ERR_CLOSED when the peer ended; ERR_TLS. */
MUST_CHECK enum err tls_read(struct tls_stream *stream, void *at, size_t len, size_t *got);
/* ERR_NONE with 0 < *put <= len; ERR_AGAIN: nothing was taken, come again with at least as many of
 * the same bytes, from any place in memory; ERR_CLOSED, after which what the peer has sent can
 * still be read; ERR_TLS. */
MUST_CHECK enum err tls_write(struct tls_stream *stream, const void *at, size_t len, size_t *put);
/* Tells the peer that no more bytes follow; ERR_AGAIN if that could not be sent yet.  It does not
 * wait for the peer's answer. */
MUST_CHECK enum err tls_shutdown(struct tls_stream *stream);

/* After ERR_AGAIN: does the call wait for room to write?  Else for bytes to read. */
bool tls_wants_write(const struct tls_stream *stream);
/* Are bytes decrypted already, of which the descriptor's readiness will not tell? */
bool tls_has_pending(const struct tls_stream *stream);
/* Did this handshake take up an earlier session? */
bool tls_was_resumed(const struct tls_stream *stream);
/* Did the peer offer the protocol that was to be spoken? */
bool tls_protocol_is_agreed(const struct tls_stream *stream);
/* Did the peer show a certificate, and is it one of those who are trusted? */
bool tls_peer_is_verified(const struct tls_stream *stream);
/* Its common name, in UTF-8 and terminated.  ERR_NOT_FOUND: there is no such certificate, or it has
 * no name; ERR_LIMIT: the name does not fit; ERR_SYNTAX: a zero byte is in it. */
MUST_CHECK enum err tls_peer_name(const struct tls_stream *stream, char *at, size_t room);
/* The hash of the accepting side's certificate by which both know that nobody is in between:
 * tls-server-end-point of RFC 5929, *len bytes.  ERR_NOT_FOUND: there is no certificate;
 * ERR_UNSUPPORTED: its signature has no hash that could be used. */
MUST_CHECK enum err tls_server_end_point(const struct tls_stream *stream,
                                         uint8_t at[TLS_END_POINT_MOST], size_t *len);
/* Why the last call failed, for a log line; lives as long as the stream. */
const char *tls_reason(const struct tls_stream *stream);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384", once the handshake is done. */
const char *tls_describe(struct tls_stream *stream);

void tls_resume_fini(struct tls_resume *resume);
