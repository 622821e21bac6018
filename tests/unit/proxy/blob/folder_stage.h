/* What tests of the folder store share: a real folder of their own, and short ways to put and get.
 * */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "proxy/blob/folder_list.h"
#include "proxy/blob/folder_upload.h"
#include "tests/unit/check.h"

#define B bytes("bucket")

/* A folder and a store that has it open, with one bucket. */
struct stage {
    char path[64];
    struct folder *folder;
    struct folder_settings settings;
};

static inline void stage_open(struct stage *s)
{
    struct buf why = { 0 };

    if (folder_open(s->path, &s->settings, &s->folder, &why) != ERR_NONE)
        printf("%.*s\n", (int)why.len, (const char *)why.at);
    buf_fini(&why);
}

/* Where tests run that are about a disk's file system; TMPDIR chooses another one. */
static inline const char *stage_disk(void)
{
    const char *place = getenv("TMPDIR");

    return place != NULL ? place : "/tmp";
}

/* Where tests of many small steps run: in memory, if that can do what a disk can. */
static inline const char *stage_memory(void)
{
    int fd = getenv("TMPDIR") != NULL ? -1 : open("/dev/shm", O_TMPFILE | O_RDWR, 0600);
    bool can = fd >= 0 && fsetxattr(fd, "user.sheaf", "1", 1, 0) == 0;

    if (fd >= 0)
        close(fd);
    return can ? "/dev/shm" : stage_disk();
}

static const char *stage_place; /* NULL: the disk */

static inline struct stage stage_new(struct folder_settings settings)
{
    struct stage s = { .settings = settings };

    snprintf(s.path, sizeof(s.path), "%s/sheaf-folder-XXXXXX",
             stage_place == NULL ? stage_disk() : stage_place);
    CHECK(mkdtemp(s.path) != NULL);
    stage_open(&s);
    if (settings.layout == FOLDER_LAYOUT_KEYS)
        CHECK_INT(folder_bucket_create(s.folder, B), FOLDER_OK);
    return s;
}

/* Most tests are not about the disk: they do not wait for it. */
static inline struct stage stage_fast(void)
{
    return stage_new((struct folder_settings){ .sync = FOLDER_SYNC_NEVER });
}

static inline int stage_remove_one(const char *path, const struct stat *stat, int type,
                                   struct FTW *walk)
{
    (void)stat, (void)type, (void)walk;
    return remove(path);
}

static inline void stage_remove(const char *path)
{
    nftw(path, stage_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void stage_end(struct stage *s)
{
    if (s->folder != NULL)
        folder_close(&s->folder);
    stage_remove(s->path);
}

static inline enum folder_outcome stage_put_with(struct stage *s, struct slice key,
                                                 struct slice value,
                                                 const struct folder_commit *commit)
{
    struct folder_written written;
    struct folder_put *put = NULL;
    enum folder_outcome outcome = folder_put_begin(s->folder, B, key, value.len, &put);

    if (outcome != FOLDER_OK)
        return outcome;
    outcome = folder_put_write(put, value);
    if (outcome != FOLDER_OK) {
        folder_put_abort(&put);
        return outcome;
    }
    return folder_put_commit(&put, commit, &written);
}

static inline enum folder_outcome stage_put(struct stage *s, struct slice key, struct slice value)
{
    return stage_put_with(s, key, value, &(struct folder_commit){ .size = value.len });
}

/* What is under a key, or the outcome's name; valid until the next call. */
static inline struct slice stage_get(struct stage *s, struct slice key)
{
    static uint8_t bytes[1 << 16];
    struct folder_reader reader;
    size_t got = 0;
    enum folder_outcome outcome = folder_get(s->folder, B, key, &reader);

    if (outcome == FOLDER_OK) {
        outcome = folder_read(s->folder, &reader, 0, bytes, sizeof(bytes), &got);
        folder_reader_close(&reader);
    }
    return outcome == FOLDER_OK ? slice_of(bytes, got)
                                : slice_text(folder_outcome_words(outcome)->code);
}

static inline bool stage_has_file(const struct stage *s, const char *path)
{
    char whole[4400];
    struct stat stat;

    snprintf(whole, sizeof(whole), "%s/%s", s->path, path);
    return lstat(whole, &stat) == 0;
}

/* To be written past the store. */
static inline int stage_open_file(const struct stage *s, const char *path)
{
    char whole[4400];

    snprintf(whole, sizeof(whole), "%s/%s", s->path, path);
    return open(whole, O_RDWR);
}

static int stage_files, stage_entries;

static inline int stage_count_one(const char *path, const struct stat *stat, int type,
                                  struct FTW *walk)
{
    (void)path, (void)type;
    stage_files += S_ISREG(stat->st_mode);
    stage_entries += walk->level > 0;
    return 0;
}

/* What is below a directory of the folder: stage_files and stage_entries. */
static inline void stage_count(const struct stage *s, const char *path)
{
    char whole[256];

    stage_files = stage_entries = 0;
    snprintf(whole, sizeof(whole), "%s/%s", s->path, path);
    nftw(whole, stage_count_one, 16, FTW_PHYS);
}
