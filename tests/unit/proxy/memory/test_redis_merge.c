/* Commands of many keys and of all shards: how they are split, and what their replies become. */
#include "tests/unit/proxy/memory/redis_stage.h"

static void keys_of_one_shard_go_out_as_they_came(void)
{
    stage_begin(2);
    stage_say("MGET {t}a {t}b {t}a");
    CHECK_INT(op.part_count, 1);
    CHECK(op.parts[0].bytes.at == sent.at);
    CHECK(op.merge == NULL);
    stage_end();
}

static void mget_comes_back_in_the_order_asked_duplicates_too(void)
{
    const char *a, *b;

    stage_begin(2);
    a = stage_key(1, 0);
    b = stage_key(0, 0);
    stage_say(line_of("MGET %s %s %s %s", a, b, a, b));
    CHECK_INT(op.part_count, 2);
    CHECK_PART(
        0, 1,
        line_of("*3\r\n$4\r\nMGET\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(a), a, strlen(a), a));
    CHECK_PART(
        1, 0,
        line_of("*3\r\n$4\r\nMGET\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(b), b, strlen(b), b));
    stage_reply(0, "*2\r\n$2\r\na1\r\n$2\r\na2\r\n");
    stage_reply(1, "*2\r\n$-1\r\n$4\r\nb\r\nx\r\n");
    CHECK_MERGED("*4\r\n$2\r\na1\r\n$-1\r\n$2\r\na2\r\n$4\r\nb\r\nx\r\n");
    stage_end();
}

static void mget_of_resp3_keeps_its_nulls(void)
{
    stage_begin(2);
    CHECK_INT(state->version, 2);
    state->version = 3;
    stage_say(line_of("MGET %s %s", stage_key(0, 0), stage_key(1, 0)));
    stage_reply(0, "*1\r\n_\r\n");
    stage_reply(1, "*1\r\n$0\r\n\r\n");
    CHECK_MERGED("*2\r\n_\r\n$0\r\n\r\n");
    stage_end();
}

static void a_failed_part_of_mget_is_the_whole_answer(void)
{
    stage_begin(2);
    stage_say(line_of("MGET %s %s", stage_key(0, 0), stage_key(1, 0)));
    stage_reply(0, "*1\r\n$1\r\nx\r\n");
    stage_fail(1, "-ERR shard 1 (10.0.0.1:6379) of pool sessions is down: no\r\n");
    CHECK_MERGED("-ERR shard 1 (10.0.0.1:6379) of pool sessions is down: no\r\n");
    stage_end();
}

static void mset_sends_each_value_with_its_key_and_the_last_one_of_a_key_wins(void)
{
    const char *a, *b;

    stage_begin(2);
    a = stage_key(0, 0);
    b = stage_key(1, 0);
    stage_say(line_of("MSET %s 1 %s 2 %s 3", a, b, a));
    CHECK_PART(0, 0,
               line_of("*5\r\n$4\r\nMSET\r\n$%zu\r\n%s\r\n$1\r\n1\r\n$%zu\r\n%s\r\n$1\r\n3\r\n",
                       strlen(a), a, strlen(a), a));
    CHECK_PART(1, 1, line_of("*3\r\n$4\r\nMSET\r\n$%zu\r\n%s\r\n$1\r\n2\r\n", strlen(b), b));
    CHECK(op.is_write);
    stage_reply(0, "+OK\r\n");
    stage_reply(1, "+OK\r\n");
    CHECK_MERGED("+OK\r\n");
    stage_end();
}

static void a_write_that_was_half_done_says_so_and_never_ok(void)
{
    stage_begin(2);
    stage_say(line_of("MSET %s 1 %s 2", stage_key(0, 0), stage_key(1, 0)));
    stage_reply(0, "+OK\r\n");
    stage_fail(1, "-ERR shard 1 (10.0.0.1:6379) of pool sessions is down: no\r\n");
    CHECK_MERGED("-ERR shard 1 (10.0.0.1:6379) of pool sessions is down: no (1 of 2 shards did "
                 "their part of this 'mset')\r\n");
    stage_say(line_of("DEL %s %s", stage_key(0, 0), stage_key(1, 0)));
    stage_reply(0, ":1\r\n");
    stage_reply(1, "-OOM command not allowed\r\n");
    CHECK_MERGED("-OOM command not allowed (1 of 2 shards did their part of this 'del')\r\n");
    stage_say(line_of("DEL %s %s", stage_key(0, 0), stage_key(1, 0)));
    stage_fail(0, "-ERR a\r\n");
    stage_fail(1, "-ERR b\r\n");
    CHECK_MERGED("-ERR a\r\n");
    stage_end();
}

static void counts_are_added(void)
{
    stage_begin(2);
    stage_say(line_of("EXISTS %s %s %s", stage_key(0, 0), stage_key(1, 0), stage_key(0, 0)));
    stage_reply(0, ":2\r\n");
    stage_reply(1, ":1\r\n");
    CHECK_MERGED(":3\r\n");
    stage_end();
}

static void replies_that_are_no_replies_are_an_error(void)
{
    static const char *const BAD[] = { "+x\r\n", "*1\r\n:1\r\n", "*3\r\n$1\r\na\r\n", "%1\r\n" };

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        stage_begin(2);
        stage_say(line_of("MGET %s %s %s", stage_key(0, 0), stage_key(0, 1), stage_key(1, 0)));
        stage_reply(0, BAD[i]);
        stage_reply(1, "*1\r\n$-1\r\n");
        CHECK_MERGED("-ERR the shards' replies to this command do not fit together\r\n");
        stage_end();
    }
}

static void lists_of_names_are_joined(void)
{
    stage_begin(2);
    stage_say("PUBSUB CHANNELS");
    stage_reply(0, "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    stage_reply(1, "*2\r\n$1\r\nb\r\n$1\r\nc\r\n");
    CHECK_MERGED("*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    stage_say("PUBSUB NUMSUB a b");
    stage_reply(0, "*4\r\n$1\r\na\r\n:2\r\n$1\r\nb\r\n:0\r\n");
    stage_reply(1, "*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:5\r\n");
    CHECK_MERGED("*4\r\n$1\r\na\r\n:3\r\n$1\r\nb\r\n:5\r\n");
    stage_say("SCRIPT EXISTS a b");
    stage_reply(0, "*2\r\n:1\r\n:1\r\n");
    stage_reply(1, "*2\r\n:0\r\n:1\r\n");
    CHECK_MERGED("*2\r\n:0\r\n:1\r\n");
    stage_say("FUNCTION LOAD x");
    stage_reply(0, "$1\r\nx\r\n");
    stage_reply(1, "$1\r\ny\r\n");
    CHECK_MERGED("-ERR the shards' replies to this command do not fit together\r\n");
    stage_end();
}

static void script_kill_is_ok_if_one_shard_had_one(void)
{
    stage_begin(2);
    stage_say("SCRIPT KILL");
    stage_reply(0, "-NOTBUSY No scripts in execution right now.\r\n");
    stage_reply(1, "+OK\r\n");
    CHECK_MERGED("+OK\r\n");
    stage_say("SCRIPT KILL");
    stage_reply(0, "-NOTBUSY No scripts in execution right now.\r\n");
    stage_reply(1, "-NOTBUSY No scripts in execution right now.\r\n");
    CHECK_MERGED("-NOTBUSY No scripts in execution right now.\r\n");
    stage_end();
}

static void wait_asks_an_upstream_of_its_own_on_each_shard_and_gives_the_least(void)
{
    stage_begin(2);
    site.idle = false;
    stage_say("WAIT 1 100");
    CHECK(op.after_all);
    site.idle = true;
    stage_say("WAIT 1 100");
    CHECK_INT(op.lease, MEMORY_LEASE_ONCE);
    CHECK(op.no_deadline && op.alone);
    CHECK_INT(op.parts[0].replies, 3);
    CHECK_PART(1, 1,
               "*3\r\n$8\r\nSPUBLISH\r\n$10\r\nsheaf:wait\r\n$0\r\n\r\n"
               "*3\r\n$6\r\nSWAPDB\r\n$1\r\n0\r\n$1\r\n0\r\n"
               "*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$3\r\n100\r\n");
    stage_reply(0, ":0\r\n+OK\r\n:3\r\n");
    stage_reply(1, ":0\r\n+OK\r\n:1\r\n");
    CHECK_MERGED(":1\r\n");
    stage_say("WAITAOF 1 1 100");
    CHECK_INT(op.parts[0].replies, 2);
    stage_reply(0, "+OK\r\n*2\r\n:1\r\n:0\r\n");
    stage_reply(1, "+OK\r\n*2\r\n:0\r\n:4\r\n");
    CHECK_MERGED("*2\r\n:0\r\n:0\r\n");
    stage_end();
}

static void wait_is_refused_where_the_server_may_not_know_what_to_wait_for(void)
{
    static const char NO[] = "-NOPERM no\r\n";

    stage_begin(2);
    stage_say("WAIT 1 100");
    stage_reply(0, line_of("%s+OK\r\n:3\r\n", NO));
    stage_reply(1, line_of(":0\r\n%s:1\r\n", NO));
    CHECK_MERGED(":1\r\n");
    stage_say("WAIT 1 100");
    stage_reply(0, ":0\r\n+OK\r\n:3\r\n");
    stage_reply(1, line_of("%s%s:3\r\n", NO, NO));
    CHECK_MERGED("-ERR 'wait' needs servers whose user is allowed SPUBLISH or SWAPDB, else they "
                 "don't know what to wait for: NOPERM no\r\n");
    stage_say("WAIT 1 100");
    stage_reply(0, ":0\r\n+OK\r\n:3\r\n");
    stage_reply(1, "-BUSY a\r\n-BUSY b\r\n-BUSY c\r\n");
    CHECK_MERGED("-BUSY c\r\n");
    stage_say("WAIT 1 100");
    stage_reply(0, ":0\r\n+OK\r\n:3\r\n");
    stage_fail(1, "-ERR down\r\n");
    CHECK_MERGED("-ERR down\r\n");
    stage_say("WAITAOF 1 1 100");
    stage_reply(0, "+OK\r\n*2\r\n:1\r\n:0\r\n");
    stage_reply(1, line_of("%s*2\r\n:1\r\n:0\r\n", NO));
    CHECK_MERGED("-ERR 'waitaof' needs servers whose user is allowed SWAPDB, else they don't know "
                 "what to wait for: NOPERM no\r\n");
    stage_end();
}

static void what_any_shard_can_say_is_asked_of_the_next_if_one_is_down(void)
{
    stage_begin(2);
    stage_say("COMMAND COUNT");
    CHECK_PART(0, 0, "*2\r\n$7\r\nCOMMAND\r\n$5\r\nCOUNT\r\n");
    stage_fail(0, "-ERR down\r\n");
    CHECK(!stage_merge());
    CHECK_PART(0, 1, "*2\r\n$7\r\nCOMMAND\r\n$5\r\nCOUNT\r\n");
    stage_reply(0, ":240\r\n");
    CHECK(!op.parts[0].failed);
    CHECK_MERGED(":240\r\n");
    stage_end();
}

static void histograms_of_shards_are_added_bound_by_bound(void)
{
    stage_begin(2);
    stage_say("LATENCY HISTOGRAM");
    CHECK_INT(op.part_count, 2);
    stage_reply(0, "*4\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:10\r\n$14\r\nhistogram_usec\r\n"
                   "*4\r\n:1\r\n:4\r\n:8\r\n:10\r\n"
                   "$3\r\nset\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n"
                   "*2\r\n:2\r\n:1\r\n");
    stage_reply(1, "*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:7\r\n$14\r\nhistogram_usec\r\n"
                   "*4\r\n:2\r\n:5\r\n:16\r\n:7\r\n");
    CHECK_MERGED("*4\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:17\r\n$14\r\nhistogram_usec\r\n"
                 "*8\r\n:1\r\n:4\r\n:2\r\n:9\r\n:8\r\n:15\r\n:16\r\n:17\r\n"
                 "$3\r\nset\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n"
                 "*2\r\n:2\r\n:1\r\n");
    stage_say("LATENCY HISTOGRAM get");
    stage_reply(0, "*0\r\n");
    stage_reply(1, "*2\r\n$3\r\nget\r\n:1\r\n");
    CHECK_MERGED("-ERR the shards' replies to this command do not fit together\r\n");
    stage_end();
}

static void texts_of_shards_stand_under_their_names(void)
{
    stage_begin(2);
    stage_say("MEMORY DOCTOR");
    stage_reply(0, "$5\r\nfine\n\r\n");
    stage_reply(1, "=8\r\ntxt:sick\r\n");
    CHECK_MERGED("$61\r\nshard 0 (10.0.0.1:6379):\nfine\n\nshard 1 (10.0.0.1:6379):\nsick\n\r\n");
    stage_say("LATENCY GRAPH command");
    stage_reply(0, "-ERR No samples\r\n");
    stage_reply(1, "$5\r\ngraph\r\n");
    CHECK_MERGED(
        "$72\r\nshard 0 (10.0.0.1:6379):\nERR No samples\n\nshard 1 (10.0.0.1:6379):\ngraph\n\r\n");
    stage_say("LATENCY GRAPH command");
    stage_reply(0, "-ERR No samples\r\n");
    stage_fail(1, "-ERR down\r\n");
    CHECK_MERGED("-ERR No samples\r\n");
    stage_end();
}

static void function_stats_are_of_the_shard_that_runs_one(void)
{
    stage_begin(2);
    stage_say("FUNCTION STATS");
    stage_reply(0, "*4\r\n$14\r\nrunning_script\r\n$-1\r\n$7\r\nengines\r\n*0\r\n");
    stage_reply(1, "*4\r\n$14\r\nrunning_script\r\n*0\r\n$7\r\nengines\r\n*0\r\n");
    CHECK_MERGED("*4\r\n$14\r\nrunning_script\r\n*0\r\n$7\r\nengines\r\n*0\r\n");
    stage_say("FUNCTION STATS");
    stage_reply(0, "*2\r\n$14\r\nrunning_script\r\n$-1\r\n");
    stage_reply(1, "*2\r\n$14\r\nrunning_script\r\n*-1\r\n");
    CHECK_MERGED("*2\r\n$14\r\nrunning_script\r\n$-1\r\n");
    stage_end();
}

static void describe(const struct memory_site *unused, struct buf *out)
{
    (void)unused;
    buf_text(out, "sheaf_version:1\r\n");
}

/* A bulk in one of two places of its own. */
static const char *bulk_of(int place, const char *text)
{
    static char bulks[2][512];

    snprintf(bulks[place], sizeof(bulks[0]), "$%zu\r\n%s\r\n", strlen(text), text);
    return bulks[place];
}

static void info_adds_counters_and_joins_databases_without_the_stamps(void)
{
    stage_begin(2);
    host.describe = describe;
    stage_say("INFO");
    stage_reply(0,
                bulk_of(0, "# Server\r\nredis_version:7.0.15\r\nused_cpu_sys:1.50\r\nloading:0\r\n"
                           "total_commands_processed:10\r\n\r\n# Replication\r\nrole:slave\r\n\r\n"
                           "# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=5\r\n"
                           "db2:keys=1,expires=0,avg_ttl=0\r\n"));
    stage_reply(1,
                bulk_of(1, "# Server\r\nredis_version:6.0.0\r\nused_cpu_sys:0.25\r\nloading:1\r\n"
                           "total_commands_processed:5\r\n\r\n# Replication\r\nrole:master\r\n\r\n"
                           "# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n"));
    CHECK_MERGED(bulk_of(0,
                         "# Server\r\nredis_version:7.0.15\r\nused_cpu_sys:1.75\r\nloading:1\r\n"
                         "total_commands_processed:15\r\n\r\n# Replication\r\nrole:master\r\n\r\n"
                         "# Keyspace\r\ndb0:keys=2,expires=1,avg_ttl=5\r\n"
                         "db2:keys=1,expires=0,avg_ttl=0\r\n\r\n# Sheaf\r\nsheaf_version:1\r\n"));
    stage_end();
}

static void info_leaves_out_a_shard_that_is_down(void)
{
    stage_begin(2);
    stage_say("INFO server");
    stage_fail(0, "-ERR down\r\n");
    stage_reply(1, bulk_of(0, "# Server\r\nloading:0\r\n"));
    CHECK_MERGED(bulk_of(0, "# Server\r\nloading:0\r\n"));
    stage_say("INFO server");
    stage_fail(0, "-ERR down\r\n");
    stage_fail(1, "-ERR down\r\n");
    CHECK_MERGED("-ERR down\r\n");
    stage_say("INFO server");
    stage_fail(0, "-ERR down\r\n");
    stage_reply(1, "*0\r\n");
    CHECK_MERGED("-ERR down\r\n");
    stage_say("INFO server");
    stage_reply(0, ":1\r\n");
    stage_reply(1, "*0\r\n");
    CHECK_MERGED("-ERR the shards' replies to this command do not fit together\r\n");
    stage_end();
}

int main(void)
{
    RUN(keys_of_one_shard_go_out_as_they_came);
    RUN(mget_comes_back_in_the_order_asked_duplicates_too);
    RUN(mget_of_resp3_keeps_its_nulls);
    RUN(a_failed_part_of_mget_is_the_whole_answer);
    RUN(mset_sends_each_value_with_its_key_and_the_last_one_of_a_key_wins);
    RUN(a_write_that_was_half_done_says_so_and_never_ok);
    RUN(counts_are_added);
    RUN(replies_that_are_no_replies_are_an_error);
    RUN(lists_of_names_are_joined);
    RUN(script_kill_is_ok_if_one_shard_had_one);
    RUN(wait_asks_an_upstream_of_its_own_on_each_shard_and_gives_the_least);
    RUN(wait_is_refused_where_the_server_may_not_know_what_to_wait_for);
    RUN(histograms_of_shards_are_added_bound_by_bound);
    RUN(texts_of_shards_stand_under_their_names);
    RUN(function_stats_are_of_the_shard_that_runs_one);
    RUN(what_any_shard_can_say_is_asked_of_the_next_if_one_is_down);
    RUN(info_adds_counters_and_joins_databases_without_the_stamps);
    RUN(info_leaves_out_a_shard_that_is_down);
    return check_report();
}
