/* Collects the next names of a directory in order, for folder_walk.c alone. */
#pragma once

#include "proxy/blob/folder_walk.h"

/* What a level asks of its directory, and how much it may keep. */
struct folder_collect {
    struct folder_walk *walk;
    struct folder_walk_level *level;
    struct folder_window *window;
    size_t bytes, most;         /* the window's limits */
    struct slice after, prefix; /* what of them is left for names here */
    bool has_after;
    size_t cut; /* so many entries are in order; what lies past them is dropped */
};

/* Fills the level's window with the first names past its floor. */
enum folder_outcome folder_window_load(struct folder_walk *walk, struct folder_walk_level *level,
                                       size_t bytes, size_t most);
void folder_window_fini(struct folder_window *window);
/* Takes an object's name: its part of the key, and its path from the level's directory on. */
void folder_collect_object(struct folder_collect *c, struct slice key, struct slice path);
/* Is a range of names of any use?  `least` and `last` begin them. */
bool folder_collect_range(struct folder_collect *c, struct slice least, struct slice last);
/* Reads the folder of `layout = stalwart` (folder_stalwart.c). */
enum folder_outcome folder_stalwart_collect(struct folder_collect *c);

/* Directories are read through a buffer of the caller's; -1 with errno, 0 at the end. */
enum folder_outcome folder_read_names(const struct folder *f, const char *path,
                                      void (*take)(void *state, const char *name,
                                                   unsigned char type),
                                      void *state);
