/* What the text of a simple Query or of a Parse is: which statements, where each may go, and what
 * it leaves behind in the session.  By PostgreSQL's own grammar (of its version 15), and by what is
 * known of its functions; pure but for memory that the parser keeps per thread.
 *
 *     struct script script;
 *
 *     script_read(text, &options, &arena, &script);
 *     if (script.count == 1 && script.statements[0].kind == STATEMENT_SET) ...
 *     if (script.route <= ROUTE_TRY) ... a replica may be asked
 *
 * It cannot fail: what is not understood goes to the primary, and says why.  The text may hold any
 * bytes, but is not looked into if it is longer than SCRIPT_TEXT_LIMIT, has more than
 * SCRIPT_STATEMENT_LIMIT statements, or a NUL: the script is then one QUERY that is UNSEEN.  Where
 * the grammar gives up (newer syntax, or longer than SCRIPT_PARSE_LIMIT) the words alone decide. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/arena.h"
#include "proxy/base/slice.h"
#include "replica/catalog.h"
#include "replica/shape.h"

enum {
    SCRIPT_TEXT_LIMIT = 256 * 1024,
    SCRIPT_PARSE_LIMIT = 32 * 1024,
    SCRIPT_NODE_LIMIT = 50000, /* of the parse tree */
    SCRIPT_STATEMENT_LIMIT = 1000,
};

enum statement_kind {
#define STATEMENT(name, text) STATEMENT_##name,
#include "replica/statement_kind.def"
#undef STATEMENT
};

/* Where a statement may go if the session is in no transaction; rising strictness. */
enum statement_route {
    ROUTE_READ,    /* changes nothing, and a replica's answer is the primary's */
    ROUTE_TRY,     /* a read as far as is known: a replica that refuses (25006, 0A000, 55000, XX000,
                    * 42P01...) before a byte was forwarded has the last word */
    ROUTE_SESSION, /* means the session: goes where that stands (BEGIN, SET, EXECUTE, FETCH...) */
    ROUTE_HERE,    /* tells of the server that answers: the primary, unless a replica is asked */
    ROUTE_PRIMARY, /* writes, or may, or answers differently elsewhere */
};

/* What a statement leaves in the server's session, or asks of it. */
enum statement_effect {
    EFFECT_TEMP = 1 << 0,    /* makes or names a temporary object */
    EFFECT_LOCK = 1 << 1,    /* takes or frees an advisory lock of the session */
    EFFECT_HOLD = 1 << 2,    /* a cursor that outlives its transaction */
    EFFECT_LISTENS = 1 << 3, /* LISTEN, UNLISTEN; or asks for the channels */
    EFFECT_SEED = 1 << 4,    /* setseed(): what random() says next */
    EFFECT_LOADS = 1 << 5,   /* LOAD, dblink_connect(): only the connection's end takes it back */
    EFFECT_OPAQUE = 1 << 6,  /* may do anything, also any of the above: ask the server at release */
    EFFECT_SETS = 1 << 7,    /* set_config() in an expression: see settings */
    EFFECT_CATALOG = 1 << 8, /* DDL: what is known of functions and relations may be old */
    EFFECT_SEQUENCE = 1 << 9, /* nextval(), setval(): gives currval() its value for this session */
    EFFECT_CURRVAL = 1 << 10, /* currval(), lastval(): wants the server of the last of those */
    EFFECT_ALONE = 1 << 11,   /* runs in no transaction block: VACUUM, CREATE DATABASE... */
    EFFECT_UNSEEN = 1 << 12,  /* was not looked into: SET, BEGIN, PREPARE may be in it, too */
    EFFECT_UNKNOWN = 1 << 13, /* names what the catalog does not know: that may be old */
    EFFECT_PRESETS = 1 << 14, /* ALTER ROLE, ALTER DATABASE ... SET, DROP ROLE: what sessions will
                               * begin with, or as whom; role, database */
};

/* Transaction modes.  What a statement does not name is MODE_UNSAID. */
enum mode_access { MODE_ACCESS_UNSAID, MODE_READ_WRITE, MODE_READ_ONLY };
enum mode_isolation {
    MODE_ISOLATION_UNSAID,
    MODE_READ_UNCOMMITTED,
    MODE_READ_COMMITTED,
    MODE_REPEATABLE_READ,
    MODE_SERIALIZABLE,
};
enum mode_deferrable { MODE_DEFERRABLE_UNSAID, MODE_NOT_DEFERRABLE, MODE_DEFERRABLE };

struct transaction_modes {
    uint8_t access;     /* enum mode_access */
    uint8_t isolation;  /* enum mode_isolation */
    uint8_t deferrable; /* enum mode_deferrable */
    bool has_snapshot;  /* SET TRANSACTION SNAPSHOT: only the server that exported it knows it */
};

/* One setting that is set.  SET ROLE, SET SESSION AUTHORIZATION, SET TIME ZONE, SET NAMES, SET
 * SCHEMA and SET XML OPTION have the names that SHOW knows: role, session_authorization, timezone,
 * client_encoding, search_path, xmloption. */
struct setting {
    struct slice name;  /* lower-cased, unquoted: "myapp.user"; empty: not known */
    struct slice value; /* SQL text, always right behind SET "name" TO: 'a', 'b' -- strings only */
    struct slice text;  /* the same as set_config() takes it: a, b */
    bool is_default;    /* TO DEFAULT, RESET, set_config(name, NULL, ..): no value */
    bool is_local;      /* until the transaction's end */
    bool is_known; /* that it happens, and how, but for bound parameters; else ask the server */
    bool is_sheaf; /* "sheaf.route"...: answered by Sheaf itself */
    /* set_config($1, $2, $3): numbers of the bound parameters, counted from 1; 0: not bound. */
    uint16_t name_parameter, value_parameter, local_parameter;
};

struct statement {
    uint8_t kind;       /* enum statement_kind */
    uint8_t route;      /* enum statement_route */
    uint32_t effects;   /* enum statement_effect */
    const char *reason; /* static, never NULL: why this route: "FOR UPDATE", "function nextval()" */
    struct slice subject; /* the function or relation that is the reason; or empty */
    struct slice text; /* its part of the script's text, without the semicolon; borrowed from it */
    struct slice
        name; /* as the kind says; a setting's is lower-cased, others as the server has it */
    struct slice executed; /* the prepared statement's name where EXECUTE is in it, EXPLAIN EXECUTE
                            * and CREATE TABLE AS EXECUTE included; at NULL: none is */
    struct slice written;  /* that name, or PREPARE's or DEALLOCATE's, as it stands in the text */
    struct slice role, database; /* EFFECT_PRESETS: whose, as the server has them; empty: of all */
    struct slice asked;          /* EXPLAIN_ROUTE: about what, as it stands in the text */
    struct slice types; /* PREPARE: between the parentheses, as written; borrowed from the text */
    struct slice arguments;        /* EXECUTE: between the parentheses, as written; borrowed */
    const struct statement *inner; /* PREPARE, DECLARE, COPY_OUT, EXPLAIN, EXPLAIN_ROUTE, or NULL */
    const struct setting *settings;
    size_t setting_count;
    struct transaction_modes modes;
    bool is_certain;          /* ROUTE_PRIMARY, whatever the names in it mean */
    bool is_chain;            /* COMMIT AND CHAIN, ROLLBACK AND CHAIN */
    bool is_sheaf;            /* SET, RESET, SHOW of a sheaf.* setting */
    bool is_analyze;          /* EXPLAIN ANALYZE: inner is run */
    bool depends_on_literals; /* may not be remembered by its shape */
};

/* All memory is the arena's, or borrowed from the text. */
struct script {
    const struct statement *statements;
    size_t count;             /* 0: nothing but comments, as EmptyQueryResponse wants it */
    struct shape_hints hints; /* of the comments in it */
    uint8_t route;            /* enum statement_route of all together */
    uint32_t effects;         /* of all together */
    const char *reason;       /* static, never NULL */
    bool is_certain;          /* of any of them */
    bool is_error;            /* the grammar refuses it: the server will tell, or knows more */
    bool may_be_remembered;   /* one statement, and its shape tells all of it that matters */
};

struct statement_options {
    const struct catalog *catalog; /* borrowed; NULL: nothing is known but PostgreSQL's own */
    bool needs_catalog;            /* what only the catalog knows, and it does not: the primary's */
    bool backslash_escapes;        /* the session's standard_conforming_strings is off */
    bool hides_ascii;              /* by statement_encoding_hides_ascii(), of its client_encoding */
    bool tries_unknown_functions;  /* ROUTE_TRY for functions nobody knows; else ROUTE_PRIMARY */
};

/* In these encodings of a client (SJIS, BIG5, GBK, UHC, GB18030, JOHAB...) a byte that looks like a
 * backslash or a letter may be the second half of a character: then only ASCII can be read. */
bool statement_encoding_hides_ascii(struct slice client_encoding);
/* Such a text, as long as it is, with nothing in it that only looks like ASCII: each character that
 * is none keeps its first byte, and has 0xff for the others. */
void statement_mask(struct slice client_encoding, struct slice text, uint8_t *out);

void script_read(struct slice text, const struct statement_options *options, struct arena *arena,
                 struct script *out);

const char *statement_kind_text(enum statement_kind kind);
const char *statement_route_text(
    enum statement_route route); /* "replica" "try" "session" "primary" */

/* Frees what the parser keeps for the calling thread; it is made again when needed. */
void statement_forget_thread(void);
