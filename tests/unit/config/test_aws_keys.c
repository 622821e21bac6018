#include "config/aws_keys.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/check.h"

static enum err parse(struct slice text, struct aws_keys *keys, char why_text[200])
{
    struct buf why = { 0 };
    enum err err = aws_keys_parse(text, keys, &why);

    snprintf(why_text, 200, "%.*s", (int)why.len, why.at != NULL ? (const char *)why.at : "");
    buf_fini(&why);
    return err;
}

static void the_default_profile_counts(void)
{
    static const char *const FILES[] = {
        "[default]\naws_access_key_id = AKID\naws_secret_access_key = s/+=\n",
        "aws_access_key_id=AKID\r\naws_secret_access_key=s/+=\r\n",
        ("# [default]\n\n[x]\naws_access_key_id = X\naws_secret_access_key = X\n"
         "aws_session_token = X\n[ default ]\n; aws_access_key_id = Y\nregion = here\n"
         "AWS_Access_Key_ID =\tAKID \naws_secret_access_key=s/+="),
        ("[default]\naws_access_key_id = AKID\naws_secret_access_key = s/+=\ns3 =\n"
         "    aws_access_key_id = nested\n[default2]\naws_secret_access_key = no\n"),
    };
    char why[200];

    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        struct aws_keys keys;

        CHECK_INT(parse(slice_text(FILES[i]), &keys, why), ERR_NONE);
        CHECK_TEXT(keys.id, "AKID");
        CHECK_TEXT(keys.secret, "s/+=");
        CHECK_TEXT(keys.token, "");
    }
}

static void temporary_keys_have_a_token(void)
{
    struct aws_keys keys;
    char why[200];

    CHECK_INT(parse(bytes("[default]\naws_session_token=FwoG/+==\naws_access_key_id=ASIA\n"
                          "aws_secret_access_key=s\n"),
                    &keys, why),
              ERR_NONE);
    CHECK_TEXT(keys.token, "FwoG/+==");
}

static void what_is_wrong_is_said_and_changes_nothing(void)
{
    static const struct {
        const char *text, *why;
        enum err err;
    } CASES[] = {
        { "", "there is no aws_access_key_id in the profile \"default\"", ERR_NOT_FOUND },
        { "[other]\naws_access_key_id=A\naws_secret_access_key=s\n",
          "there is no aws_access_key_id in the profile \"default\"", ERR_NOT_FOUND },
        { "aws_access_key_id=A\naws_secret_access_key=\n",
          "there is no aws_secret_access_key in the profile \"default\"", ERR_NOT_FOUND },
        { "aws_access_key_id=A B\naws_secret_access_key=s\n",
          "aws_access_key_id has a byte in it that no key has", ERR_SYNTAX },
        { "aws_access_key_id=A\naws_session_token=a\rb\n",
          "aws_session_token has a byte in it that no key has", ERR_SYNTAX },
    };
    char why[200];

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct aws_keys keys = { .id = "before" };

        CHECK_INT(parse(slice_text(CASES[i].text), &keys, why), CASES[i].err);
        CHECK_TEXT(why, CASES[i].why);
        CHECK_TEXT(keys.id, "before");
    }
}

static void each_value_has_its_limit(void)
{
    static char text[AWS_KEYS_TOKEN_MOST + 200];
    struct aws_keys keys;
    char why[200];

    for (int over = 0; over <= 1; over++) {
        snprintf(text, sizeof(text), "aws_access_key_id=A\naws_secret_access_key=%0*d\n",
                 AWS_KEYS_SECRET_MOST + over, 0);
        CHECK_INT(parse(slice_text(text), &keys, why), over ? ERR_RANGE : ERR_NONE);
        snprintf(text, sizeof(text),
                 "aws_access_key_id=A\naws_secret_access_key=s\naws_session_token=%0*d\n",
                 AWS_KEYS_TOKEN_MOST + over, 0);
        CHECK_INT(parse(slice_text(text), &keys, why), over ? ERR_RANGE : ERR_NONE);
    }
}

static void only_files_of_a_size_are_read(void)
{
    char file[] = "/tmp/aws-keys-XXXXXX";
    int fd = mkstemp(file);
    struct aws_keys keys;
    struct buf why = { 0 };

    CHECK(fd >= 0);
    CHECK_INT(aws_keys_read("/nonexistent", &keys, &why), ERR_SYSTEM);
    CHECK_INT(aws_keys_read("/tmp", &keys, &why), ERR_SYSTEM);
    CHECK_INT(aws_keys_read(file, &keys, &why), ERR_NOT_FOUND);
    CHECK_INT(write(fd, "aws_access_key_id=A\naws_secret_access_key=s\n\n", 45), 45);
    CHECK_INT(aws_keys_read(file, &keys, &why), ERR_NONE);
    CHECK_TEXT(keys.id, "A");
    CHECK_INT(ftruncate(fd, AWS_KEYS_FILE_MOST + 1), 0);
    CHECK_INT(aws_keys_read(file, &keys, &why), ERR_RANGE);
    CHECK_INT(unlink(file), 0);
    CHECK_INT(mkfifo(file, 0600), 0); /* that nobody writes to: it must not be waited for */
    CHECK_INT(aws_keys_read(file, &keys, &why), ERR_SYSTEM);
    CHECK_INT(unlink(file), 0);
    close(fd);
    buf_fini(&why);
}

/* NOLINTBEGIN(concurrency-mt-unsafe): there is one thread here */
static void the_environment_has_them_too(void)
{
    struct aws_keys keys = { 0 };
    struct buf why = { 0 };

    unsetenv("AWS_SESSION_TOKEN");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    setenv("AWS_ACCESS_KEY_ID", "A", 1);
    CHECK_INT(aws_keys_of_environment(&keys, &why), ERR_NOT_FOUND);
    CHECK_BYTES(buf_all(&why), bytes("environment variable \"AWS_SECRET_ACCESS_KEY\" is not set"));
    setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
    CHECK_INT(aws_keys_of_environment(&keys, &why), ERR_NONE);
    CHECK_TEXT(keys.token, "");
    setenv("AWS_SESSION_TOKEN", "t", 1);
    CHECK_INT(aws_keys_of_environment(&keys, &why), ERR_NONE);
    CHECK_TEXT(keys.token, "t");
    buf_fini(&why);
}
/* NOLINTEND(concurrency-mt-unsafe) */

int main(void)
{
    RUN(the_default_profile_counts);
    RUN(temporary_keys_have_a_token);
    RUN(what_is_wrong_is_said_and_changes_nothing);
    RUN(each_value_has_its_limit);
    RUN(only_files_of_a_size_are_read);
    RUN(the_environment_has_them_too);
    return check_report();
}
