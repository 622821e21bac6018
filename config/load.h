/* From a file to a snapshot, or to a list of all that is wrong with it; and back to text.
 *
 *     struct snapshot *snapshot;
 *     struct problems problems = { 0 };
 *     if (config_load("sheaf.ini", &vocabulary, &snapshot, &problems) == ERR_NONE)
 *         ...
 *     problems_print(&problems, stderr);       warnings are there even if it succeeded
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "config/problem.h"
#include "config/snapshot.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"

/* A scheme of URLs.  "+unix" at the end takes a path for a host; TLS comes from the table. */
struct config_scheme {
    const char *name;     /* "redis", "rediss", "redis+unix" */
    const char *protocol; /* "redis" */
    uint16_t port;        /* when the URL has none */
    bool tls;
    enum pool_kind kind; /* whose lines may have it */
};

/* Checks what only other layers know of a pool that is right otherwise.  On failure `why` holds one
 * sentence; on success a line for each thing that is allowed but hardly meant: a warning. */
typedef enum err config_check_pool_f(const struct pool_settings *pool, struct buf *why);
/* The same of the files that TLS is to use, by a listener or by a shard. */
typedef enum err config_check_tls_f(const struct tls_settings *tls, bool listens, struct buf *why);

/* The words that the configuration is told, because it may not ask the layers that know them. */
struct config_vocabulary {
    const char *const *hashes, *const *distributions; /* NULL-terminated */
    const struct config_scheme *fronts, *backs; /* what listens, what is a shard; end: no name */
    config_check_pool_f *check_pool;            /* NULL: nothing more to check */
    config_check_tls_f *check_tls;              /* likewise */
};

/* ERR_CONFIG and the problems, all of them in the order of the lines; or a snapshot,
 * and perhaps warnings. */
enum err config_load(const char *file, const struct config_vocabulary *vocabulary,
                     struct snapshot **out, struct problems *problems) MUST_CHECK;
/* The same from text, called `name` in problems.  Opens no file: includes are refused, and that TLS
 * files exist is not checked. */
enum err config_load_text(const char *name, const char *text,
                          const struct config_vocabulary *vocabulary, struct snapshot **out,
                          struct problems *problems) MUST_CHECK;

/* The effective configuration as a file that loads again: passwords are ***, options that have
 * their default are comments. */
void config_check_print(const struct snapshot *s, FILE *out);

/* Every section, option, range, default and description, as Markdown tables. */
void config_document(const struct config_vocabulary *vocabulary, FILE *out);
