#include "proxy/wire/pg_md5.h"

#include "tests/unit/check.h"

static void a_password_and_its_answer_are_those_of_postgresql(void)
{
    static const uint8_t SALT[4] = { 1, 2, 0xfe, 0 };
    struct pg_md5 hash = pg_md5_of_password(bytes("secret"), bytes("user"));
    struct pg_md5 answer = pg_md5_answer(slice_text(hash.text), SALT);

    CHECK_TEXT(hash.text, "md520eb1b22a92b5c573dc1eb4331fc49ee");
    CHECK_TEXT(answer.text, "md5deb0d134134d0dd66f936b8967f21510");
    CHECK(pg_md5_is_hash(slice_text(hash.text)));
    CHECK(pg_md5_is(bytes("md5deb0d134134d0dd66f936b8967f21510"), &answer));
    CHECK(!pg_md5_is(bytes("md5deb0d134134d0dd66f936b8967f21511"), &answer));
    CHECK(!pg_md5_is(bytes("md5deb0d134134d0dd66f936b8967f2151"), &answer));
    CHECK(!pg_md5_is(bytes(""), &answer));
}

static void what_only_resembles_a_hash_is_a_password(void)
{
    CHECK(!pg_md5_is_hash(bytes("")));
    CHECK(!pg_md5_is_hash(bytes("md520eb1b22a92b5c573dc1eb4331fc49e")));
    CHECK(!pg_md5_is_hash(bytes("md520eb1b22a92b5c573dc1eb4331fc49eef")));
    CHECK(!pg_md5_is_hash(bytes("md520EB1B22A92B5C573DC1EB4331FC49EE")));
    CHECK(!pg_md5_is_hash(bytes("MD520eb1b22a92b5c573dc1eb4331fc49ee")));
    CHECK(!pg_md5_is_hash(bytes("md520eb1b22a92b5c573dc1eb4331fc49eg")));
}

int main(void)
{
    RUN(a_password_and_its_answer_are_those_of_postgresql);
    RUN(what_only_resembles_a_hash_is_a_password);
    return check_report();
}
