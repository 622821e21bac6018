/* See steward_keys_fetch.h.  No proxies, no redirects, no files of the user's: keys go to nobody
 * else. */
#include "proxy/steward_keys_fetch.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/base/mem.h"
#include "proxy/steward_keys_answer.h"

enum {
    CONNECT_MS = 2000,
    WHOLE_MS = 10 * 1000,
    SESSION_MS = 2000, /* what begins one may be lost on its way: see begin_session() */
    URL_MOST = 2048,
    SECRET_MOST = 64 * 1024, /* a token of a file */
};

#define ROLES "/latest/meta-data/iam/security-credentials/"

enum keys_service { KEYS_OF_INSTANCE, KEYS_OF_CONTAINER, KEYS_OF_WEB_IDENTITY };

struct keys_fetch {
    CURLM *multi;
    CURL *easy;
    atomic_bool is_cancelled;
    enum keys_service service;
    char url[URL_MOST];  /* the instance's: without its path */
    bool only_v2;        /* of the instance */
    const char *refusal; /* what is wrong with the environment; NULL: nothing */
    const char *token, *token_file, *role, *session; /* borrowed: of the environment */
    char error[CURL_ERROR_SIZE];
};

/* ---- the environment ---- */

/* NULL, if it is empty. */
static const char *variable(const char *name)
{
    /* Nothing sets it once threads run.  NOLINTNEXTLINE(concurrency-mt-unsafe) */
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

static void set_url(struct keys_fetch *f, const char *start, const char *end)
{
    if (snprintf(f->url, sizeof(f->url), "%s%s", start, end) >= (int)sizeof(f->url))
        f->refusal = "the URL in the environment is too long";
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

/* Keys may come without TLS from where nobody else listens: AWS's tools have the same list. */
static bool is_near(const char *url)
{
    static const char *const NEAR[] = { "localhost",      "[::1]",          "169.254.170.2",
                                        "169.254.170.23", "[fd00:ec2::23]", NULL };
    CURLU *parsed = curl_url();
    char *scheme = NULL, *host = NULL;
    bool is_near = false;

    if (curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        is_near =
            strcmp(scheme, "https") == 0 || strncmp(host, "127.", 4) == 0 || is_one_of(host, NEAR);
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(parsed);
    return is_near;
}

static bool take_container(struct keys_fetch *f)
{
    const char *relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
               *full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");

    if (relative == NULL && full == NULL)
        return false;
    f->service = KEYS_OF_CONTAINER;
    f->token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    f->token_file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    if (relative != NULL)
        set_url(f, "http://169.254.170.2", relative);
    else
        set_url(f, full, "");
    if (!is_near(f->url))
        f->refusal = "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or of this machine";
    return true;
}

static void set_sts_url(struct keys_fetch *f)
{
    const char *region = variable("AWS_REGION"), *url = variable("AWS_ENDPOINT_URL_STS");
    char host[256];

    if (region == NULL)
        region = variable("AWS_DEFAULT_REGION");
    snprintf(host, sizeof(host), "https://sts.%s%samazonaws.com/", region != NULL ? region : "",
             region != NULL ? "." : "");
    set_url(f, url != NULL ? url : host, "");
}

static bool take_web_identity(struct keys_fetch *f)
{
    f->token_file = variable("AWS_WEB_IDENTITY_TOKEN_FILE");
    f->role = variable("AWS_ROLE_ARN");
    f->session = variable("AWS_ROLE_SESSION_NAME");
    if (f->token_file == NULL || f->role == NULL)
        return false;
    f->service = KEYS_OF_WEB_IDENTITY;
    set_sts_url(f);
    return true;
}

static void take_instance(struct keys_fetch *f)
{
    const char *url = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
               *mode = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"),
               *disabled = variable("AWS_EC2_METADATA_DISABLED"),
               *only_v2 = variable("AWS_EC2_METADATA_V1_DISABLED");
    bool is_v6 = mode != NULL && strcasecmp(mode, "ipv6") == 0;

    f->service = KEYS_OF_INSTANCE;
    f->only_v2 = only_v2 != NULL && strcasecmp(only_v2, "true") == 0;
    if (disabled != NULL && strcasecmp(disabled, "true") == 0)
        f->refusal = "AWS_EC2_METADATA_DISABLED forbids to ask it";
    if (url == NULL)
        url = is_v6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
    set_url(f, url, "");
    while (f->url[0] != '\0' && f->url[strlen(f->url) - 1] == '/')
        f->url[strlen(f->url) - 1] = '\0';
}

struct keys_fetch *keys_fetch_new(void)
{
    struct keys_fetch *f = mem_new(sizeof(*f));

    f->multi = curl_multi_init();
    f->easy = curl_easy_init();
    if (f->multi == NULL || f->easy == NULL) {
        keys_fetch_free(&f);
        return NULL;
    }
    if (!take_web_identity(f) && !take_container(f))
        take_instance(f);
    return f;
}

void keys_fetch_free(struct keys_fetch **where)
{
    struct keys_fetch *f = *where;

    *where = NULL;
    if (f == NULL)
        return;
    curl_easy_cleanup(f->easy);
    curl_multi_cleanup(f->multi);
    free(f);
}

const char *keys_fetch_name(const struct keys_fetch *f)
{
    return f->url;
}

void keys_fetch_cancel(struct keys_fetch *f)
{
    atomic_store(&f->is_cancelled, true);
    curl_multi_wakeup(f->multi);
}

/* ---- a question ---- */

struct question {
    const char *path; /* behind the URL; "" for none */
    const char *method;
    const char *body;           /* NULL: none */
    long whole_ms;              /* 0: as all others */
    struct curl_slist *headers; /* owned */
    struct buf answer;
    long status;
};

static void question_fini(struct question *q)
{
    if (q->answer.len > 0)
        explicit_bzero(q->answer.at, q->answer.len);
    buf_fini(&q->answer);
    curl_slist_free_all(q->headers);
}

static size_t take_body(char *at, size_t size, size_t count, void *state)
{
    struct question *q = state;

    if (q->answer.len + size * count > KEYS_ANSWER_MOST)
        return 0;
    buf_put(&q->answer, at, size * count);
    return size * count;
}

static CURLcode trust_system(CURL *easy, void *ssl, void *state)
{
    (void)easy;
    (void)state;
    return SSL_CTX_set_default_verify_paths(ssl) == 1 ? CURLE_OK : CURLE_SSL_CACERT_BADFILE;
}

static void set_question(struct keys_fetch *f, struct question *q, const char *url)
{
    CURL *easy = f->easy;

    curl_easy_reset(easy);
    f->error[0] = '\0';
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "sheaf/" SHEAF_VERSION);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, f->error);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, q->whole_ms != 0 ? q->whole_ms : (long)WHOLE_MS);
    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, trust_system);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, q);
    if (q->body != NULL)
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, q->body);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, q->headers);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, q->method);
}

/* CURLE_ABORTED_BY_CALLBACK: cancelled. */
static CURLcode carry_out(struct keys_fetch *f)
{
    const CURLMsg *message;
    int running = 1, left;

    while (running > 0) {
        if (atomic_load(&f->is_cancelled))
            return CURLE_ABORTED_BY_CALLBACK;
        if (curl_multi_perform(f->multi, &running) != CURLM_OK)
            return CURLE_FAILED_INIT;
        if (running > 0)
            curl_multi_poll(f->multi, NULL, 0, WHOLE_MS, NULL);
    }
    message = curl_multi_info_read(f->multi, &left);
    return message != NULL ? message->data.result : CURLE_FAILED_INIT;
}

/* Whatever the status is. */
static enum err ask(struct keys_fetch *f, struct question *q, struct buf *why)
{
    struct buf url = { 0 };
    CURLcode code;

    buf_format(&url, "%s%s", f->url, q->path);
    buf_put(&url, "", 1);
    set_question(f, q, (const char *)url.at);
    code = curl_multi_add_handle(f->multi, f->easy) == CURLM_OK ? carry_out(f) : CURLE_FAILED_INIT;
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &q->status);
    curl_multi_remove_handle(f->multi, f->easy);
    buf_fini(&url);
    if (code == CURLE_OK)
        return ERR_NONE;
    buf_text(why, f->error[0] != '\0' ? f->error : curl_easy_strerror(code));
    return code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_CONNECT;
}

static void add_header(struct question *q, const char *name, struct slice value)
{
    struct buf line = { 0 };

    buf_format(&line, "%s: %.*s", name, (int)value.len, (const char *)value.at);
    buf_put(&line, "", 1);
    q->headers = curl_slist_append(q->headers, (const char *)line.at);
    explicit_bzero(line.at, line.len);
    buf_fini(&line);
}

/* Without what ends a line; what could not stand in a head is refused. */
static bool first_line(struct slice text, struct slice *line)
{
    *line = text;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '\r' || text.at[i] == '\n') {
            line->len = i;
            break;
        }
        if (text.at[i] <= ' ' || text.at[i] >= 0x7f)
            return false;
    }
    return line->len > 0;
}

static enum err read_token(const char *file, struct buf *out, struct buf *why)
{
    FILE *in = fopen(file, "re");
    size_t got = in == NULL ? 0 : fread(buf_reserve(out, SECRET_MOST), 1, SECRET_MOST, in);
    struct slice line;

    if (in != NULL)
        (void)fclose(in);
    buf_grow(out, got);
    if (got > 0 && got < SECRET_MOST && first_line(buf_all(out), &line)) {
        out->len = line.len;
        return ERR_NONE;
    }
    buf_format(why, "%s: no token can be read from it", file);
    return ERR_SYSTEM;
}

/* ---- the instance ---- */

static enum err bad_status(const struct question *q, struct buf *why)
{
    buf_format(why, "it answers %ld to %s %s", q->status, q->method, q->path);
    return ERR_LOGIN;
}

/* A session of IMDSv2; those who know v1 only have no such thing.  Who is in a container hears
 * nothing where the answer may make one hop only, as is usual, and v1 answers him. */
static enum err begin_session(struct keys_fetch *f, struct buf *session, struct buf *why)
{
    struct question q = { .path = "/latest/api/token", .method = "PUT", .whole_ms = SESSION_MS };
    struct slice token;
    enum err err;

    add_header(&q, "X-aws-ec2-metadata-token-ttl-seconds", slice_text("21600"));
    err = ask(f, &q, why);
    if (err == ERR_NONE && q.status == 200 && first_line(buf_all(&q.answer), &token))
        buf_slice(session, token);
    else if (err == ERR_NONE &&
             (f->only_v2 || (q.status != 403 && q.status != 404 && q.status != 405)))
        err = bad_status(&q, why);
    if (err == ERR_TIMEOUT && !f->only_v2) {
        buf_clear(why);
        err = ERR_NONE;
    }
    question_fini(&q);
    return err;
}

/* `path` is what is asked for; the answer is put to `out`. */
static enum err ask_instance_for(struct keys_fetch *f, const char *path, const struct buf *session,
                                 struct buf *out, struct buf *why)
{
    struct question q = { .path = path, .method = "GET" };
    enum err err;

    if (session->len > 0)
        add_header(&q, "X-aws-ec2-metadata-token", buf_all(session));
    err = ask(f, &q, why);
    if (err == ERR_NONE && q.status != 200) {
        err = bad_status(&q, why);
        if (q.status == 404)
            buf_text(why, ": has the instance a role?");
    }
    if (err == ERR_NONE)
        buf_slice(out, buf_all(&q.answer));
    question_fini(&q);
    return err;
}

static enum err path_of_role(struct slice roles, struct buf *path, struct buf *why)
{
    struct slice role;

    if (!first_line(roles, &role) || role.len > 256 || memchr(role.at, '/', role.len) != NULL) {
        buf_text(why, "it names no role");
        return ERR_SYNTAX;
    }
    buf_format(path, ROLES "%.*s", (int)role.len, (const char *)role.at);
    buf_put(path, "", 1);
    return ERR_NONE;
}

static enum err ask_instance(struct keys_fetch *f, struct aws_keys *keys, int64_t *ends_s,
                             struct buf *why)
{
    struct buf session = { 0 }, roles = { 0 }, path = { 0 }, answer = { 0 };
    enum err err = begin_session(f, &session, why);

    if (err == ERR_NONE)
        err = ask_instance_for(f, ROLES, &session, &roles, why);
    if (err == ERR_NONE)
        err = path_of_role(buf_all(&roles), &path, why);
    if (err == ERR_NONE)
        err = ask_instance_for(f, (const char *)path.at, &session, &answer, why);
    if (err == ERR_NONE)
        err = keys_answer_json(buf_all(&answer), keys, ends_s, why);
    if (answer.len > 0)
        explicit_bzero(answer.at, answer.len);
    buf_fini(&session);
    buf_fini(&roles);
    buf_fini(&path);
    buf_fini(&answer);
    return err;
}

/* ---- the others ---- */

static enum err ask_container(struct keys_fetch *f, struct aws_keys *keys, int64_t *ends_s,
                              struct buf *why)
{
    struct question q = { .path = "", .method = "GET" };
    struct buf token = { 0 };
    struct slice said = f->token != NULL ? slice_text(f->token) : (struct slice){ 0 };
    enum err err = ERR_NONE;

    if (f->token_file != NULL) {
        err = read_token(f->token_file, &token, why);
        said = buf_all(&token);
    }
    if (err == ERR_NONE && said.len > 0)
        add_header(&q, "Authorization", said);
    if (err == ERR_NONE)
        err = ask(f, &q, why);
    if (err == ERR_NONE)
        err = keys_answer_json(buf_all(&q.answer), keys, ends_s, why);
    if (err != ERR_NONE && q.status != 0 && q.status != 200)
        buf_format(why, " (status %ld)", q.status);
    buf_fini(&token);
    question_fini(&q);
    return err;
}

static void put_parameter(CURL *easy, struct buf *out, const char *name, const char *value, int len)
{
    char *encoded = curl_easy_escape(easy, value, len);

    if (encoded != NULL)
        buf_format(out, "&%s=%s", name, encoded);
    curl_free(encoded);
}

static enum err ask_sts(struct keys_fetch *f, struct aws_keys *keys, int64_t *ends_s,
                        struct buf *why)
{
    struct question q = { .path = "", .method = "POST" };
    struct buf token = { 0 }, body = { 0 };
    char session[32];
    enum err err = read_token(f->token_file, &token, why);

    snprintf(session, sizeof(session), "sheaf-%lld", (long long)time(NULL));
    buf_text(&body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15");
    put_parameter(f->easy, &body, "RoleArn", f->role, 0);
    put_parameter(f->easy, &body, "RoleSessionName", f->session != NULL ? f->session : session, 0);
    if (token.len > 0)
        put_parameter(f->easy, &body, "WebIdentityToken", (const char *)token.at, (int)token.len);
    buf_put(&body, "", 1);
    q.body = (const char *)body.at;
    if (err == ERR_NONE)
        err = ask(f, &q, why);
    if (err == ERR_NONE)
        err = keys_answer_xml(buf_all(&q.answer), keys, ends_s, why);
    if (err != ERR_NONE && q.status != 0 && q.status != 200)
        buf_format(why, " (status %ld)", q.status);
    explicit_bzero(body.at, body.len);
    buf_fini(&token);
    buf_fini(&body);
    question_fini(&q);
    return err;
}

enum err keys_fetch_ask(struct keys_fetch *f, struct aws_keys *keys, int64_t *ends_s,
                        struct buf *why)
{
    if (f->refusal != NULL) {
        buf_text(why, f->refusal);
        return ERR_CONFIG;
    }
    switch (f->service) {
    case KEYS_OF_INSTANCE:
        return ask_instance(f, keys, ends_s, why);
    case KEYS_OF_CONTAINER:
        return ask_container(f, keys, ends_s, why);
    case KEYS_OF_WEB_IDENTITY:
        return ask_sts(f, keys, ends_s, why);
    }
    return ERR_UNSUPPORTED;
}
