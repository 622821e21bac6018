/* The end of a turn: all that it queued is written, by one system call where the worker has a
 * ring. */
#pragma once

struct list;
struct worker;

/* Upstreams (by `flush`) and sessions (by `due`) that may have something to write; the lists are
 * empty then. */
void turn_output(struct worker *w, struct list *upstreams, struct list *sessions);
