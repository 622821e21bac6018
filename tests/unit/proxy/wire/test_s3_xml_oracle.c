/* Documents, whole and spoilt, read by us and by expat. */
#include "tests/unit/check.h"
#include "tests/unit/proxy/wire/s3_xml_oracle.h"

enum { SPOILT = 5000 };

static const char *const DOCUMENTS[] = {
    ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
     "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix></Prefix>"
     "<IsTruncated>false</IsTruncated><Contents><Key>a&amp;b/\xC3\xA9</Key>"
     "<ETag>&quot;9e107d9d372bb6826bd81d3542a419d6&quot;</ETag><Size>43</Size></Contents>"
     "</ListBucketResult>"),
    ("\xEF\xBB\xBF<?xml version='1.0' standalone='yes'?><!-- c --><?p d?><s3:R xmlns:s3='u' "
     "a = \"&lt;&#65;&gt;\"><s3:K ><![CDATA[<&]]]>x]]&gt;\r\n\ry</s3:K\n></s3:R><!----> "),
    "<R><E/><E></E><K>&#x1F600;&apos;&#233;&#xe9;]]</K> \n\t<L><M><N><O><P/></O></N></M></L></R>",
    "<Error><Code>NoSuchKey</Code><Message>a > b</Message><?x?><Key>a<!-- - -->b</Key></Error>\n",
};

enum { DOCUMENTS_COUNT = sizeof(DOCUMENTS) / sizeof(DOCUMENTS[0]) };

/* A row of numbers that is the same each time. */
static uint32_t drawn(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(*state >> 8) * below >> 24);
}

static void documents_are_read_alike(void)
{
    for (size_t i = 0; i < DOCUMENTS_COUNT; i++) {
        struct slice document = slice_text(DOCUMENTS[i]);
        struct buf notes = { 0 };

        CHECK_INT(read_in_steps(document, document.len, 1 << 20, &notes), ERR_NONE);
        for (size_t step = 1; step <= document.len; step++)
            CHECK_TEXT(oracle_differs(document, step) ? oracle_differs(document, step) : "", "");
        buf_fini(&notes);
    }
}

/* One place of it is another byte, is missing, or is what stands at another place. */
static void spoil(uint32_t *state, struct buf *document)
{
    static const char BYTES[] = "<>&;/!?-[]'\"= \r\n#x0:aA\x01\x7F\x80\xC3\xEF";
    size_t at = drawn(state, (uint32_t)document->len), from = drawn(state, (uint32_t)document->len);
    size_t len = 1 + drawn(state, 8);

    switch (drawn(state, 4)) {
    case 0:
        document->at[at] = (uint8_t)BYTES[drawn(state, sizeof(BYTES) - 1)];
        break;
    case 1:
        memmove(document->at + at, document->at + at + 1, document->len - at - 1);
        document->len--;
        break;
    case 2:
        document->len = at > 0 ? at : 1;
        break;
    default:
        len = at + len > document->len ? document->len - at : len;
        len = from + len > document->len ? document->len - from : len;
        memmove(document->at + at, document->at + from, len);
        break;
    }
}

static void spoilt_documents_are_refused_or_read_alike(void)
{
    uint32_t state = 1, taken = 0;

    for (int i = 0; i < SPOILT; i++) {
        struct buf document = { 0 }, notes = { 0 };
        const char *problem;

        buf_text(&document, DOCUMENTS[drawn(&state, DOCUMENTS_COUNT)]);
        for (uint32_t times = 1 + drawn(&state, 3); times > 0 && document.len > 1; times--)
            spoil(&state, &document);
        problem = oracle_differs(buf_all(&document), 1 + drawn(&state, 40));
        if (problem != NULL)
            CHECK_BYTES(buf_all(&document), slice_text(problem));
        taken += read_in_steps(buf_all(&document), document.len, 1 << 20, &notes) == ERR_NONE;
        buf_fini(&document);
        buf_fini(&notes);
    }
    CHECK(taken > SPOILT / 40);
}

int main(void)
{
    RUN(documents_are_read_alike);
    RUN(spoilt_documents_are_refused_or_read_alike);
    return check_report();
}
