#include "proxy/wire/pgwire_write.h"

#include "tests/unit/check.h"

static struct buf out;

/* What was written since the last check. */
#define CHECK_WRITTEN(literal)                                                                     \
    do {                                                                                           \
        CHECK_BYTES(buf_all(&out), bytes(literal));                                                \
        buf_clear(&out);                                                                           \
    } while (0)

static void what_is_said_before_a_login(void)
{
    const struct pg_parameter parameters[] = {
        { bytes("user"), bytes("app") },
        { bytes(""), bytes("left out") },
        { bytes("database"), bytes("ma\0in") },
    };

    pg_put_startup(&out, parameters, 3);
    CHECK_WRITTEN("\0\0\0\x1e\0\3\0\0user\0app\0database\0ma\0\0");
    pg_put_startup(&out, NULL, 0);
    CHECK_WRITTEN("\0\0\0\x09\0\3\0\0\0");
    pg_put_ssl_request(&out);
    CHECK_WRITTEN("\0\0\0\x08\x04\xd2\x16\x2f");
    pg_put_cancel(&out, 7, bytes("\1\2\3\4"));
    CHECK_WRITTEN("\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\7\1\2\3\4");
}

static void what_is_said_to_log_in(void)
{
    struct pg_sasl_initial initial;

    pg_put_password(&out, bytes("secret"));
    CHECK_WRITTEN("p\0\0\0\x0bsecret\0");
    pg_put_sasl_initial(&out, bytes("SCRAM-SHA-256"), bytes("n,,n=,r=x"));
    CHECK_INT(pg_read_sasl_initial(slice_from(buf_all(&out), 5), &initial), ERR_NONE);
    CHECK_BYTES(initial.mechanism, bytes("SCRAM-SHA-256"));
    CHECK_BYTES(initial.data.bytes, bytes("n,,n=,r=x"));
    CHECK_WRITTEN("p\0\0\0\x1fSCRAM-SHA-256\0\0\0\0\x09n,,n=,r=x");
    pg_put_sasl_response(&out, bytes("c=biws"));
    CHECK_WRITTEN("p\0\0\0\x0a"
                  "c=biws");
}

static void simple_and_extended_queries(void)
{
    static const uint8_t types[] = { 0, 0, 0, 23 };
    const struct pg_value values[] = { { bytes("x"), false }, { bytes(""), true } };

    pg_put_query(&out, bytes("SELECT 1"));
    CHECK_WRITTEN("Q\0\0\0\x0dSELECT 1\0");
    pg_put_query(&out, bytes("SELECT\0 1"));
    CHECK_WRITTEN("Q\0\0\0\x0bSELECT\0");
    pg_put_parse(&out, bytes("s"), bytes("SELECT $1"), slice_of(types, 4));
    CHECK_WRITTEN("P\0\0\0\x16s\0SELECT $1\0\0\1\0\0\0\x17");
    pg_put_bind(&out, bytes(""), bytes("s"), values, 2);
    CHECK_WRITTEN("B\0\0\0\x16\0s\0\0\0\0\2\0\0\0\1x\xff\xff\xff\xff\0\0");
    pg_put_describe(&out, PG_KIND_STATEMENT, bytes("s"));
    CHECK_WRITTEN("D\0\0\0\7Ss\0");
    pg_put_close(&out, PG_KIND_PORTAL, bytes(""));
    CHECK_WRITTEN("C\0\0\0\6P\0");
    pg_put_execute(&out, bytes(""), 5);
    pg_put_execute(&out, bytes("p"), -1);
    CHECK_WRITTEN("E\0\0\0\x09\0\0\0\0\5E\0\0\0\x0ap\0\xff\xff\xff\xff");
    pg_put_sync(&out);
    pg_put_flush(&out);
    pg_put_copy_done(&out);
    pg_put_copy_fail(&out, bytes("no"));
    pg_put_terminate(&out);
    CHECK_WRITTEN("S\0\0\0\4H\0\0\0\4"
                  "c\0\0\0\4"
                  "f\0\0\0\7no\0X\0\0\0\4");
}

static void a_head_counts_the_rest_that_streams_behind(void)
{
    struct slice bind = bytes("p\0a rather long name\0\0\1\0\1\0\1\0\0\0\1x\0\0");
    struct pg_bind found;
    struct pg_frame f;

    CHECK_INT(pg_read_bind(bind, &found), ERR_NONE);
    pg_put_bind_head(&out, found.portal, bytes("_p7"), found.rest.len);
    CHECK_BYTES(buf_all(&out), bytes("B\0\0\0\x17p\0_p7\0"));
    buf_slice(&out, found.rest);
    CHECK_INT(pg_frame_read(buf_all(&out), &f), ERR_NONE);
    CHECK_INT(f.bytes, out.len);
    CHECK_INT(pg_read_bind(pg_frame_body(buf_all(&out), f), &found), ERR_NONE);
    CHECK_BYTES(found.statement, bytes("_p7"));
    CHECK_INT(found.value_count, 1);
    buf_clear(&out);
}

static void what_is_said_to_a_client_that_logs_in(void)
{
    static const char *const mechanisms[] = { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256" };

    pg_put_auth_ok(&out);
    pg_put_auth_cleartext(&out);
    CHECK_WRITTEN("R\0\0\0\x08\0\0\0\0R\0\0\0\x08\0\0\0\3");
    pg_put_auth_md5(&out, (const uint8_t *)"salt");
    CHECK_WRITTEN("R\0\0\0\x0c\0\0\0\5salt");
    pg_put_auth_sasl(&out, mechanisms, 2);
    CHECK_WRITTEN("R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0");
    pg_put_auth_sasl_continue(&out, bytes("r=1"));
    pg_put_auth_sasl_final(&out, bytes("v=2"));
    CHECK_WRITTEN("R\0\0\0\x0b\0\0\0\x0br=1R\0\0\0\x0b\0\0\0\x0cv=2");
    pg_put_negotiation(&out, bytes("user\0app\0_pq_.x\0001\0\0"));
    CHECK_WRITTEN("v\0\0\0\x13\0\3\0\0\0\0\0\1_pq_.x\0");
    pg_put_negotiation(&out, bytes("user\0app\0\0"));
    CHECK_WRITTEN("v\0\0\0\x0c\0\3\0\0\0\0\0\0");
    pg_put_parameter_status(&out, bytes("TimeZone"), bytes("UTC"));
    pg_put_key(&out, 1, bytes("\xff\1\2\3"));
    pg_put_ready(&out, PG_STATUS_IDLE);
    CHECK_WRITTEN("S\0\0\0\x11TimeZone\0UTC\0K\0\0\0\x0c\0\0\0\1\xff\1\2\3Z\0\0\0\5I");
}

static void errors_and_notices(void)
{
    struct pg_report report = {
        .severity = bytes("WARNING"),
        .sqlstate = bytes("01000"),
        .message = bytes("mind\0the gap"),
        .hint = bytes("step over"),
    };

    pg_put_notice(&out, &report);
    CHECK_WRITTEN("N\0\0\0\x2fSWARNING\0VWARNING\0C01000\0Mmind\0Hstep over\0\0");
    report = (struct pg_report){ .severity = bytes("ERROR"), .severity_shown = bytes("FEHLER") };
    pg_put_error(&out, &report);
    CHECK_WRITTEN("E\0\0\0\x14SFEHLER\0VERROR\0\0");
    pg_put_error_text(&out, "FATAL", "53300", "sorry, %d too many clients", 3);
    CHECK_WRITTEN("E\0\0\0\x35SFATAL\0VFATAL\0C53300\0Msorry, 3 too many clients\0\0");
}

static void answers_of_our_own(void)
{
    const struct pg_column columns[] = { pg_column_of("name", PG_TYPE_TEXT),
                                         pg_column_of("n", PG_TYPE_INT8) };
    const struct pg_value values[] = { { bytes("a"), false }, { bytes(""), true } };
    static const uint32_t types[] = { 23, 25 };

    pg_put_columns(&out, columns, 2);
    CHECK_WRITTEN("T\0\0\0\x31\0\2name\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
                  "n\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\0");
    pg_put_row(&out, values, 2);
    CHECK_WRITTEN("D\0\0\0\x0f\0\2\0\0\0\1a\xff\xff\xff\xff");
    pg_put_complete(&out, "SHOW");
    CHECK_WRITTEN("C\0\0\0\x09SHOW\0");
    pg_put_types(&out, types, 2);
    CHECK_WRITTEN("t\0\0\0\x0e\0\2\0\0\0\x17\0\0\0\x19");
    pg_put_parse_complete(&out);
    pg_put_bind_complete(&out);
    pg_put_close_complete(&out);
    pg_put_no_data(&out);
    pg_put_empty_query(&out);
    CHECK_WRITTEN("1\0\0\0\4"
                  "2\0\0\0\4"
                  "3\0\0\0\4n\0\0\0\4I\0\0\0\4");
}

int main(void)
{
    RUN(what_is_said_before_a_login);
    RUN(what_is_said_to_log_in);
    RUN(simple_and_extended_queries);
    RUN(a_head_counts_the_rest_that_streams_behind);
    RUN(what_is_said_to_a_client_that_logs_in);
    RUN(errors_and_notices);
    RUN(answers_of_our_own);
    buf_fini(&out);
    return check_report();
}
