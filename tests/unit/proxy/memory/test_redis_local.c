/* What the pool answers by itself, in both versions of the protocol. */
#include "tests/unit/proxy/memory/redis_stage.h"

static void select_stays_within_the_databases_and_waits_for_earlier_requests(void)
{
    stage_begin(2);
    CHECK_ANSWER("SELECT 99", "-ERR DB index is out of range\r\n");
    CHECK_ANSWER("SELECT -1", "-ERR DB index is out of range\r\n");
    CHECK_ANSWER("SELECT x", "-ERR value is not an integer or out of range\r\n");
    site.idle = false;
    CHECK_ANSWER("SELECT 0", "+OK\r\n");
    stage_say("SELECT 3");
    CHECK(op.after_all);
    CHECK_INT(state->database, 0);
    CHECK_INT(answer.len, 0);
    site.idle = true;
    CHECK_ANSWER("SELECT 3", "+OK\r\n");
    CHECK_INT(state->database, 3);
    stage_end();
}

static void hello_greets_as_redis_does(void)
{
    stage_begin(2);
    CHECK_ANSWER(
        "HELLO 2",
        "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:"
        "2\r\n"
        "$2\r\nid\r\n:7\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
        "$7\r\nmodules\r\n*0\r\n");
    CHECK_ANSWER(
        "HELLO 3",
        "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:"
        "3\r\n"
        "$2\r\nid\r\n:7\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
        "$7\r\nmodules\r\n*0\r\n");
    CHECK_INT(state->version, 3);
    CHECK_ANSWER("HELLO 4", "-NOPROTO unsupported protocol version\r\n");
    CHECK_ANSWER("HELLO x", "-ERR Protocol version is not an integer or out of range\r\n");
    CHECK_ANSWER("HELLO 3 FOO", "-ERR Syntax error in HELLO option 'FOO'\r\n");
    CHECK_ANSWER("HELLO 3 AUTH a", "-ERR Syntax error in HELLO option 'AUTH'\r\n");
    site.idle = false;
    stage_say("HELLO 2");
    CHECK(op.after_all);
    CHECK_INT(state->version, 3);
    stage_end();
}

static void names_are_kept_and_judged(void)
{
    struct memory_portrait portrait;

    stage_begin(2);
    CHECK_ANSWER("CLIENT GETNAME", "$-1\r\n");
    CHECK_ANSWER("CLIENT SETNAME me", "+OK\r\n");
    CHECK_ANSWER("CLIENT GETNAME", "$2\r\nme\r\n");
    memory_front_redis.portray(state, &portrait);
    CHECK_TEXT(portrait.name, "me");
    CHECK(portrait.library == NULL);
    CHECK_INT(portrait.queued, -1);
    CHECK_ANSWER("CLIENT SETNAME a\nb",
                 "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
    CHECK_ANSWER("CLIENT SETINFO lib-name redis-py", "+OK\r\n");
    CHECK_ANSWER("CLIENT SETINFO lib-ver a\tb",
                 "-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n");
    CHECK_ANSWER("CLIENT SETINFO foo x", "-ERR Unrecognized option 'foo'\r\n");
    CHECK_ANSWER("CLIENT SETNAME \"\"", "+OK\r\n");
    state->version = 3;
    CHECK_ANSWER("CLIENT GETNAME", "_\r\n");
    CHECK_ANSWER("CLIENT ID", ":7\r\n");
    stage_end();
}

/* The answer of all workers to the inquiry that was planned. */
static void workers_answer(const char *text)
{
    CHECK_INT(op.way, MEMORY_INQUIRY);
    op.parts = &op.one;
    op.part_count = 1;
    stage_reply(0, text);
}

static void lists_are_of_the_sessions_asked_for(void)
{
    const char *all = "id=7 addr=a\nid=71 addr=b\nid=8 addr=c\n";

    stage_begin(2);
    stage_say("CLIENT LIST");
    CHECK_INT(op.inquiry->deed, MEMORY_DEED_LIST);
    workers_answer(all);
    CHECK_MERGED("$37\r\nid=7 addr=a\nid=71 addr=b\nid=8 addr=c\n\r\n");
    stage_say("CLIENT LIST ID 7 8");
    workers_answer(all);
    CHECK_MERGED("$24\r\nid=7 addr=a\nid=8 addr=c\n\r\n");
    state->version = 3;
    stage_say("CLIENT LIST ID 8");
    workers_answer(all);
    CHECK_MERGED("=16\r\ntxt:id=8 addr=c\n\r\n");
    stage_end();
}

static void sessions_are_killed_by_address_or_number(void)
{
    stage_begin(2);
    stage_say("CLIENT KILL 1.2.3.4:5");
    CHECK_INT(op.inquiry->deed, MEMORY_DEED_KILL);
    CHECK_BYTES(op.inquiry->address, bytes("1.2.3.4:5"));
    CHECK(!op.inquiry->spare_self);
    workers_answer("1");
    CHECK_MERGED("+OK\r\n");
    stage_say("CLIENT KILL 1.2.3.4:5");
    workers_answer("0");
    CHECK_MERGED("-ERR No such client\r\n");
    stage_say("CLIENT KILL ID 8");
    CHECK_INT(op.inquiry->id, 8);
    CHECK(op.inquiry->spare_self);
    workers_answer("1");
    CHECK_MERGED(":1\r\n");
    stage_say("CLIENT KILL ID 9 SKIPME no");
    CHECK(!op.inquiry->spare_self);
    workers_answer("0");
    CHECK_MERGED(":0\r\n");
    CHECK_ANSWER("CLIENT KILL ID x", "-ERR client-id should be greater than 0\r\n");
    CHECK_ANSWER("CLIENT KILL FOO x", "-ERR syntax error\r\n");
    CHECK_ANSWER("CLIENT KILL ID 8 TYPE", "-ERR syntax error\r\n");
    CHECK_ANSWER("CLIENT KILL SKIPME maybe", "-ERR syntax error\r\n");
    CHECK_ANSWER("CLIENT KILL TYPE foo", "-ERR Unknown client type 'foo'\r\n");
    CHECK_ANSWER("CLIENT KILL USER foo", "-ERR No such user 'foo'\r\n");
    CHECK_ANSWER("CLIENT LIST TYPE foo", "-ERR Unknown client type 'foo'\r\n");
    stage_say("CLIENT KILL USER default TYPE pubsub LADDR 1.2.3.4:6379");
    CHECK_BYTES(op.inquiry->user, bytes("default"));
    CHECK_BYTES(op.inquiry->local_address, bytes("1.2.3.4:6379"));
    CHECK_INT(op.inquiry->kind, MEMORY_KIND_SUBSCRIBER);
    stage_end();
}

static void replies_are_swallowed_on_wish(void)
{
    stage_begin(2);
    CHECK_ANSWER("CLIENT REPLY SKIP", "");
    stage_say("GET a");
    CHECK_INT(op.way, MEMORY_PARTS);
    CHECK(op.silent);
    stage_say("GET a");
    CHECK(!op.silent);
    CHECK_ANSWER("CLIENT REPLY OFF", "");
    CHECK_ANSWER("PING", "");
    CHECK_ANSWER("GET", "");
    CHECK(op.silent);
    stage_say("GET a");
    CHECK(op.silent);
    CHECK_ANSWER("CLIENT REPLY SKIP", "");
    CHECK_ANSWER("CLIENT REPLY ON", "+OK\r\n");
    CHECK_ANSWER("PING", "+PONG\r\n");
    CHECK_ANSWER("CLIENT REPLY SKIP", "");
    site.idle = false;
    stage_say("SELECT 1");
    CHECK(op.after_all);
    site.idle = true;
    CHECK_ANSWER("SELECT 1", "");
    CHECK_ANSWER("PING", "+PONG\r\n");
    CHECK_ANSWER("CLIENT REPLY OFF", "");
    CHECK_ANSWER("RESET", "+RESET\r\n");
    stage_end();
}

static void who_waits_is_unblocked_by_number(void)
{
    stage_begin(2);
    stage_say("CLIENT UNBLOCK 3");
    CHECK_INT(op.inquiry->deed, MEMORY_DEED_UNBLOCK);
    CHECK_INT(op.inquiry->id, 3);
    workers_answer("1");
    CHECK_MERGED(":1\r\n");
    stage_say("CLIENT UNBLOCK 3 error");
    CHECK_INT(op.inquiry->deed, MEMORY_DEED_UNBLOCK_WITH_ERROR);
    workers_answer("0");
    CHECK_MERGED(":0\r\n");
    stage_say("CLIENT UNBLOCK 0"); /* does not mean everybody */
    CHECK_INT(op.inquiry->id, UINT64_MAX);
    site.idle = false;
    stage_say("CLIENT UNBLOCK 3");
    CHECK(op.after_all);
    stage_end();
}

static void tracking_is_off_and_stays_so(void)
{
    stage_begin(2);
    CHECK_ANSWER("CLIENT GETREDIR", ":-1\r\n");
    CHECK_ANSWER("CLIENT TRACKINGINFO", "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$"
                                        "8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n");
    stage_say("CLIENT TRACKING on");
    CHECK(answer.at[0] == '-');
    CHECK_ANSWER("CLIENT NO-EVICT off", "+OK\r\n");
    CHECK_ANSWER("CLIENT NO-EVICT on", "-ERR 'client|no-evict' can't be on in a pool of shards: at "
                                       "max_memory the session that holds the most has to go\r\n");
    CHECK_ANSWER("CLIENT NO-TOUCH OFF", "+OK\r\n");
    CHECK_ANSWER("CLIENT NO-TOUCH ON",
                 "-ERR 'client|no-touch' can't be on in a pool of shards: upstreams are shared, so "
                 "it would be for what others read, too\r\n");
    CHECK_ANSWER("CLIENT NO-TOUCH x", "-ERR syntax error\r\n");
    stage_end();
}

static void a_pool_is_a_server_of_its_own(void)
{
    stage_begin(2);
    CHECK_ANSWER("TIME", "*2\r\n$10\r\n1700000000\r\n$6\r\n123456\r\n");
    CHECK_ANSWER("ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
    CHECK_ANSWER("READONLY", "+OK\r\n");
    CHECK_ANSWER("CLUSTER KEYSLOT foo", ":12182\r\n");
    CHECK_ANSWER("CLUSTER KEYSLOT x{foo}y", ":12182\r\n");
    CHECK_ANSWER("CLUSTER NODES", "-ERR This instance has cluster support disabled\r\n");
    stage_say("CLUSTER INFO");
    CHECK(answer.at[0] == '$');
    CHECK_ANSWER("ACL CAT nope", "-ERR Unknown category 'nope'\r\n");
    stage_say("ACL CAT");
    CHECK(slice_starts(buf_all(&answer), bytes("*21\r\n$8\r\nkeyspace\r\n$4\r\nread\r\n")));
    stage_say("ACL GENPASS 10");
    CHECK(slice_starts(buf_all(&answer), bytes("$3\r\n")));
    CHECK_INT(answer.len, 9);
    CHECK_ANSWER("SLOWLOG GET", "*0\r\n");
    CHECK_ANSWER("SLOWLOG LEN", ":0\r\n");
    stage_end();
}

static void config_get_takes_patterns(void)
{
    stage_begin(2);
    CHECK_ANSWER("CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
    CHECK_ANSWER("CONFIG GET data[a-c]ase? nope", "*2\r\n$9\r\ndatabases\r\n$2\r\n16\r\n");
    CHECK_ANSWER(
        "CONFIG GET *read-only",
        "*4\r\n$17\r\nreplica-read-only\r\n$3\r\nyes\r\n$15\r\nslave-read-only\r\n$3\r\nyes\r\n");
    CHECK_ANSWER("CONFIG GET nope", "*0\r\n");
    CHECK_ANSWER("CONFIG GET *a*a*a*a*a*a*a*a*a*a*a*b", "*0\r\n");
    state->version = 3;
    CHECK_ANSWER("CONFIG GET APPENDONLY", "%1\r\n$10\r\nappendonly\r\n$2\r\nno\r\n");
    CHECK_ANSWER("CONFIG GET nope", "%0\r\n");
    stage_end();
}

static void blocking_commands_lease_and_may_wait_for_ever(void)
{
    stage_begin(2);
    site.idle = false;
    stage_say("BLPOP a 0");
    CHECK(op.after_all);
    site.idle = true;
    stage_say("BLPOP a 0");
    CHECK_PART(0, stage_shard_of("a"), "*3\r\n$5\r\nBLPOP\r\n$1\r\na\r\n$1\r\n0\r\n");
    CHECK_INT(op.lease, MEMORY_LEASE_ONCE);
    CHECK(op.no_deadline && op.alone && !op.after_all);
    stage_say("XREAD COUNT 1 STREAMS a 0");
    CHECK_INT(op.lease, MEMORY_SHARED);
    stage_say("XREAD BLOCK 0 STREAMS a 0");
    CHECK_INT(op.lease, MEMORY_LEASE_ONCE);
    CHECK_ANSWER(line_of("BLPOP %s %s 0", stage_key(0, 0), stage_key(1, 0)),
                 "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    stage_end();
}

/* COMMAND's answer of a server that has one command more. */
#define ONE_MORE                                                                                   \
    "*1\r\n*10\r\n$8\r\nfoo.bar2\r\n:3\r\n*1\r\n+write\r\n:1\r\n:1\r\n:1\r\n*0\r\n*0\r\n*0\r\n*"   \
    "0\r\n"

static void unknown_commands_are_learned_from_the_servers(void)
{
    stage_begin(2);
    stage_say("FOO.BAR2 a b");
    CHECK_PART(0, 0, "*1\r\n$7\r\nCOMMAND\r\n");
    stage_reply(0, ONE_MORE);
    CHECK(!stage_merge());
    CHECK_PART(0, stage_shard_of("a"), "*3\r\n$8\r\nFOO.BAR2\r\n$1\r\na\r\n$1\r\nb\r\n");
    stage_reply(0, ":1\r\n");
    CHECK_MERGED(":1\r\n");
    stage_say("foo.bar2 b c");
    CHECK_PART(0, stage_shard_of("b"), "*3\r\n$8\r\nfoo.bar2\r\n$1\r\nb\r\n$1\r\nc\r\n");
    CHECK_ANSWER("NOPE a", "-ERR unknown command 'NOPE', with args beginning with: 'a' \r\n");
    site.now_us += 60000000;
    stage_say("NOPE a");
    CHECK_INT(op.way, MEMORY_PARTS);
    stage_reply(0, ONE_MORE);
    CHECK_MERGED("-ERR unknown command 'NOPE', with args beginning with: 'a' \r\n");
    stage_end();
}

static void new_subcommands_are_learned_where_they_may_have_keys(void)
{
    stage_begin(2);
    stage_say(line_of("OBJECT AGE %s", stage_key(1, 0)));
    CHECK_PART(0, 0, "*1\r\n$7\r\nCOMMAND\r\n");
    stage_reply(0, "*1\r\n*10\r\n$6\r\nobject\r\n:-2\r\n*0\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*0\r\n"
                   "*1\r\n*10\r\n$10\r\nobject|age\r\n:3\r\n*2\r\n+readonly\r\n+blocking\r\n"
                   ":2\r\n:2\r\n:1\r\n*0\r\n*0\r\n*0\r\n*0\r\n");
    CHECK(!stage_merge());
    CHECK_INT(op.parts[0].shard, 1);
    CHECK_INT(merge.lease, MEMORY_LEASE_ONCE); /* it may block */
    CHECK(merge.no_deadline);
    stage_reply(0, ":7\r\n");
    CHECK_MERGED(":7\r\n");
    CHECK_ANSWER("CLIENT AGE 1", "-ERR unknown subcommand 'AGE'. Try CLIENT HELP.\r\n");
    stage_end();
}

int main(void)
{
    RUN(select_stays_within_the_databases_and_waits_for_earlier_requests);
    RUN(hello_greets_as_redis_does);
    RUN(names_are_kept_and_judged);
    RUN(lists_are_of_the_sessions_asked_for);
    RUN(sessions_are_killed_by_address_or_number);
    RUN(replies_are_swallowed_on_wish);
    RUN(who_waits_is_unblocked_by_number);
    RUN(tracking_is_off_and_stays_so);
    RUN(a_pool_is_a_server_of_its_own);
    RUN(config_get_takes_patterns);
    RUN(blocking_commands_lease_and_may_wait_for_ever);
    RUN(unknown_commands_are_learned_from_the_servers);
    RUN(new_subcommands_are_learned_where_they_may_have_keys);
    return check_report();
}
