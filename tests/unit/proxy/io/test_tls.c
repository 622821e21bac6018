/* Two ends of a socket pair speak TLS with each other, with certificates that openssl(1) makes in a
 * folder of this test's own. */
#include "proxy/io/tls.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/check.h"

static char folder[] = "/tmp/sheaf-tls-XXXXXX";

static const char MAKE_CERTIFICATES[] =
    "exec >log 2>&1 && set -e\n"
    "openssl ecparam -name prime256v1 -out ec.param\n"
    "key() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; }\n"
    "sign() {\n" /* name, days, alternative names */
    "  key $1; openssl req -new -key $1.key -subj /CN=$1 -out $1.csr\n"
    "  echo \"subjectAltName=$3\" >$1.ext\n"
    "  openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days $2"
    " -extfile $1.ext -out $1.crt\n"
    "}\n"
    "key ca; openssl req -x509 -new -key ca.key -days 2 -subj '/CN=Test CA' -out ca.crt\n"
    "sign good 2 DNS:db.example.org,IP:10.1.2.3,IP:fd00::1\n"
    "sign expired -1 DNS:db.example.org\n"
    "sign client 2 DNS:client.example.org\n"
    "key alone; openssl req -x509 -new -key alone.key -days 2 -subj /CN=alone"
    " -addext subjectAltName=DNS:db.example.org -out alone.crt\n"
    "lone() {\n" /* name, what else openssl(1) is told: its hash beside it */
    "  name=$1; shift; openssl req -x509 -new -nodes -keyout $name.key -days 2 -out $name.crt $@\n"
    "}\n"
    "end_point() { openssl x509 -in $1.crt -outform DER | openssl dgst -$2 -binary >$1.hash; }\n"
    "lone sha1 -newkey rsa:2048 -sha1 -subj /CN=x; end_point sha1 sha256\n"
    "lone sha384 -newkey ec:ec.param -sha384 -subj /CN=x; end_point sha384 sha384\n"
    "lone sha512 -newkey rsa:2048 -sha512 -sigopt rsa_padding_mode:pss -subj /CN=x\n"
    "end_point sha512 sha512; end_point good sha256\n"
    "lone ed25519 -newkey ed25519 -subj /CN=x\n"
    "named() {\n" /* name, subject: a certificate of the CA's */
    "  key $1; openssl req -new -utf8 -key $1.key -subj \"$2\" -out $1.csr\n"
    "  openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out $1.crt\n"
    "}\n"
    "named named '/O=Some/CN=J\xc3\xb6rg M/CN=other'\n"
    "named nameless /O=Some\n"
    "openssl ec -in good.key -aes128 -passout pass:x -out locked.key\n"
    "echo rubbish >rubbish.crt\n";

/* What the two ends of one case have, and how it ended. */
struct scene {
    const char *cert;   /* the accepting end's, "good" if NULL */
    const char *client; /* the connecting end's certificate, NULL: none */
    const char *name;   /* that is expected */
    bool need_client_cert, accept_anyone, no_ca;
    struct tls_resume *resume;
    struct tls_context *near_context, *far_context; /* kept if set before */
    int fds[2];
    struct tls_stream *near, *far; /* connecting, accepting */
    enum err near_err, far_err;
};

static void contexts_begin(struct scene *s)
{
    const char *cert = s->cert != NULL ? s->cert : "good";
    struct buf why = { 0 };
    char file[4][32];

    snprintf(file[0], sizeof(file[0]), "%s.crt", cert);
    snprintf(file[1], sizeof(file[1]), "%s.key", cert);
    snprintf(file[2], sizeof(file[2]), "%s.crt", s->client != NULL ? s->client : "");
    snprintf(file[3], sizeof(file[3]), "%s.key", s->client != NULL ? s->client : "");
    CHECK_INT(tls_context_new(&(struct tls_options){ .side = TLS_ACCEPT,
                                                     .cert_file = file[0],
                                                     .key_file = file[1],
                                                     .ca_file = "ca.crt",
                                                     .need_client_cert = s->need_client_cert },
                              &s->far_context, &why),
              ERR_NONE);
    CHECK_INT(tls_context_new(&(struct tls_options){ .side = TLS_CONNECT,
                                                     .ca_file = s->no_ca ? NULL : "ca.crt",
                                                     .cert_file = s->client ? file[2] : NULL,
                                                     .key_file = s->client ? file[3] : NULL,
                                                     .accept_anyone = s->accept_anyone },
                              &s->near_context, &why),
              ERR_NONE);
    CHECK_BYTES(buf_all(&why), bytes(""));
    buf_fini(&why);
}

/* Makes both ends shake hands until each has an outcome. */
static void shake(struct scene *s)
{
    s->near_err = s->far_err = ERR_AGAIN;
    for (int i = 0; i < 50 && (s->near_err == ERR_AGAIN || s->far_err == ERR_AGAIN); i++) {
        if (s->near_err == ERR_AGAIN)
            s->near_err = tls_handshake(s->near);
        if (s->far_err == ERR_AGAIN)
            s->far_err = tls_handshake(s->far);
        /* Who gave up hangs up, as its owner would. */
        if (s->near_err != ERR_AGAIN && s->near_err != ERR_NONE)
            shutdown(s->fds[0], SHUT_WR);
        if (s->far_err != ERR_AGAIN && s->far_err != ERR_NONE)
            shutdown(s->fds[1], SHUT_WR);
    }
}

static void begin(struct scene *s)
{
    if (s->near_context == NULL)
        contexts_begin(s);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s->fds), 0);
    s->near = tls_stream_new(s->near_context, s->fds[0], s->name, s->resume);
    s->far = tls_stream_new(s->far_context, s->fds[1], NULL, NULL);
    shake(s);
}

static void hang_up(struct scene *s)
{
    tls_stream_free(&s->near);
    tls_stream_free(&s->far);
    close(s->fds[0]);
    close(s->fds[1]);
}

static void end(struct scene *s)
{
    hang_up(s);
    tls_context_unref(&s->near_context);
    tls_context_unref(&s->far_context);
}

static void expect_refusal(struct scene s, const char *reason)
{
    begin(&s);
    CHECK_INT(s.near_err, ERR_TLS);
    CHECK_TEXT(tls_reason(s.near), reason);
    CHECK(s.far_err == ERR_TLS || s.far_err == ERR_CLOSED);
    CHECK_INT(tls_handshake(s.near), ERR_TLS); /* for good */
    end(&s);
}

static void expect_success(struct scene s)
{
    char got[16];
    size_t len = 0;

    begin(&s);
    CHECK_INT(s.near_err, ERR_NONE);
    CHECK_INT(s.far_err, ERR_NONE);
    CHECK_INT(tls_write(s.near, "ping", 4, &len), ERR_NONE);
    CHECK_INT(len, 4);
    CHECK_INT(tls_read(s.far, got, sizeof(got), &len), ERR_NONE);
    CHECK_BYTES(slice_of(got, len), bytes("ping"));
    CHECK_INT(tls_read(s.far, got, sizeof(got), &len), ERR_AGAIN);
    CHECK(!tls_wants_write(s.far));
    CHECK_TEXT(tls_describe(s.near), "TLSv1.3 TLS_AES_256_GCM_SHA384");
    end(&s);
}

static void a_good_chain_and_name_are_accepted(void)
{
    expect_success((struct scene){ .name = "db.example.org" });
    expect_success((struct scene){ .name = "DB.Example.org" });
    expect_success((struct scene){ .name = "10.1.2.3" });
    expect_success((struct scene){ .name = "fd00::1" });
}

static void another_name_or_address_is_refused(void)
{
    expect_refusal((struct scene){ .name = "db2.example.org" },
                   "the peer's certificate is refused: hostname mismatch");
    expect_refusal((struct scene){ .name = "10.1.2.4" },
                   "the peer's certificate is refused: IP address mismatch");
}

static void no_name_to_check_is_refused(void)
{
    expect_refusal((struct scene){ 0 }, "no server name to verify the certificate by");
}

static void an_expired_certificate_is_refused(void)
{
    expect_refusal((struct scene){ .cert = "expired", .name = "db.example.org" },
                   "the peer's certificate is refused: certificate has expired");
}

static void a_certificate_of_unknown_origin_is_refused(void)
{
    expect_refusal((struct scene){ .cert = "alone", .name = "db.example.org" },
                   "the peer's certificate is refused: self-signed certificate");
    expect_refusal(
        (struct scene){ .name = "db.example.org", .no_ca = true },
        "the peer's certificate is refused: self-signed certificate in certificate chain");
}

static void anyone_is_accepted_if_the_options_say_so(void)
{
    expect_success((struct scene){ .cert = "alone", .name = "else.org", .accept_anyone = true });
    expect_success((struct scene){ .cert = "expired", .accept_anyone = true });
}

static void a_client_certificate_is_demanded(void)
{
    struct scene s = { .name = "db.example.org", .need_client_cert = true };
    struct scene stranger = { .name = "db.example.org",
                              .client = "alone",
                              .need_client_cert = true };
    char got[8];
    size_t len;

    expect_success(
        (struct scene){ .name = "db.example.org", .client = "client", .need_client_cert = true });
    begin(&s);
    CHECK_INT(s.far_err, ERR_TLS);
    CHECK_TEXT(tls_reason(s.far), "peer did not return a certificate");
    /* In TLS 1.3 the connecting end learns of it when it reads. */
    CHECK_INT(s.near_err, ERR_NONE);
    CHECK_INT(tls_read(s.near, got, sizeof(got), &len), ERR_TLS);
    CHECK_TEXT(tls_reason(s.near), "tlsv13 alert certificate required");
    end(&s);

    begin(&stranger);
    CHECK_INT(stranger.far_err, ERR_TLS);
    CHECK_TEXT(tls_reason(stranger.far),
               "the peer's certificate is refused: self-signed certificate");
    end(&stranger);
}

static void expect_end_point(const char *cert)
{
    struct scene s = { .cert = cert, .name = "db.example.org", .accept_anyone = true };
    uint8_t near[TLS_END_POINT_MOST], far[TLS_END_POINT_MOST], expected[TLS_END_POINT_MOST];
    size_t near_len = 0, far_len = 0, len;
    char file[32];
    FILE *hash;

    snprintf(file, sizeof(file), "%s.hash", cert);
    hash = fopen(file, "rb");
    CHECK(hash != NULL);
    len = fread(expected, 1, sizeof(expected), hash);
    fclose(hash);
    begin(&s);
    CHECK_INT(s.near_err, ERR_NONE);
    CHECK_INT(tls_server_end_point(s.near, near, &near_len), ERR_NONE);
    CHECK_INT(tls_server_end_point(s.far, far, &far_len), ERR_NONE);
    CHECK_BYTES(slice_of(near, near_len), slice_of(expected, len));
    CHECK_BYTES(slice_of(far, far_len), slice_of(expected, len));
    CHECK(len >= 32);
    end(&s);
}

static void both_ends_have_the_same_hash_of_the_certificate(void)
{
    expect_end_point("good");
    expect_end_point("sha1");
    expect_end_point("sha384");
    expect_end_point("sha512");
}

static void a_signature_without_a_hash_and_no_certificate_bind_nothing(void)
{
    struct scene s = { .cert = "ed25519", .name = "x", .accept_anyone = true };
    uint8_t at[TLS_END_POINT_MOST];
    struct tls_stream *fresh;
    size_t len = 7;

    begin(&s);
    CHECK_INT(s.near_err, ERR_NONE);
    CHECK_INT(tls_server_end_point(s.near, at, &len), ERR_UNSUPPORTED);
    CHECK_INT(tls_server_end_point(s.far, at, &len), ERR_UNSUPPORTED);
    fresh = tls_stream_new(s.near_context, s.fds[0], "x", NULL); /* no handshake yet */
    CHECK_INT(tls_server_end_point(fresh, at, &len), ERR_NOT_FOUND);
    CHECK_INT(len, 7);
    tls_stream_free(&fresh);
    end(&s);
}

static void the_name_of_a_verified_client_is_known(void)
{
    struct tls_resume resume = { 0 };
    struct scene s = { .name = "db.example.org", .client = "named", .resume = &resume };
    char name[16] = "?", got[4];
    size_t len;

    /* Also of one who comes again, and shows nothing then. */
    for (int i = 0; i < 2; i++) {
        begin(&s);
        CHECK_INT(s.far_err, ERR_NONE);
        CHECK_INT(tls_was_resumed(s.far), i);
        CHECK(tls_peer_is_verified(s.far));
        CHECK_INT(tls_peer_name(s.far, name, sizeof(name)), ERR_NONE);
        CHECK_TEXT(name, "J\xc3\xb6rg M");
        CHECK_INT(tls_peer_name(s.far, name, 7), ERR_LIMIT);
        CHECK_INT(tls_peer_name(s.far, name, 8), ERR_NONE);
        CHECK_INT(tls_peer_name(s.near, name, sizeof(name)), ERR_NONE);
        CHECK_TEXT(name, "good");
        CHECK_INT(tls_read(s.near, got, sizeof(got), &len), ERR_AGAIN); /* the ticket comes */
        hang_up(&s);
    }
    tls_context_unref(&s.near_context);
    tls_context_unref(&s.far_context);
    tls_resume_fini(&resume);
}

static void who_shows_no_certificate_or_none_with_a_name_has_none(void)
{
    struct scene silent = { .name = "db.example.org" };
    struct scene nameless = { .name = "db.example.org", .client = "nameless" };
    struct scene anyone = { .name = "db.example.org", .accept_anyone = true };
    char name[16];

    begin(&silent);
    CHECK(!tls_peer_is_verified(silent.far));
    CHECK_INT(tls_peer_name(silent.far, name, sizeof(name)), ERR_NOT_FOUND);
    end(&silent);
    begin(&nameless);
    CHECK(tls_peer_is_verified(nameless.far));
    CHECK_INT(tls_peer_name(nameless.far, name, sizeof(name)), ERR_NOT_FOUND);
    end(&nameless);
    begin(&anyone);
    CHECK(!tls_peer_is_verified(anyone.near));
    CHECK_INT(tls_peer_name(anyone.near, name, sizeof(name)), ERR_NOT_FOUND);
    end(&anyone);
}

static void a_large_write_is_taken_in_parts_from_anywhere(void)
{
    enum { TOTAL = 3 * 1024 * 1024 };
    struct scene s = { .name = "db.example.org" };
    unsigned char *sent = malloc(TOTAL), *moved = malloc(TOTAL), *read = malloc(TOTAL);
    size_t put = 0, got = 0, step = 0;
    unsigned stalls = 0;

    for (size_t i = 0; i < TOTAL; i++)
        sent[i] = (unsigned char)(i * 31 >> 3);
    begin(&s);
    while (got < TOTAL && stalls < 10000) {
        enum err err = ERR_NONE;

        while (put < TOTAL && err == ERR_NONE) {
            /* Each time from another place, as from a buffer that grew. */
            memcpy(moved + (stalls & 1), sent + put, TOTAL - put - 1);
            err = put < TOTAL - 1 ? tls_write(s.near, moved + (stalls & 1), TOTAL - put - 1, &step)
                                  : tls_write(s.near, sent + put, 1, &step);
            if (err == ERR_NONE)
                put += step;
        }
        if (put < TOTAL) {
            CHECK_INT(err, ERR_AGAIN);
            CHECK(tls_wants_write(s.near));
            stalls++;
        }
        while (tls_read(s.far, read + got, TOTAL - got, &step) == ERR_NONE) {
            CHECK(step > 0);
            got += step;
            if (got == TOTAL)
                break;
        }
    }
    CHECK(stalls > 1);
    CHECK_INT(got, TOTAL);
    CHECK(memcmp(sent, read, TOTAL) == 0);
    end(&s);
    free(sent);
    free(moved);
    free(read);
}

static void what_is_decrypted_already_is_pending(void)
{
    struct scene s = { .name = "db.example.org" };
    char got[4];
    size_t len;

    begin(&s);
    CHECK(!tls_has_pending(s.far));
    CHECK_INT(tls_write(s.near, "abcdef", 6, &len), ERR_NONE);
    CHECK_INT(tls_write(s.near, "gh", 2, &len), ERR_NONE);
    CHECK_INT(tls_read(s.far, got, 4, &len), ERR_NONE);
    CHECK(tls_has_pending(s.far)); /* the rest of the record */
    CHECK_INT(tls_read(s.far, got, 4, &len), ERR_NONE);
    CHECK_INT(len, 2);
    CHECK(tls_has_pending(s.far)); /* the record read ahead */
    CHECK_INT(tls_read(s.far, got, 4, &len), ERR_NONE);
    CHECK_INT(len, 2);
    CHECK(!tls_has_pending(s.far));
    end(&s);
}

/* Passes the bytes of one whole record, but for its last, to the far end. */
static void half_a_record_is_not_pending(void)
{
    struct scene s = { .name = "db.example.org" };
    int relay[2];
    char record[256], got[8];
    size_t len;
    ssize_t size;

    begin(&s);
    CHECK_INT(tls_write(s.near, "abc", 3, &len), ERR_NONE);
    size = recv(s.fds[1], record, sizeof(record), 0);
    CHECK(size > 3);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, relay), 0);
    CHECK(dup2(relay[1], s.fds[1]) == s.fds[1]);
    CHECK_INT(send(relay[0], record, (size_t)size - 1, 0), size - 1);
    CHECK_INT(tls_read(s.far, got, sizeof(got), &len), ERR_AGAIN);
    CHECK(!tls_has_pending(s.far));
    CHECK_INT(send(relay[0], record + size - 1, 1, 0), 1);
    CHECK_INT(tls_read(s.far, got, sizeof(got), &len), ERR_NONE);
    CHECK_BYTES(slice_of(got, len), bytes("abc"));
    close(relay[0]);
    close(relay[1]);
    end(&s);
}

static void a_farewell_ends_reading(void)
{
    struct scene s = { .name = "db.example.org" };
    char got[4];
    size_t len;

    begin(&s);
    CHECK_INT(tls_shutdown(s.near), ERR_NONE);
    CHECK_INT(tls_read(s.far, got, sizeof(got), &len), ERR_CLOSED);
    end(&s);
}

static void a_peer_that_vanished_is_told_without_a_signal(void)
{
    struct scene s = { .name = "db.example.org" };
    char got[4];
    size_t len;

    begin(&s);
    close(s.fds[1]);
    CHECK_INT(tls_write(s.near, "abc", 3, &len), ERR_CLOSED);
    CHECK_TEXT(tls_reason(s.near), "Broken pipe");
    CHECK_INT(tls_write(s.near, "abc", 3, &len), ERR_CLOSED);
    s.fds[1] = dup(s.fds[0]);
    end(&s);

    s = (struct scene){ .name = "db.example.org" };
    begin(&s);
    shutdown(s.fds[0], SHUT_WR); /* no farewell */
    CHECK_INT(tls_read(s.far, got, sizeof(got), &len), ERR_CLOSED);
    end(&s);
}

static void what_a_peer_said_before_it_vanished_is_read_after_a_failed_write(void)
{
    struct scene s = { .name = "db.example.org" };
    char got[4];
    size_t len;

    begin(&s);
    CHECK_INT(tls_write(s.far, "bye", 3, &len), ERR_NONE);
    close(s.fds[1]);
    CHECK_INT(tls_write(s.near, "abc", 3, &len), ERR_CLOSED);
    CHECK_INT(tls_read(s.near, got, sizeof(got), &len), ERR_NONE);
    CHECK_BYTES(slice_of(got, len), bytes("bye"));
    CHECK_INT(tls_read(s.near, got, sizeof(got), &len), ERR_CLOSED);
    CHECK_INT(tls_write(s.near, "abc", 3, &len), ERR_CLOSED);
    s.fds[1] = dup(s.fds[0]);
    end(&s);
}

/* Of TLS 1.3 the connecting end is done before its certificate is judged. */
static void a_refusal_after_the_handshake_is_read_after_a_failed_write(void)
{
    struct scene s = { .name = "db.example.org", .need_client_cert = true };
    char got[4];
    size_t len;

    begin(&s);
    CHECK_INT(s.near_err, ERR_NONE);
    CHECK_INT(s.far_err, ERR_TLS);
    close(s.fds[1]);
    CHECK_INT(tls_write(s.near, "abc", 3, &len), ERR_CLOSED);
    CHECK_INT(tls_read(s.near, got, sizeof(got), &len), ERR_TLS);
    CHECK_TEXT(tls_reason(s.near), "tlsv13 alert certificate required");
    s.fds[1] = dup(s.fds[0]);
    end(&s);
}

static void a_peer_that_speaks_no_tls_is_told(void)
{
    struct scene s = { .name = "db.example.org" };
    int fds[2];
    struct tls_stream *far;

    contexts_begin(&s);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    far = tls_stream_new(s.far_context, fds[1], NULL, NULL);
    CHECK_INT(tls_handshake(far), ERR_AGAIN);
    CHECK_INT(send(fds[0], "*1\r\n$4\r\nPING\r\n", 14, 0), 14);
    CHECK_INT(tls_handshake(far), ERR_TLS);
    CHECK_TEXT(tls_reason(far), "wrong version number");
    tls_stream_free(&far);
    far = tls_stream_new(s.far_context, fds[1], NULL, NULL);
    shutdown(fds[0], SHUT_WR);
    while (recv(fds[1], &(char){ 0 }, 1, 0) > 0)
        ;
    CHECK_INT(tls_handshake(far), ERR_CLOSED);
    tls_stream_free(&far);
    close(fds[0]);
    close(fds[1]);
    tls_context_unref(&s.near_context);
    tls_context_unref(&s.far_context);
}

static void the_second_handshake_resumes_the_first_but_not_for_another_context(void)
{
    struct tls_resume resume = { 0 };
    struct scene s = { .name = "db.example.org", .resume = &resume }, other = s;
    char got[4];
    size_t len;

    for (int i = 0; i < 3; i++) {
        begin(&s);
        CHECK_INT(s.near_err, ERR_NONE);
        CHECK_INT(tls_was_resumed(s.near), i > 0);
        CHECK_INT(tls_read(s.near, got, sizeof(got), &len), ERR_AGAIN); /* the ticket comes */
        CHECK(resume.session != NULL);
        hang_up(&s);
    }
    begin(&other);
    CHECK_INT(other.near_err, ERR_NONE);
    CHECK(!tls_was_resumed(other.near));
    end(&other);
    tls_context_unref(&s.near_context);
    tls_context_unref(&s.far_context);
    tls_resume_fini(&resume);
    CHECK(resume.session == NULL);
}

static void expect_bad_files(struct tls_options options, const char *expected)
{
    struct tls_context *context = NULL;
    struct buf why = { 0 };

    CHECK(tls_context_new(&options, &context, &why) == ERR_CONFIG);
    CHECK(context == NULL);
    CHECK_BYTES(buf_all(&why), slice_text(expected));
    tls_context_unref(&context);
    buf_fini(&why);
}

static void files_that_do_not_serve_are_named(void)
{
    expect_bad_files((struct tls_options){ .side = TLS_ACCEPT, .cert_file = "none.crt" },
                     "cannot use certificate none.crt: No such file or directory");
    expect_bad_files((struct tls_options){ .side = TLS_ACCEPT, .cert_file = "rubbish.crt" },
                     "cannot use certificate rubbish.crt: no start line");
    expect_bad_files((struct tls_options){ .side = TLS_ACCEPT,
                                           .cert_file = "good.crt",
                                           .key_file = "client.key" },
                     "cannot use key client.key: key values mismatch");
    expect_bad_files((struct tls_options){ .side = TLS_ACCEPT,
                                           .cert_file = "good.crt",
                                           .key_file = "locked.key" },
                     "cannot use key locked.key: it needs a pass phrase");
    expect_bad_files((struct tls_options){ .side = TLS_CONNECT, .ca_file = "none.crt" },
                     "cannot use CA file none.crt: No such file or directory");
    expect_bad_files((struct tls_options){ .side = TLS_ACCEPT }, "a certificate is needed");
    expect_bad_files((struct tls_options){ .side = TLS_ACCEPT,
                                           .cert_file = "good.crt",
                                           .key_file = "good.key",
                                           .need_client_cert = true },
                     "a CA file is needed to verify client certificates");
}

int main(void)
{
    if (mkdtemp(folder) == NULL || chdir(folder) != 0 || system(MAKE_CERTIFICATES) != 0) {
        printf("no certificates: see %s/log\n", folder);
        return 1;
    }
    RUN(a_good_chain_and_name_are_accepted);
    RUN(another_name_or_address_is_refused);
    RUN(no_name_to_check_is_refused);
    RUN(an_expired_certificate_is_refused);
    RUN(a_certificate_of_unknown_origin_is_refused);
    RUN(anyone_is_accepted_if_the_options_say_so);
    RUN(a_client_certificate_is_demanded);
    RUN(both_ends_have_the_same_hash_of_the_certificate);
    RUN(a_signature_without_a_hash_and_no_certificate_bind_nothing);
    RUN(the_name_of_a_verified_client_is_known);
    RUN(who_shows_no_certificate_or_none_with_a_name_has_none);
    RUN(a_large_write_is_taken_in_parts_from_anywhere);
    RUN(what_is_decrypted_already_is_pending);
    RUN(half_a_record_is_not_pending);
    RUN(a_farewell_ends_reading);
    RUN(a_peer_that_vanished_is_told_without_a_signal);
    RUN(what_a_peer_said_before_it_vanished_is_read_after_a_failed_write);
    RUN(a_refusal_after_the_handshake_is_read_after_a_failed_write);
    RUN(a_peer_that_speaks_no_tls_is_told);
    RUN(the_second_handshake_resumes_the_first_but_not_for_another_context);
    RUN(files_that_do_not_serve_are_named);
    CHECK_INT(system("rm -r \"$PWD\""), 0);
    return check_report();
}
