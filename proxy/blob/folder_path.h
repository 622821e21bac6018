/* Where a key's file is.  A key is cut at each '/'; all but the last segment name directories, the
 * last one names a file.  A directory's name ends in '+', a file's never does, so that `a` and
 * `a/b` are both there: files `a` and `a+/b`.  A plain segment is its own name; else
 *
 *     %XX        stands for '%', control bytes, a '.' that begins a name, a '+' that ends one
 *     %          is the empty segment: `a//b/` is the file a+/%+/b+/%
 *     abc...%~/  is the beginning of a segment too long for one name, which goes on inside
 *
 * So each key has one path, no two have the same, no path leaves its bucket, and no name begins
 * with '.': those are ours (.sheaf), or of tools that hide their files.  A file whose path is not
 * the one of its key (somebody put it there) is no object and in no list.
 *
 * The longest path of a key of 1024 bytes has 3113 bytes, and at most 1024 directories.
 *
 * In `layout = stalwart` a key is a name in that server's base 32 and lies in directories named by
 * the first bytes that it stands for, in hexadecimal without zeros in front. */
#pragma once

#include "proxy/blob/folder.h"

enum {
    FOLDER_NAME_BYTES = 250, /* of a name before its mark; file systems allow 255 with it */
    FOLDER_PATH_BYTES = 4096,
};

/* Writes the path, relative to the bucket's directory, and terminates it.  KEY_TOO_LONG, or
 * KEY_REFUSED for an empty key and one with a zero byte. */
MUST_CHECK enum folder_outcome folder_path_of_key(struct slice key, char path[FOLDER_PATH_BYTES],
                                                  size_t *len);
/* The key of a path that folder_path_of_key() can make; false for any other. */
bool folder_path_to_key(const char *path, uint8_t key[FOLDER_KEY_BYTES], size_t *len);

enum folder_name_kind {
    FOLDER_NAME_FILE,
    FOLDER_NAME_DIRECTORY, /* a segment that ends with this name */
    FOLDER_NAME_BEGINNING, /* a segment that goes on inside */
};
/* What one name of a path stands for, without asking whether it is the only way to write that;
 * false if it is no name of ours.  `out` needs no more bytes than the name has. */
bool folder_name_read(const char *name, enum folder_name_kind *kind, uint8_t *out, size_t *len);
/* The directory of all keys that begin with `prefix`, as far as its last '/': a path that ends in
 * '/', or "".  `used` bytes of the prefix are in it. */
MUST_CHECK enum folder_outcome folder_path_of_prefix(struct slice prefix,
                                                     char path[FOLDER_PATH_BYTES], size_t *len,
                                                     size_t *used);

bool folder_bucket_is_valid(struct slice bucket);

/* KEY_REFUSED for what is no name of that server's. */
MUST_CHECK enum folder_outcome folder_stalwart_path(struct slice key, unsigned depth,
                                                    char path[FOLDER_PATH_BYTES], size_t *len);
/* The bytes that a name stands for, at most `most`; false if it is none, or not the only way to
 * write them. */
bool folder_stalwart_read(struct slice name, uint8_t *out, size_t most, size_t *len);
