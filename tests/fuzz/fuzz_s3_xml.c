/* Documents of XML: expat takes what we take, and reads alike; read at once or piece by piece they
 * tell the same. */
#include <stdlib.h>

#include "tests/unit/proxy/wire/s3_xml_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct buf whole = { 0 }, parts = { 0 };
    struct slice document;
    bool is_whole, is_parts;

    if (len < 2 || len > S3_XML_TOKEN_BYTES)
        return 0;
    document = slice_of(at + 1, len - 1);
    is_whole = read_in_steps(document, len, 1 << 20, &whole) == ERR_NONE;
    is_parts = read_in_steps(document, 1 + at[0] % 32, 1 << 20, &parts) == ERR_NONE;
    if (is_whole != is_parts || (is_whole && !slice_is(buf_all(&whole), buf_all(&parts))) ||
        oracle_differs(document, len) != NULL)
        abort();
    buf_fini(&whole);
    buf_fini(&parts);
    return 0;
}
