/* [sql NAME]: what it becomes, and what the files that it names add. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/diff.h"
#include "tests/unit/check.h"
#include "tests/unit/config/sql_text.h"
#include "tests/unit/config/vocabulary.h"

static void the_least_that_a_pool_needs_gives_the_defaults(void)
{
    struct snapshot *s = test_load(POOL);
    const struct sql_pool *p;

    CHECK(s != NULL);
    if (s == NULL)
        return;
    p = sql_pool_of(snapshot_pool(s, "main"));
    CHECK_INT(p->base.kind, POOL_SQL);
    CHECK_INT(p->pooling, SQL_POOLING_TRANSACTION);
    CHECK_INT(p->sizes.pool_size, 20);
    CHECK_INT(p->sizes.min_pool_size, 0);
    CHECK_INT(p->sizes.reserve_pool_size, 0);
    CHECK_INT(p->sizes.max_connections, 0);
    CHECK_INT(p->max_user_connections, 0);
    CHECK_INT(p->reserve_pool_timeout_ms, 5000);
    CHECK_INT(p->server_lifetime_ms, 3600000);
    CHECK_INT(p->base.upstream_idle_timeout_ms, 600000);
    CHECK_INT(p->max_prepared_statements, 200);
    CHECK_INT(p->reads, SQL_READS_CAUSAL);
    CHECK_INT(p->max_lag_ms, 10000);
    CHECK_INT(p->max_lag_bytes, 0);
    CHECK_INT(p->causal_scope, SQL_CAUSAL_SESSION);
    CHECK_INT(p->causal_wait_ms, 2);
    CHECK_INT(p->balance, SQL_BALANCE_ROUND_ROBIN);
    CHECK_INT(p->on_replicas_down, SQL_REPLICAS_DOWN_PRIMARY);
    CHECK_INT(p->unknown_functions, SQL_UNKNOWN_FUNCTIONS_PRIMARY);
    CHECK_INT(p->verdict_cache_bytes, 16 << 20);
    CHECK_INT(p->base.connect_timeout_ms, 5000);
    CHECK_INT(p->query_timeout_ms, 0);
    CHECK_INT(p->query_wait_timeout_ms, 120000);
    CHECK_INT(p->failover_wait_ms, 30000);
    CHECK_INT(p->lost_commit_wait_ms, 0);
    CHECK_INT(p->base.idle_timeout_ms, 0);
    CHECK_INT(p->idle_transaction_timeout_ms, 0);
    CHECK_INT(p->base.unread_timeout_ms, 3600000);
    CHECK_INT(p->base.handshake_timeout_ms, 60000);
    CHECK_INT(p->auth, SQL_AUTH_SCRAM);
    CHECK(p->auth_file == NULL && p->hba_file == NULL && p->ident_file == NULL);
    CHECK(p->auth_user == NULL && p->auth_dbname == NULL && p->auth_query != NULL);
    CHECK(p->console && !p->application_name_add_host);
    CHECK_INT(p->server_login, SQL_SERVER_LOGIN_OWN);
    CHECK(p->base.health.probe);
    CHECK_INT(p->base.health.slow_start_ms, 10000);
    CHECK_TEXT(p->probe_database, "postgres");
    CHECK_INT(p->database_count, 1);
    CHECK_TEXT(p->databases[0].name, "*");
    snapshot_free(&s);
}

static void servers_have_roles_logins_and_weights(void)
{
    struct snapshot *s = test_load("[sql main]\nlisten = postgresql://127.0.0.1\n"
                                   "primary = postgresql://us%40er:p%2Fw@10.0.0.1/shop\n"
                                   "primary = postgresql+unix://us%40er@/run/pg/?port=5433"
                                   "&database=shop\n"
                                   "replica = postgresql://us%40er:x@[::1]:5555/shop?weight=3\n"
                                   "balance = weights\nuser = app secret\n");
    const struct pool_settings *p;

    CHECK(s != NULL);
    if (s == NULL)
        return;
    p = s->pools[0];
    CHECK_INT(p->endpoint_count, 3);
    CHECK_INT(p->endpoints[0]->role, ENDPOINT_PRIMARY);
    CHECK_TEXT(p->endpoints[0]->name, "10.0.0.1:5432/shop");
    CHECK_TEXT(p->endpoints[0]->user, "us@er");
    CHECK_TEXT(p->endpoints[0]->password, "p/w");
    CHECK_TEXT(p->endpoints[0]->database_name, "shop");
    CHECK_TEXT(p->endpoints[0]->protocol, "postgresql");
    CHECK_INT(p->endpoints[0]->weight, 1);
    CHECK_INT(p->endpoints[1]->role, ENDPOINT_PRIMARY);
    CHECK_TEXT(p->endpoints[1]->address.path, "/run/pg/.s.PGSQL.5433");
    CHECK(p->endpoints[1]->password == NULL);
    CHECK_TEXT(p->endpoints[1]->database_name, "shop");
    CHECK_INT(p->endpoints[2]->role, ENDPOINT_REPLICA);
    CHECK_TEXT(p->endpoints[2]->name, "[::1]:5555/shop");
    CHECK_INT(p->endpoints[2]->weight, 3);
    CHECK_INT(p->endpoints[2]->shard, 2);
    CHECK(p->endpoints[2]->pool == p);
    CHECK_TEXT(p->listeners[0]->name, "postgresql://127.0.0.1:5432");
    snapshot_free(&s);
}

static void servers_speak_verified_tls_unless_they_are_on_this_machine(void)
{
    static const struct {
        const char *url, *option;
        bool on, verify;
        enum tls_need need;
    } CASES[] = {
        { "postgresql://10.0.0.1", "", true, true, TLS_NEED_REQUIRE },
        { "postgresql://db.example.org", "", true, true, TLS_NEED_REQUIRE },
        { "postgresql://127.0.0.1", "", false, false, TLS_NEED_OFF },
        { "postgresql://localhost", "", false, false, TLS_NEED_OFF },
        { "postgresql+unix:///run/pg", "", false, false, TLS_NEED_OFF },
        { "postgresql+unix:///run/pg", "server_tls = verify\n", false, false, TLS_NEED_OFF },
        { "postgresql://127.0.0.1", "server_tls = verify\n", true, true, TLS_NEED_REQUIRE },
        { "postgresql://127.0.0.1?tls=require", "", true, false, TLS_NEED_REQUIRE },
        { "postgresql://10.0.0.1?tls=prefer", "", true, false, TLS_NEED_ALLOW },
        { "postgresql://10.0.0.1?tls=off", "", false, false, TLS_NEED_OFF },
        { "postgresql://10.0.0.1?tls=verify", "server_tls = off\n", true, true, TLS_NEED_REQUIRE },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        char text[512];
        struct snapshot *s;

        snprintf(text, sizeof(text),
                 "[sql main]\nlisten = postgresql://127.0.0.1\nuser = app x\nprimary = %s\n%s",
                 CASES[i].url, CASES[i].option);
        s = test_load(text);
        CHECK(s != NULL);
        if (s == NULL)
            continue;
        CHECK_INT(s->endpoints[0].tls.on, CASES[i].on);
        CHECK_INT(s->endpoints[0].tls.verify, CASES[i].verify);
        CHECK_INT(s->endpoints[0].tls.need, CASES[i].need);
        snapshot_free(&s);
    }
}

static void listeners_allow_tls_where_there_is_a_certificate(void)
{
    static const struct {
        const char *url, *options;
        enum tls_need need;
    } CASES[] = {
        { "postgresql://127.0.0.1", "", TLS_NEED_OFF },
        { "postgresql://127.0.0.1", "tls_cert = /c\ntls_key = /k\n", TLS_NEED_ALLOW },
        { "postgresql://127.0.0.1?cert=/c&key=/k", "", TLS_NEED_ALLOW },
        { "postgresql://127.0.0.1", "tls = require\ntls_cert = /c\ntls_key = /k\n",
          TLS_NEED_REQUIRE },
        { "postgresql://127.0.0.1?tls=require", "tls_cert = /c\ntls_key = /k\n", TLS_NEED_REQUIRE },
        { "postgresql://127.0.0.1?tls=off", "tls_cert = /c\ntls_key = /k\n", TLS_NEED_OFF },
        { "postgresql+unix:///run/x", "tls = require\ntls_cert = /c\ntls_key = /k\n",
          TLS_NEED_OFF },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct problems problems = { 0 };
        struct snapshot *s = NULL;
        char text[512];

        snprintf(text, sizeof(text),
                 "[sql main]\nprimary = postgresql://127.0.0.1\nuser = app x\nlisten = %s\n%s",
                 CASES[i].url, CASES[i].options);
        CHECK_INT(config_load_text("t.ini", text, &TEST_VOCABULARY, &s, &problems), ERR_NONE);
        if (s != NULL) {
            CHECK_INT(s->listeners[0].tls.need, CASES[i].need);
            CHECK_INT(s->listeners[0].tls.on, CASES[i].need != TLS_NEED_OFF);
        }
        snapshot_free(&s);
        problems_fini(&problems);
    }
}

static void a_unix_socket_is_named_as_libpq_names_it(void)
{
    struct snapshot *s = test_load("[sql main]\nlisten = postgresql+unix:///run/sheaf\n"
                                   "listen = postgresql+unix:///run/sheaf//?port=6432&mode=0777\n"
                                   "listen = postgresql+unix:///\n"
                                   "primary = postgresql://127.0.0.1\nuser = app x\n");

    CHECK(s != NULL);
    if (s == NULL)
        return;
    CHECK_TEXT(s->listeners[0].address.path, "/run/sheaf/.s.PGSQL.5432");
    CHECK_INT(s->listeners[0].socket_mode, 0770);
    CHECK_TEXT(s->listeners[1].address.path, "/run/sheaf/.s.PGSQL.6432");
    CHECK_INT(s->listeners[1].socket_mode, 0777);
    CHECK_TEXT(s->listeners[2].address.path, "/.s.PGSQL.5432");
    snapshot_free(&s);
}

static void users_have_secrets_of_three_kinds_or_none(void)
{
    struct snapshot *s = test_load(
        "[sql main]\nlisten = postgresql+unix:///run/x\nprimary = postgresql://127.0.0.1\n"
        "auth = peer\nuser = a pa$$s pool_size=3 route=primary\nuser = b " SCRAM "\n"
        "user = c md50123456789abcdef0123456789abcdef max_user_connections=7\n"
        "user = d nopass\nmax_user_connections = 5\nuser = e md5short\n");
    const struct sql_pool *p;

    CHECK(s != NULL);
    if (s == NULL)
        return;
    p = sql_pool_of(s->pools[0]);
    CHECK_INT(p->user_count, 5);
    CHECK_TEXT(p->users[0].secret, "pa$s");
    CHECK_INT(sql_secret_kind(p->users[0].secret), SQL_SECRET_PASSWORD);
    CHECK_INT(p->users[0].pool_size, 3);
    CHECK_INT(p->users[0].route, SQL_ROUTE_PRIMARY);
    CHECK_INT(p->users[0].max_connections, 5);
    CHECK_TEXT(p->users[1].secret, SCRAM);
    CHECK_INT(sql_secret_kind(p->users[1].secret), SQL_SECRET_SCRAM);
    CHECK_INT(p->users[1].pool_size, 0);
    CHECK_INT(p->users[1].route, SQL_ROUTE_AUTO);
    CHECK_INT(sql_secret_kind(p->users[2].secret), SQL_SECRET_MD5);
    CHECK_INT(p->users[2].max_connections, 7);
    CHECK(p->users[3].secret == NULL);
    CHECK_INT(sql_secret_kind(p->users[4].secret), SQL_SECRET_PASSWORD);
    CHECK(sql_pool_user(p, "c") == &p->users[2]);
    CHECK(sql_pool_user(p, "C") == NULL);
    snapshot_free(&s);
}

static void databases_start_from_the_pool(void)
{
    struct snapshot *s =
        test_load(POOL "database = shop -> shop_v2 pool_size=7 pooling=session route=replica\n"
                       "database = logs max_db_connections=9\n"
                       "database = * -> rest reserve_pool_size=2\n"
                       "pool_size = 30\nmin_pool_size = 1\n");
    const struct sql_pool *p;
    const struct sql_database *d;

    CHECK(s != NULL);
    if (s == NULL)
        return;
    p = sql_pool_of(s->pools[0]);
    d = sql_pool_database(p, "shop");
    CHECK_TEXT(d->server_name, "shop_v2");
    CHECK_INT(d->sizes.pool_size, 7);
    CHECK_INT(d->sizes.min_pool_size, 1);
    CHECK_INT(d->pooling, SQL_POOLING_SESSION);
    CHECK_INT(d->route, SQL_ROUTE_REPLICA);
    d = sql_pool_database(p, "logs");
    CHECK(d->server_name == NULL);
    CHECK_INT(d->sizes.pool_size, 30);
    CHECK_INT(d->sizes.max_connections, 9);
    CHECK_INT(d->pooling, SQL_POOLING_TRANSACTION);
    d = sql_pool_database(p, "anything");
    CHECK_TEXT(d->server_name, "rest");
    CHECK_INT(d->sizes.reserve_pool_size, 2);
    snapshot_free(&s);
    s = test_load(POOL "database = shop\n");
    CHECK(s != NULL && sql_pool_database(sql_pool_of(s->pools[0]), "other") == NULL);
    snapshot_free(&s);
}

static void a_route_is_said_by_user_then_database_then_listener(void)
{
    const struct sql_user of_primary = { .route = SQL_ROUTE_PRIMARY }, silent = { 0 };
    const struct sql_database of_replica = { .route = SQL_ROUTE_REPLICA }, any = { 0 };
    const struct listener_settings listener = { .route = SQL_ROUTE_PRIMARY }, plain = { 0 };

    CHECK_INT(sql_pool_route(&of_primary, &of_replica, &plain), SQL_ROUTE_PRIMARY);
    CHECK_INT(sql_pool_route(&silent, &of_replica, &listener), SQL_ROUTE_REPLICA);
    CHECK_INT(sql_pool_route(NULL, &any, &listener), SQL_ROUTE_PRIMARY);
    CHECK_INT(sql_pool_route(NULL, &any, &plain), SQL_ROUTE_AUTO);
    CHECK_INT(sql_pool_route(NULL, NULL, NULL), SQL_ROUTE_AUTO);
}

static void a_probe_logs_in_with_what_is_known(void)
{
    static const struct {
        const char *text, *user, *password;
    } CASES[] = {
        { "primary = postgresql://127.0.0.1\nuser = b " SCRAM "\nuser = app x\n", "app", "x" },
        { "primary = postgresql://u:y@127.0.0.1\nuser = app x\n", "u", "y" },
        { "primary = postgresql://u:y@127.0.0.1\nuser = app x\nprobe_user = mon\n"
          "probe_password = z\n",
          "mon", "z" },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct sql_login login;
        struct snapshot *s;
        char text[512];

        snprintf(text, sizeof(text), "[sql main]\nlisten = postgresql://127.0.0.1\n%s",
                 CASES[i].text);
        s = test_load(text);
        CHECK(s != NULL);
        if (s == NULL)
            continue;
        login = sql_probe_login(&s->endpoints[0]);
        CHECK_TEXT(login.user, CASES[i].user);
        CHECK_TEXT(login.password, CASES[i].password);
        CHECK_TEXT(login.database, "postgres");
        snapshot_free(&s);
    }
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
        "[sql main]\nlisten = postgresql://127.0.0.1?route=replica\n"
        "listen = postgresql+unix:///run/s%20s?port=6432&mode=0660\n"
        "primary = postgresql://us%40er:topsecret@10.0.0.1\nprimary = postgresql://us%40er@[::1]\n"
        "replica = postgresql+unix://us%40er:topsecret@/run/pg?port=5433&weight=2\n"
        "replica = postgresql://us%40er@h?tls=verify&ca=/x\nbalance = weights\n"
        "user = app topsecret pool_size=3\nuser = b " SCRAM "\nuser = c$$d topsecret\n"
        "database = a -> b pooling=session\ndatabase = *\nadmin_user = app\nstats_user = b\n"
        "probe_user = mon\nprobe_password = topsecret\npool_size = 30\nmax_lag = 90s\n");
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
    CHECK(strstr(first, "topsecret") == NULL && strstr(first, "SCRAM-") == NULL);
    CHECK(strstr(first, "\nlisten = postgresql://127.0.0.1:5432?route=replica\n"));
    CHECK(strstr(first, "\nlisten = postgresql+unix:///run/s%20s?mode=0660&port=6432\n"));
    CHECK(strstr(first, "\nprimary = postgresql://us%40er:***@10.0.0.1:5432\n"));
    CHECK(strstr(first, "\nprimary = postgresql://us%40er@[::1]:5432\n"));
    CHECK(strstr(first, "\nreplica = postgresql+unix://us%40er:***@/run/pg?weight=2&port=5433\n"));
    CHECK(strstr(first, "\nuser = app *** pool_size=3\n"));
    CHECK(strstr(first, "\nuser = c$$d ***\n"));
    CHECK(strstr(first, "\ndatabase = a -> b pooling=session\n"));
    CHECK(strstr(first, "\nadmin_user = app\nstats_user = b\n"));
    CHECK(strstr(first, "\nprobe_password = ***\n"));
    CHECK(strstr(first, "\npool_size = 30\n") && strstr(first, "\n;pooling = transaction\n"));
    CHECK(strstr(first, "\n;tls = auto\n"));
    free(first);
    free(second);
    snapshot_free(&again);
    snapshot_free(&s);
}

static void what_nobody_gave_is_not_printed(void)
{
    struct snapshot *s = test_load("[sql main]\nlisten = postgresql://127.0.0.1\n"
                                   "primary = postgresql://10.0.0.1/shop\nuser = app secret\n");
    struct snapshot *again;
    char *text;

    CHECK(s != NULL);
    if (s == NULL)
        return;
    text = printed(s);
    CHECK(strstr(text, "primary = postgresql://10.0.0.1:5432?database=shop\n") != NULL);
    CHECK(strstr(text, "\ndatabase = ") == NULL);
    again = test_load(text);
    CHECK(again != NULL);
    free(text);
    snapshot_free(&again);
    snapshot_free(&s);
}

static void a_changed_secret_is_a_changed_pool(void)
{
    struct snapshot *was = test_load(POOL "probe_user = a\nprobe_password = b\n");
    struct snapshot *is = test_load(POOL "probe_user = a\nprobe_password = c\n");
    struct snapshot *other = test_load("[memory main]\nlisten = redis://127.0.0.1:5432\n"
                                       "shard = redis://10.0.0.1:5432\n");
    struct problems problems = { 0 };
    struct diff diff;

    CHECK(was != NULL && is != NULL && other != NULL);
    diff_init(&diff, was, was, &problems);
    CHECK_INT(diff.pool_change[0], DIFF_SAME);
    CHECK_INT(diff.endpoint_was[0], 0);
    diff_fini(&diff);
    diff_init(&diff, was, is, &problems);
    CHECK_INT(diff.pool_change[0], DIFF_CHANGED);
    CHECK_INT(diff.endpoint_was[0], 0);
    diff_fini(&diff);
    diff_init(&diff, was, other, &problems);
    CHECK_INT(diff.pool_change[0], DIFF_CHANGED);
    CHECK_INT(diff.endpoint_was[0], DIFF_NONE);
    CHECK_INT(diff.listener_was[0], 0);
    diff_fini(&diff);
    problems_fini(&problems);
    snapshot_free(&was);
    snapshot_free(&is);
    snapshot_free(&other);
}

/* ---- files ---- */

static char folder[] = "/tmp/sheaf-sql-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "w");

    CHECK(f != NULL && fputs(text, f) >= 0);
    if (f != NULL)
        fclose(f);
}

/* Loads main.ini of these lines; problems without the folder's name, to be freed. */
static char *load_file(const char *text, struct snapshot **s)
{
    struct problems problems = { 0 };
    char *found;

    *s = NULL;
    write_file("main.ini", text);
    CHECK_INT(config_load(path_of("main.ini"), &TEST_VOCABULARY, s, &problems),
              problems.errors > 0 ? ERR_CONFIG : ERR_NONE);
    found = test_problems(&problems);
    for (size_t i = 0; found[i] != '\0'; i++)
        while (strncmp(found + i, folder, sizeof(folder) - 1) == 0)
            memmove(found + i, found + i + sizeof(folder), strlen(found + i + sizeof(folder)) + 1);
    return found;
}

static void users_of_auth_file_join_those_of_the_lines(void)
{
    struct snapshot *s;
    const struct sql_pool *p;
    char *found;

    write_file("users.txt", "\"zoe\" \"" SCRAM "\"\n\"app\" \"of the file\"\n\"bob\" \"word\"\n");
    found = load_file("[sql main]\nlisten = postgresql://127.0.0.1\n"
                      "primary = postgresql://127.0.0.1\nauth_file = users.txt\n"
                      "max_user_connections = 4\nuser = app " SCRAM " pool_size=2\n",
                      &s);
    CHECK_TEXT(found, "");
    free(found);
    CHECK(s != NULL);
    if (s == NULL)
        return;
    p = sql_pool_of(s->pools[0]);
    CHECK_INT(p->user_count, 3);
    CHECK_TEXT(sql_pool_user(p, "app")->secret, SCRAM);
    CHECK_INT(sql_pool_user(p, "app")->pool_size, 2);
    CHECK_TEXT(sql_pool_user(p, "bob")->secret, "word");
    CHECK_INT(sql_pool_user(p, "bob")->max_connections, 4);
    CHECK_TEXT(sql_pool_user(p, "zoe")->secret, SCRAM);
    CHECK(sql_pool_user(p, "eve") == NULL);
    CHECK_TEXT(sql_probe_login(&s->endpoints[0]).user, "bob");
    CHECK_TEXT(sql_probe_login(&s->endpoints[0]).password, "word");
    found = printed(s);
    CHECK(strstr(found, "bob") == NULL && strstr(found, "auth_file = /") != NULL);
    free(found);
    snapshot_free(&s);
}

static void what_a_file_says_is_part_of_the_pool(void)
{
    static const char TEXT[] =
        "[sql main]\nlisten = postgresql://127.0.0.1\nprimary = postgresql://127.0.0.1\n"
        "auth_file = users.txt\nhba_file = hba.conf\n";
    static const char *const FILES[][2] = { { "users.txt", "\"a\" \"c\"\n" },
                                            { "hba.conf", "local all all trust\n" } };
    struct problems problems = { 0 };
    struct snapshot *was, *is;
    struct diff diff;

    for (size_t i = 0; i < 2; i++) {
        write_file("users.txt", "\"a\" \"b\"\n");
        write_file("hba.conf", "host all all 127.0.0.1/32 md5\n");
        free(load_file(TEXT, &was));
        free(load_file(TEXT, &is));
        CHECK(was != NULL && is != NULL);
        diff_init(&diff, was, is, &problems);
        CHECK_INT(diff.pool_change[0], DIFF_SAME);
        diff_fini(&diff);
        snapshot_free(&is);
        write_file(FILES[i][0], FILES[i][1]);
        free(load_file(TEXT, &is));
        diff_init(&diff, was, is, &problems);
        CHECK_INT(diff.pool_change[0], DIFF_CHANGED);
        diff_fini(&diff);
        snapshot_free(&is);
        snapshot_free(&was);
    }
    problems_fini(&problems);
}

static void what_is_wrong_with_a_file_is_told_with_its_line(void)
{
    struct snapshot *s;
    char *found;

    write_file("users.txt", "\"a\" \"b\"\nc\n");
    write_file("hba.conf", "local all all md5\nhost all all nonsense md5\n");
    found = load_file("[sql main]\nlisten = postgresql://127.0.0.1\n"
                      "primary = postgresql://127.0.0.1\nauth_file = users.txt\n"
                      "ident_file = none.conf\nhba_file = hba.conf\nweight = 1\n",
                      &s);
    CHECK(s == NULL);
    CHECK(strstr(found, "users.txt:2: a line is \"USER\" \"SECRET\", both in double quotes\n"
                        "main.ini:5: ident_file: cannot read the file \"none.conf\": No such file "
                        "or directory\n"
                        "hba.conf:2: ") == found);
    CHECK(strstr(found, "main.ini:7: unknown option \"weight\"") != NULL);
    free(found);
    found = load_file("[sql main]\nlisten = postgresql://127.0.0.1\n"
                      "primary = postgresql://127.0.0.1\nauth_file = .\n",
                      &s);
    CHECK_TEXT(found,
               "main.ini:1: warning: [sql main] has no login for probes: give probe_user and "
               "probe_password, so that roles and lag of the servers can be learned\n"
               "main.ini:4: auth_file: cannot read the file \".\": Is a directory\n");
    free(found);
}

static void rules_that_do_not_fit_the_listeners_are_named(void)
{
    static const struct {
        const char *rules, *options, *problems;
    } CASES[] = {
        { "local all all trust\nhost all all 127.0.0.0/8 trust\nhost all all ::1/128 trust\n", "",
          "" },
        { "host all all 10.0.0.0/8 trust\n", "",
          "hba.conf:1: trust lets in anyone from beyond this machine; allow it in words: "
          "\"insecure_listen = anyone may connect\"\n" },
        { "host all all all trust\n", "insecure_listen = anyone may connect\n", "" },
        { "local all all md5\nhost all all 0.0.0.0/0 password\n", "",
          "hba.conf:2: warning: password without TLS: passwords cross the network for anyone to "
          "read\n" },
        { "hostssl all all all cert\n", "",
          "hba.conf:1: no listener asks for certificates of clients: tls_client must be optional "
          "or "
          "required\n" },
        { "local all all peer map=m\n", "",
          "hba.conf:1: map \"m\" is in no line of an ident_file\n" },
        { "local all all md5\n", "auth = md5\n",
          "main.ini:6: warning: auth has no effect: the rules of hba_file have methods of their "
          "own\n" },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct snapshot *s;
        char text[512], *found;

        write_file("hba.conf", CASES[i].rules);
        snprintf(text, sizeof(text),
                 "[sql main]\nlisten = postgresql://0.0.0.0\nprimary = postgresql://127.0.0.1\n"
                 "user = app x\nhba_file = hba.conf\n%s",
                 CASES[i].options);
        found = load_file(text, &s);
        CHECK_TEXT(found, CASES[i].problems);
        free(found);
        snapshot_free(&s);
    }
}

static void a_map_without_rules_has_no_effect(void)
{
    struct snapshot *s;
    char *found;

    write_file("ident.conf", "m root app\n");
    found = load_file("[sql main]\nlisten = postgresql://127.0.0.1\n"
                      "primary = postgresql://127.0.0.1\nuser = app x\nident_file = ident.conf\n",
                      &s);
    CHECK_TEXT(found,
               "main.ini:5: warning: ident_file has no effect: only rules of an hba_file name "
               "its maps\n");
    free(found);
    snapshot_free(&s);
}

static void begin_files(void)
{
    if (mkdtemp(folder) == NULL)
        abort();
}

static void end_files(void)
{
    static const char *const NAMES[] = { "main.ini", "users.txt", "hba.conf", "ident.conf" };

    for (size_t i = 0; i < 4; i++)
        unlink(path_of(NAMES[i]));
    rmdir(folder);
}

int main(void)
{
    begin_files();
    RUN(the_least_that_a_pool_needs_gives_the_defaults);
    RUN(servers_have_roles_logins_and_weights);
    RUN(servers_speak_verified_tls_unless_they_are_on_this_machine);
    RUN(listeners_allow_tls_where_there_is_a_certificate);
    RUN(a_unix_socket_is_named_as_libpq_names_it);
    RUN(users_have_secrets_of_three_kinds_or_none);
    RUN(databases_start_from_the_pool);
    RUN(a_route_is_said_by_user_then_database_then_listener);
    RUN(a_probe_logs_in_with_what_is_known);
    RUN(what_check_prints_loads_again_and_prints_the_same);
    RUN(what_nobody_gave_is_not_printed);
    RUN(a_changed_secret_is_a_changed_pool);
    RUN(users_of_auth_file_join_those_of_the_lines);
    RUN(what_a_file_says_is_part_of_the_pool);
    RUN(what_is_wrong_with_a_file_is_told_with_its_line);
    RUN(rules_that_do_not_fit_the_listeners_are_named);
    RUN(a_map_without_rules_has_no_effect);
    end_files();
    return check_report();
}
