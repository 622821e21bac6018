/* What is right is loaded as it is meant: defaults, URLs, users, long lines, environment,
 * includes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/expand.h"
#include "config/tables.h"
#include "tests/unit/check.h"
#include "tests/unit/config/vocabulary.h"

#define POOL "[memory a]\nlisten = redis://127.0.0.1:7000\nshard = redis://10.0.0.1\n"

static char folder[] = "/tmp/sheaf-config-XXXXXX";

static const char *path_of(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "w");

    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* The problems of loading a file, without its folder's name. */
static char *problems_of(const char *name, struct snapshot **s)
{
    struct problems problems = { 0 };
    enum err err = config_load(path_of(name), &TEST_VOCABULARY, s, &problems);
    char *text, *at;

    CHECK_INT(err, problems.errors > 0 ? ERR_CONFIG : ERR_NONE);
    text = test_problems(&problems);
    while ((at = strstr(text, folder)) != NULL)
        memmove(at, at + sizeof(folder), strlen(at + sizeof(folder)) + 1);
    return text;
}

static void every_option_of_the_process_has_its_default(void)
{
    struct snapshot *s = test_load(POOL);

    CHECK(s != NULL);
    if (s == NULL)
        return;
    CHECK_INT(s->pool_count, 1);
    CHECK_INT(s->proxy.workers, 0);
    CHECK(s->proxy.admin_on);
    CHECK_TEXT(s->proxy.admin_address.host, "127.0.0.1");
    CHECK_INT(s->proxy.admin_address.port, 9070);
    CHECK_INT(s->proxy.drain_timeout_ms, 30000);
    CHECK_INT(s->proxy.max_sessions, 10000);
    CHECK_INT(s->proxy.max_memory_bytes, 1 << 30);
    CHECK_INT(s->proxy.backlog, 1024);
    CHECK_INT(s->proxy.resolve_interval_ms, 30000);
    CHECK_INT(s->proxy.time_slice_ms, 5);
    CHECK_INT(s->proxy.batch_wait_us, 500);
    CHECK_INT(s->proxy.slow_requests, 128);
    CHECK_INT(s->proxy.slow_time_ms, 10);
    CHECK_INT(s->proxy.log_level, LOG_INFO);
    CHECK_INT(s->proxy.log_format, LOG_FORMAT_TEXT);
    CHECK(!s->proxy.insecure_listen);
    snapshot_free(&s);
    CHECK(s == NULL);
}

static void every_option_of_a_pool_has_its_default(void)
{
    struct snapshot *s = test_load(POOL);
    const struct memory_pool *p;

    CHECK(s != NULL);
    if (s == NULL)
        return;
    p = memory_pool_of(snapshot_pool(s, "a"));
    CHECK_TEXT(p->hash, "xxh3");
    CHECK_TEXT(p->distribution, "modulo");
    CHECK_TEXT(p->hash_tag, "{}");
    CHECK(p->stamp);
    CHECK_INT(p->on_shard_down, ON_SHARD_DOWN_ERROR);
    CHECK_INT(p->timeout_ms, 2000);
    CHECK_INT(p->base.connect_timeout_ms, 1000);
    CHECK_INT(p->queue_timeout_ms, 1000);
    CHECK_INT(p->tombstone_timeout_ms, 30000);
    CHECK_INT(p->base.idle_timeout_ms, 0);
    CHECK_INT(p->base.unread_timeout_ms, 60000);
    CHECK_INT(p->base.handshake_timeout_ms, 10000);
    CHECK_INT(p->base.upstream_idle_timeout_ms, 300000);
    CHECK_INT(p->base.backoff_min_ms, 50);
    CHECK_INT(p->base.backoff_max_ms, 2000);
    CHECK_INT(p->upstreams, 1);
    CHECK_INT(p->max_upstreams, 128);
    CHECK_INT(p->max_queue, 100000);
    CHECK_INT(p->base.max_sessions, 0);
    CHECK_INT(p->max_pipeline, 1024);
    CHECK_INT(p->max_request_bytes, 64 << 20);
    CHECK_INT(p->base.max_session_bytes, 64 << 20);
    CHECK_INT(p->script_cache_bytes, 16 << 20);
    CHECK_INT(p->databases, 16);
    CHECK_INT(p->sync, MEMORY_SYNC_ALWAYS);
    CHECK_INT(p->eviction, MEMORY_EVICTION_NONE);
    CHECK_TEXT(p->purge, "0 3 *");
    CHECK_INT(p->purge_when.hours, 1 << 3);
    CHECK(p->base.tcp_keepalive);
    CHECK(!p->base.insecure_listen);
    CHECK(p->base.endpoint_tls.verify && !p->base.endpoint_tls.on &&
          p->base.endpoint_tls.ca_file == NULL);
    CHECK_INT(p->base.listen_tls.min_version, TLS_VERSION_1_2);
    CHECK(p->base.health.probe);
    CHECK_INT(p->base.health.interval_ms, 1000);
    CHECK_INT(p->base.health.timeout_ms, 1000);
    CHECK_INT(p->base.health.rise, 2);
    CHECK_INT(p->base.health.fall, 3);
    CHECK_INT(p->base.health.breaker_failures, 5);
    CHECK_INT(p->base.health.breaker_open_ms, 1000);
    CHECK_INT(p->user_count, 0);
    snapshot_free(&s);
    CHECK(s == NULL);
}

static void every_option_is_described(void)
{
    const struct option *tables[] = { tables_proxy, tables_memory, tables_shard_url,
                                      tables_listen_url, tables_class };

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (const struct option *o = tables[i]; o->name != NULL; o++) {
            CHECK(o->text != NULL && o->text[0] != '\0' && o->text[strlen(o->text) - 1] != '.');
            CHECK(option_find(tables[i], o->name) == o);
        }
    }
}

static void an_endpoints_url_says_all_of_it(void)
{
    struct snapshot *s =
        test_load("[memory a]\nlisten = redis://127.0.0.1:7000\nshard_tls_ca = /ca\n"
                  "shard = redis://h-1.example.org\n"
                  "shard = redis://us%40er:p%2Fw%24@10.0.0.1:7001/3?weight=5&name=one\n"
                  "shard = rediss://:pw@[::1]?verify=yes&server_name=x.org\n"
                  "shard = redis+unix://:pw@/run/a%20b.sock?db=2\n");
    const struct endpoint_settings *e;

    CHECK(s != NULL && s->endpoint_count == 4);
    if (s == NULL)
        return;
    e = &s->endpoints[0];
    CHECK_TEXT(e->name, "h-1.example.org:6379");
    CHECK(e->user == NULL && e->password == NULL && e->label == NULL && !e->tls.on);
    CHECK_INT(e->weight, 1);
    e = s->pools[0]->endpoints[1];
    CHECK_INT(e->number, 1);
    CHECK_INT(e->shard, 1);
    CHECK(e->pool == s->pools[0]);
    CHECK_INT(e->place.line, 5);
    CHECK_TEXT(e->name, "10.0.0.1:7001/3");
    CHECK_TEXT(e->user, "us@er");
    CHECK_TEXT(e->password, "p/w$");
    CHECK_TEXT(e->label, "one");
    CHECK_INT(e->database, 3);
    CHECK_INT(e->weight, 5);
    e = &s->endpoints[2];
    CHECK_TEXT(e->name, "[::1]:6379");
    CHECK_TEXT(e->address.host, "::1");
    CHECK_TEXT(e->scheme, "rediss");
    CHECK_TEXT(e->protocol, "redis");
    CHECK(e->tls.on && e->tls.verify);
    CHECK_TEXT(e->tls.ca_file, "/ca");
    CHECK_TEXT(e->tls.server_name, "x.org");
    e = &s->endpoints[3];
    CHECK_TEXT(e->name, "/run/a b.sock?db=2");
    CHECK_TEXT(e->address.path, "/run/a b.sock");
    CHECK_TEXT(e->password, "pw");
    CHECK(e->address.host == NULL);
    snapshot_free(&s);
}

static void an_endpoints_identity_tells_its_logins_apart(void)
{
    struct snapshot *s =
        test_load("[memory a]\nlisten = redis://127.0.0.1:1\nshard = redis://u:a@h\n"
                  "[memory b]\nlisten = redis://127.0.0.1:2\nshard = redis://u:b@h\n"
                  "[memory c]\nlisten = redis://127.0.0.1:3\n"
                  "shard = redis://u:a@h:6379?weight=9&name=x\n"
                  "[memory d]\nlisten = redis://127.0.0.1:4\nshard = rediss://u:a@h\n");

    CHECK(s != NULL);
    if (s == NULL)
        return;
    CHECK(strcmp(s->endpoints[0].identity, s->endpoints[1].identity) != 0);
    CHECK_TEXT(s->endpoints[0].identity, s->endpoints[2].identity);
    CHECK(strcmp(s->endpoints[0].identity, s->endpoints[3].identity) != 0);
    CHECK(strstr(s->endpoints[0].name, "a@") == NULL);
    snapshot_free(&s);
}

static void listeners_say_where_and_how(void)
{
    struct snapshot *s = test_load(
        "[memory a]\nshard = redis://h\n"
        "listen = redis+unix:///run/s.sock?mode=0660\n"
        "listen = rediss://127.0.0.1?client=required\n"
        "tls_cert = c.pem\ntls_key = /k.pem\ntls_client_ca = ca.pem\ntls_client = optional\n"
        "tls_min_version = 1.3\n");
    const struct listener_settings *n;

    CHECK(s != NULL && s->listener_count == 2);
    if (s == NULL)
        return;
    n = &s->listeners[0];
    CHECK_TEXT(n->name, "redis+unix:///run/s.sock");
    CHECK_INT(n->socket_mode, 0660);
    CHECK(!n->tls.on);
    n = s->pools[0]->listeners[1];
    CHECK_TEXT(n->name, "rediss://127.0.0.1:6379");
    CHECK_INT(n->number, 1);
    CHECK_INT(n->tls.client, TLS_CLIENT_REQUIRED);
    CHECK_INT(n->tls.min_version, TLS_VERSION_1_3);
    CHECK_TEXT(n->tls.cert_file, "c.pem");
    CHECK_TEXT(n->tls.key_file, "/k.pem");
    CHECK_TEXT(n->tls.ca_file, "ca.pem");
    snapshot_free(&s);
}

static void users_have_passwords_prefixes_and_rights(void)
{
    struct snapshot *s;
    const struct user_settings *u;

    setenv("SHEAF_TEST_PASSWORD", "my secret ; with $ and spaces", 1);
    s = test_load(POOL "password = plain $$ text\n"
                       "user = app ${SHEAF_TEST_PASSWORD} prefix=app: prefix=tmp: "
                       "allow=@read,@write deny=FLUSHALL,config|set\n"
                       "user = ops "
                       "#5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8 "
                       "password=next admin\n"
                       "user = guest nopass allow=get\n");
    CHECK(s != NULL && memory_pool_of(s->pools[0])->user_count == 4);
    if (s == NULL)
        return;
    u = &memory_pool_of(s->pools[0])->users[0];
    CHECK_TEXT(u->name, "default");
    CHECK_TEXT(u->passwords[0].text, "plain $ text");
    u++;
    CHECK_TEXT(u->name, "app");
    CHECK_TEXT(u->passwords[0].text, "my secret ; with $ and spaces");
    CHECK_INT(u->key_prefix_count, 2);
    CHECK_BYTES(u->key_prefixes[1], bytes("tmp:"));
    CHECK_INT(u->allow_count, 2);
    CHECK_TEXT(u->allow[1], "@write");
    CHECK_INT(u->deny_count, 2);
    CHECK_TEXT(u->deny[0], "flushall");
    CHECK_TEXT(u->deny[1], "config|set");
    CHECK(!u->admin && !u->nopass);
    u++;
    CHECK(u->admin && u->password_count == 2 && u->passwords[0].text == NULL);
    CHECK_INT(u->passwords[0].sha256[0], 0x5e);
    CHECK_INT(u->passwords[0].sha256[31], 0xd8);
    CHECK_TEXT(u->passwords[1].text, "next");
    u++;
    CHECK(u->nopass && u->password_count == 0 && u->allow_count == 1);
    snapshot_free(&s);
}

static void values_carry_units_words_and_comments(void)
{
    struct snapshot *s = test_load("\xEF\xBB\xBF; first line\r\n[proxy]\r\nadmin = off ; none\r\n"
                                   "max_memory = 2GB\n# a comment\n  workers = 3\n" POOL
                                   "  idle_timeout = never\n\ttimeout: 400ms\nbreaker_open = 1m\n"
                                   "hash_tag = off\nstamp = off\nmax_sessions = unlimited\n"
                                   "max_request = 64kb\nprobe = no\n");

    CHECK(s != NULL);
    if (s == NULL)
        return;
    CHECK(!s->proxy.admin_on);
    CHECK_INT(s->proxy.max_memory_bytes, 2LL << 30);
    CHECK_INT(s->proxy.workers, 3);
    CHECK_INT(memory_pool_of(s->pools[0])->timeout_ms, 400);
    CHECK_INT(s->pools[0]->health.breaker_open_ms, 60000);
    CHECK_TEXT(memory_pool_of(s->pools[0])->hash_tag, "");
    CHECK(!memory_pool_of(s->pools[0])->stamp && !s->pools[0]->health.probe);
    CHECK_INT(memory_pool_of(s->pools[0])->max_request_bytes, 65536);
    snapshot_free(&s);
}

static void the_environment_never_moves_the_boundaries_of_a_url(void)
{
    struct snapshot *s;

    setenv("SHEAF_TEST_PASSWORD", "a/b@c:d?e#f%41$x", 1);
    setenv("SHEAF_TEST_ADDRESS", "10.1.1.1:7777", 1);
    setenv("SHEAF_TEST_URL", "redis://u:p%41$@h:1/2?weight=3", 1);
    s = test_load("[memory a]\nlisten = redis://127.0.0.1:1\n"
                  "shard = redis://app:${SHEAF_TEST_PASSWORD}@${SHEAF_TEST_ADDRESS}/1\n"
                  "shard = ${SHEAF_TEST_URL}\n");
    CHECK(s != NULL);
    if (s == NULL)
        return;
    CHECK_TEXT(s->endpoints[0].password, "a/b@c:d?e#f%41$x");
    CHECK_TEXT(s->endpoints[0].name, "10.1.1.1:7777/1");
    CHECK_TEXT(s->endpoints[1].password, "pA$");
    CHECK_TEXT(s->endpoints[1].name, "h:1/2");
    CHECK_INT(s->endpoints[1].weight, 3);
    snapshot_free(&s);
}

/* A pool whose `user` line has `len` bytes in all. */
static char *long_text(size_t len)
{
    static const char START[] = "user = app pw prefix=";
    char *text = malloc(sizeof(POOL) + len + 2);
    size_t at = sizeof(POOL) - 1;

    memcpy(text, POOL, at);
    memcpy(text + at, START, sizeof(START) - 1);
    memset(text + at + sizeof(START) - 1, 'x', len - (sizeof(START) - 1));
    memcpy(text + at + len, "\n", 2);
    return text;
}

static void lines_are_whole_up_to_64_kib_and_an_error_beyond(void)
{
    static const size_t LENGTHS[] = { 197, 198, 199, 200, 201, 1000, 65535, 65536 };
    struct problems problems = { 0 };
    struct snapshot *s = NULL;
    char *text, *found;

    for (size_t i = 0; i < sizeof(LENGTHS) / sizeof(LENGTHS[0]); i++) {
        text = long_text(LENGTHS[i]);
        s = test_load(text);
        CHECK(s != NULL && memory_pool_of(s->pools[0])->user_count == 1);
        if (s != NULL)
            CHECK_INT(memory_pool_of(s->pools[0])->users[0].key_prefixes[0].len, LENGTHS[i] - 21);
        snapshot_free(&s);
        free(text);
    }
    text = long_text(65537);
    CHECK_INT(config_load_text("t.ini", text, &TEST_VOCABULARY, &s, &problems), ERR_CONFIG);
    found = test_problems(&problems);
    CHECK_TEXT(found, "t.ini:4: the line is longer than 65536 bytes\n");
    free(found);
    free(text);
}

static void included_files_count_in_their_place(void)
{
    struct snapshot *s = NULL;
    char *found;

    CHECK(mkdir(path_of("conf.d"), 0700) == 0);
    write_file("main.ini", "[proxy]\ninclude = conf.d/*.ini\nworkers = 2\ninclude = none/*.ini\n");
    write_file("conf.d/b.ini", "[memory b]\nlisten = redis://127.0.0.1:2\nshard = redis://h\n");
    write_file("conf.d/a.ini", "[memory a]\nlisten = redis://127.0.0.1:1\ninclude = shards.inc\n");
    write_file("conf.d/shards.inc", "");
    found = problems_of("main.ini", &s);
    CHECK_TEXT(found, "conf.d/a.ini:1: [memory a] has no \"shard\" line\n");
    free(found);
    write_file("conf.d/a.ini", "[memory a]\nlisten = redis://127.0.0.1:1\nshard = redis://a\n");
    found = problems_of("main.ini", &s);
    CHECK_TEXT(found, "");
    CHECK(s != NULL && s->pool_count == 2 && s->proxy.workers == 2);
    if (s != NULL)
        CHECK_TEXT(s->pools[0]->name, "a");
    snapshot_free(&s);
    free(found);
}

static void problems_name_the_included_file_and_its_line(void)
{
    struct snapshot *s = NULL;
    char *found;

    write_file("bad.ini", "[memory a]\nlisten = redis://127.0.0.1:1\nshrd = x\n"
                          "include = bad2.ini\ninclude = missing.ini\nsahrd = x\n"
                          "shard = redis://h\n");
    write_file("bad2.ini", "x = y\ninclude = bad.ini\n[memory a]\n");
    found = problems_of("bad.ini", &s);
    CHECK_TEXT(found,
               "bad.ini:3: unknown option \"shrd\" in [memory a]; did you mean \"shard\"?\n"
               "bad2.ini:1: \"x\" stands before any [section]\n"
               "bad2.ini:2: include: \"bad.ini\" includes itself\n"
               "bad2.ini:3: section [memory a] is already there (bad.ini:1)\n"
               "bad.ini:5: cannot read \"missing.ini\": No such file or directory\n"
               "bad.ini:6: unknown option \"sahrd\" in [memory a]; did you mean \"shard\"?\n");
    free(found);
    found = problems_of("nowhere.ini", &s);
    CHECK_TEXT(found, "nowhere.ini: cannot read \"nowhere.ini\": No such file or directory\n");
    free(found);
    found = problems_of("conf.d", &s);
    CHECK_TEXT(found, "conf.d: cannot read \"conf.d\": it is a folder\n");
    free(found);
}

static void tls_files_must_be_there_and_are_sought_beside_the_file(void)
{
    struct snapshot *s = NULL;
    char *found;

    write_file("cert.pem", "");
    write_file("tls.ini",
               "[memory a]\nlisten = rediss://127.0.0.1:1\nshard = rediss://h?ca=ca.pem\n"
               "tls_cert = cert.pem\ntls_key = key.pem\n");
    found = problems_of("tls.ini", &s);
    CHECK_TEXT(found,
               "tls.ini:2: listen: cannot read key \"key.pem\": No such file or directory\n"
               "tls.ini:3: shard: cannot read certificates of authorities \"ca.pem\": No such "
               "file or directory\n");
    free(found);
    write_file("ca.pem", "");
    write_file("key.pem", "");
    found = problems_of("tls.ini", &s);
    CHECK_TEXT(found, "");
    CHECK(s != NULL);
    if (s != NULL)
        CHECK_TEXT(s->endpoints[0].tls.ca_file, path_of("ca.pem"));
    free(found);
    snapshot_free(&s);
}

static void a_zero_byte_is_a_problem(void)
{
    struct snapshot *s = NULL;
    FILE *f = fopen(path_of("zero.ini"), "w");
    char *found;

    CHECK(fwrite(POOL "hash = md5\0x\n", 1, sizeof(POOL) + 12, f) == sizeof(POOL) + 12);
    fclose(f);
    found = problems_of("zero.ini", &s);
    CHECK_TEXT(found, "zero.ini:4: a zero byte is in this line\n");
    free(found);
}

static char *printed(const struct snapshot *s)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    config_check_print(s, out);
    fclose(out);
    return text;
}

static void what_check_prints_loads_again_and_prints_the_same(void)
{
    struct snapshot *s = test_load(
        "[proxy]\nworkers = 2\nmax_memory = 512mb\nlog_format = json\n"
        "[memory a]\nlisten = redis+unix:///run/s%20s.sock?mode=0660\n"
        "listen = rediss://127.0.0.1:7000?client=optional&client_ca=/x\n"
        "shard = redis://us%40er:topsecret@10.0.0.1:7001/3?weight=5&name=n%26o%24\n"
        "shard = rediss://:topsecret@[::1]:6380?verify=no\n"
        "tls_cert = /cert\ntls_key = /key\ntimeout = 90s\ntombstone_timeout = 2m\nhash = md5\n"
        "hash_tag = $$$$\nstamp = no\nuser = app topsecret prefix=a$$: allow=@read admin\n"
        "[memory b]\nlisten = redis://0.0.0.0:1\ninsecure_listen = anyone may connect\n"
        "shard = redis://h\n");
    struct snapshot *again;
    char *first, *second;

    CHECK(s != NULL);
    if (s == NULL)
        return;
    first = printed(s);
    again = test_load(first);
    CHECK(again != NULL);
    if (again == NULL)
        return;
    second = printed(again);
    CHECK_TEXT(second, first);
    CHECK(strstr(first, "topsecret") == NULL);
    CHECK(strstr(first, "shard = redis://us%40er:***@10.0.0.1:7001?weight=5&name=n%26o%24&db=3\n"));
    CHECK(strstr(first, "user = app *** prefix=a$$: allow=@read admin\n"));
    CHECK(strstr(first, "\ntimeout = 90s\n") && strstr(first, "\n;connect_timeout = 1s\n"));
    CHECK(strstr(first, "\nlisten = redis+unix:///run/s%20s.sock?mode=0660\n"));
    CHECK_TEXT(memory_pool_of(again->pools[0])->hash_tag, "$$");
    CHECK_TEXT(again->endpoints[0].label, "n&o$");
    CHECK_TEXT(again->pools[0]->listeners[1]->tls.cert_file, "/cert");
    free(first);
    free(second);
    snapshot_free(&s);
    snapshot_free(&again);
}

static void the_documentation_names_every_option(void)
{
    static const struct option *const TABLES[] = {
        tables_proxy,        tables_memory, tables_shard_url,  tables_listen_url,
        tables_class,        tables_sql,    tables_server_url, tables_sql_listen_url,
        tables_sql_database, tables_blob,   tables_blob_url,   tables_sql_user,
    };
    char *text, row[1024];
    size_t len;
    FILE *out = open_memstream(&text, &len);

    config_document(&TEST_VOCABULARY, out);
    fclose(out);
    for (size_t i = 0; i < sizeof(TABLES) / sizeof(TABLES[0]); i++)
        for (const struct option *o = TABLES[i]; o->name != NULL; o++) {
            snprintf(row, sizeof(row), "| `%s` | ", o->name);
            CHECK_TEXT(strstr(text, row) != NULL ? o->name : "not documented", o->name);
        }
    CHECK(strstr(text,
                 "| `timeout` | 1ms to 1d | `2s` | for a request: from sending it to its reply; "
                 "to a large reply that has begun, from its last bytes |"));
    CHECK(strstr(text, "| `hash` | xxh3, fnv1a_64, md5 or murmur | `xxh3` |"));
    CHECK(strstr(text, "PASSWORD\\|#SHA256\\|nopass"));
    free(text);
}

/* The root of the sources, as the compiler was told it. */
static const char *example_path(void)
{
    static char path[512];
    const char *tests = strstr(__FILE__, "tests/unit/config/");

    snprintf(path, sizeof(path), "%.*sconfig/example.ini", (int)(tests - __FILE__), __FILE__);
    return path;
}

static void the_example_loads_without_a_warning(void)
{
    struct problems problems = { 0 };
    struct snapshot *s = NULL;
    char *found;

    CHECK_INT(config_load(example_path(), &TEST_VOCABULARY, &s, &problems), ERR_NONE);
    found = test_problems(&problems);
    CHECK_TEXT(found, "");
    CHECK(s != NULL && s->pool_count == 3 && s->pools[0]->endpoint_count == 2);
    CHECK(s != NULL && s->pools[1]->kind == POOL_SQL && s->pools[1]->endpoint_count == 3);
    CHECK(s != NULL && s->pools[2]->kind == POOL_BLOB && s->pools[2]->endpoint_count == 2);
    free(found);
    snapshot_free(&s);
}

static void the_example_shows_the_true_defaults(void)
{
    FILE *f = fopen(example_path(), "r");
    char line[256], name[64], value[64];
    const struct option *table = tables_proxy;
    unsigned seen = 0;

    CHECK(f != NULL);
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        const struct option *o;

        if (strncmp(line, "[memory", 7) == 0)
            table = tables_memory;
        if (strncmp(line, ";[class", 7) == 0)
            table = tables_class;
        if (strncmp(line, "[sql", 4) == 0)
            table = tables_sql;
        if (strncmp(line, "[blob", 5) == 0)
            table = tables_blob;
        if (sscanf(line, ";%63[a-z_] = %63[^;\n]", name, value) != 2)
            continue;
        for (size_t len = strlen(value); len > 0 && value[len - 1] == ' '; len--)
            value[len - 1] = 0;
        o = option_find(table, name);
        CHECK(o != NULL || strcmp(name, "include") == 0);
        if (o == NULL || o->preset == NULL)
            continue;
        CHECK_TEXT(value, o->preset);
        seen++;
    }
    CHECK(seen > 40);
    fclose(f);
}

static void loopback_is_recognised(void)
{
    static const struct {
        struct address address;
        bool local;
    } CASES[] = {
        { { .host = "127.0.0.1" }, true }, { { .host = "127.9.9.9" }, true },
        { { .host = "::1" }, true },       { { .host = "LOCALHOST" }, true },
        { { .path = "/x" }, true },        { { .host = "128.0.0.1" }, false },
        { { .host = "0.0.0.0" }, false },  { { .host = "::" }, false },
        { { .host = "127.org" }, false },  { { .host = "localhost.org" }, false },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        CHECK_INT(address_is_local(&CASES[i].address), CASES[i].local);
}

int main(void)
{
    char command[64];

    if (mkdtemp(folder) == NULL)
        return 1;
    RUN(every_option_of_the_process_has_its_default);
    RUN(every_option_of_a_pool_has_its_default);
    RUN(every_option_is_described);
    RUN(an_endpoints_url_says_all_of_it);
    RUN(an_endpoints_identity_tells_its_logins_apart);
    RUN(listeners_say_where_and_how);
    RUN(users_have_passwords_prefixes_and_rights);
    RUN(values_carry_units_words_and_comments);
    RUN(the_environment_never_moves_the_boundaries_of_a_url);
    RUN(lines_are_whole_up_to_64_kib_and_an_error_beyond);
    RUN(included_files_count_in_their_place);
    RUN(problems_name_the_included_file_and_its_line);
    RUN(tls_files_must_be_there_and_are_sought_beside_the_file);
    RUN(a_zero_byte_is_a_problem);
    RUN(what_check_prints_loads_again_and_prints_the_same);
    RUN(the_documentation_names_every_option);
    RUN(the_example_loads_without_a_warning);
    RUN(the_example_shows_the_true_defaults);
    RUN(loopback_is_recognised);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return check_report() | (system(command) != 0);
}
