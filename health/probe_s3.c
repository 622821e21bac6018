/* See probe_s3.h.  libcurl looks up no name: the URL has that of the certificate, connections go to
 * STANDIN, whose addresses it is given.  No proxies, no redirects, no files of the user's. */
#include "health/probe_s3.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/buf.h"
#include "proxy/base/clock.h"
#include "proxy/base/mem.h"

enum { HEAD_MOST = 64 * 1024 };

#define STANDIN "store.invalid"

struct probe_s3 {
    CURLM *multi; /* has the kept connection */
    CURL *easy;
    char error[CURL_ERROR_SIZE];
    size_t head_len;
    bool is_connected;
};

/* What one check hands to libcurl, which borrows it. */
struct target {
    struct curl_slist *resolve, *connect_to;
    struct buf url;
};

struct probe_s3 *probe_s3_new(void)
{
    struct probe_s3 *p = mem_new(sizeof(*p));

    p->multi = curl_multi_init();
    p->easy = curl_easy_init();
    if (p->multi == NULL || p->easy == NULL)
        probe_s3_free(&p);
    return p;
}

void probe_s3_free(struct probe_s3 **probe)
{
    struct probe_s3 *p = *probe;

    *probe = NULL;
    if (p == NULL)
        return;
    curl_easy_cleanup(p->easy);
    curl_multi_cleanup(p->multi);
    free(p);
}

/* ---- what libcurl calls ---- */

static size_t take_header(char *at, size_t size, size_t count, void *state)
{
    struct probe_s3 *p = state;

    (void)at;
    p->head_len += size * count;
    return p->head_len <= HEAD_MOST ? size * count : 0;
}

static size_t drop_body(char *at, size_t size, size_t count, void *state)
{
    (void)at;
    (void)state;
    return size * count;
}

static int note_connected(void *state, char *remote, char *local, int remote_port, int local_port)
{
    struct probe_s3 *p = state;

    (void)remote, (void)local, (void)remote_port, (void)local_port;
    p->is_connected = true;
    return CURL_PREREQFUNC_OK;
}

/* The authorities that the process's own connections trust where no file is named. */
static CURLcode trust_system(CURL *easy, void *ssl, void *state)
{
    (void)easy;
    (void)state;
    return SSL_CTX_set_default_verify_paths(ssl) == 1 ? CURLE_OK : CURLE_SSL_CACERT_BADFILE;
}

/* ---- the question ---- */

static void put_name(const char *name, struct buf *out)
{
    bool is_v6 = strchr(name, ':') != NULL && name[0] != '[';

    buf_format(out, is_v6 ? "[%s]" : "%s", name);
}

static struct curl_slist *take_list(struct buf *line)
{
    struct curl_slist *list;

    buf_put(line, "", 1);
    list = curl_slist_append(NULL, (const char *)line->at);
    buf_fini(line);
    return list;
}

static struct target target_of(const struct probe_s3_settings *s)
{
    const char *name = s->tls_name != NULL ? s->tls_name : s->host;
    struct target t = { 0 };
    struct buf line = { 0 };

    buf_format(&t.url, "%s://", s->tls ? "https" : "http");
    put_name(name != NULL ? name : "localhost", &t.url);
    if (s->unix_path == NULL)
        buf_format(&t.url, ":%u", s->port);
    buf_format(&t.url, "/%s", s->bucket != NULL ? s->bucket : "");
    buf_put(&t.url, "", 1);
    if (s->unix_path != NULL)
        return t;
    buf_format(&line, "::%s:%u", STANDIN, s->port);
    t.connect_to = take_list(&line);
    buf_format(&line, "%s:%u:", STANDIN, s->port);
    for (size_t i = 0; i < s->address_count; i++) {
        buf_text(&line, i > 0 ? "," : "");
        put_name(s->addresses[i], &line);
    }
    t.resolve = take_list(&line);
    return t;
}

static void target_fini(struct target *t)
{
    curl_slist_free_all(t->resolve);
    curl_slist_free_all(t->connect_to);
    buf_fini(&t->url);
}

static void set_tls(CURL *easy, const struct probe_s3_settings *s)
{
    curl_easy_setopt(easy, CURLOPT_SSLVERSION,
                     s->tls_1_3_only ? CURL_SSLVERSION_TLSv1_3 : CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, s->verify ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, s->verify ? 2L : 0L);
    curl_easy_setopt(easy, CURLOPT_CAINFO, s->ca_file);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    if (s->ca_file == NULL && s->verify)
        curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, trust_system);
    curl_easy_setopt(easy, CURLOPT_SSLCERT, s->cert_file);
    curl_easy_setopt(easy, CURLOPT_SSLKEY, s->key_file);
}

static void set_question(struct probe_s3 *p, const struct probe_s3_settings *s,
                         const struct target *t)
{
    CURL *easy = p->easy;

    curl_easy_reset(easy); /* all but the connection, which is the multi handle's */
    curl_easy_setopt(easy, CURLOPT_URL, (const char *)t->url.at);
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "sheaf/" SHEAF_VERSION);
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, s->unix_path);
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, t->connect_to);
    curl_easy_setopt(easy, CURLOPT_RESOLVE, t->resolve);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, p->error);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, p);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop_body);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, note_connected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, p);
    set_tls(easy, s);
}

/* ---- the answer ---- */

static CURLcode code_of(CURLM *multi)
{
    int left;
    const CURLMsg *message = curl_multi_info_read(multi, &left);

    return message != NULL ? message->data.result : CURLE_FAILED_INIT;
}

/* CURLE_OPERATION_TIMEDOUT: the deadline, or it was cancelled. */
static CURLcode carry_out(struct probe_s3 *p, int cancel_fd, uint64_t deadline_us)
{
    for (;;) {
        struct curl_waitfd cancel = { .fd = cancel_fd, .events = CURL_WAIT_POLLIN };
        uint64_t now_us = clock_now_us();
        uint64_t left_ms = deadline_us > now_us ? (deadline_us - now_us + 999) / 1000 : 0;
        int running = 0;

        if (curl_multi_perform(p->multi, &running) != CURLM_OK)
            return CURLE_FAILED_INIT;
        if (running == 0)
            return code_of(p->multi);
        if (left_ms == 0)
            return CURLE_OPERATION_TIMEDOUT;
        if (curl_multi_poll(p->multi, &cancel, cancel_fd > 0 ? 1 : 0,
                            left_ms > 1000000 ? 1000000 : (int)left_ms, NULL) != CURLM_OK)
            return CURLE_FAILED_INIT;
        if (cancel.revents != 0)
            return CURLE_OPERATION_TIMEDOUT;
    }
}

static enum health_reason reason_of(const struct probe_s3 *p, CURLcode code)
{
    switch ((int)code) {
    case CURLE_OPERATION_TIMEDOUT:
        return p->is_connected ? HEALTH_RESPONSE_TIMEOUT : HEALTH_CONNECT_TIMEOUT;
    case CURLE_COULDNT_CONNECT:
        return HEALTH_CONNECT_REFUSED;
    case CURLE_COULDNT_RESOLVE_HOST:
        return HEALTH_RESOLVE_FAILED;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return HEALTH_TLS_FAILED;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
        return HEALTH_CLOSED;
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9, that is: something else */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_WRITE_ERROR:
        return HEALTH_PROTOCOL_ERROR;
    default:
        return HEALTH_PROBE_FAILED;
    }
}

/* 501 and 505 are answers of one that works: it has no HEAD of this. */
static bool says_it_fails(long status)
{
    return status >= 500 && status != 501 && status != 505;
}

static void note_answer(const struct probe_s3 *p, struct probe_outcome *outcome)
{
    curl_off_t asked_us = 0, answered_us = 0;
    long status = 0;

    curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(p->easy, CURLINFO_PRETRANSFER_TIME_T, &asked_us);
    curl_easy_getinfo(p->easy, CURLINFO_STARTTRANSFER_TIME_T, &answered_us);
    outcome->connection_is_good = true;
    outcome->latency_us = answered_us > asked_us ? (uint64_t)(answered_us - asked_us) : 0;
    if (!says_it_fails(status))
        return;
    outcome->reason = HEALTH_PROBE_FAILED;
    snprintf(outcome->text, sizeof(outcome->text), "HTTP status %ld", status);
}

/* In words of libcurl, but for the name that it was given in the server's place. */
static void tell_error(const char *words, const char *host, struct probe_outcome *outcome)
{
    enum { MOST = sizeof(outcome->text) - 1 };
    const char *standin = host == NULL ? NULL : strstr(words, STANDIN);
    struct buf text = { 0 };

    if (standin == NULL)
        buf_text(&text, words);
    else
        buf_format(&text, "%.*s%s%s", (int)(standin - words), words, host,
                   standin + strlen(STANDIN));
    snprintf(outcome->text, sizeof(outcome->text), "%.*s", (int)(text.len < MOST ? text.len : MOST),
             (const char *)text.at);
    buf_fini(&text);
}

void probe_s3_check(struct probe_s3 *p, const struct probe_s3_settings *settings,
                    uint64_t deadline_us, struct probe_outcome *outcome)
{
    struct target target = target_of(settings);
    CURLcode code;

    *outcome = (struct probe_outcome){ .reason = HEALTH_FINE };
    p->head_len = 0;
    p->is_connected = false;
    p->error[0] = '\0';
    set_question(p, settings, &target);
    curl_multi_add_handle(p->multi, p->easy);
    code = carry_out(p, settings->cancel_fd, deadline_us);
    if (code == CURLE_OK) {
        note_answer(p, outcome);
    } else {
        outcome->reason = reason_of(p, code);
        if (code != CURLE_OPERATION_TIMEDOUT)
            tell_error(p->error[0] != '\0' ? p->error : curl_easy_strerror(code), settings->host,
                       outcome);
    }
    curl_multi_remove_handle(p->multi, p->easy); /* what is under way is closed */
    target_fini(&target);
}
