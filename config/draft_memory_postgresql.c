/* See draft_memory.h: shards that are tables of a PostgreSQL server.  What libpq is to know of one
 * is put together here, in libpq's own form. */
#include <ctype.h>
#include <string.h>

#include "config/draft_memory.h"
#include "config/draft_sql.h"
#include "config/url.h"

enum { NAME_BYTES = 63 /* PostgreSQL's NAMEDATALEN, less one */ };

void draft_memory_begin_postgresql(const struct url *url, struct endpoint_settings *e)
{
    e->server_tls = SQL_SERVER_TLS_AUTO;
    e->tls.on = true; /* options for it may be there; the end decides */
    e->store_table = STORE_TABLE;
    if (url->path != NULL && url->path[0] != '\0')
        e->database_name = url->path;
}

bool draft_memory_is_of_postgresql(const struct url *url, struct buf *why)
{
    static const char *const NAMES[] = { "table", "database", "port", "tls" };

    for (unsigned i = 0; i < url->query_count; i++)
        for (size_t k = 0; k < sizeof(NAMES) / sizeof(NAMES[0]); k++)
            if (strcmp(url->query[i].name, NAMES[k]) == 0) {
                buf_format(why, "\"%s\" means something to postgresql:// only", NAMES[k]);
                return true;
            }
    return false;
}

/* ---- names ---- */

static bool is_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum(name.at[i]) && name.at[i] != '_')
            return false;
    return name.len > 0 && name.len <= NAME_BYTES && !isdigit(name.at[0]);
}

/* NAME or SCHEMA.NAME, of letters that need no thought of quotes. */
static bool is_table(const char *table)
{
    const char *dot = strchr(table, '.');

    return is_name(slice_text(dot == NULL ? table : dot + 1)) &&
           (dot == NULL || is_name(slice_of(table, (size_t)(dot - table))));
}

/* ---- libpq's text ---- */

static void put(struct buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_format(out, "%s='", name);
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            buf_text(out, "\\");
        buf_put(out, value, 1);
    }
    buf_text(out, "' ");
}

static void put_where(const struct endpoint_settings *e, struct buf *out)
{
    const char *path = e->address.path;
    const char *end = path == NULL ? NULL : strstr(path, "/.s.PGSQL.");
    struct buf folder = { 0 };

    if (path != NULL) {
        buf_put(&folder, path, end == NULL || end == path ? 1 : (size_t)(end - path));
        buf_put(&folder, "", 1);
        put(out, "host", (const char *)folder.at);
        buf_fini(&folder);
        buf_format(out, "port=%u ", e->socket_port);
        return;
    }
    put(out, "host", e->tls.server_name != NULL ? e->tls.server_name : e->address.host);
    put(out, "hostaddr", e->address.host);
    buf_format(out, "port=%u ", e->address.port);
}

/* What is not given is a file that is not there, so that nothing comes from the environment or a
 * home.  Where there is a file of authorities libpq verifies, whatever the mode. */
static void put_tls(const struct endpoint_settings *e, struct buf *out)
{
    static const char NO_FILE[] = "/nonexistent/sheaf";
    const struct tls_settings *t = &e->tls;
    const char *mode = t->need == TLS_NEED_OFF     ? "disable"
                       : t->need == TLS_NEED_ALLOW ? "prefer"
                       : t->verify                 ? "verify-full"
                                                   : "require";

    put(out, "sslmode", mode);
    put(out, "sslcert", t->cert_file != NULL ? t->cert_file : NO_FILE);
    put(out, "sslkey", t->key_file != NULL ? t->key_file : NO_FILE);
    put(out, "sslcrl", NO_FILE);
    if (!t->verify)
        put(out, "sslrootcert", NO_FILE);
    else if (t->ca_file != NULL)
        put(out, "sslrootcert", t->ca_file);
    put(out, "ssl_min_protocol_version", t->min_version == TLS_VERSION_1_3 ? "TLSv1.3" : "TLSv1.2");
}

static const char *target_of(struct loading *l, const struct endpoint_settings *e)
{
    struct buf text = { 0 };
    const char *copy;

    put_where(e, &text);
    put(&text, "user", e->user);
    put(&text, "password", e->password);
    put(&text, "dbname", e->database_name != NULL ? e->database_name : e->user);
    put(&text, "passfile", "/nonexistent/sheaf");
    put(&text, "application_name", "sheaf");
    put(&text, "gssencmode", "disable");
    put(&text, "target_session_attrs", "read-write");
    put_tls(e, &text);
    copy = arena_text(l->arena, buf_all(&text));
    explicit_bzero(text.at, text.len);
    buf_fini(&text);
    return copy;
}

enum err draft_memory_end_postgresql(struct loading *l, const struct url *url,
                                     struct endpoint_settings *e, struct buf *why)
{
    bool verifies; /* as the pool or the URL has it */

    if (e->user == NULL) {
        buf_text(why, "a user must be named: postgresql://USER:PASSWORD@HOST/DATABASE");
        return ERR_SYNTAX;
    }
    if (e->database != 0) {
        buf_text(why, "\"db\" is Redis's; the database stands behind the address: "
                      "postgresql://USER:PASSWORD@HOST/DATABASE");
        return ERR_SYNTAX;
    }
    if (!is_table(e->store_table)) {
        buf_text(why, "\"table\" must be NAME or SCHEMA.NAME, of letters, digits and \"_\", 63 "
                      "each at most");
        return ERR_SYNTAX;
    }
    verifies = e->tls.verify;
    TRY(draft_sql_end_endpoint(l, url, e, why));
    if (!verifies && e->server_tls == SQL_SERVER_TLS_AUTO)
        e->tls.verify = false;
    e->store_path = target_of(l, e);
    return ERR_NONE;
}
