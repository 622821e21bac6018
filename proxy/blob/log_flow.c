/* The access log: a line for each request, in S3's own format or as JSON.  Lines of a turn are
 * written together; the file is opened anew at each reload, so that it can be rotated. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/blob/blob_flow.h"

enum { LOG_LINES_BYTES = 64 * 1024 };

void blob_log_follow(struct blob_side *side)
{
    const struct blob_pool *pool = side->settings;

    blob_log_end(side);
    if (pool->access_log == BLOB_ACCESS_LOG_OFF)
        return;
    if (pool->access_log_file == NULL) {
        side->log_fd = STDERR_FILENO;
        return;
    }
    side->log_fd = open(pool->access_log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (side->log_fd < 0)
        log_event(LOG_ERROR, "the access log cannot be opened",
                  log_text("file", pool->access_log_file), log_text("why", strerrordesc_np(errno)),
                  log_text("pool", side->name));
}

/* How many of the bytes it took; fewer than all: errno says why. */
static size_t put_all(int fd, struct slice bytes)
{
    size_t done = 0;

    while (done < bytes.len) {
        ssize_t put = write(fd, bytes.at + done, bytes.len - done);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            break;
        done += (size_t)put;
    }
    return done;
}

/* Nobody waits for a log: what a full disk or pipe does not take is lost, and told.  A line of
 * which it took a part is ended by those that come next. */
void blob_log_write(struct blob_side *side)
{
    struct slice lines = buf_all(&side->log);
    size_t done;

    if (lines.len == 0)
        return;
    if (side->log_fd >= 0) {
        if (side->log_is_torn && put_all(side->log_fd, slice_text("\n")) == 1)
            side->log_is_torn = false;
        done = side->log_is_torn ? 0 : put_all(side->log_fd, lines);
        if (done < lines.len)
            log_event(LOG_ERROR, "lines of the access log are lost", log_text("pool", side->name),
                      log_text("why", strerrordesc_np(errno)));
        side->log_is_torn |= done > 0 && lines.at[done - 1] != '\n';
    }
    buf_fini(&side->log);
}

void blob_log_end(struct blob_side *side)
{
    blob_log_write(side);
    if (side->log_fd > STDERR_FILENO)
        close(side->log_fd);
    side->log_fd = -1;
    side->log_is_torn = false;
}

/* ---- what a request was, whatever the form ---- */

struct line {
    const struct blob_request *r;
    char address[64], ip[64], time[40], op[64];
    char tls[64], cipher[64]; /* "-" without TLS */
    uint64_t total_ms, turn_around_ms;
};

/* What Amazon calls it that is dealt with; a copy is named by that instead of its method. */
static const char *resource_of(const struct blob_request *r)
{
    static const char *const RESOURCES[S3_OPS] = {
        [S3_OP_LIST_BUCKETS] = "SERVICE",
        [S3_OP_CREATE_BUCKET] = "BUCKET",
        [S3_OP_HEAD_BUCKET] = "BUCKET",
        [S3_OP_DELETE_BUCKET] = "BUCKET",
        [S3_OP_GET_LOCATION] = "LOCATION",
        [S3_OP_GET_VERSIONING] = "VERSIONING",
        [S3_OP_PUT_VERSIONING] = "VERSIONING",
        [S3_OP_GET_BUCKET_ACL] = "ACL",
        [S3_OP_PUT_BUCKET_ACL] = "ACL",
        [S3_OP_LIST_OBJECTS] = "BUCKET",
        [S3_OP_LIST_OBJECTS_V2] = "BUCKET",
        [S3_OP_LIST_VERSIONS] = "BUCKETVERSIONS",
        [S3_OP_LIST_UPLOADS] = "UPLOADS",
        [S3_OP_DELETE_OBJECTS] = "MULTI_OBJECT_DELETE",
        [S3_OP_POST_OBJECT] = "BUCKET",
        [S3_OP_GET_ATTRIBUTES] = "OBJECT_ATTRIBUTES",
        [S3_OP_GET_TAGGING] = "OBJECT_TAGGING",
        [S3_OP_PUT_TAGGING] = "OBJECT_TAGGING",
        [S3_OP_DELETE_TAGGING] = "OBJECT_TAGGING",
        [S3_OP_GET_ACL] = "ACL",
        [S3_OP_PUT_ACL] = "ACL",
        [S3_OP_CREATE_UPLOAD] = "UPLOADS",
        [S3_OP_PUT_PART] = "PART",
        [S3_OP_COPY_PART] = "PART",
        [S3_OP_LIST_PARTS] = "UPLOAD",
        [S3_OP_COMPLETE_UPLOAD] = "UPLOAD",
        [S3_OP_ABORT_UPLOAD] = "UPLOAD",
    };

    if (RESOURCES[r->op.op] != NULL)
        return RESOURCES[r->op.op];
    return r->op.key.len > 0 ? "OBJECT" : r->op.bucket.len > 0 ? "BUCKET" : "SERVICE";
}

static const char *verb_of(const struct blob_request *r)
{
    static const char *const METHODS[] = {
        [HTTP1_METHOD_OTHER] = "OTHER",     [HTTP1_METHOD_GET] = "GET",
        [HTTP1_METHOD_HEAD] = "HEAD",       [HTTP1_METHOD_PUT] = "PUT",
        [HTTP1_METHOD_POST] = "POST",       [HTTP1_METHOD_DELETE] = "DELETE",
        [HTTP1_METHOD_OPTIONS] = "OPTIONS",
    };

    if (r->op.op == S3_OP_COPY_OBJECT || r->op.op == S3_OP_COPY_PART)
        return "COPY";
    return METHODS[r->http.method];
}

/* "127.0.0.1:50412", "[::1]:50412" without the port. */
static void fill_ip(struct line *line)
{
    const char *from = line->address, *colon = strrchr(from, ':');
    size_t len = colon == NULL ? strlen(from) : (size_t)(colon - from);

    if (from[0] == '[' && len > 2) {
        from++;
        len -= 2;
    }
    snprintf(line->ip, sizeof(line->ip), "%.*s", (int)len, from);
}

static void fill_tls(const struct conn *conn, struct line *line)
{
    const char *words = conn->tls == NULL ? "" : tls_describe(conn->tls);
    const char *blank = strchr(words, ' ');

    snprintf(line->tls, sizeof(line->tls), "%.*s", (int)(blank == NULL ? 0 : blank - words), words);
    snprintf(line->cipher, sizeof(line->cipher), "%s", blank == NULL ? "" : blank + 1);
}

static void fill(const struct blob_request *r, struct line *line)
{
    uint64_t now_us = worker_now_us(r->side->worker);
    time_t came = time(NULL) - (time_t)((now_us - r->began_us) / 1000000);
    struct tm utc;

    line->r = r;
    session_address(&r->session->base, line->address, sizeof(line->address));
    fill_ip(line);
    fill_tls(&r->session->base.conn, line);
    gmtime_r(&came, &utc);
    strftime(line->time, sizeof(line->time), "%d/%b/%Y:%H:%M:%S +0000", &utc);
    snprintf(line->op, sizeof(line->op), "REST.%s.%s", verb_of(r), resource_of(r));
    line->total_ms = (now_us - r->began_us) / 1000;
    line->turn_around_ms = r->answered_us > r->heard_us ? (r->answered_us - r->heard_us) / 1000 : 0;
}

static struct slice error_of(const struct blob_request *r)
{
    return r->error == S3_NONE ? (struct slice){ 0 } : slice_text(s3_error_code(r->error));
}

static struct slice requester_of(const struct blob_request *r)
{
    return r->key == NULL ? (struct slice){ 0 } : slice_text(r->key->id);
}

static const char *auth_of(const struct blob_request *r)
{
    return r->key == NULL ? "" : r->verdict.is_presigned ? "QueryString" : "AuthHeader";
}

/* ---- as S3 writes it ---- */

enum { WORD_MOST = 4096 };

/* What could end the word or the line is percent-coded. */
static void put_coded(struct buf *out, struct slice text, bool with_blanks)
{
    for (size_t i = 0; i < text.len && i < WORD_MOST; i++) {
        uint8_t c = text.at[i];

        if (c < ' ' || c == '"' || c >= 0x7f || (c == ' ' && !with_blanks))
            buf_format(out, "%%%02X", c);
        else
            buf_put(out, &c, 1);
    }
}

/* A word, or "-", and a blank. */
static void put_word(struct buf *out, struct slice word)
{
    if (word.len == 0)
        buf_text(out, "-");
    put_coded(out, word, false);
    buf_text(out, " ");
}

static void put_quoted(struct buf *out, struct slice text)
{
    buf_text(out, "\"");
    put_coded(out, text, true);
    buf_text(out, text.len == 0 ? "-\" " : "\" ");
}

static void put_count(struct buf *out, uint64_t count)
{
    if (count == 0)
        buf_text(out, "- ");
    else
        buf_format(out, "%llu ", (unsigned long long)count);
}

static void put_request_uri(const struct blob_request *r, struct buf *out)
{
    buf_text(out, "\"");
    put_coded(out, r->http.method_text, false);
    buf_text(out, " ");
    put_coded(out, r->http.target, true);
    buf_format(out, " HTTP/1.%u\" ", r->http.head.minor);
}

/* The fields of Amazon's server access logs, in their order: owner, bucket, time, address,
 * requester, request, operation, key, request line, status, error, bytes sent, object's size, total
 * and turn-around time, referer, agent, version, host id, signature version, cipher, how it was
 * signed, host, TLS version, access point, acl required. */
static void put_s3(const struct line *line, struct buf *out)
{
    const struct blob_request *r = line->r;
    const struct http1_head *head = &r->http.head;

    buf_text(out, "sheaf ");
    put_word(out, r->op.bucket);
    buf_format(out, "[%s] ", line->time);
    put_word(out, slice_text(line->ip));
    put_word(out, requester_of(r));
    put_word(out, slice_text(r->id));
    put_word(out, slice_text(line->op));
    put_word(out, r->op.key);
    put_request_uri(r, out);
    put_count(out, r->status);
    put_word(out, error_of(r));
    put_count(out, r->answer_bytes);
    put_count(out, r->object_bytes);
    buf_format(out, "%llu ", (unsigned long long)line->total_ms);
    if (r->answered_us == 0)
        buf_text(out, "- ");
    else
        buf_format(out, "%llu ", (unsigned long long)line->turn_around_ms);
    put_quoted(out, http1_value(head, HTTP1_NAME_REFERER));
    put_quoted(out, http1_value(head, HTTP1_NAME_USER_AGENT));
    put_word(out, s3_param_value(&r->op, "versionId"));
    buf_text(out, r->key == NULL ? "- - " : "- SigV4 ");
    put_word(out, slice_text(line->cipher));
    put_word(out, slice_text(auth_of(r)));
    put_word(out, http1_value(head, HTTP1_NAME_HOST));
    put_word(out, slice_text(line->tls));
    buf_text(out, "- -\n");
}

/* ---- as JSON ---- */

/* By its first byte; 0: none begins so. */
static size_t letter_claim(uint8_t first)
{
    if (first < 0x80)
        return first != 0;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Longer than it must be, half of a pair, or beyond the last. */
static bool is_no_letter(uint8_t first, uint8_t second)
{
    return (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
           (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
}

/* How many bytes the letter of UTF-8 has that `text` begins with; 0: it is none. */
static size_t letter_len(struct slice text)
{
    size_t len = letter_claim(text.at[0]);

    if (len > text.len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((text.at[i] & 0xc0) != 0x80)
            return 0;
    return len > 1 && is_no_letter(text.at[0], text.at[1]) ? 0 : len;
}

/* Clients may send any bytes, JSON is UTF-8: others are percent-coded. */
static void add(cJSON *object, const char *name, struct slice value)
{
    struct buf text = { 0 };

    if (value.len == 0)
        return;
    for (size_t i = 0; i < value.len && i < WORD_MOST;) {
        size_t len = letter_len(slice_from(value, i));

        if (len == 0)
            buf_format(&text, "%%%02X", value.at[i]);
        else
            buf_put(&text, value.at + i, len);
        i += len == 0 ? 1 : len;
    }
    buf_put(&text, "", 1);
    cJSON_AddStringToObject(object, name, (const char *)text.at);
    buf_fini(&text);
}

static void put_json(const struct line *line, struct buf *out)
{
    const struct blob_request *r = line->r;
    const struct http1_head *head = &r->http.head;
    cJSON *object = cJSON_CreateObject();
    char *text;

    add(object, "time", slice_text(line->time));
    add(object, "pool", slice_text(r->side->name));
    add(object, "remote", slice_text(line->address));
    add(object, "access_key", requester_of(r));
    add(object, "authentication", slice_text(auth_of(r)));
    add(object, "request_id", slice_text(r->id));
    add(object, "operation", slice_text(s3_op_traits(r->op.op)->words));
    add(object, "bucket", r->op.bucket);
    add(object, "key", r->op.key);
    add(object, "version", s3_param_value(&r->op, "versionId"));
    add(object, "method", r->http.method_text);
    add(object, "target", r->http.target);
    add(object, "host", http1_value(head, HTTP1_NAME_HOST));
    cJSON_AddNumberToObject(object, "status", r->status);
    add(object, "error", error_of(r));
    cJSON_AddBoolToObject(object, "abandoned", r->is_abandoned);
    cJSON_AddNumberToObject(object, "bytes_in", (double)r->taken);
    cJSON_AddNumberToObject(object, "bytes_out", (double)r->answer_bytes);
    cJSON_AddNumberToObject(object, "object_bytes", (double)r->object_bytes);
    cJSON_AddNumberToObject(object, "milliseconds", (double)line->total_ms);
    cJSON_AddNumberToObject(object, "turn_around_milliseconds", (double)line->turn_around_ms);
    add(object, "referer", http1_value(head, HTTP1_NAME_REFERER));
    add(object, "user_agent", http1_value(head, HTTP1_NAME_USER_AGENT));
    add(object, "tls", slice_text(line->tls));
    add(object, "cipher", slice_text(line->cipher));
    text = cJSON_PrintUnformatted(object);
    buf_text(out, text);
    buf_text(out, "\n");
    cJSON_free(text);
    cJSON_Delete(object);
}

void blob_log_request(const struct blob_request *r)
{
    struct blob_side *side = r->side;
    struct line line;

    if (side->log_fd < 0)
        return;
    fill(r, &line);
    if (side->settings->access_log == BLOB_ACCESS_LOG_S3)
        put_s3(&line, &side->log);
    else
        put_json(&line, &side->log);
    if (side->log.len > LOG_LINES_BYTES)
        blob_log_write(side);
}
