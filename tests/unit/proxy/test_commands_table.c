/* A status as JSON, and the lines that people see. */
#include "proxy/commands_table.h"

#include <string.h>

#include "tests/unit/check.h"

static const char STATUS[] =
    "{\"version\":\"1.2.3\",\"state\":\"serving\",\"uptime_s\":7300,\"generation\":4,"
    "\"file\":\"s.ini\",\"workers\":2,\"sessions\":{\"open\":12},\"process\":{\"open_files\":30},"
    "\"memory\":{\"held_bytes\":1536,\"resident_bytes\":10485760},"
    "\"limits\":{\"max_sessions\":10000,\"max_memory_bytes\":1073741824},"
    "\"pools\":[{\"name\":\"main\",\"hash\":\"xxh3\",\"distribution\":\"modulo\","
    "\"sessions_open\":12,\"per_second\":{\"requests\":12345,\"failures\":0.5,"
    "\"received_bytes\":2048,\"sent_bytes\":10},"
    "\"latency_us\":{\"recent\":{\"count\":9,\"p50\":99,\"p99\":1500,\"p999\":2000000}},"
    "\"shards\":[{\"index\":0,\"endpoint\":\"10.0.0.1:6379\",\"upstreams_open\":2,"
    "\"health\":{\"state\":\"up\",\"up\":true,\"text\":\"\",\"for_s\":61}},"
    "{\"index\":1,\"endpoint\":\"10.0.0.2:6379\",\"upstreams_open\":0,"
    "\"health\":{\"state\":\"down\",\"up\":false,\"text\":\"connection refused\","
    "\"for_s\":5}}]}]}";

static const char TABLE[] =
    "sheaf 1.2.3  serving, up 2h, configuration 4 of s.ini\n"
    "sessions 12 of 10000, buffers 1.5 KiB of 1.0 GiB, resident 10 MiB, 2 workers, 30 open files\n"
    "\n"
    "POOL / SHARD        STATE   FOR  REQ/S  FAIL/S    P50     P99   P99.9     IN/S  OUT/S  OPEN  "
    "NOTE\n"
    "main                1/2 up       12.3k     0.5  99 us  1.5 ms  2.00 s  2.0 KiB   10 B    12  "
    "xxh3, modulo\n"
    "  0  10.0.0.1:6379  up      61s      0       0                             0 B    0 B     2\n"
    "  1  10.0.0.2:6379  down     5s      0       0                             0 B    0 B     0  "
    "connection refused\n";

static void columns_are_as_wide_as_they_must_be(void)
{
    struct buf out = { 0 };

    CHECK_INT(commands_table_print(slice_text(STATUS), false, 0, &out), ERR_NONE);
    CHECK_BYTES(buf_all(&out), slice_text(TABLE));
    buf_fini(&out);
}

static const char SQL[] =
    "{\"version\":\"1.2.3\",\"pools\":[{\"name\":\"db\",\"kind\":\"sql\",\"pooling\":"
    "\"transaction\",\"reads\":\"causal\",\"primary\":{\"endpoint\":\"a:1\",\"split\":false},"
    "\"clients\":{\"active\":12,\"waiting\":3,\"pinned\":1},"
    "\"endpoints\":["
    "{\"endpoint\":\"a:1\",\"role\":\"replica\",\"health\":{\"state\":\"up\",\"up\":true},"
    "\"standing\":{\"role\":\"primary\",\"fit\":\"fresh\",\"text\":\"is fresh enough\"},"
    "\"servers\":{\"active\":4,\"idle\":2,\"starting\":1,\"own\":1}},"
    "{\"endpoint\":\"b:1\",\"role\":\"replica\",\"health\":{\"state\":\"up\",\"up\":true},"
    "\"standing\":{\"role\":\"replica\",\"fit\":\"lagging\",\"text\":\"lags: 5.2 s\"}},"
    "{\"endpoint\":\"c:1\",\"role\":\"primary\",\"health\":{\"state\":\"up\",\"up\":true},"
    "\"standing\":{\"role\":\"unknown\",\"fit\":\"stale_primary\",\"text\":\"is stale\"}}]},"
    "{\"name\":\"none\",\"kind\":\"sql\",\"primary\":{\"endpoint\":\"\"},\"endpoints\":[]},"
    "{\"name\":\"two\",\"kind\":\"sql\",\"primary\":{\"endpoint\":\"x\",\"split\":true},"
    "\"endpoints\":[]}]}";

static const char BLOB[] =
    "{\"pools\":[{\"name\":\"mail\",\"kind\":\"blob\",\"hash\":\"xxh3\",\"distribution\":"
    "\"modulo\","
    "\"buckets\":[{\"name\":\"few\",\"requests\":2},{\"name\":\"\",\"requests\":3},"
    "{\"name\":\"many\",\"requests\":12000,\"errors\":2,\"received_bytes\":2048,"
    "\"sent_bytes\":3,\"mean_us\":250}],"
    "\"operations\":{\"PutObject\":{\"requests\":7},\"Get\\u001b\":{\"requests\":7}},"
    "\"errors\":{\"NoSuchKey\":12000,\"SlowDown\":0,\"timeout\":1},\"shards\":[]},"
    "{\"name\":\"db\",\"kind\":\"sql\",\"routed\":{\"read\":5,\"behind\":1},"
    "\"pins\":{\"temp\":{\"now\":1,\"total\":3},\"listen\":{\"now\":0,\"total\":0}},"
    "\"waits\":{\"lease\":{\"now\":2,\"total\":40},\"sample\":{\"now\":0,\"total\":1}},"
    "\"verdicts\":{\"known\":7,\"hits\":9,\"overruled\":0},\"endpoints\":[]}]}";

static bool has_line(const struct buf *out, const char *begin, const char *end)
{
    const char *at = (const char *)out->at, *stop;

    for (; (stop = strchr(at, '\n')) != NULL; at = stop + 1) {
        struct slice line = slice_of(at, (size_t)(stop - at));

        if (slice_starts(line, slice_text(begin)) && line.len >= strlen(end) &&
            slice_is_text(slice_from(line, line.len - strlen(end)), end))
            return true;
    }
    return false;
}

static void servers_of_sql_pools_show_what_they_are(void)
{
    struct buf out = { 0 };

    CHECK_INT(commands_table_print(slice_text(SQL), false, 0, &out), ERR_NONE);
    buf_put(&out, "", 1);
    CHECK(
        has_line(&out, "db", "transaction pooling, causal reads; 12 active, 3 waiting, 1 pinned"));
    CHECK(has_line(&out, "  primary  a:1", "4 active, 2 idle, 1 starting"));
    CHECK(has_line(&out, "  replica  b:1", "lags: 5.2 s"));
    CHECK(has_line(&out, "  ?        c:1", "is stale"));
    CHECK(has_line(&out, "none", "NO PRIMARY"));
    CHECK(has_line(&out, "two", "MORE THAN ONE PRIMARY"));
    buf_fini(&out);
}

static void blob_pools_show_what_was_asked_of_them(void)
{
    struct buf out = { 0 };
    const char *many, *few, *put, *get;

    CHECK_INT(commands_table_print(slice_text(BLOB), false, 0, &out), ERR_NONE);
    buf_put(&out, "", 1);
    CHECK(
        has_line(&out, "  bucket many", "12.0k asked, 2 errors, 2.0 KiB in, 3 B out, mean 250 us"));
    many = strstr((const char *)out.at, "bucket many");
    few = strstr((const char *)out.at, "bucket few");
    put = strstr((const char *)out.at, "  PutObject");
    get = strstr((const char *)out.at, "  Get?");
    CHECK(many != NULL && few != NULL && put != NULL && get != NULL);
    CHECK(many < few && few < put && put < get);
    CHECK(has_line(&out, "  errors", "NoSuchKey 12.0k, timeout 1"));
    CHECK(has_line(&out, "  routed", "read 5, behind 1"));
    CHECK(has_line(&out, "  pinned by", "temp 1 now, 3 in all"));
    CHECK(has_line(&out, "  waits for", "lease 2 now, 40 in all; sample 0 now, 1 in all"));
    CHECK(has_line(&out, "  verdicts", "known 7, hits 9"));
    buf_fini(&out);
}

static void colours_change_nothing_else(void)
{
    struct buf out = { 0 }, plain = { 0 };
    bool in_escape = false;

    CHECK_INT(commands_table_print(slice_text(STATUS), true, 0, &out), ERR_NONE);
    for (size_t i = 0; i < out.len; i++) {
        in_escape = in_escape || out.at[i] == '\033';
        if (!in_escape)
            buf_put(&plain, &out.at[i], 1);
        if (out.at[i] == 'm')
            in_escape = false;
    }
    CHECK(out.len > plain.len);
    CHECK_BYTES(buf_all(&plain), slice_text(TABLE));
    buf_fini(&out);
    buf_fini(&plain);
}

static void a_narrow_terminal_shows_what_matters_most(void)
{
    static const char NARROW[] = "POOL / SHARD        STATE   FOR  REQ/S  FAIL/S     P99  NOTE\n"
                                 "main                1/2 up       12.3k     0.5  1.5 ms  "
                                 "xxh3, modulo\n"
                                 "  0  10.0.0.1:6379  up      61s      0       0        \n"
                                 "  1  10.0.0.2:6379  down     5s      0       0          "
                                 "connection refused\n";
    struct buf out = { 0 };
    const char *table;

    CHECK_INT(commands_table_print(slice_text(STATUS), false, 75, &out), ERR_NONE);
    buf_put(&out, "", 1);
    table = strstr((const char *)out.at, "POOL");
    CHECK(table != NULL);
    CHECK_BYTES(slice_text(table), slice_text(NARROW));
    buf_fini(&out);
}

static void what_a_server_says_does_not_steer_the_terminal(void)
{
    static const char HOSTILE[] =
        "{\"pools\":[{\"name\":\"p\",\"shards\":[{\"index\":0,\"endpoint\":\"e\",\"health\":"
        "{\"state\":\"up\",\"probe\":{\"text\":\"\\u001b[2Ja\\u009bb\\u00e9\\n\"}}}]}]}";
    struct buf out = { 0 };

    CHECK_INT(commands_table_print(slice_text(HOSTILE), false, 0, &out), ERR_NONE);
    buf_put(&out, "", 1);
    CHECK(strchr((const char *)out.at, '\033') == NULL);
    CHECK(strstr((const char *)out.at, "probe: ?[2Ja??b\xc3\xa9?\n") != NULL);
    buf_fini(&out);
}

static void what_is_no_status_is_refused(void)
{
    static const char *const OTHERS[] = { "", "<html>", "[]", "{}", "{\"pools\":1}", "null" };
    struct buf out = { 0 };

    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++)
        CHECK_INT(commands_table_print(slice_text(OTHERS[i]), false, 0, &out), ERR_SYNTAX);
    CHECK_INT(out.len, 0);
    CHECK_INT(
        commands_table_print(slice_text("{\"pools\":[1,{\"shards\":[null]}]}"), false, 0, &out),
        ERR_NONE);
    buf_fini(&out);
}

int main(void)
{
    RUN(columns_are_as_wide_as_they_must_be);
    RUN(servers_of_sql_pools_show_what_they_are);
    RUN(blob_pools_show_what_was_asked_of_them);
    RUN(colours_change_nothing_else);
    RUN(a_narrow_terminal_shows_what_matters_most);
    RUN(what_a_server_says_does_not_steer_the_terminal);
    RUN(what_is_no_status_is_refused);
    return check_report();
}
