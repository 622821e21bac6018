/* See store_ask.h. */
#include "proxy/blob/store_ask.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/aws_keys.h"
#include "proxy/base/mem.h"
#include "proxy/blob/back_folder.h"
#include "proxy/blob/back_s3.h"

enum { WAIT_US = 200 * 1000 };

struct store_ask {
    const struct endpoint_settings *endpoint; /* borrowed */
    struct folder *folder;                    /* owned; NULL: it is a server */
    CURL *easy;
    struct sigv4_keys *keys;
    struct sigv4_scratch scratch;
    char error[CURL_ERROR_SIZE];
};

/* ---- life ---- */

static enum err open_folder(struct store_ask *store, struct buf *why)
{
    const struct blob_store *s = &store->endpoint->store;
    struct folder_settings settings = {
        .sync = (enum folder_sync)s->sync,
        .layout = (enum folder_layout)s->layout,
        .stalwart_depth = s->stalwart_depth,
        .stalwart_bucket = s->folder_bucket,
        .max_object = blob_pool_of(store->endpoint->pool)->max_object_bytes,
    };

    return folder_open(s->folder, &settings, &store->folder, why);
}

enum err store_ask_open(const struct endpoint_settings *endpoint, struct store_ask **out,
                        struct buf *why)
{
    struct store_ask *store = mem_new(sizeof(*store));
    enum err err = ERR_NONE;

    store->endpoint = endpoint;
    if (endpoint->store.folder != NULL) {
        err = open_folder(store, why);
    } else if (endpoint->store.credentials == BLOB_CREDENTIALS_METADATA) {
        buf_text(why, "its keys come from a metadata service, which commands do not ask: give it "
                      "keys in its URL, the environment or a file for this time");
        err = ERR_UNSUPPORTED;
    } else {
        store->keys = sigv4_keys_new();
        store->easy = curl_easy_init();
        if (store->easy == NULL) {
            buf_text(why, "libcurl does not start");
            err = ERR_SYSTEM;
        }
    }
    if (err != ERR_NONE)
        store_ask_close(&store);
    else
        *out = store;
    return err;
}

void store_ask_close(struct store_ask **where)
{
    struct store_ask *store = *where;

    *where = NULL;
    if (store == NULL)
        return;
    if (store->folder != NULL)
        folder_close(&store->folder);
    if (store->easy != NULL)
        curl_easy_cleanup(store->easy);
    if (store->keys != NULL)
        sigv4_keys_free(&store->keys);
    sigv4_scratch_fini(&store->scratch);
    free(store);
}

void store_answer_fini(struct store_answer *answer)
{
    buf_fini(&answer->body);
    *answer = (struct store_answer){ 0 };
}

/* ---- folders ---- */

static enum err ask_folder(struct store_ask *store, const struct blob_ask *ask, bool is_stamp,
                           struct store_answer *answer)
{
    struct folder_exchange *x = mem_new(sizeof(*x));

    x->folder = store->folder;
    x->is_stamp = is_stamp;
    x->now_s = (int64_t)time(NULL);
    folder_exchange_copy(x, ask);
    folder_exchange_begin(x);
    while (x->left > 0 && answer->body.len <= STORE_ANSWER_MOST && folder_exchange_read(x)) {
        buf_slice(&answer->body, buf_all(&x->body));
        buf_clear(&x->body);
    }
    buf_slice(&answer->body, buf_all(&x->body));
    answer->status = x->status;
    folder_exchange_end(x);
    free(x);
    return ERR_NONE;
}

/* ---- servers ---- */

static size_t take_body(char *at, size_t size, size_t count, void *arg)
{
    struct buf *body = arg;

    if (body->len + size * count > STORE_ANSWER_MOST)
        return 0;
    buf_put(body, at, size * count);
    return size * count;
}

/* The authorities that Sheaf's own connections trust where no file is named. */
static CURLcode trust_system(CURL *easy, void *ssl, void *state)
{
    (void)easy;
    (void)state;
    return SSL_CTX_set_default_verify_paths(ssl) == 1 ? CURLE_OK : CURLE_SSL_CACERT_BADFILE;
}

static void set_tls(CURL *easy, const struct tls_settings *t)
{
    curl_easy_setopt(easy, CURLOPT_SSLVERSION,
                     t->min_version == TLS_VERSION_1_3 ? CURL_SSLVERSION_TLSv1_3
                                                       : CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, t->verify ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, t->verify ? 2L : 0L);
    curl_easy_setopt(easy, CURLOPT_CAINFO, t->ca_file);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    if (t->ca_file == NULL && t->verify)
        curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, trust_system);
    curl_easy_setopt(easy, CURLOPT_SSLCERT, t->cert_file);
    curl_easy_setopt(easy, CURLOPT_SSLKEY, t->key_file);
}

static void put_host(const char *host, struct buf *out)
{
    buf_format(out, strchr(host, ':') != NULL ? "[%s]" : "%s", host);
}

/* Where the connection goes; the name in the URL is the one that its certificate must have. */
static struct curl_slist *set_place(CURL *easy, const struct endpoint_settings *e)
{
    const struct address *a = &e->address;
    const char *host = a->path != NULL ? "localhost" : a->host;
    struct curl_slist *connect_to = NULL;
    struct buf text = { 0 };

    buf_text(&text, e->tls.on ? "https://" : "http://");
    put_host(e->tls.server_name != NULL ? e->tls.server_name : host, &text);
    if (a->path == NULL)
        buf_format(&text, ":%u", a->port);
    buf_text(&text, "/");
    buf_put(&text, "", 1);
    curl_easy_setopt(easy, CURLOPT_URL, (const char *)text.at);
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, a->path);
    if (a->path == NULL) {
        buf_clear(&text);
        buf_text(&text, "::");
        put_host(a->host, &text);
        buf_format(&text, ":%u", a->port);
        buf_put(&text, "", 1);
        connect_to = curl_slist_append(NULL, (const char *)text.at);
        curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to);
    }
    buf_fini(&text);
    return connect_to;
}

/* "GET /path?query HTTP/1.1", and lines of fields: as libcurl wants them. */
static struct curl_slist *set_head(CURL *easy, struct buf *head)
{
    char *at, *end, *save = NULL;
    struct curl_slist *fields = NULL;
    char *target;

    buf_put(head, "", 1);
    at = (char *)head->at;
    end = strstr(at, "\r\n");
    *end = '\0';
    target = strchr(at, ' ') + 1;
    *strrchr(target, ' ') = '\0';
    curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, target);
    for (char *line = strtok_r(end + 2, "\r\n", &save); line != NULL;
         line = strtok_r(NULL, "\r\n", &save))
        fields = curl_slist_append(fields, line);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields);
    return fields;
}

static struct s3_speaker speaker_of(struct store_ask *store)
{
    const struct endpoint_settings *e = store->endpoint;
    const struct aws_keys *keys = e->store.keys;
    struct s3_speaker speaker = {
        .signer = { .keys = store->keys, .scratch = &store->scratch },
        .now_s = (uint64_t)time(NULL),
    };

    if (keys != NULL) {
        speaker.signer.id = slice_text(keys->id);
        speaker.signer.secret = slice_text(keys->secret);
        speaker.signer.token = slice_text(keys->token);
    } else if (e->user != NULL && e->password != NULL) {
        speaker.signer.id = slice_text(e->user);
        speaker.signer.secret = slice_text(e->password);
    }
    speaker.signer.region = slice_text(e->store.region != NULL ? e->store.region : "us-east-1");
    return speaker;
}

static enum err perform(struct store_ask *store, struct buf *head, struct store_answer *answer,
                        struct buf *why)
{
    const struct pool_settings *pool = store->endpoint->pool;
    CURL *easy = store->easy;
    struct curl_slist *connect_to, *fields;
    long status = 0;
    CURLcode code;

    curl_easy_reset(easy); /* all but the connection */
    connect_to = set_place(easy, store->endpoint);
    fields = set_head(easy, head);
    set_tls(easy, &store->endpoint->tls);
    store->error[0] = '\0';
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, store->error);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)pool->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME,
                     (long)(blob_pool_of(pool)->timeout_ms / 1000 + 1));
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer->body);
    code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(connect_to);
    curl_slist_free_all(fields);
    answer->status = (uint16_t)status;
    if (code == CURLE_OK)
        return ERR_NONE;
    buf_text(why, store->error[0] != '\0' ? store->error : curl_easy_strerror(code));
    return ERR_CLOSED;
}

static enum err ask_server(struct store_ask *store, const struct blob_ask *ask,
                           struct store_answer *answer, struct buf *why)
{
    struct s3_speaker speaker = speaker_of(store);
    struct buf head = { 0 };
    enum err err = s3_put_ask(store->endpoint, ask, &speaker, &head);

    if (err == ERR_NONE)
        err = perform(store, &head, answer, why);
    else
        buf_text(why, "it cannot be asked for such a name");
    buf_fini(&head);
    return err;
}

enum err store_ask(struct store_ask *store, const struct blob_ask *ask, bool is_stamp,
                   struct store_answer *answer, struct buf *why)
{
    for (unsigned attempt = 1;; attempt++) {
        enum err err;

        buf_clear(why);
        *answer = (struct store_answer){ 0 };
        err = store->folder != NULL ? ask_folder(store, ask, is_stamp, answer)
                                    : ask_server(store, ask, answer, why);
        if (err == ERR_NONE && answer->status < 500)
            return ERR_NONE;
        if (err == ERR_NONE && attempt == STORE_TRIES)
            return ERR_NONE; /* it is what it says */
        store_answer_fini(answer);
        if (!err_may_retry(err == ERR_NONE ? ERR_CLOSED : err) || attempt == STORE_TRIES)
            return err;
        usleep(WAIT_US << attempt);
    }
}
