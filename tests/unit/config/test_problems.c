/* Each class of mistake, with the exact words an operator reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/config/mistakes.h"

#define CACHE "[memory a]\nlisten = memcached://127.0.0.1:7000\nshard = memcached://10.0.0.1\n"
#define POOL  "[memory a]\nlisten = redis://127.0.0.1:7000\nshard = redis://10.0.0.1\n"

static void sections_that_are_wrong_are_named(void)
{
    static const struct mistake MISTAKES[] = {
        { "", "t.ini: there is no pool: a section such as [memory NAME] is needed\n" },
        { "workers = 1\n" POOL, "t.ini:1: \"workers\" stands before any [section]\n" },
        { POOL "[memroy b]\nx = y\n",
          "t.ini:4: unknown section [memroy b]; did you mean \"memory\"?\n" },
        { POOL "[zebra]\n", "t.ini:4: unknown section [zebra]; there are [proxy], [memory NAME], "
                            "[sql NAME], [blob NAME] and [class NAME]\n" },
        { POOL "[search main]\nlisten = x\n",
          "t.ini:4: [search] sections are not in this version\n" },
        { POOL "[memory  a]\n", "t.ini:4: section [memory a] is already there (t.ini:1)\n" },
        { "[proxy]\n[proxy]\n" POOL, "t.ini:2: section [proxy] is already there (t.ini:1)\n" },
        { "[proxy x]\n" POOL, "t.ini:1: [proxy] has no name: \"x\" is too much\n" },
        { "[memory]\n", "t.ini:1: a pool needs a name of 1 to 64 letters, digits, \"-\", \"_\" or "
                        "\".\": [memory NAME]\n" },
        { "[memory a b]\n",
          "t.ini:1: a pool needs a name of 1 to 64 letters, digits, \"-\", \"_\" or "
          "\".\": [memory NAME]\n" },
        { "[memory a\nlisten = redis://127.0.0.1:7000\nshard = redis://10.0.0.1\n",
          "t.ini:1: the \"]\" of this section's heading is missing\n" },
        { "[memory a] listen = x\nlisten = redis://127.0.0.1:7000\nshard = redis://10.0.0.1\n",
          "t.ini:1: nothing may follow the heading of a section\n" },
        { "[memory a]\n", "t.ini:1: [memory a] has no \"listen\" line\n"
                          "t.ini:1: [memory a] has no \"shard\" line\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

static void mistakes_about_embedded_shards_are_named(void)
{
    static const struct mistake MISTAKES[] = {
        { POOL "purge = 61 3 *\n", "t.ini:4: purge: the minute must be * or 0 to 59\n" },
        { POOL "purge = daily\n",
          "t.ini:4: purge: must be \"MINUTE HOUR WEEKDAY\" or cron's five fields\n" },
        { POOL "shard = ram://\n", "t.ini:4: shard: how much it may hold must stand behind the "
                                   "slashes: ram://256mb\n" },
        { POOL "shard = ram://64mb?db=3\n",
          "t.ini:4: shard: \"db\" means nothing to an embedded shard: it has all databases of the "
          "pool\n" },
        { POOL "shard = ram://a:b@64mb\n", "t.ini:4: shard: an embedded shard has neither user nor "
                                           "password, and nothing behind it\n" },
        { POOL "shard = sqlite://\n",
          "t.ini:4: shard: a file needs an absolute path: sqlite:///srv/data\n" },
        { POOL "shard = rocksdb://keys\n",
          "t.ini:4: shard: a folder needs an absolute path: rocksdb:///srv/data\n" },
        { POOL "shard = sqlite:///a\nshard = sqlite:///a\n",
          "t.ini:5: shard: /a is already shard 1 (t.ini:4); two shards in one database would share "
          "their keys\n" },
        { "[memory a]\nlisten = redis://127.0.0.1:1\nshard = sqlite:///a\nstamp = no\n"
          "[memory b]\nlisten = redis://127.0.0.1:2\nshard = sqlite:///a\nstamp = no\n",
          "t.ini:7: shard: /a is already a shard of [memory a] (t.ini:3), and a store is of one "
          "pool\n" },
        { POOL "shard = rocksdb://srv/keys\n",
          "t.ini:4: shard: a file or folder has no host: three "
          "slashes stand before its path\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

static void mistakes_about_shards_in_postgresql_are_named(void)
{
    static const struct mistake MISTAKES[] = {
        { POOL "shard = postgresql://h/db\n", "t.ini:4: shard: a user must be named: "
                                              "postgresql://USER:PASSWORD@HOST/DATABASE\n" },
        { POOL "shard = postgresql://u:p@h?db=3\n",
          "t.ini:4: shard: \"db\" is Redis's; the database stands behind the address: "
          "postgresql://USER:PASSWORD@HOST/DATABASE\n" },
        { POOL "shard = postgresql://u:p@h/d?table=a%22b\n",
          "t.ini:4: shard: \"table\" must be NAME or SCHEMA.NAME, of letters, digits and \"_\", "
          "63 each at most\n" },
        { POOL "shard = postgresql://u:p@h/d?table=1\n",
          "t.ini:4: shard: \"table\" must be NAME or SCHEMA.NAME, of letters, digits and \"_\", "
          "63 each at most\n" },
        { POOL "shard = postgresql://u:p@h/d?table=a.b\n"
               "shard = postgresql://other:p@h/d?table=a.b\n"
               "shard = postgresql://u:p@h/d?table=b\n",
          "t.ini:5: shard: h:5432/d?table=a.b is already shard 1 (t.ini:4); two shards in one "
          "database would share their keys\n" },
        { POOL "shard = postgresql+unix:///run/postgresql?tls=require\n",
          "t.ini:4: shard: a user must be named: postgresql://USER:PASSWORD@HOST/DATABASE\n" },
        { POOL "shard = redis://h?table=a\n",
          "t.ini:4: shard: \"table\" means something to postgresql:// only\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

static void lines_that_are_wrong_are_named(void)
{
    static const struct mistake MISTAKES[] = {
        { POOL "distributon = modulo\n", "t.ini:4: unknown option \"distributon\" in [memory a]; "
                                         "did you mean \"distribution\"?\n" },
        { POOL "colour = red\n", "t.ini:4: unknown option \"colour\" in [memory a]\n" },
        { POOL "= 1\n", "t.ini:4: the name in front of the \"=\" is missing\n" },
        { POOL "nonsense\n",
          "t.ini:4: not understood: a line is \"NAME = VALUE\", \"[SECTION]\" or a comment\n" },
        { POOL "one\n two ; x = y\n\n; three\n",
          "t.ini:4: not understood: a line is \"NAME = VALUE\", \"[SECTION]\" or a comment\n"
          "t.ini:5: not understood: a line is \"NAME = VALUE\", \"[SECTION]\" or a comment\n" },
        { POOL "timeout = 1s\ntimeout = 2s\n", "t.ini:5: timeout: is already given (t.ini:4)\n" },
        { POOL "timeout =\n", "t.ini:4: timeout: the value is missing\n" },
        { POOL "hash = xxh4\n", "t.ini:4: hash: must be xxh3, fnv1a_64, md5 or murmur, not "
                                "\"xxh4\"; did you mean \"xxh3\"?\n" },
        { POOL "distribution = jump\n", "t.ini:1: [memory a]: jump needs two shards\n" },
        { POOL "distribution = jump\nshard = redis://b\n",
          "t.ini:1: warning: [memory a]: jump is odd\nt.ini:1: warning: [memory a]: so is this\n" },
        { POOL "on_shard_down = panic\n",
          "t.ini:4: on_shard_down: must be error or miss, not \"panic\"\n" },
        { POOL "stamp = maybe\n", "t.ini:4: stamp: must be yes or no, not \"maybe\"\n" },
        { POOL "timeout = 0\n", "t.ini:4: timeout: must be 1ms to 1d, not \"0\"\n" },
        { POOL "timeout = 400\n",
          "t.ini:4: timeout: must be a duration with its unit (ms, s, m, h, d), "
          "1ms to 1d, not \"400\"\n" },
        { POOL "timeout = 25h\n", "t.ini:4: timeout: must be 1ms to 1d, not \"25h\"\n" },
        { POOL "timeout = 99999999999999999d\n",
          "t.ini:4: timeout: must be 1ms to 1d, not \"99999999999999999d\"\n" },
        { POOL "max_request = 12\n",
          "t.ini:4: max_request: must be a size with its unit (b, kb, mb, gb, "
          "tb), 1kb to 2gb, not \"12\"\n" },
        { POOL "max_request = 12b\n", "t.ini:4: max_request: must be 1kb to 2gb, not \"12b\"\n" },
        { POOL "databases = -1\n", "t.ini:4: databases: must be 1 to 65536, not \"-1\"\n" },
        { POOL "hash_tag = {\n", "t.ini:4: hash_tag: must be two characters, or off, not \"{\"\n" },
        { POOL "[proxy]\nworkers = many\n",
          "t.ini:5: workers: must be 1 to 256, or auto, not \"many\"\n" },
        { POOL "[proxy]\nlog_level = warning\n",
          "t.ini:5: log_level: must be error, warn, info or debug, not \"warning\"; did you mean "
          "\"warn\"?\n" },
        { POOL "include = x.ini\n", "t.ini:4: include: no file may be read here\n" },
        { POOL "hash = ${SHEAF_TEST_UNSET}\n",
          "t.ini:4: hash: environment variable \"SHEAF_TEST_UNSET\" is not set\n" },
        { POOL "hash = a$b\n",
          "t.ini:4: hash: a \"$\" must be written \"$$\", or \"${NAME}\" for an "
          "environment variable\n" },
        { POOL "hash = ${a b}\n",
          "t.ini:4: hash: \"${\" must be followed by the name of an environment "
          "variable and \"}\"\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

static void pools_are_of_one_protocol_and_have_what_is_its_own(void)
{
    static const struct mistake MISTAKES[] = {
        { POOL "on_shard_down = miss\n", "" },
        { POOL "listen = memcached://127.0.0.1:7001\non_shard_down = miss\n", "" },
        { CACHE "on_shard_down = miss\n", "" },
        { CACHE "shard = redis://10.0.0.2\n",
          "t.ini:4: shard: the shards of a pool are of one kind, and the first is memcached "
          "(t.ini:3)\n" },
        { CACHE "listen = redis://127.0.0.1:7001\n", "" },
        { CACHE "shard = memcached://10.0.0.2/1\n",
          "t.ini:4: shard: memcached has no databases\n" },
        { CACHE "user = a b allow=@read,get deny=@dangerous\n",
          "t.ini:4: user: memcached's commands are @read, @write or @all, not @dangerous\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

static void options_that_are_right_elsewhere_are_told_so(void)
{
    static const struct mistake MISTAKES[] = {
        { POOL "workers = 1\n",
          "t.ini:4: unknown option \"workers\" in [memory a]; it belongs to [proxy]\n" },
        { POOL "[proxy]\ntimeout = 1s\n", "t.ini:5: unknown option \"timeout\" in [proxy]; it "
                                          "belongs to a pool, [memory NAME]\n" },
        { POOL "weight = 2\n",
          "t.ini:4: unknown option \"weight\" in [memory a]; it belongs to the "
          "URL of a shard, behind a \"?\"\n" },
        { POOL "mode = 0700\n", "t.ini:4: unknown option \"mode\" in [memory a]; it belongs to the "
                                "URL of a listener, behind a \"?\"\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

#define SHARD(url)  "[memory a]\nlisten = redis://127.0.0.1:7000\nshard = " url "\n"
#define LISTEN(url) "[memory a]\nlisten = " url "\nshard = redis://10.0.0.1\n"

static void urls_of_shards_that_are_wrong_are_named_without_their_passwords(void)
{
    static const struct mistake MISTAKES[] = {
        { SHARD("10.0.0.1:6379"), "t.ini:3: shard: must be a URL, with its protocol in front: "
                                  "redis://127.0.0.1:6379, postgresql://127.0.0.1:5432\n" },
        { SHARD("reddis://10.0.0.1"),
          "t.ini:3: shard: unknown scheme \"reddis\"; did you mean \"redis\"?\n" },
        { SHARD("redis://"), "t.ini:3: shard: the host is missing\n" },
        { SHARD("redis://a b"), "t.ini:3: shard: \"a b\" is no host name or address\n" },
        { SHARD("redis://::1:6379"),
          "t.ini:3: shard: an IPv6 address must be in brackets: [::1]:6379\n" },
        { SHARD("redis://[::g]:1"),
          "t.ini:3: shard: \"[::g]:1\" is no IPv6 address in brackets\n" },
        { SHARD("redis://[::1]6379"),
          "t.ini:3: shard: only a port may follow the address in brackets\n" },
        { SHARD("redis://h:0"), "t.ini:3: shard: the port must be 1 to 65535\n" },
        { SHARD("redis://h:65536"), "t.ini:3: shard: the port must be 1 to 65535\n" },
        { SHARD("redis://user:secret"), "t.ini:3: shard: the port must be 1 to 65535\n" },
        { SHARD("redis://user@h"),
          "t.ini:3: shard: a user needs a password (\"USER:PASSWORD@\", or "
          "\":PASSWORD@\" without user)\n" },
        { SHARD("redis://user:@h"), "t.ini:3: shard: the password is empty\n" },
        { SHARD("redis://user:se/cret@h"), "t.ini:3: shard: \"/\", \"?\", \"#\" and \"@\" in a "
                                           "password or path must be written %2F, %3F, "
                                           "%23 and %40\n" },
        { SHARD("redis://h/1#x"),
          "t.ini:3: shard: a URL may not have a \"#\" part here (the letter itself is %23)\n" },
        { SHARD("redis://h/secret"),
          "t.ini:3: shard: behind the address only a \"/\" and the number of a "
          "database may stand\n" },
        { SHARD("redis://:a%2@h"),
          "t.ini:3: shard: \"%\" in a URL must be followed by two hex digits, not "
          "00 (the percent sign itself is %25)\n" },
        { SHARD("redis://:a%00@h"),
          "t.ini:3: shard: \"%\" in a URL must be followed by two hex digits, "
          "not 00 (the percent sign itself is %25)\n" },
        { SHARD("redis://h?wieght=2"), "t.ini:3: shard: unknown option \"wieght\" behind the "
                                       "\"?\"; did you mean \"weight\"?\n" },
        { SHARD("redis://h?weight=0"), "t.ini:3: shard: weight must be 1 to 65535, not \"0\"\n" },
        { SHARD("redis://h?weight"),
          "t.ini:3: shard: behind the \"?\" stand NAME=VALUE pairs with \"&\" between them\n" },
        { SHARD("redis://h?weight=1&weight=2"),
          "t.ini:3: shard: \"weight\" stands twice behind the \"?\"\n" },
        { SHARD("redis://h?ca=x.pem"),
          "t.ini:3: shard: \"ca\" is for TLS only, and this URL has none\n" },
        { SHARD("redis+unix://host/x"),
          "t.ini:3: shard: a Unix socket has no host: redis+unix:///run/redis.sock\n" },
        { SHARD("redis+unix://"),
          "t.ini:3: shard: a Unix socket needs an absolute path: redis+unix:///run/redis.sock\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

static void urls_of_listeners_that_are_wrong_are_named(void)
{
    static const struct mistake MISTAKES[] = {
        { LISTEN("redis://:pw@127.0.0.1:1"),
          "t.ini:2: listen: a listener's URL has no user, password or path (clients log in as "
          "\"password\" and \"user\" lines say)\n" },
        { LISTEN("redis+unix:///s?mode=0999"),
          "t.ini:2: listen: mode must be an octal number, 0000 to 0777, not \"0999\"\n" },
        { LISTEN("rediss://127.0.0.1:1"),
          "t.ini:2: listen: rediss:// needs tls_cert and tls_key\n" },
        { LISTEN("rediss://127.0.0.1:1?cert=c"),
          "t.ini:2: listen: a TLS certificate is given, its key is missing\n" },
        { LISTEN("rediss://127.0.0.1:1") "tls_key = k\n",
          "t.ini:2: listen: a TLS key is given, its certificate is missing\n" },
        { LISTEN("rediss://127.0.0.1:1?cert=c&key=k&client=required"),
          "t.ini:2: listen: certificates of clients are asked for, so tls_client_ca is needed\n" },
        { LISTEN("rediss://127.0.0.1:1?cert=c&key=k") "tls_client_ca = a\n",
          "t.ini:2: listen: tls_client_ca is given, but nobody is asked for a certificate: "
          "tls_client must be optional or required\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

static void users_that_are_wrong_are_named_without_their_passwords(void)
{
    static const struct mistake MISTAKES[] = {
        { POOL "user = app\n",
          "t.ini:4: user: a user has a name and a password (or #SHA256, or nopass)\n" },
        { POOL "user = app my secret\n",
          "t.ini:4: user: behind the password stand password=, prefix=, allow=, deny= and admin (a "
          "password with spaces comes from ${NAME})\n" },
        { POOL "user = app pw alow=@read\n",
          "t.ini:4: user: unknown word \"alow=\"; did you mean \"allow\"?\n" },
        { POOL "user = app pw allow=@raed\n",
          "t.ini:4: user: unknown category \"@raed\"; did you mean \"@read\"?\n" },
        { POOL "user = app pw allow=read,set,pubsub\n",
          "t.ini:4: user: \"read\" is no command; the category is @read\n" },
        { POOL "user = app pw deny=get,,set\n",
          "t.ini:4: user: \"\" is neither a command nor an @category\n" },
        { POOL "user = app #12\n",
          "t.ini:4: user: behind \"#\" stand the 64 hex digits of a password's SHA-256\n" },
        { POOL "user = app pw prefix=\n",
          "t.ini:4: user: the prefix is empty (without one, all keys are allowed)\n" },
        { POOL "user = app nopass password=x\n",
          "t.ini:4: user: a user with nopass can have no password\n" },
        { POOL "user = app a\nuser = app b\n",
          "t.ini:5: user: user \"app\" is already there (t.ini:4)\n" },
        { POOL "password = a\nuser = default b\n",
          "t.ini:5: user: user \"default\" is already there (t.ini:4)\n" },
        { POOL "password = a\npassword = b\n",
          "t.ini:5: password: user \"default\" is already there (t.ini:4)\n" },
        { POOL "user = app ${SHEAF_TEST_UNSET}\n",
          "t.ini:4: user: environment variable \"SHEAF_TEST_UNSET\" is not set\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

#define OPEN(url)                                                                                  \
    "t.ini:2: listen: " url " is open beyond this machine, without password and TLS; give a "      \
    "\"password\", listen with TLS, or allow it in words: \"insecure_listen = anyone may "         \
    "connect\"\n"

static void what_only_the_whole_tells_is_named(void)
{
    static const struct mistake MISTAKES[] = {
        { POOL "shard = redis://10.0.0.1:6379\n", "t.ini:4: shard: 10.0.0.1:6379 is already shard "
                                                  "0 (t.ini:3); two shards in one database would "
                                                  "share their keys\n" },
        { POOL "shard = redis://10.0.0.1/1\n", "" },
        { POOL "shard = redis://b?name=x\nshard = redis://c?name=x\n",
          "t.ini:5: shard: the name \"x\" is already given (t.ini:4)\n" },
        { POOL "max_request = 65mb\n",
          "t.ini:4: max_session_memory (64mb) may not be less than max_request (65mb)\n" },
        { POOL "backoff_max = 20ms\n",
          "t.ini:4: backoff_max (20ms) may not be less than backoff_min (50ms)\n" },
        { POOL "timeout = 40s\n",
          "t.ini:4: tombstone_timeout (30s) may not be less than timeout (40s)\n" },
        { POOL "max_session_memory = 2gb\n",
          "t.ini:4: max_memory of [proxy] (1gb) may not be less than max_session_memory (2gb)\n" },
        { POOL "max_sessions = 10001\n",
          "t.ini:4: max_sessions of [proxy] (10000) may not be less than max_sessions (10001)\n" },
        { POOL "tls_cert = x\nshard_tls_ca = y\n",
          "t.ini:4: warning: tls_cert has no effect: no \"listen\" line has a TLS URL (rediss://)\n"
          "t.ini:5: warning: shard_tls_ca has no effect: no \"shard\" line has a TLS URL "
          "(rediss://)\n" },
        { SHARD("rediss://h?verify=no"), "t.ini:3: warning: shard: the certificate of h:6379 is "
                                         "not verified: anyone between could read "
                                         "and change all\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

static void where_clients_and_operators_connect_is_told_once_and_is_safe(void)
{
    static const struct mistake MISTAKES[] = {
        { POOL "listen = redis://127.0.0.1:7000\n",
          "t.ini:4: listen: redis://127.0.0.1:7000 is already taken (t.ini:2)\n" },
        { POOL "[memory b]\nlisten = redis://127.0.0.1:7000\nshard = redis://10.0.0.1\n",
          "t.ini:5: listen: redis://127.0.0.1:7000 is already taken (t.ini:2)\n" },
        { POOL "listen = redis://127.0.0.1:7000\nlisten = redis://127.0.0.1:7000\n",
          "t.ini:4: listen: redis://127.0.0.1:7000 is already taken (t.ini:2)\n"
          "t.ini:5: listen: redis://127.0.0.1:7000 is already taken (t.ini:2)\n" },
        { POOL "password = x\nlisten = redis://0.0.0.0:7000\nlisten = redis://[::1]:7000\n",
          "t.ini:5: listen: redis://0.0.0.0:7000 overlaps with redis://127.0.0.1:7000 "
          "(t.ini:2)\n" },
        { POOL "password = x\nlisten = redis://[::]:7000\n",
          "t.ini:5: listen: redis://[::]:7000 overlaps with redis://127.0.0.1:7000 (t.ini:2)\n" },
        { POOL "password = x\nlisten = redis://0.0.0.0:9070\n",
          "t.ini:5: listen: redis://0.0.0.0:9070 is already the admin endpoint's, "
          "http://127.0.0.1:9070\n" },
        { POOL "listen = redis+unix:///s\nlisten = redis+unix:///t\nlisten = redis+unix:///s\n",
          "t.ini:6: listen: redis+unix:///s is already taken (t.ini:4)\n" },
        { POOL "listen = redis://127.0.0.1:0\nlisten = redis://127.0.0.1:0\n", "" },
        { LISTEN("redis://127.0.0.1:9070"),
          "t.ini:2: listen: redis://127.0.0.1:9070 is already the admin endpoint's, "
          "http://127.0.0.1:9070\n" },
        { LISTEN("redis://0.0.0.0:1"), OPEN("redis://0.0.0.0:1") },
        { LISTEN("redis://[::]"), OPEN("redis://[::]:6379") },
        { LISTEN("redis://cache.local"), OPEN("redis://cache.local:6379") },
        { LISTEN("redis://0.0.0.0") "user = default nopass\n", OPEN("redis://0.0.0.0:6379") },
        { LISTEN("redis://0.0.0.0") "insecure_listen = yes\n",
          OPEN("redis://0.0.0.0:6379") "t.ini:4: insecure_listen: must be no or anyone may "
                                       "connect, not \"yes\"\n" },
        { LISTEN("redis://0.0.0.0") "insecure_listen = anyone may connect\n", "" },
        { LISTEN("redis://0.0.0.0") "password = x\n", "" },
        { LISTEN("redis://[::1]"), "" },
        { LISTEN("redis://localhost"), "" },
        { LISTEN("redis+unix:///s"), "" },
        { LISTEN("rediss://0.0.0.0?cert=c&key=k"), "" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

static void the_admin_endpoint_is_a_url_of_its_own(void)
{
    static const struct mistake MISTAKES[] = {
        { POOL "[proxy]\nadmin = http://0.0.0.0:1\n",
          "t.ini:5: admin: http://0.0.0.0:1 is open beyond this machine, without password and TLS; "
          "allow "
          "it in words: \"insecure_listen = anyone may connect\"\n" },
        { POOL "[proxy]\nadmin = ftp://x\n",
          "t.ini:5: admin: must be http://HOST:PORT, http+unix:///PATH, or off, not "
          "\"ftp://x\"\n" },
        { POOL "[proxy]\nadmin = of\n", "t.ini:5: admin: must be http://HOST:PORT, "
                                        "http+unix:///PATH, or off, not \"of\"; did you "
                                        "mean \"off\"?\n" },
        { POOL "[proxy]\nadmin = htp://127.0.0.1:9070\n",
          "t.ini:5: admin: must be http://HOST:PORT, http+unix:///PATH, or off, not "
          "\"htp://127.0.0.1:9070\"; did you mean \"http\"?\n" },
        { POOL "[proxy]\nadmin = http://127.0.0.1:9070/x\n",
          "t.ini:5: admin: must be http://HOST:PORT, http+unix:///PATH, or off\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

static void all_problems_are_told_in_the_order_of_the_lines(void)
{
    static const struct mistake MISTAKES[] = {
        { "[memory a]\n"
          "listen = redis://0.0.0.0:1\n"
          "shard = redis://h:x\n"
          "hsh = md5\n"
          "[memory b]\n"
          "timeout = 1\n"
          "shard = redis://h\n",
          OPEN("redis://0.0.0.0:1") "t.ini:3: shard: the port must be 1 to 65535\n"
                                    "t.ini:4: unknown option \"hsh\" in [memory a]; did you mean "
                                    "\"hash\"?\n"
                                    "t.ini:5: [memory b] has no \"listen\" line\n"
                                    "t.ini:6: timeout: must be a duration with its unit (ms, s, m, "
                                    "h, d), 1ms to 1d, not \"1\"\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

int main(void)
{
    RUN(sections_that_are_wrong_are_named);
    RUN(lines_that_are_wrong_are_named);
    RUN(mistakes_about_embedded_shards_are_named);
    RUN(mistakes_about_shards_in_postgresql_are_named);
    RUN(pools_are_of_one_protocol_and_have_what_is_its_own);
    RUN(urls_of_shards_that_are_wrong_are_named_without_their_passwords);
    RUN(urls_of_listeners_that_are_wrong_are_named);
    RUN(users_that_are_wrong_are_named_without_their_passwords);
    RUN(options_that_are_right_elsewhere_are_told_so);
    RUN(where_clients_and_operators_connect_is_told_once_and_is_safe);
    RUN(the_admin_endpoint_is_a_url_of_its_own);
    RUN(what_only_the_whole_tells_is_named);
    RUN(all_problems_are_told_in_the_order_of_the_lines);
    return check_report();
}
