/* Many replies into one, by the table's kinds of merge.  What merges read stands in the note. */
#pragma once

#include "proxy/memory/redis_front.h"
#include "shard/split.h"

struct redis_note {
    const struct redis_command *cmd;
    enum resp_version version;
    bool hide_stamp;              /* the elements are keys, and one of them may be it */
    const struct slice *prefixes; /* and only such keys are shown; in the arena */
    uint32_t prefix_count;        /* 0: all are */
    struct split split;           /* BY_KEY */
    uint32_t key_count;
    uint32_t shard, round; /* of those that ask several times */
    struct slice words[4]; /* what they ask with, in the arena */
};

struct redis_note *redis_note_new(struct redis_call *call);

/* The merge for a command of the table; never NULL. */
memory_merge_f *redis_merge_of(enum redis_merge kind);

/* If a part failed or its server answered with an error: writes that error and returns true.  It
 * tells what of a write was done in spite of it. */
bool redis_merge_failed(struct memory_merge *m);

/* The error for replies that no server of ours gives. */
void redis_merge_out_of_step(struct memory_merge *m);
/* Leaves out the stamp's key, if the note says so, and those that the note's prefixes do not cover;
 * returns how many are left. */
size_t redis_merge_drop_hidden(const struct redis_note *note, struct slice *elements, size_t count);

/* Is the part's shard still there?  The pool may have been reloaded since it was planned; then
 * there is no other round. */
bool redis_merge_has_shard(const struct memory_merge *m, uint32_t part);

/* The only part's shard has failed: has the next one asked, with note->words[0].  False: all were
 * asked. */
bool redis_merge_next_shard(struct memory_merge *m, struct redis_note *note);

/* Forwards the only part's reply. */
void redis_merge_one(struct memory_merge *m);
void redis_merge_info(struct memory_merge *m);  /* redis_info.c */
void redis_merge_texts(struct memory_merge *m); /* redis_tell.c */
void redis_merge_histograms(struct memory_merge *m);
void redis_merge_running(struct memory_merge *m);
