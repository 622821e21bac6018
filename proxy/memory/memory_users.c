/* See memory_users.h. */
#include "proxy/memory/memory_users.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

const struct user_settings *memory_user_find(const struct memory_pool *pool, struct slice name)
{
    for (uint32_t i = 0; i < pool->user_count; i++)
        if (slice_is_text(name, pool->users[i].name))
            return &pool->users[i];
    return NULL;
}

/* All passwords are compared, and one also when there is no such user: time tells nothing. */
bool memory_user_password_is_right(const struct user_settings *user, struct slice password)
{
    static const struct user_password NONE = { .text = "" };
    const struct user_password *passwords = user == NULL ? &NONE : user->passwords;
    uint32_t count = user == NULL ? 1 : user->password_count;
    uint8_t given[SHA256_DIGEST_LENGTH], known[SHA256_DIGEST_LENGTH];
    bool right = false;

    SHA256(password.at, password.len, given);
    for (uint32_t i = 0; i < count; i++) {
        if (passwords[i].text != NULL)
            SHA256((const uint8_t *)passwords[i].text, strlen(passwords[i].text), known);
        else
            memcpy(known, passwords[i].sha256, sizeof(known));
        right |= CRYPTO_memcmp(given, known, sizeof(known)) == 0;
    }
    OPENSSL_cleanse(given, sizeof(given));
    return user != NULL && (right || user->nopass);
}

bool memory_user_may_touch(const struct user_settings *user, struct slice key)
{
    if (user == NULL || user->key_prefix_count == 0)
        return true;
    for (uint32_t i = 0; i < user->key_prefix_count; i++)
        if (slice_starts(key, user->key_prefixes[i]))
            return true;
    return false;
}

bool memory_user_is_free(const struct user_settings *user)
{
    return user == NULL ||
           (user->key_prefix_count == 0 && user->allow_count == 0 && user->deny_count == 0);
}
