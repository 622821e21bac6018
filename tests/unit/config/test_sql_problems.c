/* [sql NAME]: each class of mistake, with the exact words an operator reads. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/config/mistakes.h"
#include "tests/unit/config/sql_text.h"

static void sections_that_are_wrong_are_named(void)
{
    static const struct mistake MISTAKES[] = {
        { "[sql]\n", "t.ini:1: a pool needs a name of 1 to 64 letters, digits, \"-\", \"_\" or "
                     "\".\": [sql NAME]\n" },
        { "[sqll main]\n", "t.ini:1: unknown section [sqll main]; did you mean \"sql\"?\n" },
        { POOL "[memory main]\n",
          "t.ini:5: there is already a pool of this name: [sql main] (t.ini:1)\n" },
        { "[sql main]\nuser = a b\nprobe = no\n", "t.ini:1: [sql main] has no \"listen\" line\n"
                                                  "t.ini:1: [sql main] has no \"primary\" line\n" },
        { POOL "replcia = x\n",
          "t.ini:5: unknown option \"replcia\" in [sql main]; did you mean \"replica\"?\n" },
        { POOL "shard = x\nweight = 2\nmode = 0660\nworkers = 1\n",
          "t.ini:5: unknown option \"shard\" in [sql main]; it belongs to a pool, [memory NAME]\n"
          "t.ini:6: unknown option \"weight\" in [sql main]; it belongs to the URL of a server, "
          "behind a \"?\"\n"
          "t.ini:7: unknown option \"mode\" in [sql main]; it belongs to the URL of a listener, "
          "behind a \"?\"\n"
          "t.ini:8: unknown option \"workers\" in [sql main]; it belongs to [proxy]\n" },
        { "[memory a]\nlisten = redis://127.0.0.1\nshard = s3://h/b\npooling = session\n",
          "t.ini:3: shard: unknown scheme \"s3\"; it belongs to a pool, [blob NAME]\n"
          "t.ini:4: unknown option \"pooling\" in [memory a]; it belongs to a pool, [sql NAME]\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

static void servers_that_are_wrong_are_named(void)
{
    static const struct mistake MISTAKES[] = {
        { POOL "replica = redis://h\n",
          "t.ini:5: replica: unknown scheme \"redis\"; it belongs to a pool, [memory NAME]\n" },
        { POOL "replica = postgersql://h\n",
          "t.ini:5: replica: unknown scheme \"postgersql\"; did you mean \"postgresql\"?\n" },
        { POOL "replica = postgresql://10.0.0.1\n",
          "t.ini:5: replica: 10.0.0.1:5432 is already a primary (t.ini:3); a server stands there "
          "once\n" },
        { POOL "replica = postgresql://h:0\n", "t.ini:5: replica: the port must be 1 to 65535\n" },
        { POOL "replica = postgresql://h?wieght=2\n",
          "t.ini:5: replica: unknown option \"wieght\" behind the \"?\"; did you mean "
          "\"weight\"?\n" },
        { POOL "replica = postgresql://h?weight=70000\n",
          "t.ini:5: replica: weight must be 0 to 65535, not \"70000\"\n" },
        { POOL "replica = postgresql://h?weight=2\n",
          "t.ini:5: warning: replica: the weight has no effect: balance is round-robin, not "
          "weights\n" },
        { "[sql m]\nlisten = postgresql://127.0.0.1\nprimary = postgresql://h?weight=0\n"
          "user = a b\nbalance = weights\n",
          "t.ini:3: primary: one server at least must have a weight\n" },
        { POOL "replica = postgresql://h?port=5\n",
          "t.ini:5: replica: \"port\" behind the \"?\" is for Unix sockets only\n" },
        { POOL "replica = postgresql+unix:///run/pg/.s.PGSQL.5432\n",
          "t.ini:5: replica: the path is that of the socket's folder; its port stands behind a "
          "\"?\": postgresql+unix:///run/postgresql?port=5432\n" },
        { POOL "replica = postgresql+unix:///run?tls=require\n",
          "t.ini:5: replica: PostgreSQL has no TLS on Unix sockets\n" },
        { POOL "replica = postgresql://h/a?database=b\n",
          "t.ini:5: replica: the database is named twice, in the path and behind the \"?\"\n" },
        { POOL "replica = postgresql://u:p@h\n",
          "t.ini:5: replica: all servers of a pool must name the same user, or none (t.ini:3)\n" },
        { POOL "replica = postgresql://h/shop\n",
          "t.ini:5: replica: all servers of a pool must name the same database, or none "
          "(t.ini:3)\n" },
        { POOL "replica = postgresql://h?tls=off\n",
          "t.ini:5: warning: replica: TLS is off, and h:5432 is not on this machine: passwords and "
          "data cross the network for anyone to read\n" },
        { POOL "replica = postgresql://h?tls=prefer\n",
          "t.ini:5: warning: replica: the certificate of h:5432 is not verified: anyone between "
          "could read and change all\n" },
        { POOL "replica = postgresql://h?cert=/c\n",
          "t.ini:5: replica: a TLS certificate is given, its key is missing\n" },
        { POOL "replica = postgresql://@h\n",
          "t.ini:5: replica: in front of the \"@\" the user is missing\n" },
        { "[sql m]\nlisten = postgresql://127.0.0.1\nprimary = postgresql://127.0.0.1\n"
          "user = a b\nserver_tls_ca = /x\n",
          "t.ini:5: warning: server_tls_ca has no effect: TLS is off for all servers\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

static void listeners_that_are_wrong_are_named(void)
{
    static const struct mistake MISTAKES[] = {
        { POOL "listen = postgresql://app@h\n",
          "t.ini:5: listen: a listener's URL has no user, password or path (clients log in as "
          "\"password\" and \"user\" lines say)\n" },
        { POOL "listen = postgresql://127.0.0.1:5432\n",
          "t.ini:5: listen: postgresql://127.0.0.1:5432 is already taken (t.ini:2)\n" },
        { POOL "listen = postgresql+unix:///run\nlisten = postgresql+unix:///run/?port=5432\n",
          "t.ini:6: listen: postgresql+unix:///run/.s.PGSQL.5432 is already taken (t.ini:5)\n" },
        { POOL "listen = postgresql://127.0.0.1:1?tls=require\n",
          "t.ini:5: listen: TLS needs tls_cert and tls_key\n" },
        { POOL "listen = postgresql+unix:///run?tls=require\n",
          "t.ini:5: listen: PostgreSQL has no TLS on Unix sockets\n" },
        { POOL "listen = postgresql://127.0.0.1:1?route=both\n",
          "t.ini:5: listen: route must be auto, primary or replica, not \"both\"\n" },
        { POOL "tls_client = required\n",
          "t.ini:5: warning: tls_client has no effect: TLS is off for all listeners\n" },
        { POOL "auth = trust\nlisten = postgresql://10.0.0.9:1\n",
          "t.ini:6: listen: postgresql://10.0.0.9:1 is open beyond this machine, and auth = trust "
          "asks nobody for a password; choose another, or allow it in words: \"insecure_listen = "
          "anyone may connect\"\n" },
        { POOL "auth = trust\nlisten = postgresql://10.0.0.9:1\n"
               "insecure_listen = anyone may connect\n",
          "" },
        { POOL "auth = peer\n",
          "t.ini:2: listen: auth = peer asks the system who connects, which it only knows on Unix "
          "sockets\n" },
        { POOL "auth = cert\ntls_cert = /c\ntls_key = /k\ntls_client = optional\n"
               "tls_client_ca = /a\n",
          "t.ini:2: listen: auth = cert needs tls = require and tls_client = required\n" },
        { POOL "auth = cert\ntls_cert = /c\ntls_key = /k\ntls_client = required\n"
               "tls_client_ca = /a\ntls = require\n",
          "" },
        { POOL "auth = password\nlisten = postgresql://10.0.0.9:1\n",
          "t.ini:6: warning: listen: auth = password without tls = require: passwords cross the "
          "network for anyone to read\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

static void users_that_are_wrong_are_named(void)
{
    static const struct mistake MISTAKES[] = {
        { POOL "user = x\n",
          "t.ini:5: user: a user has a name and a password (or a hash of it, or nopass)\n" },
        { POOL "user = app other\n", "t.ini:5: user: user \"app\" is already there (t.ini:4)\n" },
        { POOL "user = b c pol_size=3\n",
          "t.ini:5: user: unknown word \"pol_size\"; did you mean \"pool_size\"?\n" },
        { POOL "user = b c pool_size\n",
          "t.ini:5: user: \"pool_size\" needs a value: pool_size=...\n" },
        { POOL "user = b c pool_size=3 pool_size=4\n",
          "t.ini:5: user: \"pool_size\" is given twice\n" },
        { POOL "user = b c pool_size=-1\n",
          "t.ini:5: user: pool_size must be 1 to 100000, or default, not \"-1\"\n" },
        { POOL "user = b SCRAM-SHA-256$4096:abc\n",
          "t.ini:5: user: the secret begins as a SCRAM verifier, but is not of the form "
          "SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY\n" },
        { POOL "user = b nopass\n",
          "t.ini:5: user: b has no password, but auth = scram-sha-256 asks for one\n" },
        { POOL "user = b md50123456789abcdef0123456789abcdef\n",
          "t.ini:5: user: of b only the MD5 hash is known, which does not do for auth = "
          "scram-sha-256\n" },
        { POOL "user = "
               "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg x\n",
          "t.ini:5: user: the name of a user has 1 to 63 bytes\n" },
        { "[sql m]\nlisten = postgresql://127.0.0.1\nprimary = postgresql://h\nprobe = no\n"
          "auth = md5\n",
          "t.ini:1: [sql m] knows no user, and auth = md5 needs their passwords: \"user\" lines, "
          "auth_file, or auth_user for auth_query\n" },
        { "[sql m]\nlisten = postgresql://127.0.0.1\nprimary = postgresql://h\n"
          "user = b " SCRAM "\n",
          "t.ini:1: warning: [sql m] has no login for probes: give probe_user and probe_password, "
          "so that roles and lag of the servers can be learned\n" },
        { POOL "probe_password = x\n", "t.ini:5: probe_password: needs probe_user\n" },
        { POOL "replica = postgresql://h\nprobe = no\n",
          "t.ini:6: warning: probe: without probes nobody learns which server is the primary, nor "
          "how far behind the others are\n" },
        { POOL "auth_query = SELECT 1\n",
          "t.ini:5: warning: auth_query has no effect: no auth_user is there to ask it\n" },
        { POOL "auth_user = app\nauth_query = SELECT 1\n",
          "t.ini:6: auth_query: must have $1 where the user's name belongs (written $$1)\n" },
        { POOL "auth_query = SELECT $1\nauth_user = app\n",
          "t.ini:5: auth_query: a \"$\" must be written \"$$\", or \"${NAME}\" for an environment "
          "variable\n" },
        { POOL "admin_user = app\nstats_user = nobody\n",
          "t.ini:6: stats_user: there is no user \"nobody\"\n" },
        { POOL "admin_user = a b\n", "t.ini:5: admin_user: one name stands on each line\n" },
        { POOL "admin_user = app\nconsole = no\n",
          "t.ini:5: warning: admin_user has no effect: console = no\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

static void databases_that_are_wrong_are_named(void)
{
    static const struct mistake MISTAKES[] = {
        { POOL "database = a\ndatabase = a\n",
          "t.ini:6: database: database \"a\" is already there (t.ini:5)\n" },
        { POOL "database =\n", "t.ini:5: database: the name of a database has 1 to 63 bytes\n" },
        { POOL "database = a ->\n",
          "t.ini:5: database: the name of a database has 1 to 63 bytes\n" },
        { POOL "database = a b\n", "t.ini:5: database: unknown word \"b\"\n" },
        { POOL "database = a pooling=statement\n",
          "t.ini:5: database: pooling must be transaction or session, not \"statement\"\n" },
        { POOL "database = a min_pool_size=30\n",
          "t.ini:5: database: pool_size (20) of a may not be less than min_pool_size (30)\n" },
        { POOL "database = pgbouncer\n",
          "t.ini:5: database: pgbouncer is the console's name, unless console = no\n" },
        { "[sql m]\nlisten = postgresql://127.0.0.1\nprimary = postgresql://h/shop\n"
          "user = a b\ndatabase = shop\n",
          "t.ini:5: database: the servers' URLs name the database of all clients already "
          "(t.ini:3)\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

static void options_that_contradict_each_other_are_named(void)
{
    static const struct mistake MISTAKES[] = {
        { POOL "pool_size = 5\nmin_pool_size = 6\n",
          "t.ini:6: pool_size (5) may not be less than min_pool_size (6)\n" },
        { POOL "backoff_max = 10ms\n",
          "t.ini:5: backoff_max (10ms) may not be less than backoff_min (50ms)\n" },
        { POOL "max_session_memory = 2gb\n",
          "t.ini:5: max_memory of [proxy] (1gb) may not be less than max_session_memory (2gb)\n" },
        { POOL "max_sessions = 20000\n",
          "t.ini:5: max_sessions of [proxy] (10000) may not be less than max_sessions (20000)\n" },
        { POOL "reads = bounded\nmax_lag = unlimited\n",
          "t.ini:5: reads: bounded needs a bound: max_lag or max_lag_bytes\n" },
        { POOL "reads = any\nmax_lag = 1s\ncausal_wait = 1ms\n",
          "t.ini:6: warning: max_lag has no effect: reads is neither causal nor bounded\n"
          "t.ini:7: warning: causal_wait has no effect: reads is not causal\n" },
        { POOL "reads = fresh\n",
          "t.ini:5: reads: must be causal, bounded, any or primary, not \"fresh\"\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

int main(void)
{
    RUN(sections_that_are_wrong_are_named);
    RUN(servers_that_are_wrong_are_named);
    RUN(listeners_that_are_wrong_are_named);
    RUN(users_that_are_wrong_are_named);
    RUN(databases_that_are_wrong_are_named);
    RUN(options_that_contradict_each_other_are_named);
    return check_report();
}
