/* What a folder store holds, in S3's order: keys by their bytes (a file system's own order is
 * another, and "a!" stands before "a/b", so a directory counts as its name with '/').
 *
 * A page reads only the directories that hold its keys, each in one pass, and keeps of a directory
 * only the next names in order (a window; a larger directory is read again when its window is used
 * up).  So a list holds at most 2 MiB of names, and 16 MiB if a thousand directories inside each
 * other are all full; what a directory of a million entries costs is one reading of it, half a
 * second, for each page.  `after` finds its place without the directories that are past.
 *
 * All keys of a bucket, as `sheaf verify` wants them: pages with `keys_alone`, each `after` the
 * last key of the one before, today or tomorrow. */
#pragma once

#include "proxy/blob/folder.h"

enum {
    FOLDER_LIST_KEYS = 1000 /* in a page, at most */
};

struct folder_list_request {
    struct slice prefix, delimiter, after; /* borrowed for the call; empty: none */
    size_t most;                           /* keys and prefixes together; cut to FOLDER_LIST_KEYS */
    bool keys_alone;                       /* sizes, times and ETags are not wanted */
};

struct folder_list_entry {
    struct slice name; /* in the page: a key, or a common prefix */
    bool is_prefix;
    uint64_t size;
    int64_t modified_us;
    char etag[FOLDER_ETAG_BYTES];
};

struct folder_page {
    struct folder_list_entry *entries; /* owned */
    size_t count;
    bool more;       /* go on with the last name as `after` */
    struct buf text; /* the names */
};

/* Entries greater than `after`, by S3's rules: a prefix that is not greater than it is left out. */
MUST_CHECK enum folder_outcome folder_list(struct folder *folder, struct slice bucket,
                                           const struct folder_list_request *request,
                                           struct folder_page *out);
void folder_page_fini(struct folder_page *page);
