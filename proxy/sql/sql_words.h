/* How statements that clients prepare, execute and forget are said to servers; part of sql_flow.h.
 */
#pragma once

#include "proxy/sql/sql_flow.h"

/* Does the server know statements by the client's own names? */
static inline bool sql_has_own_names(const struct sql_session *s)
{
    return s->own_names || s->pins & (PG_PIN_SQL_PREPARE | PG_PIN_STATEMENTS_LIMIT);
}

/* message_flow.c */
/* The message as it came; what is not there yet streams by. */
size_t sql_message_pass(struct sql_session *s, struct slice in, struct pg_frame f);
/* Of an exchange that may be asked again elsewhere. */
void sql_message_keep(struct sql_upstream *u, struct slice bytes);
/* What it does is not known. */
void sql_message_is_opaque(struct sql_session *s);
/* What ends an exchange, and so tells what that may do.  False: too much is under way. */
bool sql_message_expect_end(struct sql_session *s, struct pg_expected end);

/* Expects the answer about a statement, whose words are to have this name of the session's. */
bool sql_message_expect_named(struct sql_session *s, enum pg_expect_kind kind, uint16_t note,
                              struct slice name, struct pg_statement *subject);

/* sequence_flow.c */
/* currval() tells of what its session has used: what others have is forgotten first.  False: it
 * waits for that.  It stays where the session may have used some since, for that would go, too. */
bool sql_sequences_are_own(struct sql_session *s, const struct statement_verdict *v);

/* query_flow.c: as sql_message_forward() */
size_t sql_query_forward(struct sql_session *s, struct slice in, struct pg_frame f,
                         const struct sql_class *class);

/* parse_flow.c */
size_t sql_parse_forward(struct sql_session *s, struct slice in, struct pg_frame f);

/* prepared_flow.c */
enum sql_prepared { SQL_PREPARED, SQL_PREPARE_IT, SQL_PREPARED_LATER };
/* Is it there?  If not, room was made for it, and its Parse is to be sent. */
enum sql_prepared sql_prepared_there(struct sql_session *s, struct pg_statement *st);
/* False: it must wait. */
bool sql_prepared_ensure(struct sql_session *s, struct pg_statement *st, bool unnamed);
/* The same for a Query. */
bool sql_statement_ensure(struct sql_session *s, struct pg_statement *st);
/* The same, but its preparation is the caller's to send, if *must_send. */
bool sql_statement_room(struct sql_session *s, struct pg_statement *st, bool *must_send);
/* Appends a Close of it; false: it must wait. */
bool sql_statement_put_close(struct sql_session *s, const struct pg_statement *st, struct buf *out);
/* What became of that, or of another. */
void sql_prepared_settle_close(struct sql_upstream *u, const struct pg_expected *e,
                               enum pg_outcome outcome);
/* The server took a statement by the name of one that it should have had: code has made it forget
 * that.  What it has by those names is not known. */
void sql_prepared_is_another(struct sql_upstream *u);
/* The server forgets it, for a Query that comes next. */
bool sql_statement_close(struct sql_session *s, struct pg_statement *st);
MUST_CHECK enum err sql_statement_intern_sql(struct sql_session *s, struct slice text,
                                             const struct statement *inner,
                                             struct pg_statement **out);

/* result_flow.c */
void sql_note_free(void *note);
/* The answer to a Describe, before anything else is made of it. */
void sql_result_frame(struct sql_upstream *u, const struct pg_expected *whose, struct slice rest,
                      struct pg_frame f);
/* As that told, or else as the client wrote them. */
struct slice sql_result_known_types(const struct pg_statement *st);
/* It has none, as is known; and what a server says of such a statement. */
bool sql_result_is_none(const struct pg_statement *st);
void sql_result_put_none(const struct pg_statement *st, struct buf *out);
/* Appends a Describe whose answer tells; false: it must wait. */
bool sql_result_ask(struct sql_session *s, struct pg_statement *st, struct slice name,
                    uint16_t note, struct buf *out);
/* Must the answer be seen before a statement of this session is used where it was just prepared? */
bool sql_result_is_due(const struct sql_session *s, const struct pg_statement *st);
bool sql_result_is_changed(const struct sql_session *s, const struct pg_statement *st);
/* A client's name for a statement that is not his, and could be one of ours: no server shall hear
 * it.  What the server is told instead, and will speak of. */
struct slice sql_nobody(struct sql_session *s, struct slice name);
/* What the server said of it, about the client's name. */
void sql_nobody_reword(const struct sql_session *s, struct buf *message);
/* A Bind or Describe of that.  False: it must wait. */
bool sql_nobody_ask(struct sql_session *s, struct slice name, enum pg_expect_kind kind);
/* In place of a Bind or Describe.  False: it must wait. */
bool sql_result_refuse(struct sql_session *s, struct pg_statement *st, enum pg_expect_kind kind);
/* The error that comes of it, in the words that the client is to hear; *out goes before it. */
void sql_result_reword(const struct pg_expected *whose, struct pg_report *report, struct buf *out);
/* A Bind of it was answered with an error. */
void sql_result_is_stale(struct sql_upstream *u, struct pg_statement *st,
                         const struct pg_report *report);

/* edit_flow.c */
enum sql_edit_end { /* of what the client is told of a CommandComplete */
                    SQL_EDIT_KEEP,
                    SQL_EDIT_RESTORED, /* that; what follows puts it right */
                    SQL_EDIT_SWALLOW,  /* nothing, nor of the rows before it */
                    SQL_EDIT_TAGS,     /* and enum sql_tag: that tag */
};
enum { SQL_PLACE_BYTES = 12 };
struct sql_edit {
    const struct sql_class *class; /* borrowed; NULL: of no text */
    struct buf *out;               /* borrowed: what the server is given */
    struct sql_edits *edits;
    uint32_t here, there; /* how far it is, in the one and in the other */
    size_t copied;
};
void sql_edit_begin(struct sql_session *s, struct sql_edit *edit, const struct sql_class *class,
                    struct buf *out);
/* A part of what was read, behind those that were replaced before. */
void sql_edit_replace(struct sql_edit *edit, struct slice old, struct slice with);
/* How the next statement ends. */
void sql_edit_end_with(struct sql_edit *edit, enum sql_edit_end end);
/* And gives the session a statement. */
void sql_edit_define(struct sql_edit *edit, struct slice name, struct pg_statement *st,
                     bool is_sent);
/* The same, if it does not fail as it should: the server has another of that name. */
void sql_edit_define_again(struct sql_edit *edit, struct slice name, struct pg_statement *st);
/* What the statement noted last was about, by the session's own name. */
void sql_edit_name(struct sql_edit *edit, struct slice name);
bool sql_edit_is_any(const struct sql_edit *edit);
void sql_edit_end(struct sql_edit *edit);
void sql_edits_free(struct sql_session *s, struct sql_edits **where);
bool sql_edits_define(const struct sql_edits *edits);
/* What the results of those look like that it prepares. */
void sql_edits_ask(struct sql_session *s, struct buf *out);
enum sql_edit_end sql_edits_next(const struct sql_upstream *u); /* of the statement answered now */
void sql_edits_done(struct sql_upstream *u);                    /* its CommandComplete came */
/* By which name the session speaks of a statement in that which is answered now. */
uint32_t sql_edits_mark(const struct sql_edits *edits);
/* The place of an error, as the client counts; false: it is what the server says. */
bool sql_edits_place(const struct sql_upstream *u, const struct pg_expected *whose,
                     struct pg_report *report, char digits[SQL_PLACE_BYTES]);

/* restore_flow.c */
/* How much of what a statement sends back to the start was another there than the server knows;
 * NULL: of nothing. */
size_t sql_restore_count(const struct sql_session *s, const struct statement *st);
/* Appends what sets that, each behind a semicolon; returns how many. */
size_t sql_restore_put(const struct sql_session *s, const struct statement *st, struct buf *out);
/* The same as a Query's text, which nothing is told of; NULL: there is nothing. */
struct sql_edits *sql_restore_query(struct sql_session *s, const struct statement *st,
                                    struct buf *out);
/* By the extended protocol, behind the Execute of what was noted last: */
void sql_restore_execute(struct sql_session *s);
uint32_t sql_restore_entries(const struct sql_session *s); /* that it expects */

/* settle_flow.c */
/* Of what was noted last; NULL: it is not one statement. */
const struct statement *sql_deeds_last(const struct sql_session *s);
/* What was noted last is not. */
void sql_deeds_take_back(struct sql_session *s);
/* An Execute has had the rows that it asked for, and may have more. */
void sql_deeds_suspended(struct sql_upstream *u, uint16_t note);

/* portal_flow.c */
/* Whether the portal of this name is a COPY FROM STDIN; and is that of an Execute? */
void sql_portal_holds_copy(struct sql_session *s, struct slice portal, bool copies);
bool sql_portal_is_copy(const struct sql_session *s, struct slice body);
/* What its execution will do. */
void sql_portal_bind(struct sql_session *s, const struct pg_statement *st,
                     const struct pg_bind *bind, struct slice body, bool whole);
/* Its statement was said with another name in it. */
void sql_portal_said(struct sql_session *s, struct pg_statement *own, struct slice portal);
/* A reference to that, if an Execute with this body is of it; or NULL. */
struct pg_statement *sql_portal_of(const struct sql_session *s, struct slice body);
/* Executes the portal with this body, if it is a PREPARE whose name the session shall have on any
 * server: behind it the server forgets that.  False: it is none; else *used is 0 if it waits. */
bool sql_portal_prepare(struct sql_session *s, struct slice in, struct pg_frame f,
                        struct slice body, size_t *used);
/* That which was bound last is not executed now. */
void sql_portal_leave(struct sql_session *s);
/* Does an Execute with this body do what was noted last? */
bool sql_portal_is_due(struct sql_session *s, struct slice body);
struct pg_expected sql_portal_execute(struct sql_session *s);

/* prepare_flow.c */
enum sql_words { SQL_WORDS_CLIENTS, SQL_WORDS_OTHER, SQL_WORDS_WAIT };
struct sql_rewording {
    struct buf text;
    uint16_t note;
    uint8_t changes;         /* of names: noted, to be settled */
    bool leaves_prepare;     /* a PREPARE is said to the server as it is */
    struct sql_edits *edits; /* owned */
};
extern const char *const SQL_TAGS[];
/* A simple Query in other words. */
enum sql_words sql_reword(struct sql_session *s, const struct sql_class *class,
                          struct sql_rewording *r);
/* What the text of a PREPARE makes; ERR_UNSUPPORTED: that can't be said to another server. */
MUST_CHECK enum err sql_prepare_intern(struct sql_session *s, struct slice text,
                                       struct pg_statement **out);
/* The server will know a statement by the client's own name. */
void sql_note_prepares(struct sql_session *s);
void sql_put_prepare(struct buf *out, const struct pg_statement *st);
/* What the server is to have in the place of a statement that speaks of others by their names, like
 * EXECUTE and DEALLOCATE: in *st, borrowed till the next call.  ERR_AGAIN: it waits. */
MUST_CHECK enum err sql_statement_say(struct sql_session *s, struct pg_statement **st);
/* A server's words about what it has in the place of another: they are of that, then. */
void sql_statement_reword(const struct pg_statement *st, struct buf *message);
/* What the statement does that such a one executes, the session does. */
void sql_statement_note_executed(struct sql_session *s, const struct pg_statement *st);
MUST_CHECK enum err sql_statement_intern(struct sql_session *s, const struct pg_parse *parse,
                                         struct pg_statement **out);
