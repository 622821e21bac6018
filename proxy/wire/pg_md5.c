/* See pg_md5.h.  OpenSSL's older functions: EVP refuses MD5 in FIPS mode. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "proxy/wire/pg_md5.h"

#include <openssl/crypto.h>
#include <openssl/md5.h>

static struct pg_md5 digest(struct slice a, struct slice b)
{
    static const char DIGITS[] = "0123456789abcdef";
    struct pg_md5 out = { "md5" };
    uint8_t sum[MD5_DIGEST_LENGTH];
    MD5_CTX md5;

    MD5_Init(&md5);
    MD5_Update(&md5, a.at, a.len);
    MD5_Update(&md5, b.at, b.len);
    MD5_Final(sum, &md5);
    for (size_t i = 0; i < sizeof(sum); i++) {
        out.text[3 + 2 * i] = DIGITS[sum[i] >> 4];
        out.text[4 + 2 * i] = DIGITS[sum[i] & 15];
    }
    out.text[PG_MD5_BYTES] = '\0';
    OPENSSL_cleanse(sum, sizeof(sum));
    OPENSSL_cleanse(&md5, sizeof(md5));
    return out;
}

bool pg_md5_is_hash(struct slice text)
{
    if (text.len != PG_MD5_BYTES || memcmp(text.at, "md5", 3) != 0)
        return false;
    for (size_t i = 3; i < text.len; i++)
        if ((text.at[i] < '0' || text.at[i] > '9') && (text.at[i] < 'a' || text.at[i] > 'f'))
            return false;
    return true;
}

struct pg_md5 pg_md5_of_password(struct slice password, struct slice user)
{
    return digest(password, user);
}

struct pg_md5 pg_md5_answer(struct slice hash, const uint8_t salt[4])
{
    return digest(slice_from(hash, 3), slice_of(salt, 4));
}

bool pg_md5_is(struct slice text, const struct pg_md5 *expected)
{
    return text.len == PG_MD5_BYTES && CRYPTO_memcmp(text.at, expected->text, PG_MD5_BYTES) == 0;
}
