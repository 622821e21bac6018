#include "tests/unit/check.h"

#include "replica/position.h"

enum { SEGMENT = 16 * 1024 * 1024 };

static void positions_are_read_and_written_as_the_server_does(void)
{
    static const char *const BAD[] = { "",
                                       "/",
                                       "1/",
                                       "/1",
                                       "1/2/3",
                                       "g/1",
                                       "123456789/0",
                                       "1 /2",
                                       "0x1/2",
                                       "1:2",
                                       "-1/2",
                                       "1/2 ",
                                       ":1/2",
                                       "1:2:",
                                       "0:1:1/2",
                                       "1:0:1/2",
                                       "1:4294967296:1/2",
                                       "a:1:1/2" };
    char lsn[POSITION_LSN_TEXT], text[POSITION_TEXT];
    struct position p;
    uint64_t number;

    CHECK_INT(position_parse_lsn(bytes("16/B374D848"), &number), ERR_NONE);
    CHECK_INT(number, 0x16B374D848);
    CHECK_INT(position_put_lsn(number, lsn), 11);
    CHECK_TEXT(lsn, "16/B374D848");
    CHECK_INT(position_parse_lsn(bytes("ffffffff/FFFFFFFF"), &number), ERR_NONE);
    position_put_lsn(number, lsn);
    CHECK_TEXT(lsn, "FFFFFFFF/FFFFFFFF");
    CHECK_INT(position_parse(bytes("7301234567890123456:3:0/1"), &p), ERR_NONE);
    CHECK_INT(p.timeline, 3);
    CHECK_INT(p.lsn, 1);
    position_put(&p, text);
    CHECK_TEXT(text, "7301234567890123456:3:0/1");
    CHECK_INT(position_parse(bytes("0/A"), &p), ERR_NONE);
    CHECK_INT(p.system, 0);
    CHECK_INT(p.lsn, 10);
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        CHECK(position_parse(slice_text(BAD[i]), &p) != ERR_NONE);
    p = (struct position){ UINT64_MAX, UINT32_MAX, UINT64_MAX };
    CHECK(position_put(&p, text) < POSITION_TEXT);
}

static void only_positions_of_one_history_compare(void)
{
    struct position needed = { 7, 1, 100 }, at = { 7, 1, 100 }, none = { 0 };

    CHECK_INT(position_compare(&needed, &at), POSITION_REACHED);
    at.lsn = 99;
    CHECK_INT(position_compare(&needed, &at), POSITION_BEFORE);
    CHECK_INT(position_compare(&none, &at), POSITION_REACHED);
    at.lsn = 1000;
    at.timeline = 2;
    CHECK_INT(position_compare(&needed, &at), POSITION_FOREIGN);
    at.timeline = 1;
    needed.timeline = 2;
    CHECK_INT(position_compare(&needed, &at), POSITION_FOREIGN);
    needed.timeline = 1;
    at.system = 8;
    CHECK_INT(position_compare(&needed, &at), POSITION_FOREIGN);
}

static void the_later_position_is_kept(void)
{
    struct position kept = { 0 }, none = { 0 };

    position_keep(&kept, &(struct position){ 7, 1, 100 });
    CHECK_INT(kept.lsn, 100);
    position_keep(&kept, &(struct position){ 7, 1, 50 });
    CHECK_INT(kept.lsn, 100);
    position_keep(&kept, &none);
    CHECK_INT(kept.lsn, 100);
    position_keep(&kept, &(struct position){ 7, 2, 60 });
    CHECK_INT(kept.lsn, 60);
    position_keep(&kept, &(struct position){ 7, 1, 200 });
    CHECK_INT(kept.lsn, 60);
    position_keep(&kept, &(struct position){ 8, 1, 5 });
    CHECK_INT(kept.system, 8);
}

static void a_page_header_without_record_is_not_waited_for(void)
{
    CHECK_INT(position_before_page_header(0x1226A018, SEGMENT), 0x1226A000);
    CHECK_INT(position_before_page_header(5 * (uint64_t)SEGMENT + 40, SEGMENT),
              5 * (uint64_t)SEGMENT);
    CHECK_INT(position_before_page_header(0x1226A028, SEGMENT), 0x1226A028);
    CHECK_INT(position_before_page_header(0x1226A000, SEGMENT), 0x1226A000);
    CHECK_INT(position_before_page_header(0x1226A020, SEGMENT), 0x1226A020);
    CHECK_INT(position_before_page_header(40, 0), 40);
}

int main(void)
{
    RUN(positions_are_read_and_written_as_the_server_does);
    RUN(only_positions_of_one_history_compare);
    RUN(the_later_position_is_kept);
    RUN(a_page_header_without_record_is_not_waited_for);
    return check_report();
}
