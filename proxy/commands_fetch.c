/* See commands_fetch.h. */
#include "proxy/commands_fetch.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/load.h"
#include "config/url.h"
#include "proxy/base/mem.h"
#include "proxy/vocabulary.h"

enum { TIMEOUT_MS = 5000 };

static const char DEFAULT_URL[] = "http://127.0.0.1:9070", UNIX[] = "http+unix://";

/* One that listens on all addresses is asked over loopback. */
static const char *reachable(const char *host)
{
    if (strcmp(host, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(host, "::") == 0 ? "::1" : host;
}

static void set_address(struct commands_fetch *f, const struct address *at)
{
    struct address asked = *at;
    struct buf url = { 0 };

    if (at->path != NULL) {
        f->path = mem_text(at->path);
        f->url = mem_text("http://localhost");
        return;
    }
    asked.host = reachable(at->host);
    buf_text(&url, "http://");
    url_print_address(&asked, &url);
    f->url = mem_text_of(url.at, url.len);
    buf_fini(&url);
}

static bool take_file(struct commands_fetch *f, const char *file)
{
    struct snapshot *snapshot = NULL;
    struct problems problems = { 0 };
    enum err err = config_load(file, vocabulary(), &snapshot, &problems);
    bool is_on = err == ERR_NONE && snapshot->proxy.admin_on;

    if (err != ERR_NONE)
        problems_print(&problems, stderr);
    else if (!is_on)
        fprintf(stderr, "sheaf: %s has admin = off: there is nobody to ask\n", file);
    else
        set_address(f, &snapshot->proxy.admin_address);
    problems_fini(&problems);
    snapshot_free(&snapshot);
    return is_on;
}

static bool take_url(struct commands_fetch *f, const char *url)
{
    size_t len = strlen(url);

    if (strncmp(url, UNIX, strlen(UNIX)) == 0) {
        set_address(f, &(struct address){ .path = url + strlen(UNIX) });
        return true;
    }
    if (strncmp(url, "http://", 7) != 0) {
        fprintf(stderr, "sheaf: \"%s\" is neither http://HOST:PORT nor http+unix:///PATH\n", url);
        return false;
    }
    while (len > 7 && url[len - 1] == '/')
        len--;
    f->url = mem_text_of(url, len);
    return true;
}

bool commands_fetch_open(struct commands_fetch *f, const char *source)
{
    bool found;

    *f = (struct commands_fetch){ 0 };
    if (source == NULL)
        source = DEFAULT_URL;
    found = strstr(source, "://") != NULL ? take_url(f, source) : take_file(f, source);
    if (!found)
        return false;
    f->curl = curl_easy_init();
    if (f->curl == NULL)
        fputs("sheaf: libcurl does not start\n", stderr);
    return f->curl != NULL;
}

static size_t take_in(char *at, size_t size, size_t count, void *arg)
{
    buf_put(arg, at, size * count);
    return size * count;
}

bool commands_fetch_status(struct commands_fetch *f, struct buf *body, struct buf *why)
{
    const char *where = f->path != NULL ? f->path : f->url;
    struct buf url = { 0 };
    long status = 0;
    CURLcode code;

    buf_format(&url, "%s/api/v1/status", f->url);
    buf_put(&url, "", 1);
    curl_easy_setopt(f->curl, CURLOPT_URL, url.at);
    curl_easy_setopt(f->curl, CURLOPT_UNIX_SOCKET_PATH, f->path);
    curl_easy_setopt(f->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(f->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(f->curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl_easy_setopt(f->curl, CURLOPT_WRITEFUNCTION, take_in);
    curl_easy_setopt(f->curl, CURLOPT_WRITEDATA, body);
    code = curl_easy_perform(f->curl);
    curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
    buf_fini(&url);
    if (code == CURLE_OK && status == 200)
        return true;
    if (code != CURLE_OK)
        buf_format(why, "no answer from %s: %s", where, curl_easy_strerror(code));
    else
        buf_format(why, "%s answered with %ld: is this the admin endpoint of a sheaf?", where,
                   status);
    return false;
}

void commands_fetch_close(struct commands_fetch *f)
{
    if (f->curl != NULL)
        curl_easy_cleanup(f->curl);
    free(f->url);
    free(f->path);
    *f = (struct commands_fetch){ 0 };
}
