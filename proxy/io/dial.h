/* A connection for threads that may block, each step with a deadline: the steward's probes and
 * tools use it, workers never.  dial_read() and dial_write() have the shape of a probe's stream. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/io/resolve.h"
#include "proxy/io/tls.h"

struct dial;

struct dial_options {
    const char *host; /* name or literal; NULL: unix_path is used */
    uint16_t port;
    const char *unix_path;
    struct resolver *resolver; /* borrowed; NULL: looked up on the spot, without a deadline */
    struct tls_context *tls;   /* borrowed; NULL: plain */
    const char *server_name;   /* for TLS; NULL: host */
    int cancel_fd;             /* borrowed; readable: waits end with ERR_TIMEOUT; 0: none */
};

/* Deadlines are of the monotonic clock.  Tries each address of the name.  ERR_RESOLVE, ERR_CONNECT,
 * ERR_TIMEOUT or ERR_TLS, with a sentence appended to `why`. */
MUST_CHECK enum err dial_open(const struct dial_options *options, uint64_t deadline_us,
                              struct dial **dial, struct buf *why);
void dial_close(struct dial **dial);
MUST_CHECK enum err dial_read(void *dial, void *at, size_t len, uint64_t deadline_us, size_t *got);
MUST_CHECK enum err dial_write(void *dial, const void *at, size_t len, uint64_t deadline_us,
                               size_t *put);
