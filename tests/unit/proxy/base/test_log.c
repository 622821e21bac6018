/* Lines are caught in a pipe and compared without their time; JSON is read back with cJSON. */
#include "proxy/base/log.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "tests/unit/check.h"

static int ends[2];
static char caught[65536];

/* All that was written since the last look. */
static struct slice look(void)
{
    ssize_t len = read(ends[0], caught, sizeof(caught));

    return slice_of(caught, len > 0 ? (size_t)len : 0);
}

static void begin(enum log_level level, bool json)
{
    log_flush();
    look();
    log_setup(&(struct log_settings){ .level = level, .json = json, .fd = ends[1] });
}

/* The line without "2024-01-31T23:59:59.123Z " before it. */
static struct slice untimed(struct slice line)
{
    CHECK(line.len > 25 && line.at[10] == 'T' && line.at[19] == '.' && line.at[23] == 'Z');
    return line.len > 25 ? slice_from(line, 25) : line;
}

static size_t lines_in(struct slice s)
{
    size_t count = 0;

    for (size_t i = 0; i < s.len; i++)
        count += s.at[i] == '\n';
    return count;
}

static void a_line_has_its_fields_and_quotes_where_needed(void)
{
    begin(LOG_INFO, false);
    log_event(LOG_WARN, "upstream lost", log_text("endpoint", "10.0.0.1:6379"),
              log_err("reason", ERR_TIMEOUT), log_number("waiting", UINT64_MAX),
              log_signed("change", -5), log_bool("retried", true), log_text("empty", NULL),
              log_slice("odd", bytes("a\"b\\c\nd\x01\xff\xc3\xa4")));
    CHECK_BYTES(untimed(look()),
                bytes("warn upstream lost endpoint=10.0.0.1:6379 reason=\"deadline passed\" "
                      "waiting=18446744073709551615 change=-5 retried=true empty=\"\" "
                      "odd=\"a\\\"b\\\\c\\nd\\x01\\xff\xc3\xa4\"\n"));
    log_event(LOG_INFO, "started");
    CHECK_BYTES(untimed(look()), bytes("info started\n"));
}

static int evaluated;

static struct log_field costly(void)
{
    evaluated++;
    return log_number("n", 1);
}

static void what_is_off_is_neither_written_nor_evaluated(void)
{
    begin(LOG_WARN, false);
    log_event(LOG_INFO, "not this", costly());
    log_event(LOG_DEBUG, "nor this", costly());
    CHECK_INT(look().len, 0);
    CHECK_INT(evaluated, 0);
    log_event(LOG_ERROR, "but this", costly());
    CHECK_BYTES(untimed(look()), bytes("error but this n=1\n"));
}

static void json_is_valid_whatever_the_values(void)
{
    char all[256];
    struct slice line;
    cJSON *json;

    for (int i = 0; i < 256; i++)
        all[i] = (char)(255 - i);
    begin(LOG_INFO, true);
    log_event(LOG_WARN, "upstream \"lost\"", log_slice("all", slice_of(all, sizeof(all))),
              log_number("n", 7), log_signed("i", -7), log_bool("yes", false));
    line = look();
    CHECK_INT(lines_in(line), 1);
    json = cJSON_ParseWithLength((const char *)line.at, line.len);
    CHECK(json != NULL);
    CHECK_TEXT(cJSON_GetStringValue(cJSON_GetObjectItem(json, "event")), "upstream \"lost\"");
    CHECK_TEXT(cJSON_GetStringValue(cJSON_GetObjectItem(json, "level")), "warn");
    CHECK_INT(cJSON_GetNumberValue(cJSON_GetObjectItem(json, "n")), 7);
    CHECK_INT(cJSON_GetNumberValue(cJSON_GetObjectItem(json, "i")), -7);
    CHECK(cJSON_IsFalse(cJSON_GetObjectItem(json, "yes")));
    CHECK(cJSON_IsString(cJSON_GetObjectItem(json, "all")));
    cJSON_Delete(json);
}

static void long_values_are_cut_and_the_line_stays_whole(void)
{
    static char big[6000];

    memset(big, 1, sizeof(big)); /* each becomes six bytes in JSON */
    for (int json = 0; json < 2; json++) {
        struct slice line;

        begin(LOG_INFO, json == 1);
        log_event(LOG_WARN, "big", log_slice("a", slice_of(big, sizeof(big))),
                  log_slice("b", slice_of(big, sizeof(big))), log_slice("c", slice_of(big, 3000)),
                  log_slice("d", slice_of(big, sizeof(big))), log_slice("e", bytes("more")),
                  log_number("f", 1), log_number("g", 2), log_number("h", 3));
        line = look();
        CHECK(line.len > 3000 && line.len <= 4096);
        CHECK_INT(lines_in(line), 1);
        CHECK(line.at[line.len - 1] == '\n');
        if (json == 1) {
            cJSON *parsed = cJSON_ParseWithLength((const char *)line.at, line.len);

            CHECK(parsed != NULL);
            cJSON_Delete(parsed);
        }
    }
}

static void a_storm_is_one_line_and_a_sum(void)
{
    begin(LOG_INFO, false);
    for (int i = 0; i < 313; i++)
        log_event(LOG_WARN, "storm", log_text("endpoint", "one two"), log_number("port", i));
    CHECK_BYTES(untimed(look()), bytes("warn storm endpoint=\"one two\" port=0\n"));
    log_tick(clock_now_us() + 5000000);
    CHECK_INT(look().len, 0);
    log_tick(clock_now_us() + 10000000);
    CHECK_BYTES(untimed(look()),
                bytes("warn storm endpoint=\"one two\" repeated=312 seconds=10\n"));
    log_tick(clock_now_us() + 30000000);
    CHECK_INT(look().len, 0);
    log_event(LOG_WARN, "storm", log_text("endpoint", "one two"));
    CHECK_INT(lines_in(look()), 1);
}

static void other_objects_texts_and_levels_are_other_lines(void)
{
    begin(LOG_DEBUG, false);
    for (int i = 0; i < 2; i++) {
        log_event(LOG_WARN, "lost", log_text("endpoint", "one"));
        log_event(LOG_WARN, "lost", log_text("endpoint", "two"));
        log_event(LOG_WARN, "found", log_text("endpoint", "one"));
        log_event(LOG_ERROR, "lost", log_text("endpoint", "one"));
        log_event(LOG_WARN, "lost", log_number("shard", 1));
        log_event(LOG_DEBUG, "lost", log_text("endpoint", "one"));
    }
    CHECK_INT(lines_in(look()), 7); /* debug lines are all written */
    log_flush();
    CHECK_INT(lines_in(look()), 5);
}

static void a_storm_of_different_objects_is_bounded_too(void)
{
    begin(LOG_INFO, false);
    for (unsigned i = 0; i < 1000; i++) {
        log_event(LOG_WARN, "many", log_number("object", i));
        if (i == 255)
            CHECK_INT(lines_in(look()), 256);
    }
    CHECK_INT(look().len, 0);
    log_tick(clock_now_us() + 10000000);
    CHECK_BYTES(untimed(look()),
                bytes("warn too many different lines, some were not written lines=744\n"));
}

int main(void)
{
    if (pipe2(ends, O_NONBLOCK) != 0)
        return 1;
    RUN(a_line_has_its_fields_and_quotes_where_needed);
    RUN(what_is_off_is_neither_written_nor_evaluated);
    RUN(json_is_valid_whatever_the_values);
    RUN(long_values_are_cut_and_the_line_stays_whole);
    RUN(a_storm_is_one_line_and_a_sum);
    RUN(other_objects_texts_and_levels_are_other_lines);
    RUN(a_storm_of_different_objects_is_bounded_too);
    return check_report();
}
