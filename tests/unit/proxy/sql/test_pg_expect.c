/* The queue of replies that an upstream owes, as conversations.
 *
 * A script is what is pushed and what comes, in order: a letter for each message (P parse, B bind,
 * d describe of a statement, D of a portal, E execute, C close, S sync, Q query, F function call,
 * c the end of copying), with - before it if it is to be swallowed and ~ if it is fake; `<x` for a
 * frame of type x.  What happened is told as
 *
 *     2:1   frame 2 ended entry 1        x:1   swallowed      E!1 the error of entry 1
 *     D     passed and ended nothing     D-    swallowed      N*  answered nothing
 *     skip1 fake1 closed limit stray bad      unsure, and at the end: empty, or what is left */
#include <stdlib.h>

#include "proxy/base/buf.h"
#include "proxy/sql/pg_expect.h"
#include "tests/unit/check.h"

static struct pg_expect expect;
static struct buf told;
static uint32_t number;

static void take_skipped_and_fake(void)
{
    struct pg_expected entry;

    while (pg_expect_skipped(&expect, &entry))
        buf_format(&told, "skip%u ", entry.number);
    while (pg_expect_fake(&expect, &entry))
        buf_format(&told, entry.flags & PG_EXPECT_SWALLOW ? "fake%u- " : "fake%u ", entry.number);
}

static void push(char letter, unsigned flags)
{
    static const char LETTERS[] = " PBdDECSQF";
    const char *at = strchr(LETTERS, letter);
    enum err err;

    if (letter == 'c') {
        err = pg_expect_push_copy_end(&expect);
    } else {
        err = pg_expect_push(&expect, (struct pg_expected){ .kind = (uint8_t)(at - LETTERS),
                                                            .flags = (uint8_t)flags,
                                                            .number = number++ });
    }
    if (err != ERR_NONE)
        buf_text(&told, err == ERR_CLOSED ? "closed " : "limit ");
    take_skipped_and_fake();
}

static void frame(char type)
{
    unsigned turn = pg_expect_frame(&expect, (uint8_t)type);

    if (turn & PG_TURN_BAD)
        buf_text(&told, "bad");
    else if (turn & PG_TURN_STRAY)
        buf_text(&told, "stray");
    else
        buf_format(&told, "%c", type);
    if (turn & PG_TURN_ERROR && !(turn & PG_TURN_STRAY))
        buf_format(&told, turn & PG_TURN_ENDS ? "!%u" : "?%u", expect.ended.number);
    else if (turn & PG_TURN_ENDS)
        buf_format(&told, ":%u", expect.ended.number);
    if (turn & PG_TURN_SWALLOW)
        buf_text(&told, "-");
    if (turn & PG_TURN_ASYNC)
        buf_text(&told, "*");
    buf_text(&told, " ");
    take_skipped_and_fake();
}

static void run(const char *script)
{
    unsigned flags = 0;

    for (const char *at = script; *at != 0; at++) {
        if (*at == ' ')
            continue;
        if (*at == '<') {
            frame(*++at);
        } else if (*at == '-') {
            flags |= PG_EXPECT_SWALLOW;
        } else if (*at == '~') {
            flags |= PG_EXPECT_FAKE;
        } else {
            push(*at, flags);
            flags = 0;
        }
    }
}

struct conversation {
    const char *script, *told;
};

static void tell(const struct conversation *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int before = check_failures_here;
        struct pg_expected entry;

        buf_clear(&told);
        number = 0;
        run(all[i].script);
        if (expect.unsure)
            buf_text(&told, "unsure ");
        if (pg_expect_is_empty(&expect))
            buf_text(&told, "empty");
        while (pg_expect_take(&expect, &entry))
            buf_format(&told, "left%u ", entry.number);
        CHECK_BYTES(buf_all(&told), slice_text(all[i].told));
        if (check_failures_here > before)
            printf("  in: %s\n", all[i].script);
        pg_expect_fini(&expect);
    }
    buf_fini(&told);
}

#define TELL(conversations) tell(conversations, sizeof(conversations) / sizeof(conversations[0]))

static void each_message_has_its_answer(void)
{
    static const struct conversation ALL[] = {
        { "", "empty" },
        { "Q <T <D <D <C <Z", "T D D C Z:0 empty" },
        { "Q <I <Z", "I Z:0 empty" },
        { "Q <T <C <T <D <C <C <Z", "T C T D C C Z:0 empty" },
        { "P B D E S <1 <2 <T <D <C <Z", "1:0 2:1 T:2 D C:3 Z:4 empty" },
        { "P d S <1 <t <T <Z", "1:0 t T:1 Z:2 empty" },
        { "P d S <1 <t <n <Z", "1:0 t n:1 Z:2 empty" },
        { "B D E S <2 <n <C <Z", "2:0 n:1 C:2 Z:3 empty" },
        { "B E E S <2 <D <D <s <D <C <Z", "2:0 D D s:1 D C:2 Z:3 empty" },
        { "P B E S <1 <2 <I <Z", "1:0 2:1 I:2 Z:3 empty" },
        { "C C S <3 <3 <Z", "3:0 3:1 Z:2 empty" },
        { "F <V <Z", "V Z:0 empty" },
        { "S S <Z <Z", "Z:0 Z:1 empty" },
        { "P S P S <1", "1:0 left1 left2 left3 " },
        { "P Q <1 <T <D <C <Z", "1:0 T D C Z:1 empty" },
    };

    TELL(ALL);
}

static void an_error_skips_up_to_the_sync(void)
{
    static const struct conversation ALL[] = {
        { "Q <E <Z", "E?0 Z:0 empty" },
        { "Q <T <D <E <Z", "T D E?0 Z:0 empty" },
        { "Q <C <E <Z", "C E?0 Z:0 empty" },
        { "P B E S <E <Z", "E!0 skip1 skip2 Z:3 empty" },
        { "P B E S <1 <2 <D <E <Z", "1:0 2:1 D E!2 Z:3 empty" },
        { "P d S <1 <t <E <Z", "1:0 t E!1 Z:2 empty" },
        { "S <E <Z", "E?0 Z:0 empty" },
        { "F <E <Z", "E?0 Z:0 empty" },
        { "P Q F B S P S <E <Z <1 <Z", "E!0 skip1 skip2 skip3 Z:4 1:5 Z:6 empty" },
        { "P B <E Q E S P <Z <1", "E!0 skip1 closed closed Z:4 1:5 empty" },
        { "P <E c S <Z", "E!0 Z:1 empty" },
        { "P S B S <E <Z <2 <Z", "E!0 Z:1 2:2 Z:3 empty" },
        { "P B S <E <E", "E!0 skip1 E?2 left2 " }, /* FATAL behind ERROR */
        { "Q <E <E", "E?0 E?0 left0 " },
        { "<E", "stray empty" },
        { "P <E <E", "E!0 stray empty" },
    };

    TELL(ALL);
}

static void what_is_ours_is_swallowed(void)
{
    static const struct conversation ALL[] = {
        { "-Q Q <C <C <Z <T <D <C <Z", "C- C- Z:0- T D C Z:1 empty" },
        { "-Q Q <T <D <C <E <Z <E <Z", "T- D- C- E?0- Z:0- E?1 Z:1 empty" },
        { "-C -P B E S <3 <1 <2 <D <C <Z", "3:0- 1:1- 2:2 D C:3 Z:4 empty" },
        { "-P B S <E <Z", "E!0- skip1 Z:2 empty" },
        { "-Q <N <S <A <C <Z <N", "N-* S-* A-* C- Z:0- N* empty" },
        { "-B -E -S <2 <D <C <Z", "2:0- D- C:1- Z:2- empty" },
    };

    TELL(ALL);
}

static void fake_ones_are_answered_when_their_turn_comes(void)
{
    static const struct conversation ALL[] = {
        { "~P B E S <2 <C <Z", "fake0 2:1 C:2 Z:3 empty" },
        { "P ~C ~P B S <1 <2 <Z", "1:0 fake1 fake2 2:3 Z:4 empty" },
        { "P ~P ~C S <E <Z", "E!0 skip1 skip2 Z:3 empty" },
        { "B E ~P S ~P S <2 <E <Z <Z", "2:0 E!1 skip2 Z:3 fake4 Z:5 empty" },
        { "~P ~S", "fake0 fake1 empty" },
        { "Q ~P ~S Q <C <Z <C <Z", "C Z:0 fake1 fake2 C Z:3 empty" },
        { "P ~P <2", "bad left0 left1 " },
        { "B ~E S <2 <Z", "2:0 fake1 Z:2 empty" }, /* and no rows may come for it */
        { "Q B ~E S <C <Z <D", "C Z:0 bad left1 left2 left3 " },
        { "P <E ~P S <Z", "E!0 closed Z:2 empty" },
    };

    TELL(ALL);
}

static void copying_in(void)
{
    static const struct conversation ALL[] = {
        { "Q <G c <C <Z", "G C Z:0 empty" },
        { "Q c <G <C <Z", "G C Z:0 empty" },
        { "Q <G c <C <G c <C <Z", "G C G C Z:0 empty" },
        { "Q c c <G <C <G <C <Z", "G C G C Z:0 empty" },
        { "Q <G <E c <Z", "G E?0 Z:0 empty" },
        { "P B E <1 <2 <G c S <C <Z", "1:0 2:1 G C:2 Z:3 empty" },
        { "P B E c S <1 <2 <G <C <Z", "1:0 2:1 G C:2 Z:3 empty" },
        /* a Sync before the end of the data is eaten */
        { "P B E S <1 <2 <G c S <C <Z", "1:0 2:1 G C:2 Z:4 empty" },
        { "P B E S S <1 <2 <G S c S S <C <Z <Z", "1:0 2:1 G C:2 Z:6 Z:7 empty" },
        { "Q <G S c <C <Z", "G C Z:0 empty" },
        { "Q S c <G <C <Z Q <C <Z", "G C Z:0 C Z:2 empty" },
        /* an error ends the copying, and the client's end of it means nothing */
        { "P B E <1 <2 <G <E c S <Z", "1:0 2:1 G E!2 Z:3 empty" },
        { "P B E c S <1 <2 <G <E <Z", "1:0 2:1 G E!2 Z:3 empty" },
        /* whether a Sync was eaten is not known: the server gives one more, or not */
        { "P B E S <1 <2 <G <E c S <Z", "1:0 2:1 G E!2 Z:4 unsure empty" },
        { "P B E S <1 <2 <G <E <Z c S <Z", "1:0 2:1 G E!2 Z Z:4 unsure empty" },
        { "P B E S <1 <2 <G <E c S <Z Q <Z <C <Z", "1:0 2:1 G E!2 Z:4 Z C Z:5 unsure empty" },
        { "c Q <C <Z", "C Z:0 empty" },
        { "Q c Q <C <Z <C <Z", "C Z:0 C Z:1 empty" },
        { "E c E S <C <C <Z", "C:0 C:1 Z:2 empty" },
    };

    TELL(ALL);
}

static void copying_out(void)
{
    static const struct conversation ALL[] = {
        { "Q <H <d <d <c <C <Z", "H d d c C Z:0 empty" },
        { "E S <H <d <c <C <Z", "H d c C:0 Z:1 empty" },
        { "-Q <H <d <c <C <Z", "H- d- c- C- Z:0- empty" },
        { "E S <H <d <E <Z", "H d E!0 Z:1 empty" },
        { "Q <W <d <d c <c <C <Z", "W d d c C Z:0 empty" },
        { "Q <H <C", "H bad left0 " },
        { "Q <H <D", "H bad left0 " },
    };

    TELL(ALL);
}

static void what_nobody_asked_for_is_bad(void)
{
    static const struct conversation ALL[] = {
        { "<1", "bad empty" },
        { "<Z", "bad empty" },
        { "<D", "bad empty" },
        { "<C", "bad empty" },
        { "<K", "bad empty" },
        { "<R", "bad empty" },
        { "<N <S <A", "N* S* A* empty" },
        { "P <2", "bad left0 " },
        { "B <1", "bad left0 " },
        { "P <Z", "bad left0 " },
        { "Q <Z", "bad left0 " },
        { "Q <D", "bad left0 " },
        { "Q <T <T", "T bad left0 " },
        { "Q <T <Z", "T bad left0 " },
        { "E <T", "bad left0 " },
        { "E <Z", "bad left0 " },
        { "E <V", "bad left0 " },
        { "F <Z", "bad left0 " },
        { "F <V <V", "V bad left0 " },
        { "d <T", "bad left0 " },
        { "D <t", "bad left0 " },
        { "S <C", "bad left0 " },
        { "Q <E <C", "E?0 bad left0 " },
        { "Q <s", "bad left0 " },
        { "Q <d", "bad left0 " },
        { "Q <G <d", "G bad left0 " },
        { "Q <?", "bad left0 " },
    };

    TELL(ALL);
    CHECK(pg_expect_frame(&expect, 0) == PG_TURN_BAD);
    CHECK(pg_expect_frame(&expect, 255) == PG_TURN_BAD);
}

static void the_queue_is_bounded_and_keeps_its_order(void)
{
    struct pg_expected entry;

    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < PG_EXPECT_LIMIT; i++)
            CHECK_INT(pg_expect_push(&expect,
                                     (struct pg_expected){ .kind = PG_EXPECT_PARSE, .number = i }),
                      ERR_NONE);
        CHECK_INT(pg_expect_push(&expect, (struct pg_expected){ .kind = PG_EXPECT_PARSE }),
                  ERR_LIMIT);
        CHECK_INT(pg_expect_push_copy_end(&expect), ERR_LIMIT);
        for (uint32_t i = 0; i < PG_EXPECT_LIMIT - 1; i++) {
            CHECK_INT(pg_expect_frame(&expect, '1'), PG_TURN_ENDS);
            CHECK_INT(expect.ended.number, i);
        }
        CHECK(pg_expect_take(&expect, &entry));
        CHECK_INT(entry.number, PG_EXPECT_LIMIT - 1);
        CHECK(!pg_expect_take(&expect, &entry));
        pg_expect_trim(&expect);
        CHECK(expect.ring == NULL);
    }
    pg_expect_fini(&expect);
}

static void what_the_caller_noted_comes_back(void)
{
    int subject;

    CHECK_INT(pg_expect_push(&expect, (struct pg_expected){ .kind = PG_EXPECT_SYNC,
                                                            .note = 7,
                                                            .number = 9,
                                                            .subject = &subject }),
              ERR_NONE);
    CHECK_INT(pg_expect_head(&expect)->note, 7);
    CHECK_INT(pg_expect_frame(&expect, 'Z'), PG_TURN_ENDS);
    CHECK_INT(expect.ended.note, 7);
    CHECK_INT(expect.ended.number, 9);
    CHECK(expect.ended.subject == &subject);
    CHECK(pg_expect_head(&expect) == NULL);
    pg_expect_fini(&expect);
}

static void it_is_known_whether_an_exchange_ends_before(void)
{
    struct pg_expected parse = { .kind = PG_EXPECT_PARSE };
    struct pg_expected settings = { .kind = PG_EXPECT_QUERY, .flags = PG_EXPECT_SWALLOW };

    CHECK(!pg_expect_may_fail(&expect));
    CHECK_INT(pg_expect_push(&expect, settings), ERR_NONE);
    for (uint32_t i = 0; i < 63; i++)
        CHECK_INT(pg_expect_push(&expect, parse), ERR_NONE);
    CHECK(!pg_expect_may_fail(&expect));
    CHECK_INT(pg_expect_push(&expect, parse), ERR_NONE);
    CHECK(pg_expect_may_fail(&expect));
    pg_expect_fini(&expect);
    CHECK_INT(pg_expect_push(&expect, parse), ERR_NONE);
    CHECK_INT(pg_expect_push(&expect, (struct pg_expected){ .kind = PG_EXPECT_SYNC }), ERR_NONE);
    CHECK(pg_expect_may_fail(&expect));
    pg_expect_fini(&expect);
}

static void it_is_known_whether_the_client_is_owed_anything(void)
{
    struct pg_expected ours = { .kind = PG_EXPECT_QUERY, .flags = PG_EXPECT_SWALLOW };

    CHECK(pg_expect_is_swallowed(&expect));
    CHECK_INT(pg_expect_push(&expect, ours), ERR_NONE);
    CHECK(pg_expect_is_swallowed(&expect));
    CHECK_INT(pg_expect_push(&expect, (struct pg_expected){ .kind = PG_EXPECT_SYNC }), ERR_NONE);
    CHECK_INT(pg_expect_push(&expect, ours), ERR_NONE);
    CHECK(!pg_expect_is_swallowed(&expect));
    pg_expect_fini(&expect);
}

static void the_ends_of_exchanges_are_told_apart_from_what_was_begun(void)
{
    struct pg_expected parse = { .kind = PG_EXPECT_PARSE };
    struct pg_expected ours = { .kind = PG_EXPECT_QUERY, .flags = PG_EXPECT_SWALLOW };
    struct pg_expected query = { .kind = PG_EXPECT_QUERY };

    CHECK(!pg_expect_owes_end(&expect, 0));
    CHECK(!pg_expect_owes_end(&expect, 1));
    CHECK_INT(pg_expect_push(&expect, ours), ERR_NONE);
    CHECK_INT(pg_expect_push(&expect, parse), ERR_NONE);
    CHECK(!pg_expect_owes_end(&expect, 0));
    CHECK_INT(pg_expect_push(&expect, query), ERR_NONE);
    CHECK(pg_expect_owes_end(&expect, 0));
    CHECK(!pg_expect_owes_end(&expect, 1));
    CHECK_INT(pg_expect_push(&expect, parse), ERR_NONE);
    CHECK(pg_expect_owes_end(&expect, 1));
    pg_expect_fini(&expect);
}

static void what_exchanges_may_do_is_known_while_their_ends_are_owed(void)
{
    struct pg_expected parse = { .kind = PG_EXPECT_PARSE };
    struct pg_expected writes = { .kind = PG_EXPECT_SYNC, .flags = PG_EXPECT_WRITES };
    struct pg_expected commits = { .kind = PG_EXPECT_QUERY, .flags = PG_EXPECT_COMMITS };

    CHECK_INT(pg_expect_flags(&expect), 0);
    CHECK_INT(pg_expect_push(&expect, parse), ERR_NONE);
    CHECK_INT(pg_expect_push(&expect, writes), ERR_NONE);
    CHECK_INT(pg_expect_push(&expect, commits), ERR_NONE);
    CHECK_INT(pg_expect_flags(&expect), PG_EXPECT_WRITES | PG_EXPECT_COMMITS);
    pg_expect_frame(&expect, '1');
    pg_expect_frame(&expect, 'Z');
    CHECK_INT(expect.ended.flags, PG_EXPECT_WRITES);
    CHECK_INT(pg_expect_flags(&expect), PG_EXPECT_COMMITS);
    pg_expect_frame(&expect, 'C');
    pg_expect_frame(&expect, 'Z');
    CHECK_INT(pg_expect_flags(&expect), 0);
    pg_expect_fini(&expect);
}

int main(void)
{
    RUN(each_message_has_its_answer);
    RUN(an_error_skips_up_to_the_sync);
    RUN(what_is_ours_is_swallowed);
    RUN(fake_ones_are_answered_when_their_turn_comes);
    RUN(copying_in);
    RUN(copying_out);
    RUN(what_nobody_asked_for_is_bad);
    RUN(the_queue_is_bounded_and_keeps_its_order);
    RUN(what_the_caller_noted_comes_back);
    RUN(it_is_known_whether_an_exchange_ends_before);
    RUN(it_is_known_whether_the_client_is_owed_anything);
    RUN(the_ends_of_exchanges_are_told_apart_from_what_was_begun);
    RUN(what_exchanges_may_do_is_known_while_their_ends_are_owed);
    return check_report();
}
