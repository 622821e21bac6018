#include "proxy/steward_keys_answer.h"

#include "tests/unit/check.h"

static struct aws_keys keys;
static int64_t ends_s;
static struct buf why;

static enum err json(const char *text)
{
    buf_clear(&why);
    return keys_answer_json(slice_text(text), &keys, &ends_s, &why);
}

static enum err xml(const char *text)
{
    buf_clear(&why);
    return keys_answer_xml(slice_text(text), &keys, &ends_s, &why);
}

static void keys_of_an_instance_are_read(void)
{
    CHECK_INT(json("{\"Code\": \"Success\", \"LastUpdated\": \"2012-04-26T16:39:16Z\", "
                   "\"Type\": \"AWS-HMAC\", \"AccessKeyId\": \"ASIA1\", \"SecretAccessKey\": "
                   "\"s+/\", \"Token\": \"t==\", \"Expiration\": \"2017-05-17T15:09:54Z\"}"),
              ERR_NONE);
    CHECK_TEXT(keys.id, "ASIA1");
    CHECK_TEXT(keys.secret, "s+/");
    CHECK_TEXT(keys.token, "t==");
    CHECK_INT(ends_s, 1495033794);
}

static void keys_without_token_and_end_are_read(void)
{
    CHECK_INT(json("{\"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\"}"), ERR_NONE);
    CHECK_TEXT(keys.token, "");
    CHECK(ends_s == INT64_MAX);
}

static void what_a_service_complains_of_is_told(void)
{
    CHECK_INT(json("{\"Code\": \"AssumeRoleUnauthorizedAccess\", \"Message\": \"EC2\\n no\"}"),
              ERR_LOGIN);
    CHECK_BYTES(buf_all(&why), slice_text("it says AssumeRoleUnauthorizedAccess: EC2? no"));
    CHECK_INT(json("{\"code\": \"a\", \"message\": \"b\"}"), ERR_LOGIN);
    CHECK_BYTES(buf_all(&why), slice_text("it says a: b"));
    CHECK_INT(xml("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>"
                  "<Type>Sender</Type><Code>ExpiredTokenException</Code><Message>Token expired"
                  "</Message></Error><RequestId>1</RequestId></ErrorResponse>"),
              ERR_LOGIN);
    CHECK_BYTES(buf_all(&why), slice_text("it says ExpiredTokenException: Token expired"));
}

static void what_has_no_keys_changes_nothing(void)
{
    static const char *const TEXTS[] = {
        "",
        "x",
        "[]",
        "null",
        "{}",
        "{\"AccessKeyId\": \"A\"}",
        "{\"AccessKeyId\": 1, \"SecretAccessKey\": \"s\"}",
        "{\"AccessKeyId\": \"A\\u000ab\", \"SecretAccessKey\": \"s\"}",
        "{\"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\", \"Expiration\": \"tomorrow\"}",
        "{\"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\", \"Token\": \"a b\"}"
    };

    keys.id[0] = 'x';
    ends_s = 5;
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        CHECK(json(TEXTS[i]) != ERR_NONE);
        CHECK(why.len > 0);
        CHECK(keys.id[0] == 'x' && ends_s == 5);
        CHECK(xml(TEXTS[i]) != ERR_NONE && why.len > 0);
    }
    CHECK(xml("<AssumeRoleWithWebIdentityResponse/>") == ERR_NOT_FOUND);
    CHECK(xml("<Other/>") == ERR_SYNTAX);
    CHECK(keys.id[0] == 'x' && ends_s == 5);
}

static void keys_of_sts_are_read(void)
{
    CHECK_INT(xml("<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>"
                  "<SubjectFromWebIdentityToken>u</SubjectFromWebIdentityToken><Credentials>"
                  "<SessionToken>t&#61;</SessionToken><SecretAccessKey>s</SecretAccessKey>"
                  "<Expiration>2014-10-24T23:00:23.000Z</Expiration><AccessKeyId>A</AccessKeyId>"
                  "</Credentials></AssumeRoleWithWebIdentityResult>"
                  "</AssumeRoleWithWebIdentityResponse>"),
              ERR_NONE);
    CHECK_TEXT(keys.id, "A");
    CHECK_TEXT(keys.secret, "s");
    CHECK_TEXT(keys.token, "t=");
    CHECK_INT(ends_s, 1414191623);
}

int main(void)
{
    RUN(keys_of_an_instance_are_read);
    RUN(keys_without_token_and_end_are_read);
    RUN(what_a_service_complains_of_is_told);
    RUN(what_has_no_keys_changes_nothing);
    RUN(keys_of_sts_are_read);
    buf_fini(&why);
    return check_report();
}
