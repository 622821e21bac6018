/* What a service of keys answers may be anything: what is taken from it is whole, visible letters,
 * and within its limits; what is said of its trouble is visible, too. */
#include <stdlib.h>
#include <string.h>

#include "proxy/steward_keys_answer.h"

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void require_visible(const char *text, size_t most)
{
    require(strlen(text) <= most);
    for (; *text != '\0'; text++)
        require(*text > ' ' && *text < 0x7f);
}

typedef enum err answer_f(struct slice text, struct aws_keys *keys, int64_t *ends_s,
                          struct buf *why);

static void read_answer(answer_f *answer, struct slice text)
{
    struct buf why = { 0 };
    struct aws_keys keys = { 0 };
    int64_t ends_s = -1;

    if (answer(text, &keys, &ends_s, &why) == ERR_NONE) {
        require(keys.id[0] != '\0' && keys.secret[0] != '\0' && why.len == 0);
        require_visible(keys.id, AWS_KEYS_ID_MOST);
        require_visible(keys.secret, AWS_KEYS_SECRET_MOST);
        require_visible(keys.token, AWS_KEYS_TOKEN_MOST);
    } else {
        require(why.len > 0 && keys.id[0] == '\0' && ends_s == -1);
        for (size_t i = 0; i < why.len; i++)
            require(why.at[i] >= ' ' && why.at[i] < 0x7f);
    }
    buf_fini(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    read_answer(keys_answer_json, slice_of(at, len));
    read_answer(keys_answer_xml, slice_of(at, len));
    return 0;
}
