#include "proxy/core/keyring.h"

#include <pthread.h>

#include "tests/unit/check.h"

enum { ROUNDS = 2000 };

static void new_keys_are_a_new_version_and_the_same_are_not(void)
{
    struct aws_keys keys = { .id = "a", .secret = "s" };
    struct keyring *ring = keyring_new(&keys), *other = keyring_new(&keys);
    struct keyring_copy copy = { 0 };
    uint64_t first = keyring_version(ring);

    CHECK(first != 0 && first != keyring_version(other));
    CHECK(!keyring_put(ring, &keys));
    CHECK(keyring_version(ring) == first);
    keys.token[0] = 't';
    CHECK(keyring_put(ring, &keys));
    CHECK(keyring_version(ring) != first);
    keyring_copy(ring, &copy);
    CHECK(copy.version == keyring_version(ring));
    CHECK_TEXT(copy.keys.id, "a");
    CHECK_TEXT(copy.keys.token, "t");
    keyring_free(&ring);
    keyring_free(&other);
    CHECK(ring == NULL);
}

static void *put_many(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct aws_keys keys = { 0 };

        snprintf(keys.id, sizeof(keys.id), "%d", i);
        snprintf(keys.secret, sizeof(keys.secret), "%d", i);
        keyring_put(arg, &keys);
    }
    return NULL;
}

static void a_copy_is_of_one_writing(void)
{
    struct aws_keys keys = { .id = "0", .secret = "0" };
    struct keyring *ring = keyring_new(&keys);
    struct keyring_copy copy = { 0 };
    pthread_t writer;

    CHECK_INT(pthread_create(&writer, NULL, put_many, ring), 0);
    for (int i = 0; i < ROUNDS; i++) {
        if (keyring_version(ring) != copy.version)
            keyring_copy(ring, &copy);
        CHECK_TEXT(copy.keys.id, copy.keys.secret);
    }
    pthread_join(writer, NULL);
    keyring_free(&ring);
}

int main(void)
{
    RUN(new_keys_are_a_new_version_and_the_same_are_not);
    RUN(a_copy_is_of_one_writing);
    return check_report();
}
