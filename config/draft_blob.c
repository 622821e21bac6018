/* See draft.h: what only pools of the kind blob have. */
#include <string.h>

#include "config/aws_keys.h"
#include "config/draft.h"
#include "config/expand.h"
#include "config/tables.h"
#include "config/url.h"
#include "config/words.h"

enum { SECRET_BYTES = 128, NAMES_MOST = 64 };

/* "(sheaf.ini:7)": where the first of two stands. */
#define FIRST(place) (place).file, (place).line

static void begin(struct loading *l, struct draft *d)
{
    struct blob_pool *blob = blob_pool_of(d->pool);

    blob->access_keys =
        arena_new(l->arena, draft_count_lines(d, "access_key") * sizeof(*blob->access_keys));
    blob->regions = arena_new(l->arena, draft_count_lines(d, "region") * sizeof(char *));
    blob->public_buckets = arena_new(l->arena, draft_count_lines(d, "public") * sizeof(char *));
    blob->virtual_hosts =
        arena_new(l->arena, draft_count_lines(d, "virtual_host") * sizeof(char *));
}

/* ---- shards ---- */

static bool is_given(const struct url *url, const char *name)
{
    for (unsigned i = 0; i < url->query_count; i++)
        if (strcmp(url->query[i].name, name) == 0)
            return true;
    return false;
}

static enum err begin_endpoint(struct loading *l, const struct url *url,
                               struct endpoint_settings *e, struct buf *why)
{
    const char *slash;

    e->tls.on |= is_given(url, "tls"); /* options for it may be there; end_endpoint() decides */
    if (strcmp(e->protocol, "file") == 0) {
        e->store.folder = e->address.path;
        return ERR_NONE;
    }
    if (url->user != NULL && url->password == NULL) {
        buf_text(why, "an access key needs its secret: \"ID:SECRET@\"");
        return ERR_SYNTAX;
    }
    if (url->password != NULL && strlen(url->password) > SECRET_BYTES) {
        buf_text(why, "a secret has at most 128 bytes");
        return ERR_RANGE;
    }
    if (url->path == NULL || url->path[0] == '\0')
        return ERR_NONE;
    slash = strchr(url->path, '/');
    if (slash == url->path) {
        buf_text(why, "behind the address \"/BUCKET\" or \"/BUCKET/PREFIX\" may stand");
        return ERR_SYNTAX;
    }
    e->store.bucket = slash == NULL
                          ? url->path
                          : arena_text(l->arena, slice_of(url->path, (size_t)(slash - url->path)));
    if (slash != NULL) {
        size_t len = strlen(slash + 1);

        while (len > 0 && slash[len] == '/')
            len--;
        e->store.prefix = arena_text(l->arena, slice_of(slash + 1, len));
    }
    return ERR_NONE;
}

static enum err refuse_option(const struct url *url, const char *const *names, const char *kind,
                              struct buf *why)
{
    for (; *names != NULL; names++) {
        if (!is_given(url, *names))
            continue;
        buf_format(why, "\"%s\" means nothing to %s", *names, kind);
        return ERR_SYNTAX;
    }
    return ERR_NONE;
}

/* What the scheme says, or "tls=on" behind the "?" of one that says nothing of it. */
static enum err settle_tls(const struct url *url, struct endpoint_settings *e, struct buf *why)
{
    if (!is_given(url, "tls"))
        return ERR_NONE;
    if (strcmp(e->scheme, "s3") != 0) {
        if (strcmp(e->scheme, "s3s") == 0 && e->tls.on)
            return ERR_NONE;
        buf_text(why, "\"tls\" is for s3://: the scheme says it already");
        return ERR_SYNTAX;
    }
    if (e->tls.on)
        e->scheme = "s3s";
    if (e->tls.on && !url->has_port)
        e->address.port = 443;
    return ERR_NONE;
}

/* They are no part of the endpoint's identity: new ones do not make another server of it. */
static enum err take_keys(struct loading *l, struct endpoint_settings *e, struct buf *why)
{
    struct aws_keys *keys;

    if (e->store.credentials == BLOB_CREDENTIALS_URL)
        return ERR_NONE;
    keys = arena_new(l->arena, sizeof(*keys));
    e->store.keys = keys;
    if (e->store.credentials == BLOB_CREDENTIALS_METADATA) /* they come when it serves */
        return ERR_NONE;
    if (e->store.credentials == BLOB_CREDENTIALS_ENVIRONMENT)
        return aws_keys_of_environment(keys, why);
    buf_format(why, "%s: ", e->store.credentials_file);
    TRY(aws_keys_read(e->store.credentials_file, keys, why));
    buf_clear(why);
    return ERR_NONE;
}

static enum err end_endpoint(struct loading *l, const struct url *url, struct endpoint_settings *e,
                             struct buf *why)
{
    static const char *const OF_FOLDERS[] = { "sync", "layout", "bucket", "depth", NULL };
    static const char *const OF_SERVERS[] = { "region",     "style",       "tls",
                                              "conditions", "credentials", "credentials_file",
                                              "encryption", NULL };

    if (e->store.folder == NULL)
        TRY(refuse_option(url, OF_FOLDERS, "a server: it is for folders (file://)", why));
    else
        TRY(refuse_option(url, OF_SERVERS, "a folder: it is for servers (s3://)", why));
    TRY(settle_tls(url, e, why));
    if ((e->store.credentials == BLOB_CREDENTIALS_FILE) != (e->store.credentials_file != NULL)) {
        buf_text(why, "credentials=file and credentials_file=FILE belong together");
        return ERR_SYNTAX;
    }
    if (e->store.credentials != BLOB_CREDENTIALS_URL && e->user != NULL) {
        buf_text(why, "the access key is in the URL and elsewhere: take \"ID:SECRET@\" out");
        return ERR_SYNTAX;
    }
    if (e->store.folder != NULL && e->store.layout == BLOB_LAYOUT_STALWART &&
        e->store.folder_bucket == NULL) {
        buf_text(why, "a folder of that layout is one bucket: give its name, bucket=NAME");
        return ERR_SYNTAX;
    }
    return take_keys(l, e, why);
}

static void preset_endpoint(struct endpoint_settings *e)
{
    e->weight = 1;
}

/* ---- access keys ---- */

static enum err take_list(struct loading *l, const char *value, const char ***out, uint32_t *count,
                          struct buf *why)
{
    struct slice rest = slice_text(value);

    *out = arena_new(l->arena, NAMES_MOST * sizeof(char *));
    while (rest.len > 0) {
        const uint8_t *comma = memchr(rest.at, ',', rest.len);
        size_t len = comma == NULL ? rest.len : (size_t)(comma - rest.at);

        if (*count == NAMES_MOST || len == 0) {
            buf_text(why, len == 0 ? "a name between two commas is missing"
                                   : "there are more than 64 names");
            return ERR_SYNTAX;
        }
        (*out)[(*count)++] = arena_text(l->arena, slice_of(rest.at, len));
        rest = slice_from(rest, len + (comma != NULL));
    }
    return ERR_NONE;
}

static enum err take_rights(const char *value, unsigned *rights, struct buf *why)
{
    static const char LETTERS[] = "rwld"; /* by the bits of enum blob_right */

    *rights = 0;
    for (; *value != '\0'; value++) {
        const char *letter = strchr(LETTERS, *value);

        if (letter == NULL) {
            buf_format(why, "rights are letters of \"rwld\": read, write, list, delete; not '%c'",
                       *value);
            return ERR_SYNTAX;
        }
        *rights |= 1u << (letter - LETTERS);
    }
    return ERR_NONE;
}

static enum err take_word(struct loading *l, const char *name, const char *value,
                          struct blob_access_key *key, struct buf *why)
{
    static const char *const WORDS[] = { "buckets", "prefixes", "rights", NULL };

    if (strcmp(name, "buckets") == 0)
        return take_list(l, value, &key->buckets, &key->bucket_count, why);
    if (strcmp(name, "prefixes") == 0)
        return take_list(l, value, &key->prefixes, &key->prefix_count, why);
    if (strcmp(name, "rights") == 0)
        return take_rights(value, &key->rights, why);
    buf_format(why, "unknown word \"%s\"", name);
    option_suggest_word(WORDS, name, why);
    return ERR_SYNTAX;
}

static enum err take_words(struct loading *l, struct slice rest, struct blob_access_key *key,
                           struct buf *why)
{
    for (struct slice word = words_next(&rest); word.len > 0; word = words_next(&rest)) {
        const uint8_t *equals = memchr(word.at, '=', word.len);
        const char *value;

        if (equals == NULL) {
            buf_format(why, "\"%.*s\" is no NAME=VALUE", (int)word.len, (const char *)word.at);
            return ERR_SYNTAX;
        }
        TRY(expand(slice_from(word, (size_t)(equals - word.at) + 1), EXPAND_PLAIN, l->arena, &value,
                   why));
        TRY(take_word(l, arena_text(l->arena, slice_of(word.at, (size_t)(equals - word.at))), value,
                      key, why));
    }
    return ERR_NONE;
}

static enum err build_access_key(struct loading *l, struct blob_pool *blob,
                                 const struct draft_line *line, struct buf *why)
{
    struct blob_access_key key = { .rights = BLOB_RIGHT_READ | BLOB_RIGHT_WRITE | BLOB_RIGHT_LIST |
                                             BLOB_RIGHT_DELETE,
                                   .place = line->place };
    struct slice rest = slice_text(line->value), id = words_next(&rest), secret = words_next(&rest);

    if (secret.len == 0) {
        buf_text(why, "an access key has an id and a secret: ID SECRET");
        return ERR_SYNTAX;
    }
    TRY(expand(id, EXPAND_PLAIN, l->arena, &key.id, why));
    TRY(expand(secret, EXPAND_PLAIN, l->arena, &key.secret, why));
    if (key.id[0] == '\0' || key.secret[0] == '\0' || strlen(key.id) > SECRET_BYTES ||
        strlen(key.secret) > SECRET_BYTES) {
        buf_text(why, "an id and a secret have 1 to 128 bytes");
        return ERR_RANGE;
    }
    TRY(take_words(l, rest, &key, why));
    for (uint32_t i = 0; i < blob->access_key_count; i++) {
        if (strcmp(blob->access_keys[i].id, key.id) != 0)
            continue;
        buf_format(why, "the access key \"%s\" is already there (%s:%u)", key.id,
                   FIRST(blob->access_keys[i].place));
        return ERR_CONFIG;
    }
    blob->access_keys[blob->access_key_count++] = key;
    return ERR_NONE;
}

static enum err build_name(struct loading *l, const char **list, uint32_t *count,
                           const struct draft_line *line, struct buf *why)
{
    struct slice rest = slice_text(line->value), name = words_next(&rest);

    TRY(expand(name, EXPAND_PLAIN, l->arena, &list[*count], why));
    if (words_next(&rest).len > 0 || list[*count][0] == '\0') {
        buf_text(why, "one name stands on each line");
        return ERR_SYNTAX;
    }
    ++*count;
    return ERR_NONE;
}

static enum err build_line(struct loading *l, struct draft *d, const struct draft_line *line,
                           struct buf *why)
{
    struct blob_pool *blob = blob_pool_of(d->pool);

    if (draft_is_line(line, "access_key"))
        return build_access_key(l, blob, line, why);
    if (draft_is_line(line, "region"))
        return build_name(l, blob->regions, &blob->region_count, line, why);
    if (draft_is_line(line, "public"))
        return build_name(l, blob->public_buckets, &blob->public_bucket_count, line, why);
    return build_name(l, blob->virtual_hosts, &blob->virtual_host_count, line, why);
}

/* ---- printing ---- */

static void print_list(const char *name, const char *const *list, uint32_t count, struct buf *out)
{
    for (uint32_t i = 0; i < count; i++)
        buf_format(out, "%s%s", i == 0 ? name : ",", list[i]);
}

static void print_names(const char *line, const char *const *names, uint32_t count, struct buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        buf_format(out, "%s = ", line);
        words_print(slice_text(names[i]), out);
        buf_text(out, "\n");
    }
}

static void print_rights(unsigned rights, struct buf *out)
{
    static const char LETTERS[] = "rwld";

    if (rights == 15)
        return;
    buf_text(out, " rights=");
    for (unsigned i = 0; i < 4; i++)
        if (rights & 1u << i)
            buf_put(out, &LETTERS[i], 1);
}

static void print_lines(const struct pool_settings *pool, bool secrets, struct buf *out)
{
    const struct blob_pool *blob = blob_pool_of(pool);

    for (uint32_t i = 0; i < blob->access_key_count; i++) {
        const struct blob_access_key *key = &blob->access_keys[i];

        buf_text(out, "access_key = ");
        words_print(slice_text(key->id), out);
        buf_text(out, " ");
        words_print(slice_text(secrets ? key->secret : "***"), out);
        print_list(" buckets=", key->buckets, key->bucket_count, out);
        print_list(" prefixes=", key->prefixes, key->prefix_count, out);
        print_rights(key->rights, out);
        buf_text(out, "\n");
    }
    print_names("region", blob->regions, blob->region_count, out);
    print_names("public", blob->public_buckets, blob->public_bucket_count, out);
    print_names("virtual_host", blob->virtual_hosts, blob->virtual_host_count, out);
}

/* ---- the whole ---- */

static bool is_same_store(const struct endpoint_settings *a, const struct endpoint_settings *b)
{
    const char *one = a->store.bucket != NULL ? a->store.bucket : "";
    const char *other = b->store.bucket != NULL ? b->store.bucket : "";
    const char *one_prefix = a->store.prefix != NULL ? a->store.prefix : "";
    const char *other_prefix = b->store.prefix != NULL ? b->store.prefix : "";

    /* Two accounts of a server may have buckets of the same names. */
    if (a->store.bucket == NULL && b->store.bucket == NULL && a->user != NULL && b->user != NULL &&
        strcmp(a->user, b->user) != 0)
        return false;
    return address_is(&a->address, &b->address) && strcmp(one, other) == 0 &&
           strcmp(one_prefix, other_prefix) == 0;
}

static void check_shards(struct loading *l, const struct pool_settings *p)
{
    for (uint32_t i = 0; i < p->endpoint_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (!is_same_store(p->endpoints[i], p->endpoints[k]))
                continue;
            problems_error(l->problems, p->endpoints[i]->place,
                           "shard: %s is already shard %u (%s:%u); two shards in one place would "
                           "share their objects",
                           p->endpoints[i]->name, k, FIRST(p->endpoints[k]->place));
            break;
        }
    }
}

static void check(struct loading *l, const struct draft *d)
{
    const struct blob_pool *p = blob_pool_of(d->pool);
    const struct draft_order orders[] = {
        { "backoff_min", "backoff_max", p->base.backoff_min_ms, p->base.backoff_max_ms, false },
        { "max_session_memory", "max_memory", p->base.max_session_bytes,
          l->snapshot->proxy.max_memory_bytes, true },
        { "max_sessions", "max_sessions", p->base.max_sessions, l->snapshot->proxy.max_sessions,
          true },
    };

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        draft_check_order(l, d, &orders[i]);
    check_shards(l, d->pool);
    if (p->access_key_count == 0 && p->public_bucket_count == 0 && !p->unsigned_access)
        problems_error(l->problems, d->place,
                       "nobody may come in: give an \"access_key = ID SECRET\", or say "
                       "unsigned_access = yes");
}

static const char *is_open(const struct listener_settings *n)
{
    return blob_pool_of(n->pool)->unsigned_access
               ? "and unsigned_access lets anyone do anything; give access keys, or"
               : NULL;
}

const struct draft_kind draft_blob = {
    .kind = POOL_BLOB,
    .size = sizeof(struct blob_pool),
    .table = tables_blob,
    .endpoint_url = tables_blob_url,
    .listen_url = tables_listen_url,
    .needed = (const char *const[]){ "listen", "shard", NULL },
    .endpoint_tls = "shard_tls_",
    .begin = begin,
    .build_line = build_line,
    .begin_endpoint = begin_endpoint,
    .end_endpoint = end_endpoint,
    .preset_endpoint = preset_endpoint,
    .print_lines = print_lines,
    .check = check,
    .is_open = is_open,
};
