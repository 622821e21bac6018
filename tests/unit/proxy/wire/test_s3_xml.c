#include "proxy/wire/s3_xml.h"

#include "tests/unit/check.h"
#include "tests/unit/proxy/wire/s3_xml_oracle.h"

static enum err read_all(struct slice document, struct buf *notes)
{
    return read_in_steps(document, document.len, 1024 * 1024, notes);
}

static void check_reads(struct slice document, struct slice expected)
{
    for (size_t step = 1; step <= document.len; step = step < 20 ? step + 1 : 2 * step) {
        struct buf notes = { 0 };

        CHECK_INT(read_in_steps(document, step, 1024 * 1024, &notes), ERR_NONE);
        CHECK_BYTES(buf_all(&notes), expected);
        buf_fini(&notes);
    }
}

static void check_refused(struct slice document, enum err expected)
{
    for (size_t step = 1; step <= document.len; step *= 2) {
        struct buf notes = { 0 };

        CHECK_INT(read_in_steps(document, step, 1024 * 1024, &notes), expected);
        buf_fini(&notes);
    }
}

static void elements_are_told_by_their_path_below_the_root(void)
{
    check_reads(bytes("<?xml version=\"1.0\"?>\n<R xmlns=\"x:y\">\n <a id='1'>1<!-- c --></a>"
                      "<b> <c>t w</c>\n<c/>\n</b></R>\n"),
                bytes("root=R +a -a=1 +b +b/c -b/c=t w +b/c -b/c= -b= -="));
}

static void prefixes_of_names_mean_nothing(void)
{
    check_reads(bytes("<s3:R xmlns:s3='u'><s3:a>x</s3:a></s3:R>"), bytes("root=R +a -a=x -="));
}

static void blanks_before_the_document_are_signs_of_life(void)
{
    check_reads(bytes(" \r\n \n<?xml version='1.0'?><R/>"), bytes("root=R -="));
    check_reads(bytes("<?xml version='1.0'?>   \n   \n<R/>"), bytes("root=R -="));
}

static void references_and_raw_bytes_are_the_same(void)
{
    check_reads(bytes("<R>&lt;&gt;&amp;&quot;&apos;&#65;&#x42;&#xe9;\xC3\xA9&#x1F600;"
                      "<![CDATA[<&#x41;&>]]></R>"),
                bytes("root=R -=<>&\"'AB\xC3\xA9\xC3\xA9\xF0\x9F\x98\x80<&#x41;&>"));
}

static void control_characters_may_be_referred_to(void)
{
    check_reads(bytes("<R>a&#x1;b&#31;c&#x0000B;&#9;&#xA;&#xD;</R>"), bytes("root=R -=a\x01"
                                                                            "b\x1F"
                                                                            "c\x0B\t\n\r"));
    check_reads(bytes("<R>&#xFFFE;\xEF\xBF\xBF&#xFFFF;\xEF\xBF\xBE</R>"),
                bytes("root=R -=\xEF\xBF\xBE\xEF\xBF\xBF\xEF\xBF\xBF\xEF\xBF\xBE"));
}

/* The noncharacters that stand for those inside are still themselves. */
static void what_stands_for_control_characters_can_be_said_too(void)
{
    check_reads(bytes("<R>\xEF\xB7\x90\xEF\xB7\x91&#xFDD1;&#1;\xEF\xB7\xAF\xEF\xB7\xB0\xEF\xB7\x8F"
                      "\xEF\xBC\x81\xEF\xBF\xBD</R>"),
                bytes("root=R -=\xEF\xB7\x90\xEF\xB7\x91\xEF\xB7\x91\x01\xEF\xB7\xAF\xEF\xB7\xB0"
                      "\xEF\xB7\x8F\xEF\xBC\x81\xEF\xBF\xBD"));
}

static void what_is_not_of_xml_is_refused(void)
{
    static const char *const BAD[] = {
        "<R>",
        "<R></S>",
        "<R/><S/>",
        "R",
        "<R>\x01</R>",
        "<R>&#0;</R>",
        "<R>&#xD800;</R>",
        "<R>&#x;</R>",
        "<R>&#;</R>",
        "<R>&#12x;</R>",
        "<R>&#x110000;</R>",
        "<R>&e;</R>",
        "<R>&</R>",
        "<R>\xFF</R>",
        "<R>\xEF\xB7</R>",
        "<R>\xED\xA0\x80</R>",
        "<R a=1/>",
        "<R/>x",
        "<R>&#x1</R>",
        "<R>\xEF\xEF\xB7\x91</R>",
        "<R/>&#x1;",
        "<R>&#x1;",
        "<R/>&#",
    };

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        check_refused(slice_text(BAD[i]), ERR_SYNTAX);
}

static void declarations_of_types_and_entities_are_refused(void)
{
    check_refused(bytes("<!DOCTYPE R><R/>"), ERR_SYNTAX);
    check_refused(bytes("<!DOCTYPE R SYSTEM \"file:///etc/passwd\"><R/>"), ERR_SYNTAX);
    check_refused(bytes("<!DOCTYPE R [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><R>&b;</R>"),
                  ERR_SYNTAX);
    check_refused(bytes("<!DOCTYPE R [<!ENTITY % p SYSTEM \"http://x/\">%p;]><R/>"), ERR_SYNTAX);
}

/* "a<b>c</b>d" would be read as "d" by one and as "ad" by another. */
static void text_beside_elements_is_refused(void)
{
    check_refused(bytes("<R><K>a<b/></K></R>"), ERR_SYNTAX);
    check_refused(bytes("<R><K><b/>a</K></R>"), ERR_SYNTAX);
}

static void references_in_cdata_are_none(void)
{
    check_reads(bytes("<R>a<![CDATA[&#x1;]]]]><![CDATA[>]]>b</R>"), bytes("root=R -=a&#x1;]]>b"));
    check_refused(bytes("<R><![CDATA[\x01]]></R>"), ERR_SYNTAX);
    check_refused(bytes("<R>a]]>b</R>"), ERR_SYNTAX);
    check_refused(bytes("<![CDATA[ ]]><R/>"), ERR_SYNTAX);
}

static void ends_of_lines_are_all_the_same(void)
{
    check_reads(bytes("<R>a\r\nb\rc\r\r\nd&#xD;</R>\r"), bytes("root=R -=a\nb\nc\n\nd\r"));
}

static void attributes_are_such(void)
{
    static const char *const BAD[] = { "<R a='1'b='2'/>", "<R a='<'/>",    "<R a='&e;'/>",
                                       "<R a='1' a=''/>", "<R =''/>",      "<R a/>",
                                       "<R a='\x01'/>",   "<R a='\xFF'/>", "<R></R a='1'>" };
    struct buf document = { 0 };

    check_reads(bytes("<R a = '>' b=\"'&lt;/>\"\n ><c d='&#1;'/></R>"), bytes("root=R +c -c= -="));
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        check_refused(slice_text(BAD[i]), ERR_SYNTAX);
    for (unsigned count = XML_ATTRIBUTES; count <= XML_ATTRIBUTES + 1; count++) {
        buf_clear(&document);
        buf_text(&document, "<R");
        for (unsigned i = 0; i < count; i++)
            buf_format(&document, " a%u=''", i);
        buf_text(&document, "/>");
        if (count > XML_ATTRIBUTES)
            check_refused(buf_all(&document), ERR_LIMIT);
        else
            check_reads(buf_all(&document), bytes("root=R -="));
    }
    buf_fini(&document);
}

static void a_declaration_stands_first(void)
{
    static const char *const BAD[] = {
        "<!----><?xml version='1.0'?><R/>",
        "<R/><?xml version='1.0'?>",
        "<?xml version='1.0'?><?XML x?><R/>",
        "<?xml?><R/>",
        "<?xml encoding='UTF-8'?><R/>",
        "<?xml version='1.0' version='1.0'?><R/>",
        "<?xml version='1.0' standalone='x'?><R/>",
    };

    check_reads(bytes("\xEF\xBB\xBF<?xml version='1.0' encoding='utf-8' standalone='no' ?><R/>"),
                bytes("root=R -="));
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        check_refused(slice_text(BAD[i]), ERR_SYNTAX);
}

static void other_encodings_are_refused(void)
{
    check_refused(bytes("\xFF\xFE<\0R\0/\0>\0"), ERR_SYNTAX);
    check_refused(bytes("<?xml version='1.0' encoding='ISO-8859-1'?><R>\xE9</R>"), ERR_SYNTAX);
}

static void what_a_call_says_ends_the_reading(void)
{
    check_refused(bytes("<Refused><a/></Refused>"), ERR_RANGE);
}

static void every_prefix_is_not_whole(void)
{
    struct slice document = bytes("<?xml version='1.0'?><R><a>&#x1;&lt;\xEF\xB7\x91</a></R>");

    for (size_t len = 0; len < document.len; len++) {
        struct buf notes = { 0 };

        CHECK_INT(read_all(slice_of(document.at, len), &notes), ERR_SYNTAX);
        buf_fini(&notes);
    }
}

static void repeat(struct buf *out, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        buf_text(out, text);
}

static void elements_are_so_deep_and_their_path_is_so_long_and_no_more(void)
{
    struct buf document = { 0 };

    for (size_t depth = S3_XML_DEPTH; depth <= S3_XML_DEPTH + 1; depth++) {
        struct buf notes = { 0 };

        buf_clear(&document);
        repeat(&document, "<a>", depth);
        repeat(&document, "</a>", depth);
        CHECK_INT(read_all(buf_all(&document), &notes), depth > S3_XML_DEPTH ? ERR_LIMIT : 0);
        buf_fini(&notes);
    }
    buf_clear(&document);
    buf_text(&document, "<R><");
    repeat(&document, "n", S3_XML_PATH_BYTES + 1);
    buf_text(&document, "/></R>");
    check_refused(buf_all(&document), ERR_LIMIT);
    buf_fini(&document);
}

static void text_is_so_long_and_no_longer(void)
{
    for (size_t more = 0; more <= 1; more++) {
        struct buf document = { 0 }, notes = { 0 };

        buf_text(&document, "<R>");
        repeat(&document, "x", S3_XML_TEXT_BYTES + more);
        buf_text(&document, "</R>");
        CHECK_INT(read_in_steps(buf_all(&document), 1000, 1024 * 1024, &notes),
                  more > 0 ? ERR_LIMIT : ERR_NONE);
        buf_fini(&document);
        buf_fini(&notes);
    }
}

static void a_tag_or_comment_that_does_not_end_is_refused_early(void)
{
    static const char *const BEGINNINGS[] = { "<R><!-- ", "<R a='", "<R><", "<R><?p ", "<R></" };

    for (size_t i = 0; i < sizeof(BEGINNINGS) / sizeof(BEGINNINGS[0]); i++) {
        struct buf document = { 0 }, notes = { 0 };

        buf_text(&document, BEGINNINGS[i]);
        repeat(&document, "x", S3_XML_TOKEN_BYTES);
        CHECK_INT(read_in_steps(buf_all(&document), 100, 1024 * 1024, &notes), ERR_LIMIT);
        buf_fini(&document);
        buf_fini(&notes);
    }
}

static void a_long_text_is_no_token(void)
{
    struct buf document = { 0 }, notes = { 0 };

    buf_text(&document, "<R>");
    repeat(&document, "x&lt;", 10000);
    buf_text(&document, "</R>");
    repeat(&document, " ", 2 * S3_XML_TOKEN_BYTES);
    CHECK_INT(read_in_steps(buf_all(&document), 1, 1024 * 1024, &notes), ERR_NONE);
    CHECK_INT(notes.len, 6 + 3 + 20000);
    buf_fini(&document);
    buf_fini(&notes);
}

static void a_document_is_so_large_and_no_larger(void)
{
    struct slice document = bytes("  <R>0123456789</R>");

    for (size_t step = 1; step <= document.len; step++) {
        struct buf notes = { 0 };

        CHECK_INT(read_in_steps(document, step, document.len - 2, &notes), ERR_NONE);
        CHECK_INT(read_in_steps(document, step, document.len - 3, &notes), ERR_LIMIT);
        buf_fini(&notes);
    }
}

int main(void)
{
    RUN(elements_are_told_by_their_path_below_the_root);
    RUN(prefixes_of_names_mean_nothing);
    RUN(blanks_before_the_document_are_signs_of_life);
    RUN(references_and_raw_bytes_are_the_same);
    RUN(control_characters_may_be_referred_to);
    RUN(what_stands_for_control_characters_can_be_said_too);
    RUN(what_is_not_of_xml_is_refused);
    RUN(declarations_of_types_and_entities_are_refused);
    RUN(text_beside_elements_is_refused);
    RUN(references_in_cdata_are_none);
    RUN(ends_of_lines_are_all_the_same);
    RUN(attributes_are_such);
    RUN(a_declaration_stands_first);
    RUN(other_encodings_are_refused);
    RUN(what_a_call_says_ends_the_reading);
    RUN(every_prefix_is_not_whole);
    RUN(elements_are_so_deep_and_their_path_is_so_long_and_no_more);
    RUN(text_is_so_long_and_no_longer);
    RUN(a_tag_or_comment_that_does_not_end_is_refused_early);
    RUN(a_long_text_is_no_token);
    RUN(a_document_is_so_large_and_no_larger);
    return check_report();
}
