/* PostgreSQL's own grammar (of its version 15, out of libpg_query), held at arm's length: the
 * library keeps its state per thread, throws with longjmp and would end the process where it is at
 * a loss; none of that gets out of here.
 *
 *     if (grammar_parse(text, false, &tree))
 *         ... look at the tree, and be done with it
 *     grammar_done();
 *
 * Trees are those of nodes/parsenodes.h, of lists of RawStmt. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct List;

/* The text ends with a NUL and holds no other.  False: the grammar refuses it, or had to give up.
 * NULL in *tree is a text without a statement. */
bool grammar_parse(const char *text, bool backslash_escapes, const struct List **tree);

/* The tree of this thread is gone. */
void grammar_done(void);

/* Must this identifier be quoted to be read as one, being a keyword? */
bool grammar_is_keyword(const char *lower_case_word);

/* Frees what is kept for this thread. */
void grammar_forget_thread(void);
