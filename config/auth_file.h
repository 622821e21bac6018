/* A file of users as PgBouncer has it:
 *
 *     "app" "SCRAM-SHA-256$4096:..."                  a verifier
 *     "old" "md5..."                                  md5 of password and name
 *     "web" "as it is, ""quotes"" doubled"            the password
 *     "bot" ""                                        none: a certificate or the system vouches
 *     ; or # begins a comment
 *
 * Further strings of a line are passed over: PgBouncer takes what pg_shadow says. */
#pragma once

#include <stdint.h>

#include "config/problem.h"
#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum {
    AUTH_NAME_BYTES = 128,    /* the longest name */
    AUTH_SECRET_BYTES = 2048, /* the longest secret */
};

struct auth_user {
    const char *name, *secret; /* secret NULL: none */
    struct place place;
};

/* In the order of the lines, each name once. */
struct auth_users {
    struct auth_user *list;
    uint32_t count;
};

/* Everything is in the arena.  `place` tells the file's name, and the order of problems; they never
 * show a secret.  `out` has what is right. */
void auth_file_parse(struct slice text, struct place place, struct arena *arena,
                     struct auth_users *out, struct problems *problems);

/* Whether a secret that begins as a SCRAM verifier is one; other secrets are right as they are.
 * `why` goes on behind "the secret". */
enum err auth_secret_check(const char *secret, struct buf *why) MUST_CHECK;
