/* MULTI to EXEC, WATCH, and scripts whose servers forgot them. */
#include "tests/unit/proxy/memory/redis_stage.h"

#define ABORTED   "-EXECABORT Transaction discarded because of previous errors.\r\n"
#define CROSSSLOT "-CROSSSLOT Keys in request don't hash to the same slot\r\n"

static int64_t queued(void)
{
    struct memory_portrait portrait;

    memory_front_redis.portray(state, &portrait);
    return portrait.queued;
}

static void exec_goes_out_in_one_piece_to_the_shard_of_its_keys(void)
{
    stage_begin(2);
    CHECK_ANSWER("MULTI", "+OK\r\n");
    CHECK(queued() >= 0);
    CHECK_ANSWER("PING", "+QUEUED\r\n");
    CHECK_ANSWER(line_of("SET %s 1", stage_key(1, 0)), "+QUEUED\r\n");
    CHECK_ANSWER(line_of("incr %s", stage_key(1, 0)), "+QUEUED\r\n");
    stage_say("EXEC");
    CHECK_PART(
        0, 1,
        line_of(
            "*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$1\r\n1\r\n"
            "*2\r\n$4\r\nincr\r\n$%zu\r\n%s\r\n*1\r\n$4\r\nEXEC\r\n",
            strlen(stage_key(1, 0)), stage_key(1, 0), strlen(stage_key(1, 0)), stage_key(1, 0)));
    CHECK_INT(op.parts[0].replies, 5);
    CHECK_INT(op.lease, MEMORY_SHARED);
    CHECK(!op.alone && !op.after_all && queued() < 0);
    stage_reply(0, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+PONG\r\n+OK\r\n:2\r\n");
    CHECK_MERGED("*3\r\n+PONG\r\n+OK\r\n:2\r\n");
    stage_end();
}

static void what_the_server_refuses_to_queue_comes_out_as_its_execabort(void)
{
    stage_begin(2);
    CHECK_ANSWER("MULTI", "+OK\r\n");
    CHECK_ANSWER("SET a 1", "+QUEUED\r\n");
    stage_say("EXEC");
    stage_reply(0, "+OK\r\n-OOM command not allowed\r\n" ABORTED);
    CHECK_MERGED(ABORTED);
    stage_end();
}

static void a_failed_shard_is_told_by_exec(void)
{
    stage_begin(2);
    CHECK_ANSWER("MULTI", "+OK\r\n");
    CHECK_ANSWER("SET a 1", "+QUEUED\r\n");
    stage_say("EXEC");
    stage_fail(0, "-ERR shard 1 is down\r\n");
    CHECK_MERGED("-ERR shard 1 is down\r\n");
    CHECK_ANSWER("EXEC", "-ERR EXEC without MULTI\r\n");
    stage_end();
}

static void any_error_while_queueing_aborts(void)
{
    static const char *const WRONG[] = { "GET",         "SELECT 1",         "HELLO 3",
                                         "SUBSCRIBE a", "FLUSHALL",         "KEYS *",
                                         "SCAN 0",      "CLIENT REPLY OFF", "GET sheaf:stamp",
                                         "WAIT 1 1",    "SCRIPT LOAD x",    "CLIENT NOPE" };

    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        stage_begin(2);
        CHECK_ANSWER("MULTI", "+OK\r\n");
        stage_say(WRONG[i]);
        CHECK_INT(op.way, MEMORY_ANSWERED);
        CHECK(answer.len > 0 && answer.at[0] == '-');
        CHECK_ANSWER("SET a 1", "+QUEUED\r\n");
        CHECK_ANSWER("EXEC", ABORTED);
        CHECK_INT(queued(), -1);
        CHECK_ANSWER("PING", "+PONG\r\n");
        stage_end();
    }
}

static void keys_of_two_shards_abort(void)
{
    stage_begin(2);
    CHECK_ANSWER("MULTI", "+OK\r\n");
    CHECK_ANSWER(line_of("SET %s 1", stage_key(0, 0)), "+QUEUED\r\n");
    CHECK_ANSWER(line_of("SET %s 1", stage_key(1, 0)), CROSSSLOT);
    CHECK_ANSWER("EXEC", ABORTED);
    CHECK_ANSWER("MULTI", "+OK\r\n");
    CHECK_ANSWER(line_of("MGET %s %s", stage_key(0, 0), stage_key(1, 0)), CROSSSLOT);
    CHECK_ANSWER("EXEC", ABORTED);
    stage_end();
}

static void nesting_and_watching_inside_are_errors_that_do_not_abort(void)
{
    stage_begin(2);
    CHECK_ANSWER("MULTI", "+OK\r\n");
    CHECK_ANSWER("MULTI", "-ERR MULTI calls can not be nested\r\n");
    CHECK_ANSWER("WATCH a", "-ERR WATCH inside MULTI is not allowed\r\n");
    CHECK_ANSWER("SET a 1", "+QUEUED\r\n");
    stage_say("EXEC");
    CHECK_INT(op.way, MEMORY_PARTS);
    CHECK_ANSWER("EXEC", "-ERR EXEC without MULTI\r\n");
    CHECK_ANSWER("DISCARD", "-ERR DISCARD without MULTI\r\n");
    stage_end();
}

static void an_empty_exec_needs_no_shard(void)
{
    stage_begin(2);
    CHECK_ANSWER("MULTI", "+OK\r\n");
    CHECK_ANSWER("EXEC", "*0\r\n");
    CHECK_ANSWER("MULTI", "+OK\r\n");
    CHECK_ANSWER("SET a 1", "+QUEUED\r\n");
    CHECK_ANSWER("DISCARD", "+OK\r\n");
    CHECK_ANSWER("UNWATCH", "+OK\r\n");
    stage_end();
}

static void the_queue_is_bounded(void)
{
    stage_begin(2);
    pool.max_request_bytes = 64;
    CHECK_ANSWER("MULTI", "+OK\r\n");
    CHECK_ANSWER("SET a 1", "+QUEUED\r\n");
    CHECK_ANSWER("SET a 1", "+QUEUED\r\n");
    CHECK_ANSWER("SET a 1",
                 "-ERR the transaction is larger than max_request_bytes of pool sessions\r\n");
    CHECK_ANSWER("EXEC", ABORTED);
    stage_end();
}

static void watch_leases_and_exec_resumes_that_lease(void)
{
    stage_begin(2);
    site.idle = false;
    stage_say("WATCH a");
    CHECK(op.after_all);
    site.idle = true;
    stage_say("WATCH a");
    CHECK_PART(0, stage_shard_of("a"), "*2\r\n$5\r\nWATCH\r\n$1\r\na\r\n");
    CHECK_INT(op.lease, MEMORY_LEASE);
    CHECK(op.alone && !op.resumes && !op.after_all);
    stage_say("WATCH {a}b");
    CHECK(op.resumes);
    CHECK_ANSWER(line_of("WATCH %s", stage_key(1 - stage_shard_of("a"), 0)), CROSSSLOT);
    CHECK_ANSWER("MULTI", "+OK\r\n");
    CHECK_ANSWER(line_of("GET %s", stage_key(1 - stage_shard_of("a"), 0)), CROSSSLOT);
    stage_say("DISCARD");
    CHECK_PART(0, stage_shard_of("a"), "*1\r\n$7\r\nUNWATCH\r\n");
    CHECK(op.end_leases && op.alone);
    stage_fail(0, "-ERR down\r\n");
    CHECK_MERGED("+OK\r\n");

    stage_say("WATCH a");
    CHECK_ANSWER("MULTI", "+OK\r\n");
    CHECK_ANSWER("SET a 1", "+QUEUED\r\n");
    site.idle = false;
    stage_say("EXEC");
    CHECK(op.after_all);
    site.idle = true;
    stage_say("EXEC");
    CHECK_INT(op.lease, MEMORY_LEASE_ONCE);
    CHECK(op.resumes && op.alone && op.end_leases);
    stage_reply(0, "+OK\r\n+QUEUED\r\n*-1\r\n");
    CHECK_MERGED("*-1\r\n");
    stage_end();
}

static void an_aborted_exec_ends_the_watch_too(void)
{
    stage_begin(2);
    stage_say("WATCH a");
    CHECK_ANSWER("MULTI", "+OK\r\n");
    CHECK_ANSWER("GET", "-ERR wrong number of arguments for 'get' command\r\n");
    stage_say("EXEC");
    CHECK_PART(0, stage_shard_of("a"), "*1\r\n$7\r\nUNWATCH\r\n");
    stage_reply(0, "+OK\r\n");
    CHECK_MERGED(ABORTED);
    stage_say("WATCH a");
    CHECK_ANSWER("RESET", "+RESET\r\n");
    CHECK(op.end_leases);
    CHECK_ANSWER("UNWATCH", "+OK\r\n");
    stage_end();
}

static void an_empty_exec_after_watch_asks_the_server(void)
{
    stage_begin(2);
    stage_say("WATCH a");
    CHECK_ANSWER("MULTI", "+OK\r\n");
    stage_say("EXEC");
    CHECK_PART(0, stage_shard_of("a"), "*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n");
    stage_end();
}

static void scripts_live_on_the_shard_of_their_keys(void)
{
    stage_begin(2);
    stage_say("EVAL x 2 {t}a {t}b");
    CHECK_INT(op.parts[0].shard, stage_shard_of("t"));
    CHECK(op.merge == NULL);
    stage_say("EVAL x 0");
    CHECK_INT(op.parts[0].shard, 0);
    CHECK_ANSWER(line_of("EVAL x 2 %s %s", stage_key(0, 0), stage_key(1, 0)), CROSSSLOT);
    CHECK_ANSWER("EVAL x 3 a", "-ERR Number of keys can't be greater than number of args\r\n");
    CHECK_ANSWER("EVAL x -1", "-ERR Number of keys can't be negative\r\n");
    CHECK_ANSWER("EVAL x y", "-ERR value is not an integer or out of range\r\n");
    stage_end();
}

/* SHA1 of "x". */
#define SHA_OF_X "11f6ad8ec52a2984abaafd7c3b516503785c2072"

static void a_script_that_the_server_lost_is_sent_again_as_eval(void)
{
    stage_begin(2);
    stage_say("EVALSHA " SHA_OF_X " 1 a b");
    CHECK(op.merge == NULL);
    stage_say("SCRIPT LOAD x");
    CHECK_INT(op.part_count, 2);
    stage_say("evalsha " SHA_OF_X " 1 a b");
    CHECK_INT(op.part_count, 1);
    stage_reply(0, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
    CHECK(!stage_merge());
    CHECK_PART(0, stage_shard_of("a"),
               "*5\r\n$4\r\nEVAL\r\n$1\r\nx\r\n$1\r\n1\r\n$1\r\na\r\n$1\r\nb\r\n");
    stage_reply(0, "-NOSCRIPT raised by the script itself\r\n");
    CHECK_MERGED("-NOSCRIPT raised by the script itself\r\n");
    stage_say("EVALSHA_RO " SHA_OF_X " 0");
    stage_reply(0, ":1\r\n");
    CHECK_MERGED(":1\r\n");
    stage_end();
}

static void a_script_is_sent_as_eval_where_its_session_has_more_to_ask(void)
{
    static const char *const EVAL = "*3\r\n$4\r\nEVAL\r\n$1\r\nx\r\n$1\r\n0\r\n";

    stage_begin(1);
    stage_say("SCRIPT LOAD x");
    stage_say("EVALSHA " SHA_OF_X " 0");
    CHECK(op.alone);
    site.has_more = true;
    stage_say("EVALSHA " SHA_OF_X " 0");
    CHECK(!op.alone && op.merge == NULL);
    CHECK_PART(0, 0, EVAL);
    site.has_more = site.idle = false;
    stage_say("EVALSHA " SHA_OF_X " 0");
    CHECK(!op.alone && op.merge == NULL);
    CHECK_PART(0, 0, EVAL);
    stage_end();
}

static void inside_multi_a_known_script_is_sent_with_its_body(void)
{
    stage_begin(1);
    stage_say("EVAL x 0");
    CHECK_ANSWER("MULTI", "+OK\r\n");
    CHECK_ANSWER("EVALSHA " SHA_OF_X " 0", "+QUEUED\r\n");
    stage_say("EXEC");
    CHECK_PART(
        0, 0,
        "*1\r\n$5\r\nMULTI\r\n*3\r\n$4\r\nEVAL\r\n$1\r\nx\r\n$1\r\n0\r\n*1\r\n$4\r\nEXEC\r\n");
    stage_end();
}

static void a_flushed_script_is_forgotten(void)
{
    stage_begin(2);
    stage_say("SCRIPT LOAD x");
    stage_say("SCRIPT FLUSH");
    stage_say("EVALSHA " SHA_OF_X " 0");
    CHECK(op.merge == NULL);
    stage_end();
}

static void the_memory_of_scripts_is_bounded_and_drops_the_oldest(void)
{
    char line[600] = "EVAL x 0", body[500];

    stage_begin(2);
    stage_say(line);
    for (int i = 0; i < 20; i++) {
        memset(body, 'a' + i, sizeof(body) - 1);
        body[sizeof(body) - 1] = '\0';
        snprintf(line, sizeof(line), "EVAL %s 0", body);
        stage_say(line);
    }
    stage_say("EVALSHA " SHA_OF_X " 0");
    CHECK(op.merge == NULL);
    stage_end();
}

static void scripts_are_known_to_every_worker_of_the_pool(void)
{
    void *first, *second;

    stage_begin(2);
    first = site.shared;
    second = memory_front_redis.shared_new(&pool);
    stage_say("EVAL x 0");
    site.shared = second;
    stage_say("EVALSHA " SHA_OF_X " 0");
    CHECK(op.merge != NULL);
    site.shared = first;
    memory_front_redis.shared_free(second);
    stage_end();
}

int main(void)
{
    RUN(exec_goes_out_in_one_piece_to_the_shard_of_its_keys);
    RUN(what_the_server_refuses_to_queue_comes_out_as_its_execabort);
    RUN(a_failed_shard_is_told_by_exec);
    RUN(any_error_while_queueing_aborts);
    RUN(keys_of_two_shards_abort);
    RUN(nesting_and_watching_inside_are_errors_that_do_not_abort);
    RUN(an_empty_exec_needs_no_shard);
    RUN(the_queue_is_bounded);
    RUN(watch_leases_and_exec_resumes_that_lease);
    RUN(an_aborted_exec_ends_the_watch_too);
    RUN(an_empty_exec_after_watch_asks_the_server);
    RUN(scripts_live_on_the_shard_of_their_keys);
    RUN(a_script_that_the_server_lost_is_sent_again_as_eval);
    RUN(a_script_is_sent_as_eval_where_its_session_has_more_to_ask);
    RUN(inside_multi_a_known_script_is_sent_with_its_body);
    RUN(a_flushed_script_is_forgotten);
    RUN(the_memory_of_scripts_is_bounded_and_drops_the_oldest);
    RUN(scripts_are_known_to_every_worker_of_the_pool);
    return check_report();
}
