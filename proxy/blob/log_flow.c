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

void blob_log_write(struct blob_side *side)
{
    if (side->log.len == 0)
        return;
    if (side->log_fd >= 0 && write(side->log_fd, side->log.at, side->log.len) < 0 &&
        errno != EAGAIN)
        log_event(LOG_ERROR, "the access log cannot be written", log_text("pool", side->name),
                  log_text("why", strerrordesc_np(errno)));
    buf_fini(&side->log);
}

void blob_log_end(struct blob_side *side)
{
    blob_log_write(side);
    if (side->log_fd > STDERR_FILENO)
        close(side->log_fd);
    side->log_fd = -1;
}

/* What a request was, whatever the form. */
struct line {
    const struct blob_request *r;
    char address[64], time[40], op[64];
    uint64_t took_ms;
};

static void fill(const struct blob_request *r, struct line *line)
{
    static const char *const METHODS[] = { "OTHER", "GET",    "HEAD",   "PUT",
                                           "POST",  "DELETE", "OPTIONS" };
    const struct s3_op_traits *traits = s3_op_traits(r->op.op);
    time_t now = time(NULL);
    struct tm utc;

    line->r = r;
    session_address(&r->session->base, line->address, sizeof(line->address));
    gmtime_r(&now, &utc);
    strftime(line->time, sizeof(line->time), "%d/%b/%Y:%H:%M:%S +0000", &utc);
    snprintf(line->op, sizeof(line->op), "REST.%s.%s", METHODS[r->http.method],
             r->op.bucket.len == 0 ? "SERVICE" : traits->words);
    line->took_ms = (worker_now_us(r->side->worker) - r->began_us) / 1000;
}

/* A word, or "-"; what could end it or the line is percent-coded. */
static void put_word(struct buf *out, struct slice word)
{
    if (word.len == 0)
        buf_text(out, "-");
    for (size_t i = 0; i < word.len && i < 2048; i++) {
        if (word.at[i] <= ' ' || word.at[i] == '"' || word.at[i] >= 0x7f)
            buf_format(out, "%%%02X", word.at[i]);
        else
            buf_put(out, &word.at[i], 1);
    }
    buf_text(out, " ");
}

static void put_quoted(struct buf *out, struct slice text)
{
    buf_text(out, "\"");
    for (size_t i = 0; i < text.len && i < 2048; i++) {
        if (text.at[i] < ' ' || text.at[i] == '"' || text.at[i] >= 0x7f)
            buf_format(out, "%%%02X", text.at[i]);
        else
            buf_put(out, &text.at[i], 1);
    }
    buf_text(out, text.len == 0 ? "-\" " : "\" ");
}

static struct slice error_of(const struct blob_request *r)
{
    return r->error == S3_NONE ? (struct slice){ 0 } : slice_text(s3_error_code(r->error));
}

static const char *auth_of(const struct blob_request *r)
{
    return r->key == NULL ? "-" : r->verdict.is_presigned ? "QueryString" : "AuthHeader";
}

/* The fields of Amazon's server access logs, up to the host; those that we cannot know are "-". */
static void put_s3(const struct line *line, struct buf *out)
{
    const struct blob_request *r = line->r;
    const struct http1_head *head = &r->http.head;
    struct buf request = { 0 };

    buf_text(out, "sheaf ");
    put_word(out, r->op.bucket);
    buf_format(out, "[%s] ", line->time);
    put_word(out, slice_text(line->address));
    put_word(out, r->key == NULL ? (struct slice){ 0 } : slice_text(r->key->id));
    put_word(out, slice_text(r->id));
    put_word(out, slice_text(line->op));
    put_word(out, r->op.key);
    buf_slice(&request, r->http.method_text);
    buf_text(&request, " ");
    buf_slice(&request, r->http.target);
    buf_format(&request, " HTTP/1.%u", head->minor);
    put_quoted(out, buf_all(&request));
    buf_fini(&request);
    buf_format(out, "%u ", r->status);
    put_word(out, error_of(r));
    buf_format(out, "%llu %llu %llu - ", (unsigned long long)r->answer_bytes,
               (unsigned long long)(r->taken > 0 ? r->taken : r->answer_bytes),
               (unsigned long long)line->took_ms);
    put_quoted(out, http1_value(head, HTTP1_NAME_REFERER));
    put_quoted(out, http1_value(head, HTTP1_NAME_USER_AGENT));
    buf_format(out, "- - %s - %s ", r->key == NULL ? "-" : "SigV4", auth_of(r));
    put_word(out, http1_value(head, HTTP1_NAME_HOST));
    buf_text(out, "- - -\n");
}

static void add(cJSON *object, const char *name, struct slice value)
{
    char text[2049];
    size_t len = value.len < sizeof(text) - 1 ? value.len : sizeof(text) - 1;

    if (len == 0)
        return;
    memcpy(text, value.at, len);
    text[len] = '\0';
    cJSON_AddStringToObject(object, name, text);
}

static void put_json(const struct line *line, struct buf *out)
{
    const struct blob_request *r = line->r;
    cJSON *object = cJSON_CreateObject();
    char *text;

    add(object, "time", slice_text(line->time));
    add(object, "pool", slice_text(r->side->name));
    add(object, "remote", slice_text(line->address));
    add(object, "access_key", r->key == NULL ? (struct slice){ 0 } : slice_text(r->key->id));
    add(object, "request_id", slice_text(r->id));
    add(object, "operation", slice_text(s3_op_traits(r->op.op)->words));
    add(object, "bucket", r->op.bucket);
    add(object, "key", r->op.key);
    add(object, "method", r->http.method_text);
    add(object, "target", r->http.target);
    cJSON_AddNumberToObject(object, "status", r->status);
    add(object, "error", error_of(r));
    cJSON_AddNumberToObject(object, "bytes_in", (double)r->taken);
    cJSON_AddNumberToObject(object, "bytes_out", (double)r->answer_bytes);
    cJSON_AddNumberToObject(object, "milliseconds", (double)line->took_ms);
    add(object, "user_agent", http1_value(&r->http.head, HTTP1_NAME_USER_AGENT));
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
