/* MD5, for what memcached clients and twemproxy place by; nothing here is a secret.
 * Own code and not EVP: a 16-byte key takes 87 ns here, 150 ns with EVP_Digest() and a fetched
 * digest (108 ns with a context kept per thread, which a pure layer has no place for), and OpenSSL
 * in FIPS mode refuses MD5. */
#pragma once

#include <stdint.h>

#include "proxy/base/slice.h"

/* The digest as four numbers, each from four bytes, the lowest first. */
struct md5 {
    uint32_t words[4];
};

struct md5 md5_of(struct slice text);
