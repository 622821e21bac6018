#include "shard/hash.h"

#include "tests/unit/check.h"

static uint64_t hashed(const char *name, struct slice key)
{
    return shard_hash_find(name)->hash(key);
}

/* What twemproxy gives on x86, with a key of bytes above 0x7f last. */
static const char *const KEYS[] = { "foo", "a", "user:1000", "key:42", "\xc3\xa9\xff" };
static const struct {
    const char *name;
    uint32_t hashes[5];
} EXPECTED[] = {
    { "one_at_a_time", { 596015325u, 3392050242u, 3043211087u, 628705383u, 1992598225u } },
    { "md5", { 3675831724u, 3111502092u, 781738503u, 1258379561u, 2293405482u } },
    { "crc16", { 205303702u, 31879u, 3781445233u, 315279895u, 3915892401u } },
    { "crc32", { 3187u, 26807u, 8052u, 19989u, 15983u } },
    { "crc32a", { 2356372769u, 3904355907u, 2675185635u, 3457518368u, 1047468326u } },
    { "fnv1_64", { 1805727027u, 2248259518u, 3550362913u, 1021421874u, 2481107032u } },
    { "fnv1a_64", { 4275688823u, 2248273036u, 2927313545u, 847236720u, 3372903578u } },
    { "fnv1_32", { 1083137555u, 84696446u, 2796551329u, 3924938962u, 2789352632u } },
    { "fnv1a_32", { 2851307223u, 3826002220u, 1350311305u, 2963012080u, 1070405274u } },
    { "hsieh", { 1993659431u, 2472816263u, 3723237737u, 2273873140u, 896044814u } },
    { "murmur", { 3303027599u, 1262581116u, 2384768711u, 1476153612u, 2639789060u } },
    { "jenkins", { 2583187353u, 3768813200u, 76303748u, 563034188u, 3516467757u } },
};

static void the_twelve_of_twemproxy_are_as_on_x86(void)
{
    for (size_t i = 0; i < sizeof(EXPECTED) / sizeof(EXPECTED[0]); i++)
        for (size_t k = 0; k < 5; k++)
            CHECK_INT(hashed(EXPECTED[i].name, slice_text(KEYS[k])), EXPECTED[i].hashes[k]);
}

static void murmur3_is_as_in_libhashkit(void)
{
    CHECK_INT(hashed("murmur3", bytes("foo")), 2784297138);
    CHECK_INT(hashed("murmur3", bytes("a")), 2289228744);
    CHECK_INT(hashed("murmur3", bytes("user:1000")), 520229220);
    CHECK_INT(hashed("murmur3", bytes("key:42")), 3523631708);
}

static void xxh3_is_the_64_bit_one_without_seed(void)
{
    uint8_t zeros[32] = { 0 }, ones[32], ascending[32];

    for (int i = 0; i < 32; i++) {
        ones[i] = 0xff;
        ascending[i] = (uint8_t)i;
    }
    CHECK(hashed("xxh3", slice_of(zeros, 32)) == 0xa057271c9071c99d);
    CHECK(hashed("xxh3", slice_of(ones, 32)) == 0x36f6a79eeaf603f2);
    CHECK(hashed("xxh3", slice_of(ascending, 32)) == 0x3523581fe96e4c05);
    CHECK(hashed("xxh3", bytes("STALWART_SPAM_CLASSIFIER_MODEL.lz4")) == 0x438e686cc1e4299a);
    CHECK(hashed("xxh3", bytes("STALWART_SPAM_TRAIN_DATA.lz4")) == 0x5dce0e6d1dc5f0fd);
    CHECK(hashed("xxh3", bytes("\x15\0\0\0\0\0\0\0\1local\0\0\0")) == 0xf0aa4af196f6ac97);
    CHECK(hashed("xxh3", bytes("\x17\0\0\0\0\0\0\0\1")) == 0x2bf86e07cfee0334);
    CHECK(hashed("xxh3", bytes("\x10"
                               "a@example.orgb@example.net")) == 0x5f2b9bbebf57359c);
    CHECK(hashed("xxh3", bytes("\x05\xc0\0\2\1\0\0\0\0\0\0\0\1")) == 0x6c4d9f81cee21157);
    CHECK(hashed("xxh3", bytes("foo")) == 0xab6e5f64077e7d8a);
    CHECK(hashed("xxh3", bytes("")) == 0x2d06800538d394c2);
}

static void crc16_keeps_what_it_shifted_out_and_the_cluster_s_does_not(void)
{
    CHECK_INT(hashed("crc16_cluster", bytes("foo")), 205303702 & 0xffff);
    CHECK_INT(hashed("crc16_cluster", bytes("123456789")), 0x31c3);
}

static void the_first_byte_is_unsigned(void)
{
    CHECK_INT(hashed("first_byte", bytes("\xff\x01")), 255);
    CHECK_INT(hashed("first_byte", bytes("")), 0);
}

static void an_empty_key_is_zero_for_twemproxy_s(void)
{
    for (size_t i = 0; i < sizeof(EXPECTED) / sizeof(EXPECTED[0]); i++)
        CHECK_INT(hashed(EXPECTED[i].name, (struct slice){ 0 }), 0);
}

static void no_hash_is_wider_than_it_says(void)
{
    const struct shard_hash *hash;
    uint8_t key[300];

    for (size_t i = 0; (hash = shard_hash_at(i)) != NULL; i++) {
        uint64_t seen = 0;

        for (size_t len = 0; len < sizeof(key); len++) {
            key[0] = key[len] = (uint8_t)(len * 37 + i);
            seen |= hash->hash(slice_of(key, len));
        }
        CHECK_INT(hash->bits, 64 - __builtin_clzll(seen));
    }
}

static void each_is_found_by_its_name_and_nothing_else_is(void)
{
    size_t count = 0;

    for (; shard_hash_at(count) != NULL; count++)
        CHECK(shard_hash_find(shard_hash_at(count)->name) == shard_hash_at(count));
    CHECK_INT(count, 17);
    CHECK_TEXT(shard_hash_at(0)->name, "xxh3");
    CHECK(shard_hash_find("crc")->hash == shard_hash_find("crc32")->hash);
    CHECK(shard_hash_find("xxh") == NULL);
    CHECK(shard_hash_find("") == NULL);
    CHECK(shard_hash_find("XXH3") == NULL);
}

int main(void)
{
    RUN(the_twelve_of_twemproxy_are_as_on_x86);
    RUN(murmur3_is_as_in_libhashkit);
    RUN(xxh3_is_the_64_bit_one_without_seed);
    RUN(crc16_keeps_what_it_shifted_out_and_the_cluster_s_does_not);
    RUN(the_first_byte_is_unsigned);
    RUN(an_empty_key_is_zero_for_twemproxy_s);
    RUN(no_hash_is_wider_than_it_says);
    RUN(each_is_found_by_its_name_and_nothing_else_is);
    return check_report();
}
