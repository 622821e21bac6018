/* Settings with a dot in their names ("app.user") are in no list that a server gives; it tells of
 * one only by its name.  Where code sets such a one (DO, CALL, a function, a trigger), the name is
 * looked for in the text that the client sent, and in that of the database's own functions, which
 * the server itself looks through, at most every ten seconds and when DDL was seen.
 *
 * Names that are put together while code runs are not found, nor those in functions in C or in
 * bodies that are kept parsed (BEGIN ATOMIC): what these set ends with the lease.
 *
 * What triggers do no statement tells either.  Where a database has some that may do more than
 * change rows, the server is asked behind each statement that may fire one, as it is behind other
 * code. */
#include "proxy/sql/code_flow.h"

#include <ctype.h>
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/sql/catalog_flow.h"
#include "proxy/sql/pg_pins.h"
#include "replica/code_settings.h"
#include "replica/token.h"

enum { NAMES_MOST = 64, FRESH_US = 10 * 1000 * 1000, ANSWER_US = 1000 * 1000 };

/* Of one account. */
struct sql_code {
    char names[NAMES_MOST][CODE_SETTING_BYTES + 1];
    size_t count;
    uint32_t edition;
    uint64_t asked_us, known_us; /* the server is asked, and has told, what its functions do */
    bool triggers;               /* may do more than change rows */
};

/* SET as a statement, and what calls others but NOTIFY. */
#define HIDES                                                                                      \
    "set_config|advisory|[[:<:]](?:listen|unlisten|temp|temporary|pg_temp|setseed|load|hold|"      \
    "prepare|execute|call|discard|dblink_connect)[[:>:]]|"                                         \
    "[[:<:]]perform[[:>:]](?![[:space:]]+(?:pg_catalog[.])?pg_notify)|"                            \
    "(?:;|[[:<:]](?:begin|then|else|loop))[[:space:]]+set[[:space:]]"
#define TRIGGERS "sheaf.triggers"

/* It is read alike whatever standard_conforming_strings says. */
static const char CODE[] =
    " UNION ALL SELECT NULL,n,pg_catalog.current_setting(n,true),NULL FROM "
    "(SELECT DISTINCT pg_catalog.lower(m[1]) FROM pg_catalog.pg_proc p, LATERAL "
    "pg_catalog.regexp_matches(p.prosrc,'[[:<:]](?:set_config[[:space:]]*[(][[:space:]]*e?''+|"
    "set[[:space:]]+(?:session[[:space:]]+|local[[:space:]]+)?)"
    "([a-z_][a-z0-9_$]*(?:[.][a-z0-9_$]+)+)','gi') m "
    "WHERE p.oid OPERATOR(pg_catalog.>=) 16384 AND p.prolang OPERATOR(pg_catalog.<>) 12 "
    "AND p.prolang OPERATOR(pg_catalog.<>) 13 "
    "AND pg_catalog.length(m[1]) OPERATOR(pg_catalog.<=) 63 LIMIT 64) c(n) "
    "UNION ALL SELECT NULL,'" TRIGGERS "',CASE WHEN EXISTS(SELECT FROM pg_catalog.pg_trigger t "
    "JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid "
    "JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang "
    "WHERE NOT t.tgisinternal AND p.oid OPERATOR(pg_catalog.>=) 16384 AND CASE "
    "WHEN l.lanname OPERATOR(pg_catalog.=) 'c' THEN false "
    "WHEN l.lanname OPERATOR(pg_catalog.=) 'plpgsql' THEN "
    "p.prosrc OPERATOR(pg_catalog.~*) '" HIDES "' ELSE true END) THEN 'on' ELSE 'off' END,NULL";

static struct sql_code *code_of(struct sql_account *a)
{
    if (a->code == NULL)
        a->code = mem_new(sizeof(*a->code));
    return a->code;
}

static void add(struct sql_code *code, struct slice name)
{
    char lower[CODE_SETTING_BYTES + 1] = "";

    if (code->count == NAMES_MOST || name.len > CODE_SETTING_BYTES)
        return;
    for (size_t i = 0; i < name.len; i++)
        lower[i] = (char)tolower(name.at[i]);
    for (size_t i = 0; i < code->count; i++)
        if (strcmp(code->names[i], lower) == 0)
            return;
    memcpy(code->names[code->count++], lower, sizeof(lower));
}

void sql_code_heed(struct sql_session *s, struct slice text)
{
    struct slice name;

    while (text.len > 0 && code_setting_next(&text, &name))
        add(code_of(s->account), name);
}

static uint32_t edition_of(const struct sql_session *s)
{
    return (uint32_t)sql_catalog_edition(s); /* without what only the session has changed */
}

static bool is_fresh(const struct sql_session *s, uint64_t since_us, uint64_t for_us)
{
    const struct sql_code *code = s->account->code;

    return since_us != 0 && code->edition == edition_of(s) &&
           worker_now_us(s->base.worker) - since_us < for_us;
}

static bool may_fire(struct slice text)
{
    static const char *const WORDS[] = { "insert", "update",   "delete", "merge",
                                         "copy",   "truncate", "execute" };
    struct token_reader reader = { .rest = text };
    struct token t;

    while (token_next_word(&reader, &t))
        for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++)
            if (token_is_word(&t, WORDS[i]))
                return true;
    return false;
}

bool sql_code_may_hide(struct sql_session *s, struct slice text)
{
    const struct sql_code *code = code_of(s->account);

    return (code->triggers || !is_fresh(s, code->known_us, FRESH_US)) && may_fire(text);
}

void sql_code_put_question(struct sql_session *s, struct buf *out)
{
    struct sql_code *code = code_of(s->account);
    struct slice names[NAMES_MOST];

    for (size_t i = 0; i < code->count; i++)
        names[i] = slice_text(code->names[i]);
    pg_pins_put_query(out, s->settings.current, names, code->count);
    if (is_fresh(s, code->known_us, FRESH_US) || is_fresh(s, code->asked_us, ANSWER_US))
        return;
    code->edition = edition_of(s);
    code->asked_us = worker_now_us(s->base.worker);
    code->known_us = 0;
    buf_text(out, CODE);
}

bool sql_code_saw(struct sql_session *s, struct slice name, struct slice value)
{
    struct sql_code *code = code_of(s->account);

    if (slice_is_text(name, TRIGGERS)) {
        code->triggers = slice_is_text(value, "on");
        code->known_us = code->asked_us;
        return true;
    }
    if (memchr(name.at, '.', name.len) != NULL)
        add(code, name);
    return false;
}

void sql_code_free(struct sql_account *a)
{
    free(a->code);
    a->code = NULL;
}
