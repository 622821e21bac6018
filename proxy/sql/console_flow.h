/* The insides of the console, shared by its files:
 *
 *     console_flow.c          a console's session: its protocol, simple and extended
 *     console_ask_flow.c      commands: letters to all workers, what is waited for, the answer
 *     console_rows_flow.c     rows of sessions, upstreams, pools, databases, users
 *     console_figures_flow.c  rows of figures: stats, verdicts, configuration
 *
 * What is shown of a worker is gathered in its own thread, by a letter that goes around:
 *
 *     console_ask() --> visit in each worker, by number --> come_home in the asking one
 *
 * A console waits for one letter at a time, and for so long reads nothing. */
#pragma once

#include "proxy/sql/console_command.h"
#include "proxy/sql/console_table.h"
#include "proxy/sql/sql_flow.h"

enum {
    CONSOLE_NAMES_MOST = 64,              /* statements and portals of a console */
    CONSOLE_MESSAGE_BYTES = 16 * 1024,    /* that it takes */
    CONSOLE_ROWS_BYTES = 8 * 1024 * 1024, /* of an answer; more are left out, and it is told */
    CONSOLE_WAIT_US = 10 * 1000 * 1000,   /* for all workers */
};

/* A prepared statement, or a portal. */
struct console_name {
    struct console_name *next;
    char *name; /* owned */
    struct console_command command;
    struct console_formats formats; /* of a portal */
};

struct sql_console {
    struct list link; /* on side->consoles while it waits */
    struct sql_session *session;
    char *user; /* owned */
    struct console_name *statements, *portals;
    uint32_t name_count;
    bool in_transaction; /* as drivers believe */
    bool skips;          /* after an error, until Sync */
    /* What is under way. */
    bool is_simple;
    bool waits, polls; /* polls: it asks again until nothing is left */
    uint64_t number;   /* of the letter; 0: none is out */
    uint64_t letters;  /* sent so far */
    uint64_t asked_us;
    struct console_command command;
    struct console_formats formats;
};

/* What a worker is asked for. */
struct console_letter {
    uint64_t number; /* of the asking console */
    uint32_t asker;  /* index of its worker */
    char *pool;      /* owned */
    struct console_command command;
    enum console_table_number table; /* of SHOW */
    bool polls;                      /* only counts */
    bool cut;                        /* there would have been more rows */
    uint64_t count;                  /* of what is left, or was found */
    struct buf rows;
};

/* console_flow.c: what it offers to the others, and to these files */
bool sql_console_is(const struct sql_side *side, const char *database);
/* A session that came in to the console: it is welcome, or hears why not. */
void sql_console_begin(struct sql_session *s, const char *user);
size_t sql_console_input(struct sql_session *s, struct slice in);
void sql_console_free(struct sql_session *s);
void sql_consoles_tick(struct sql_side *side, uint64_t now_us);
void console_error(struct sql_console *c, const char *sqlstate, const char *hint,
                   const char *format, ...) PRINTF_LIKE(4, 5);
/* The command is done: the tag, and what a simple Query ends with. */
void console_complete(struct sql_console *c, const char *tag);

/* console_ask_flow.c */
/* Carries it out, or begins to: c->waits then. */
void console_run(struct sql_console *c, const struct console_command *command,
                 const struct console_formats *formats);
/* The columns that it will answer with; NULL: none. */
const struct console_table *console_shows(const struct console_command *command);

/* console_rows_flow.c, console_figures_flow.c: what a side has of a table, behind letter->rows. */
void console_put_rows(struct sql_side *side, struct console_letter *letter);
bool console_put_figures(struct sql_side *side, struct console_letter *letter);
/* False: no more rows are wanted. */
bool console_row_is_room(struct console_letter *letter);
