/* Access keys as AWS's tools have them: in a file (~/.aws/credentials) or in the environment.
 *
 *     [default]
 *     aws_access_key_id = AKIA...
 *     aws_secret_access_key = ...
 *     aws_session_token = ...            only with temporary ones
 *
 * Of a file it is the profile "default" that counts, or what stands before any "[". */
#pragma once

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum {
    AWS_KEYS_ID_MOST = 128,
    AWS_KEYS_SECRET_MOST = 128,
    AWS_KEYS_TOKEN_MOST = 4096,
    AWS_KEYS_FILE_MOST = 65536,
};

struct aws_keys {
    char id[AWS_KEYS_ID_MOST + 1], secret[AWS_KEYS_SECRET_MOST + 1];
    char token[AWS_KEYS_TOKEN_MOST + 1]; /* "": none */
};

/* All: `out` is untouched on failure, and `why` says what was wrong, without secrets. */
enum err aws_keys_parse(struct slice text, struct aws_keys *out, struct buf *why) MUST_CHECK;
enum err aws_keys_read(const char *file, struct aws_keys *out, struct buf *why) MUST_CHECK;
/* As a service handed them out; an empty token: there is none. */
enum err aws_keys_of_texts(struct slice id, struct slice secret, struct slice token,
                           struct aws_keys *out, struct buf *why) MUST_CHECK;
/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. */
enum err aws_keys_of_environment(struct aws_keys *out, struct buf *why) MUST_CHECK;
