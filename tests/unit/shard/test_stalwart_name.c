#include "shard/stalwart_name.h"

#include "tests/unit/check.h"

static struct slice key_of(struct slice name, uint8_t key[STALWART_KEY_MOST])
{
    size_t len = 0;

    return stalwart_name_key(name, key, &len) ? slice_of(key, len) : slice_text("none");
}

static void a_hash_comes_out_of_its_name_behind_any_prefix(void)
{
    static const char *const NAMES[] = {
        "aaaqeayeaudaocajbifqydiob2ibceqtcqkrmfyydenbwha0dypq",
        "mail/aaaqeayeaudaocajbifqydiob2ibceqtcqkrmfyydenbwha0dypq",
        "zzzaaaqeayeaudaocajbifqydiob2ibceqtcqkrmfyydenbwha0dypq",
    };
    uint8_t key[STALWART_KEY_MOST];

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        CHECK_BYTES(key_of(slice_text(NAMES[i]), key),
                    bytes("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
                          "\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"));
}

static void the_two_that_are_texts_are_known(void)
{
    uint8_t key[STALWART_KEY_MOST];

    CHECK_BYTES(key_of(bytes("p/knkectcxifjfix7tkbau7x7djravgu7jizeukus3jvhuirkmfzwhuna"), key),
                bytes("STALWART_SPAM_CLASSIFIER_MODEL.lz4"));
    CHECK_BYTES(key_of(bytes("knkectcxifjfix7tkbau7x7ukjausts3iraviqjonr0di"), key),
                bytes("STALWART_SPAM_TRAIN_DATA.lz4"));
}

static void other_names_are_none(void)
{
    static const char *const NAMES[] = {
        "",
        "foo",
        "aaqeayeaudaocajbifqydiob2ibceqtcqkrmfyydenbwha0dypq",  /* a letter less */
        "aaaqeayeaudaocajbifqydiob2ibceqtcqkrmfyydenbwha0dypr", /* bits beyond the last byte */
        "AAAQEAYEAUDAOCAJBIFQYDIOB2IBCEQTCQKRMFYYDENBWHA0DYPQ",
        "aaaqeayeaudaocajbifqydiob2ibceqtcqkrmfyydenbwha0dyp=",
        "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha0dypq",
        "aaaqeayeaudaocajbifqydiob2ibceqtcqkrmfyydenbwha0dypq.bak",
        "aaaqeayeaudaocajbifq/diob2ibceqtcqkrmfyydenbwha0dypq",
    };
    uint8_t key[STALWART_KEY_MOST];

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        CHECK_BYTES(key_of(slice_text(NAMES[i]), key), bytes("none"));
    CHECK_BYTES(key_of(bytes("aaaqeayeaudaocajbifqydiob2ibceqtcqkrmfyydenbwha0dyp\0"), key),
                bytes("none"));
}

int main(void)
{
    RUN(a_hash_comes_out_of_its_name_behind_any_prefix);
    RUN(the_two_that_are_texts_are_known);
    RUN(other_names_are_none);
    return check_report();
}
