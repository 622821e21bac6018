/* See twemproxy.h.  libyaml makes a document of nodes; a table says what each key of a pool is. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "config/option.h"
#include "config/twemproxy.h"
#include "proxy/base/buf.h"

enum { SOCKET_PATH_BYTES = 107, HOST_BYTES = 253, MEMCACHED_PORT = 11211 };

struct reading {
    yaml_document_t document;
    const char *name;          /* borrowed: the file's */
    struct arena *arena;       /* borrowed */
    struct problems *problems; /* borrowed */
    struct twemproxy_pool *pools, **pools_end;
};

enum key_type { KEY_TEXT, KEY_NUMBER, KEY_FLAG, KEY_LISTEN, KEY_SERVERS };

struct key {
    const char *name;
    enum key_type type;
    size_t offset;
    const char *const *words; /* texts: one of these; NULL: any */
};

static const char *const HASHES[] = {
    "one_at_a_time", "md5",      "crc16", "crc32",  "crc32a",  "fnv1_64", "fnv1a_64",
    "fnv1_32",       "fnv1a_32", "hsieh", "murmur", "jenkins", NULL,
};
static const char *const DISTRIBUTIONS[] = { "ketama", "modula", "random", NULL };

#define AT(member) offsetof(struct twemproxy_pool, member)

static const struct key KEYS[] = {
    { "listen", KEY_LISTEN, 0, NULL },
    { "servers", KEY_SERVERS, 0, NULL },
    { "hash", KEY_TEXT, AT(hash), HASHES },
    { "distribution", KEY_TEXT, AT(distribution), DISTRIBUTIONS },
    { "hash_tag", KEY_TEXT, AT(hash_tag), NULL },
    { "redis_auth", KEY_TEXT, AT(redis_auth), NULL },
    { "timeout", KEY_NUMBER, AT(timeout_ms), NULL },
    { "backlog", KEY_NUMBER, AT(backlog), NULL },
    { "client_connections", KEY_NUMBER, AT(client_connections), NULL },
    { "server_connections", KEY_NUMBER, AT(server_connections), NULL },
    { "server_retry_timeout", KEY_NUMBER, AT(server_retry_timeout_ms), NULL },
    { "server_failure_limit", KEY_NUMBER, AT(server_failure_limit), NULL },
    { "redis_db", KEY_NUMBER, AT(redis_db), NULL },
    { "preconnect", KEY_FLAG, AT(preconnect), NULL },
    { "tcpkeepalive", KEY_FLAG, AT(tcpkeepalive), NULL },
    { "redis", KEY_FLAG, AT(redis), NULL },
    { "auto_eject_hosts", KEY_FLAG, AT(auto_eject_hosts), NULL },
    { "reuseport", KEY_FLAG, AT(reuseport), NULL },
    { NULL, KEY_TEXT, 0, NULL },
};

static struct place place_of(const struct reading *r, const yaml_node_t *node)
{
    unsigned line = (unsigned)node->start_mark.line + 1;

    return (struct place){ .file = r->name, .line = line, .order = line };
}

/* NULL if the node is no text that C can hold. */
static const char *scalar(const struct reading *r, const yaml_node_t *node)
{
    const char *text;

    if (node == NULL || node->type != YAML_SCALAR_NODE)
        return NULL;
    text = arena_text(r->arena, slice_of(node->data.scalar.value, node->data.scalar.length));
    return strlen(text) == node->data.scalar.length && strpbrk(text, "\r\n") == NULL ? text : NULL;
}

static bool parse_number(const char *text, int64_t *out)
{
    return slice_to_i64(slice_text(text), out) && *out >= -1 && *out <= INT32_MAX;
}

static bool parse_flag(const char *text, bool *out)
{
    static const char *const WORDS[] = { "false", "no", "off", "true", "yes", "on", NULL };

    for (size_t i = 0; WORDS[i] != NULL; i++) {
        if (strcasecmp(WORDS[i], text) == 0) {
            *out = i >= 3;
            return true;
        }
    }
    return false;
}

static bool is_host(const char *host)
{
    static const char LETTERS[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:";

    return host[0] != '\0' && strlen(host) <= HOST_BYTES && strspn(host, LETTERS) == strlen(host);
}

/* "host:port", split at the last colon as twemproxy does. */
static bool parse_host_and_port(struct arena *arena, struct slice text, struct address *out)
{
    const uint8_t *colon = text.len == 0 ? NULL : memrchr(text.at, ':', text.len);
    struct address address = { 0 };
    size_t host_len;
    uint64_t port;

    if (colon == NULL)
        return false;
    host_len = (size_t)(colon - text.at);
    address.host = arena_text(arena, slice_of(text.at, host_len));
    if (!slice_to_u64(slice_from(text, host_len + 1), &port) || port == 0 || port > 65535)
        return false;
    address.port = (uint16_t)port;
    *out = address;
    return is_host(address.host);
}

/* Host and port, or the path of a Unix socket. */
static bool parse_address(struct arena *arena, struct slice text, struct address *out)
{
    if (!slice_starts(text, slice_text("/")))
        return parse_host_and_port(arena, text, out);
    *out = (struct address){ .path = arena_text(arena, text) };
    return text.len <= SOCKET_PATH_BYTES;
}

/* "host:port", or "/path", or "/path 0777". */
static void take_listen(struct reading *r, struct twemproxy_pool *pool, struct place place,
                        const char *text)
{
    size_t len = strcspn(text, " ");

    if (text[len] == ' ' && text[0] == '/')
        pool->listen_mode = text + len + strspn(text + len, " ");
    else
        len = strlen(text);
    if (pool->listen_mode != NULL &&
        (strspn(pool->listen_mode, "01234567") < 3 || strtoul(pool->listen_mode, NULL, 8) > 0777 ||
         strspn(pool->listen_mode, "01234567") != strlen(pool->listen_mode)))
        problems_error(r->problems, place, "listen: \"%s\" are no rights of a file",
                       pool->listen_mode);
    if (!parse_address(r->arena, slice_of(text, len), &pool->listen))
        problems_error(r->problems, place,
                       "listen: must be HOST:PORT or /PATH, perhaps with its rights, not \"%s\"",
                       text);
}

/* What twemproxy calls a server that has no name: its port is left out where it is memcached's. */
static const char *name_of(struct arena *arena, const struct twemproxy_server *server)
{
    const struct address *a = &server->address;
    struct buf text = { 0 };
    const char *name;

    if (server->label != NULL)
        return server->label;
    if (a->path != NULL)
        return a->path;
    if (a->port == MEMCACHED_PORT)
        return a->host;
    buf_format(&text, "%s:%u", a->host, a->port);
    name = arena_text(arena, buf_all(&text));
    buf_fini(&text);
    return name;
}

static bool comes_before(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);

    return a_len != b_len ? a_len < b_len : strcmp(a, b) < 0;
}

/* Twemproxy sorts the servers by name, the shorter first, before it counts them: their order in the
 * file means nothing to it, and the order of ours is the map. */
static void insert_server(struct reading *r, struct twemproxy_pool *pool,
                          struct twemproxy_server *server)
{
    const char *name = name_of(r->arena, server);
    struct twemproxy_server **at = &pool->servers;

    while (*at != NULL && !comes_before(name, name_of(r->arena, *at)))
        at = &(*at)->next;
    pool->is_sorted = pool->is_sorted || *at != NULL;
    server->next = *at;
    *at = server;
}

/* "host:port:weight", or "/path:weight"; perhaps with a name behind it. */
static void take_server(struct reading *r, struct twemproxy_pool *pool, const yaml_node_t *node)
{
    struct twemproxy_server *server = arena_new(r->arena, sizeof(*server));
    const char *text = scalar(r, node), *colon;
    uint64_t weight;
    size_t len;

    if (text == NULL) {
        problems_error(r->problems, place_of(r, node), "servers: a server is one line of text");
        return;
    }
    server->place = place_of(r, node);
    len = strcspn(text, " ");
    if (text[len] == ' ')
        server->label = text + len + strspn(text + len, " ");
    colon = memrchr(text, ':', len);
    if (colon == NULL ||
        !parse_address(r->arena, slice_of(text, (size_t)(colon - text)), &server->address) ||
        !slice_to_u64(slice_of(colon + 1, len - (size_t)(colon - text) - 1), &weight) ||
        weight == 0 || weight > INT32_MAX) {
        problems_error(
            r->problems, server->place,
            "servers: must be HOST:PORT:WEIGHT or /PATH:WEIGHT, perhaps with a name, not "
            "\"%s\"",
            text);
        return;
    }
    server->weight = (uint32_t)weight;
    insert_server(r, pool, server);
}

static void take_servers(struct reading *r, struct twemproxy_pool *pool, const yaml_node_t *node)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        problems_error(r->problems, place_of(r, node), "servers: must be a list");
        return;
    }
    for (yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top; item++)
        take_server(r, pool, yaml_document_get_node(&r->document, *item));
}

static void take_text(struct reading *r, struct twemproxy_pool *pool, const struct key *key,
                      struct place place, const char *text)
{
    struct buf words = { 0 };
    bool known = key->words == NULL;

    for (size_t i = 0; !known && key->words[i] != NULL; i++)
        known = strcmp(key->words[i], text) == 0;
    *(const char **)((char *)pool + key->offset) = text;
    if (strcmp(key->name, "redis_auth") == 0)
        pool->auth_place = place;
    if (known)
        return;
    buf_format(&words, "%s: twemproxy knows no \"%s\"", key->name, text);
    option_suggest_word(key->words, text, &words);
    problems_error(r->problems, place, "%.*s", (int)words.len, (char *)words.at);
    buf_fini(&words);
}

static void take_value(struct reading *r, struct twemproxy_pool *pool, const struct key *key,
                       const yaml_node_t *node)
{
    char *at = (char *)pool + key->offset;
    const char *text = scalar(r, node);
    struct place place = place_of(r, node);

    if (key->type == KEY_SERVERS) {
        take_servers(r, pool, node);
        return;
    }
    if (text == NULL) {
        problems_error(r->problems, place, "%s: must be one line of text", key->name);
        return;
    }
    switch (key->type) {
    case KEY_LISTEN:
        take_listen(r, pool, place, text);
        return;
    case KEY_TEXT:
        take_text(r, pool, key, place, text);
        return;
    case KEY_NUMBER:
        if (!parse_number(text, (int64_t *)at))
            problems_error(r->problems, place, "%s: must be a number, not \"%s\"", key->name, text);
        return;
    case KEY_FLAG:
        if (!parse_flag(text, (bool *)at))
            problems_error(r->problems, place, "%s: must be true or false, not \"%s\"", key->name,
                           text);
        return;
    case KEY_SERVERS:
        return;
    }
}

static void take_pair(struct reading *r, struct twemproxy_pool *pool, const yaml_node_pair_t *pair,
                      bool *seen)
{
    const yaml_node_t *name_node = yaml_document_get_node(&r->document, pair->key);
    const yaml_node_t *value = yaml_document_get_node(&r->document, pair->value);
    const char *name = scalar(r, name_node);
    const struct key *key = KEYS;

    while (name != NULL && key->name != NULL && strcmp(key->name, name) != 0)
        key++;
    if (name == NULL || key->name == NULL || value == NULL) {
        problems_error(r->problems, place_of(r, name_node), "twemproxy knows no option \"%s\"",
                       name != NULL ? name : "?");
        return;
    }
    if (seen[key - KEYS])
        problems_error(r->problems, place_of(r, name_node), "%s: is already given in this pool",
                       name);
    seen[key - KEYS] = true;
    take_value(r, pool, key, value);
}

static void take_pool(struct reading *r, const yaml_node_pair_t *pair)
{
    const yaml_node_t *name = yaml_document_get_node(&r->document, pair->key);
    const yaml_node_t *options = yaml_document_get_node(&r->document, pair->value);
    struct twemproxy_pool *pool = arena_new(r->arena, sizeof(*pool));
    bool seen[sizeof(KEYS) / sizeof(KEYS[0])] = { false };

    *pool = (struct twemproxy_pool){ .name = scalar(r, name),
                                     .hash = "fnv1a_64",
                                     .distribution = "ketama",
                                     .timeout_ms = -1,
                                     .backlog = -1,
                                     .client_connections = -1,
                                     .server_connections = -1,
                                     .server_retry_timeout_ms = -1,
                                     .server_failure_limit = -1,
                                     .redis_db = -1 };
    pool->place = place_of(r, name);
    if (pool->name == NULL || options == NULL || options->type != YAML_MAPPING_NODE) {
        problems_error(r->problems, pool->place, "a pool is a name and its options");
        return;
    }
    for (yaml_node_pair_t *each = options->data.mapping.pairs.start;
         each < options->data.mapping.pairs.top; each++)
        take_pair(r, pool, each, seen);
    if (!seen[0])
        problems_error(r->problems, pool->place, "pool \"%s\" has no \"listen\"", pool->name);
    if (!seen[1])
        problems_error(r->problems, pool->place, "pool \"%s\" has no \"servers\"", pool->name);
    *r->pools_end = pool;
    r->pools_end = &pool->next;
}

static void take_document(struct reading *r)
{
    const yaml_node_t *root = yaml_document_get_root_node(&r->document);
    struct place place = { .file = r->name };

    if (root == NULL || root->type != YAML_MAPPING_NODE ||
        root->data.mapping.pairs.start == root->data.mapping.pairs.top) {
        problems_error(r->problems, place, "there is no pool in this file");
        return;
    }
    for (yaml_node_pair_t *pair = root->data.mapping.pairs.start;
         pair < root->data.mapping.pairs.top; pair++)
        take_pool(r, pair);
}

struct twemproxy_pool *twemproxy_read(const char *name, const char *text, size_t len,
                                      struct arena *arena, struct problems *problems)
{
    struct reading r = { .name = name, .arena = arena, .problems = problems };
    yaml_parser_t parser;

    r.pools_end = &r.pools;
    if (!yaml_parser_initialize(&parser))
        abort();
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    if (yaml_parser_load(&parser, &r.document)) {
        take_document(&r);
        yaml_document_delete(&r.document);
    } else {
        struct place place = { .file = name, .line = (unsigned)parser.problem_mark.line + 1 };

        problems_error(problems, place, "not YAML: %s",
                       parser.problem != NULL ? parser.problem : "out of memory");
    }
    yaml_parser_delete(&parser);
    return r.pools;
}
