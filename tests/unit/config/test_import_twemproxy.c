/* nutcracker.yml becomes a sheaf.ini that loads and means the same. */
#include <stdlib.h>
#include <string.h>

#include "config/import_twemproxy.h"
#include "tests/unit/check.h"
#include "tests/unit/config/vocabulary.h"

static char *imported(const char *yaml, struct problems *problems)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    enum err err = import_twemproxy_text("nutcracker.yml", yaml, strlen(yaml), out, problems);

    fclose(out);
    CHECK_INT(err, problems->errors == 0 ? ERR_NONE : ERR_CONFIG);
    return text;
}

static struct snapshot *loaded(const char *yaml)
{
    struct problems problems = { 0 };
    char *ini = imported(yaml, &problems);
    struct snapshot *s;

    problems_print(&problems, stdout);
    CHECK_INT(problems.count, 0);
    problems_fini(&problems);
    s = test_load(ini);
    if (s == NULL)
        printf("%s", ini);
    CHECK(s != NULL);
    free(ini);
    return s;
}

static void a_pool_is_written_out_with_what_behaves_otherwise(void)
{
    struct problems problems = { 0 };
    char *ini = imported("alpha:\n"
                         "  listen: 127.0.0.1:22121\n"
                         "  hash: fnv1a_64\n"
                         "  distribution: ketama\n"
                         "  auto_eject_hosts: true\n"
                         "  redis: true\n"
                         "  server_retry_timeout: 2000\n"
                         "  server_failure_limit: 1\n"
                         "  timeout: 400\n"
                         "  preconnect: yes\n"
                         "  tcpkeepalive: true\n"
                         "  backlog: 512\n"
                         "  server_connections: 2\n"
                         "  servers:\n"
                         "   - 127.0.0.1:6379:1 one\n"
                         "   - 127.0.0.1:6380:3\n",
                         &problems);

    CHECK_TEXT(ini, "; Equivalent of nutcracker.yml: the same keys on the same servers.\n"
                    "\n"
                    "[proxy]\n"
                    ";workers = auto ; twemproxy has one thread; give 1 for the same\n"
                    "backlog = 512\n"
                    "\n"
                    "[memory alpha]\n"
                    "listen = redis://127.0.0.1:22121\n"
                    "hash = fnv1a_64\n"
                    "distribution = ketama\n"
                    "hash_tag = off\n"
                    "shard = redis://127.0.0.1:6379?name=one\n"
                    "shard = redis://127.0.0.1:6380?weight=3\n"
                    "timeout = 400ms ; now from sending a request, not from its arrival\n"
                    "upstreams = 2 ; was server_connections; per worker\n"
                    "; preconnect is not needed: servers are probed from the start\n"
                    "; auto_eject_hosts has no equal: keys of a dead server get an error at once "
                    "and are never\n"
                    "; sent to another, where they would be missing, and stale when it is back\n"
                    "on_shard_down = error\n"
                    "breaker_failures = 1 ; was server_failure_limit\n"
                    "breaker_open = 2000ms ; was server_retry_timeout\n");
    CHECK_INT(problems.count, 0);
    free(ini);
    problems_fini(&problems);
}

static void what_twemproxy_presumes_is_said(void)
{
    struct snapshot *s = loaded("p:\n  listen: 127.0.0.1:1\n  redis: true\n"
                                "  servers: [ 'h:6379:1' ]\n");

    if (s == NULL)
        return;
    CHECK_TEXT(memory_pool_of(s->pools[0])->hash, "fnv1a_64");
    CHECK_TEXT(memory_pool_of(s->pools[0])->distribution, "ketama");
    CHECK_TEXT(memory_pool_of(s->pools[0])->hash_tag, "");
    snapshot_free(&s);
}

static void passwords_sockets_tags_and_weights_are_taken_over(void)
{
    const struct memory_pool *p;
    struct snapshot *s;

    s = loaded("a b:\n  listen: 0.0.0.0:1\n  redis: true\n  redis_auth: 'p$/@w'\n"
               "  redis_db: 2\n  hash: md5\n  hash_tag: \"$$\"\n  timeout: 40000\n"
               "  distribution: modula\n  client_connections: 20000\n"
               "  servers:\n   - /run/ab.sock:7 n:1\n   - host:1:1\n"
               "open:\n  listen: 0.0.0.0:2\n  redis: true\n  servers:\n   - h:1:1\n"
               "unix:\n  listen: /tmp/x 0666\n  redis: true\n  servers:\n   - h:1:1\n");
    if (s == NULL)
        return;
    p = memory_pool_of(s->pools[0]);
    CHECK_TEXT(p->base.name, "a_b");
    CHECK_TEXT(p->users[0].passwords[0].text, "p$/@w");
    CHECK_TEXT(p->hash_tag, "$$");
    CHECK_TEXT(p->distribution, "modulo");
    CHECK_INT(p->timeout_ms, 40000);
    CHECK_INT(p->base.max_sessions, 20000);
    CHECK_INT(s->proxy.max_sessions, 20000);
    CHECK_TEXT(p->base.endpoints[0]->address.path, "/run/ab.sock");
    CHECK_TEXT(p->base.endpoints[0]->label, "n:1");
    CHECK_TEXT(p->base.endpoints[0]->password, "p$/@w");
    CHECK_INT(p->base.endpoints[0]->weight, 7);
    CHECK_INT(p->base.endpoints[1]->database, 2);
    CHECK(s->pools[1]->insecure_listen && !s->pools[0]->insecure_listen);
    CHECK_INT(s->pools[2]->listeners[0]->socket_mode, 0666);
    snapshot_free(&s);
}

static void memcached_pools_stay_memcached_pools(void)
{
    static const char YAML[] = "m:\n  listen: 127.0.0.1:1\n  servers:\n   - h:11211:1\n"
                               "   - /run/m.sock:2\n";
    struct snapshot *s = loaded(YAML);

    if (s == NULL)
        return;
    CHECK_TEXT(s->pools[0]->listeners[0]->protocol, "memcached");
    CHECK_TEXT(s->pools[0]->endpoints[0]->protocol, "memcached");
    CHECK_TEXT(s->pools[0]->endpoints[1]->scheme, "memcached+unix");
    CHECK_TEXT(memory_pool_of(s->pools[0])->hash, "fnv1a_64");
    snapshot_free(&s);
}

static void pools_that_find_no_key_again_are_comments(void)
{
    static const char YAML[] = "m:\n  listen: 127.0.0.1:1\n  redis: true\n"
                               "  distribution: random\n  servers:\n   - h:1:1\n"
                               "r:\n  listen: 127.0.0.1:2\n  redis: true\n  servers:\n   - h:1:1\n";
    struct problems problems = { 0 };
    char *ini = imported(YAML, &problems);
    struct snapshot *s = loaded(YAML);

    CHECK(strstr(ini,
                 "; Not taken over, as it is of distribution random, which sends a key anywhere: "
                 "Sheaf finds each key again.\n;[memory m]\n;listen = redis://127.0.0.1:1\n") !=
          NULL);
    CHECK(s != NULL && s->pool_count == 1);
    snapshot_free(&s);
    free(ini);
}

static void what_is_wrong_is_named_with_its_line(void)
{
    static const char *const CASES[][2] = {
        { "", "nutcracker.yml: there is no pool in this file\n" },
        { "a: [\n", "nutcracker.yml:2: not YAML: did not find expected node content\n" },
        { "{}\n", "nutcracker.yml: there is no pool in this file\n" },
        { "- a\n", "nutcracker.yml: there is no pool in this file\n" },
        { "a: 1\n", "nutcracker.yml:1: a pool is a name and its options\n" },
        { "a:\n  redis: true\n", "nutcracker.yml:1: pool \"a\" has no \"listen\"\n"
                                 "nutcracker.yml:1: pool \"a\" has no \"servers\"\n" },
        { "a:\n  redis: true\n  lisen: x\n  listen: x\n  listen: y:1\n  servers:\n   - h:1\n"
          "   - [h]\n   - h:1:0\n  hash: fnv1a64\n  timeout: soon\n  preconnect: maybe\n",
          "nutcracker.yml:3: twemproxy knows no option \"lisen\"\n"
          "nutcracker.yml:4: listen: must be HOST:PORT or /PATH, perhaps with its rights, not "
          "\"x\"\n"
          "nutcracker.yml:5: listen: is already given in this pool\n"
          "nutcracker.yml:7: servers: must be HOST:PORT:WEIGHT or /PATH:WEIGHT, perhaps with a "
          "name, "
          "not \"h:1\"\n"
          "nutcracker.yml:8: servers: a server is one line of text\n"
          "nutcracker.yml:9: servers: must be HOST:PORT:WEIGHT or /PATH:WEIGHT, perhaps with a "
          "name, "
          "not \"h:1:0\"\n"
          "nutcracker.yml:10: hash: twemproxy knows no \"fnv1a64\"; did you mean \"fnv1a_64\"?\n"
          "nutcracker.yml:11: timeout: must be a number, not \"soon\"\n"
          "nutcracker.yml:12: preconnect: must be true or false, not \"maybe\"\n" },
        { "a:\n  listen: x:1\n  distribution: random\n  servers:\n   - h:1:1\n",
          "nutcracker.yml:1: pool \"a\" is of distribution random, which sends a key anywhere: "
          "Sheaf finds each key again\n" },
        { "a:\n  listen: x:1\n  redis: true\n  redis_auth: a b\n  servers:\n   - h:1:1\n",
          "nutcracker.yml:4: redis_auth: a password that is empty, has spaces, or begins with "
          "\"#\" or "
          "\";\" cannot stand in a sheaf.ini\n" },
        { "a b:\n  listen: x:1\n  redis: true\n  servers:\n   - h:1:1\n"
          "a_b:\n  listen: x:2\n  redis: true\n  servers:\n   - h:1:1\n",
          "nutcracker.yml:6: pool \"a b\" and \"a_b\" would have one name\n" },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct problems problems = { 0 };
        char *ini = imported(CASES[i][0], &problems), *found = test_problems(&problems);

        CHECK_TEXT(found, CASES[i][1]);
        CHECK_TEXT(ini, "");
        free(found);
        free(ini);
    }
}

static void a_file_that_is_not_there_is_named(void)
{
    struct problems problems = { 0 };
    char *found;

    CHECK_INT(import_twemproxy("/nonexistent/n.yml", stdout, &problems), ERR_CONFIG);
    found = test_problems(&problems);
    CHECK_TEXT(found, "/nonexistent/n.yml: cannot read \"/nonexistent/n.yml\": No such file or "
                      "directory\n");
    free(found);
}

static void servers_are_in_the_order_in_which_twemproxy_counts_them(void)
{
    static const char *const NAMES[] = { "b:9", "/s/x", "b:10", "h:80", "a:100", "z:11211" };
    struct snapshot *s =
        loaded("p:\n  listen: 127.0.0.1:1\n  redis: true\n  distribution: modula\n  servers:\n"
               "   - a:100:1\n   - b:10:1\n   - b:9:1\n   - h:80:1 node\n   - z:11211:1 abcde\n"
               "   - /s/x:1\n");

    if (s == NULL)
        return;
    for (uint32_t i = 0; i < s->pools[0]->endpoint_count; i++)
        CHECK_TEXT(s->pools[0]->endpoints[i]->name, NAMES[i]);
    snapshot_free(&s);

    s = loaded("p:\n  listen: 127.0.0.1:1\n  redis: true\n  servers:\n   - h:1:1\n"
               "   - host:11211:1\n   - h1:1:1\n");
    if (s == NULL)
        return;
    CHECK_TEXT(s->pools[0]->endpoints[1]->name, "h1:1"); /* "host", without its port, comes last */
    CHECK_TEXT(s->pools[0]->endpoints[2]->name, "host:11211");
    snapshot_free(&s);
}

int main(void)
{
    RUN(servers_are_in_the_order_in_which_twemproxy_counts_them);
    RUN(a_pool_is_written_out_with_what_behaves_otherwise);
    RUN(what_twemproxy_presumes_is_said);
    RUN(passwords_sockets_tags_and_weights_are_taken_over);
    RUN(memcached_pools_stay_memcached_pools);
    RUN(pools_that_find_no_key_again_are_comments);
    RUN(what_is_wrong_is_named_with_its_line);
    RUN(a_file_that_is_not_there_is_named);
    return check_report();
}
