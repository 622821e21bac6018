/* What the services that hand out temporary keys answer: JSON (an instance's metadata, containers'
 * agents), or XML (STS).  Pure; bytes may be anything. */
#pragma once

#include <stdint.h>

#include "config/aws_keys.h"

enum { KEYS_ANSWER_MOST = 64 * 1024 };

/* All: `keys` and `ends_s` (since 1970; INT64_MAX: never) are untouched on failure, and `why` says
 * what was wrong, without secrets. */
enum err keys_answer_json(struct slice text, struct aws_keys *keys, int64_t *ends_s,
                          struct buf *why) MUST_CHECK;
/* AssumeRoleWithWebIdentity's, errors too. */
enum err keys_answer_xml(struct slice text, struct aws_keys *keys, int64_t *ends_s, struct buf *why)
    MUST_CHECK;
