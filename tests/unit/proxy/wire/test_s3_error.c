#include "proxy/wire/s3_error.h"

#include "tests/unit/check.h"

static void errors_have_the_codes_and_statuses_of_s3(void)
{
    CHECK_TEXT(s3_error_code(S3_NO_SUCH_KEY), "NoSuchKey");
    CHECK_INT(s3_error_status(S3_NO_SUCH_KEY), 404);
    CHECK_TEXT(s3_error_message(S3_NO_SUCH_KEY), "The specified key does not exist.");
    CHECK_TEXT(s3_error_code(S3_CONTENT_SHA256_MISMATCH), "XAmzContentSHA256Mismatch");
    CHECK_INT(s3_error_status(S3_SLOW_DOWN), 503);
    CHECK_INT(s3_error_status(S3_INVALID_RANGE), 416);
}

static void each_is_found_by_its_code_only(void)
{
    for (unsigned error = S3_NONE + 1; error < S3_ERRORS; error++) {
        CHECK_INT(s3_error_of_code(slice_text(s3_error_code(error))), error);
        CHECK(s3_error_status(error) >= 300 && s3_error_status(error) < 600);
    }
    CHECK_INT(s3_error_of_code(bytes("nosuchkey")), S3_NONE);
    CHECK_INT(s3_error_of_code(bytes("")), S3_NONE);
}

static void a_fault_keeps_what_fits(void)
{
    struct s3_fault fault;
    char text[1000];

    memset(text, 'a', sizeof(text));
    s3_fault_say(&fault, S3_ACCESS_DENIED, "%.*s", (int)sizeof(text), text);
    CHECK_INT(strlen(s3_fault_message(&fault)), S3_FAULT_TEXT_MOST - 1);
    for (int i = 0; i < 10; i++)
        s3_fault_detail(&fault, "Name", bytes("value"));
    CHECK_INT(fault.details, S3_DETAILS_MOST);
    s3_fault_set(&fault, S3_NO_SUCH_BUCKET);
    CHECK_INT(fault.details, 0);
    CHECK_TEXT(s3_fault_message(&fault), "The specified bucket does not exist");
}

int main(void)
{
    RUN(errors_have_the_codes_and_statuses_of_s3);
    RUN(each_is_found_by_its_code_only);
    RUN(a_fault_keeps_what_fits);
    return check_report();
}
