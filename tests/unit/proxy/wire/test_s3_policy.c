#include "proxy/wire/s3_policy.h"

#include "proxy/wire/base64.h"
#include "tests/unit/check.h"

enum { NOW = 1700000000 }; /* 2023-11-14T22:13:20Z */

static struct s3_policy_terms terms;
static struct s3_fault fault;

static const struct http1_field FORM[] = {
    { .name = { (const uint8_t *)"key", 3 }, .value = { (const uint8_t *)"user/eric/a.jpg", 15 } },
    { .name = { (const uint8_t *)"ACL", 3 }, .value = { (const uint8_t *)"public-read", 11 } },
    { .name = { (const uint8_t *)"bucket", 6 }, .value = { (const uint8_t *)"johnsmith", 9 } },
    { .name = { (const uint8_t *)"Policy", 6 }, .value = { (const uint8_t *)"...", 3 } },
    { .name = { (const uint8_t *)"x-ignore-a", 10 }, .value = { (const uint8_t *)"...", 3 } },
    { .name = { (const uint8_t *)"X-Amz-Signature", 15 }, .value = { (const uint8_t *)"", 0 } },
    { .name = { (const uint8_t *)"Content-Type", 12 },
      .value = { (const uint8_t *)"image/png, image/jpeg", 21 } },
};

static enum s3_error check_form(struct slice json, size_t count)
{
    char text[8192];

    base64_encode(json, text);
    return s3_policy_check(slice_of(text, BASE64_BYTES(json.len)), FORM, count, NOW, &terms,
                           &fault);
}

#define UNTIL_2030 "{\"expiration\": \"2030-12-01T12:00:00.000Z\", \"conditions\": ["
#define ALL                                                                                        \
    "{\"acl\": \"public-read\"}, [\"eq\", \"$bucket\", \"johnsmith\"], "                           \
    "[\"starts-with\", \"$Key\", \"user/eric/\"]"

static enum s3_error check_conditions(const char *conditions)
{
    char json[4096];

    snprintf(json, sizeof(json), UNTIL_2030 "%s]}", conditions);
    return check_form(slice_text(json), 6);
}

static void a_form_that_does_what_its_policy_says_is_taken(void)
{
    CHECK_INT(check_conditions(ALL), S3_NONE);
    CHECK(terms.length_least == 0 && terms.length_most == UINT64_MAX);
    CHECK_INT(check_conditions(ALL ", [\"content-length-range\", 10, 2000], "
                                   "[\"Content-Length-Range\", \"1\", \"1000\"]"),
              S3_NONE);
    CHECK_INT(terms.length_least, 10);
    CHECK_INT(terms.length_most, 1000);
    CHECK_INT(check_conditions("[\"eq\", \"$acl\", \"public-read\"], {\"bUcKeT\": \"johnsmith\"}, "
                               "[\"starts-with\", \"$key\", \"\"]"),
              S3_NONE);
}

static void a_condition_that_is_not_met_is_told(void)
{
    CHECK_INT(check_conditions("{\"acl\": \"private\"}"), S3_ACCESS_DENIED);
    CHECK_TEXT(s3_fault_message(&fault), "Invalid according to Policy: Policy Condition failed: "
                                         "[\"eq\", \"$acl\", \"private\"]");
    CHECK_INT(check_conditions("[\"starts-with\", \"$key\", \"user/erica\"]"), S3_ACCESS_DENIED);
    CHECK_INT(check_conditions("{\"tagging\": \"\"}"), S3_ACCESS_DENIED);
    CHECK_INT(check_conditions("[\"starts-with\", \"$tagging\", \"\"]"), S3_ACCESS_DENIED);
}

static void a_field_that_no_condition_names_is_refused(void)
{
    CHECK_INT(check_conditions("{\"acl\": \"public-read\"}, {\"bucket\": \"johnsmith\"}"),
              S3_ACCESS_DENIED);
    CHECK_TEXT(s3_fault_message(&fault), "Invalid according to Policy: Extra input fields: key");
}

static void each_of_several_types_must_start_so(void)
{
    CHECK_INT(
        check_form(bytes(UNTIL_2030 ALL ", [\"starts-with\", \"$Content-Type\", \"image/\"]]}"), 7),
        S3_NONE);
    CHECK_INT(check_form(
                  bytes(UNTIL_2030 ALL ", [\"starts-with\", \"$Content-Type\", \"image/p\"]]}"), 7),
              S3_ACCESS_DENIED);
}

static void a_policy_holds_until_it_expires(void)
{
    CHECK_INT(
        check_form(
            bytes("{\"expiration\": \"2023-11-14T22:13:20.000Z\", \"conditions\": [" ALL "]}"), 6),
        S3_NONE);
    CHECK_INT(
        check_form(
            bytes("{\"expiration\": \"2023-11-14T22:13:19.999Z\", \"conditions\": [" ALL "]}"), 6),
        S3_ACCESS_DENIED);
    CHECK_TEXT(s3_fault_message(&fault), "Invalid according to Policy: Policy expired.");
}

static void what_is_no_policy_is_refused(void)
{
    static const char *const wrong[] = {
        "",
        "[]",
        "{",
        "null",
        "{\"conditions\": [" ALL "]}",
        "{\"expiration\": 1, \"conditions\": [" ALL "]}",
        "{\"EXPIRATION\": \"2030-12-01T12:00:00.000Z\", \"conditions\": [" ALL "]}",
        "{\"expiration\": \"tomorrow\", \"conditions\": [" ALL "]}",
        "{\"expiration\": \"2030-12-01T12:00:00.000Z\"}",
        "{\"expiration\": \"2030-12-01T12:00:00.000Z\", \"conditions\": {}}",
        UNTIL_2030 "]}",
        UNTIL_2030 "1]}",
        UNTIL_2030 "{}]}",
        UNTIL_2030 "[]]}",
        UNTIL_2030 "{\"acl\": 1}]}",
        UNTIL_2030 "{\"acl\": \"public-read\", \"bucket\": \"johnsmith\"}]}",
        UNTIL_2030 "[\"eq\", \"acl\", \"public-read\"]]}",
        UNTIL_2030 "[\"eq\", \"$acl\"]]}",
        UNTIL_2030 "[\"eq\", \"$acl\", \"public-read\", 1]]}",
        UNTIL_2030 "[\"like\", \"$acl\", \"public-read\"]]}",
        UNTIL_2030 "[\"content-length-range\", 0]]}",
        UNTIL_2030 "[\"content-length-range\", -1, 5]]}",
        UNTIL_2030 "[\"content-length-range\", 6, 5]]}",
        UNTIL_2030 "[\"content-length-range\", {}, 5]]}",
        UNTIL_2030 "[\"content-length-range\", 1, 1e300]]}",
        UNTIL_2030 ALL "]} {}",
        UNTIL_2030 ALL ", {\"a\": \"\\u0000\"}]}",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        CHECK_INT(check_form(slice_text(wrong[i]), 6), S3_INVALID_POLICY_DOCUMENT);
    CHECK_INT(s3_policy_check(bytes("e30"), FORM, 6, NOW, &terms, &fault),
              S3_INVALID_POLICY_DOCUMENT);
    CHECK_TEXT(s3_fault_message(&fault), "Invalid Policy: Invalid Base64 encoding.");
    CHECK_INT(check_form(bytes(UNTIL_2030 ALL "]} \r\n"), 6), S3_NONE);
}

static void its_size_and_depth_are_bounded(void)
{
    static char text[S3_POLICY_MOST + 4], json[6000];

    memset(text, 'A', sizeof(text));
    CHECK_INT(s3_policy_check(slice_of(text, sizeof(text)), FORM, 6, NOW, &terms, &fault),
              S3_MAX_POST_PRE_DATA_LENGTH_EXCEEDED);
    memset(json, '[', sizeof(json));
    CHECK_INT(check_form(slice_of(json, sizeof(json)), 6), S3_INVALID_POLICY_DOCUMENT);
}

int main(void)
{
    RUN(a_form_that_does_what_its_policy_says_is_taken);
    RUN(a_condition_that_is_not_met_is_told);
    RUN(a_field_that_no_condition_names_is_refused);
    RUN(each_of_several_types_must_start_so);
    RUN(a_policy_holds_until_it_expires);
    RUN(what_is_no_policy_is_refused);
    RUN(its_size_and_depth_are_bounded);
    return check_report();
}
