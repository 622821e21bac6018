/* Asks the usual services for temporary keys, on a thread that may block, with libcurl.  Which one
 * is said by the environment, as for AWS's own tools; the first of these that is there:
 *
 *     AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN     STS, AssumeRoleWithWebIdentity
 *     AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, _FULL_URI    the agent of the container's host
 *     else                                             the instance's metadata (IMDSv2, or v1) */
#pragma once

#include <stdint.h>

#include "config/aws_keys.h"

struct keys_fetch;

/* Reads the environment.  NULL: libcurl does not start.  Not of two threads at once. */
struct keys_fetch *keys_fetch_new(void);
void keys_fetch_free(struct keys_fetch **where);
/* What is asked, for people: a URL without secrets. */
const char *keys_fetch_name(const struct keys_fetch *f);
/* Blocks for some seconds at most.  As in steward_keys_answer.h. */
enum err keys_fetch_ask(struct keys_fetch *f, struct aws_keys *keys, int64_t *ends_s,
                        struct buf *why) MUST_CHECK;
/* From another thread: what is being asked, and all that is asked from now on, fails at once. */
void keys_fetch_cancel(struct keys_fetch *f);
