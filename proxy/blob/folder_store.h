/* The inside of an opened folder, for the folder_*.c alone: its directories, its calls of the
 * system, and what they share. */
#pragma once

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "proxy/blob/folder.h"
#include "proxy/blob/folder_path.h"
#include "proxy/blob/folder_record.h"

enum {
    FOLDER_STRIPES = 64,
    FOLDER_ID_BYTES = 33, /* 32 digits and the terminator */
    FOLDER_TEMPORARY_BYTES = 32,
};

/* All is set by folder_open() and then only read, but for what is in `shared`. */
struct folder {
    struct folder_settings settings;
    char bucket[FOLDER_BUCKET_BYTES + 1]; /* the one of layout = stalwart */
    char *path;                           /* for the log */
    int root, own, side, uploads, tmp;    /* directories; `tmp` is this instance's, and locked */
    char instance[FOLDER_ID_BYTES];
    bool has_attributes, has_nameless, has_openat2, links_by_fd;
    void *md5; /* owned: EVP_MD, or NULL where it may not be used */
    struct {
        atomic_uint_fast64_t next_temporary;
        atomic_uint sweep_at;                    /* the directory of side files looked at next */
        atomic_ullong swept;                     /* files that sweeps removed */
        pthread_mutex_t stripes[FOLDER_STRIPES]; /* a key's writers, from condition to name */
    } shared;
};

/* ---- calls of the system, as tests may let them fail (folder_system.c) ---- */

/* What an errno means to a client.  Logs what is no everyday thing. */
enum folder_outcome folder_failed(const struct folder *f, const char *what, int error);

/* Opens what is below `at` and follows no symbolic link anywhere; -1 with errno. */
int folder_open_at(const struct folder *f, int at, const char *path, int flags);
/* The directory that is named by the first `len` bytes of a path, relative to f->root. */
int folder_open_directory(const struct folder *f, const char *path, size_t len);
/* Opens a directory, making it and those above it where they are missing.  Those above `keep` bytes
 * of the path must be there. */
int folder_make_directories(const struct folder *f, int at, const char *path, size_t keep);
int folder_write_all(const struct folder *f, int fd, const void *at, size_t len);
int folder_sync_file(const struct folder *f, int fd);      /* as the policy says */
int folder_sync_directory(const struct folder *f, int fd); /* as the policy says */
int folder_unlink(const struct folder *f, int at, const char *name);
int folder_rmdir(const struct folder *f, int at, const char *name);
int folder_mkdir(const struct folder *f, int at, const char *name);
int folder_rename(const struct folder *f, int from, const char *old, int to, const char *name);
/* Gives an open file without a name, or a temporary one, a name that must be free. */
int folder_link(const struct folder *f, int fd, const char *temporary, int to, const char *name);
bool folder_call_fails(const struct folder *f, enum folder_call call);

/* A new file to write: without a name if the file system can, else `name` in f->tmp. */
int folder_temporary(struct folder *f, char name[FOLDER_TEMPORARY_BYTES]);
void folder_next_temporary(struct folder *f, char name[FOLDER_TEMPORARY_BYTES]);
/* Writes a whole small file under a name, atomically: stamps, side files, uploads. */
enum folder_outcome folder_write_file(struct folder *f, int at, const char *name, struct slice text,
                                      bool replace);
/* Reads a small file; ERR_RANGE if it is larger than `most`. */
enum folder_outcome folder_read_file(const struct folder *f, int at, const char *name, size_t most,
                                     struct buf *out);
/* Reads the first `most` bytes of a file, or all of a shorter one. */
enum folder_outcome folder_read_front(const struct folder *f, int at, const char *name, size_t most,
                                      struct buf *out);
/* Removes a directory with what is in it, `levels` deep; false if not all of it went. */
bool folder_remove_tree(const struct folder *f, int at, const char *name, unsigned levels,
                        unsigned *most);
void folder_random_id(char out[FOLDER_ID_BYTES]);

/* ---- places (folder_place.c) ---- */

/* Where an object is, relative to f->root. */
struct folder_place {
    char path[FOLDER_PATH_BYTES];
    size_t len, name;        /* `name`: where the last name begins */
    size_t bucket;           /* bytes of the bucket's directory, with its '/' */
    pthread_mutex_t *stripe; /* borrowed from the folder */
};
enum folder_outcome folder_find_place(struct folder *f, struct slice bucket, struct slice key,
                                      struct folder_place *out);
/* The directory of a bucket relative to f->root, with a '/' unless it is the root itself. */
enum folder_outcome folder_bucket_path(const struct folder *f, struct slice bucket,
                                       char out[FOLDER_BUCKET_BYTES + 2], size_t *len);
/* Is a name that was not found missing with its bucket? */
enum folder_outcome folder_missing(const struct folder *f, struct slice bucket);
pthread_mutex_t *folder_stripe(struct folder *f, const char *path);

/* ---- metadata of an open file (folder_meta.c) ---- */

/* Opens the file at `path`, relative to `at`, with its metadata.  `where` is the same path relative
 * to f->root: side files are found by it where the file system has no attributes.  NO_SUCH_KEY if
 * it is not there or no file. */
enum folder_depth {
    FOLDER_DEPTH_LINE,  /* the first line of the record alone */
    FOLDER_DEPTH_PAIRS, /* and the pairs */
    FOLDER_DEPTH_PARTS, /* and its parts, which may be long */
};
enum folder_outcome folder_meta_open(const struct folder *f, int at, const char *path,
                                     const char *where, enum folder_depth depth, int *fd,
                                     struct folder_object *out);
/* Writes the record of a file that has its name (`is_named`) or gets it next, with the text of its
 * parts, and sets the record's time.  `side` is filled with the name of its side file, or "". */
enum folder_outcome folder_meta_store(struct folder *f, int fd, const char *path, bool is_named,
                                      struct folder_record *record, const struct folder_pair *pairs,
                                      size_t count, struct slice parts, char side[FOLDER_ID_BYTES]);
/* The name of the side file that an open file has, or "". */
void folder_meta_side(const struct folder *f, int fd, const char *path, char side[FOLDER_ID_BYTES]);
void folder_side_remove(const struct folder *f, const char *side);
/* Looks at one directory of side files and removes those of no object. */
unsigned folder_side_sweep(struct folder *f, unsigned directory, unsigned most);
