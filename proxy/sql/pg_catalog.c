/* Questions about a catalog.
 *
 * What a function does is what its volatility says; of PostgreSQL's own, what
 * replica/builtin_function.def says, since txid_current() is "stable".  An aggregate does what its
 * functions do, a function what its arguments' defaults do.  What a view does is in its tree, where
 * each function that it calls is by its number (dependencies on PostgreSQL's own are not kept), and
 * it does what the relations do that it depends on.  A table with policies does what these do; one
 * with partitions or heirs, what they do.
 *
 * A cast to a type of PostgreSQL's own that calls a volatile function is left out: it would keep
 * each x::text from replicas.  A replica refuses what such a function writes. */
#include "proxy/sql/pg_catalog.h"

#include <string.h>

#include "proxy/wire/pgwire.h"
#include "proxy/wire/pgwire_write.h"
#include "replica/builtin_function.h"

/* Nobody else's search_path, settings and time. */
#define PREPARES                                                                                   \
    "SET search_path=pg_catalog;SET statement_timeout='60s';SET lock_timeout='10s';"               \
    "SET default_transaction_read_only=on;"

/* By their numbers, which never change, so that it means the same in any session.  Temporary tables
 * change rows of the last five. */
#define DEEP "1255),(2618),(3256),(2617),(2605),(2600),(2611),(2964"
#define WIDE DEEP "),(1259),(1247),(2606),(2615),(1260"
#define COUNT(what)                                                                                \
    "pg_catalog.pg_stat_get_" what "(c) OPERATOR(pg_catalog.+) "                                   \
    "pg_catalog.pg_stat_get_xact_" what "(c)"
#define COUNT_OF(relations)                                                                        \
    "(SELECT pg_catalog.sum(" COUNT("tuples_inserted") " OPERATOR(pg_catalog.+) " COUNT(           \
        "tuples_updated") " OPERATOR(pg_catalog.+) " COUNT("tuples_deleted") ") FROM (VALUES "     \
                                                                             "(" relations         \
                                                                             ")) r(c))"
/* Without the counters, each time another. */
#define IF_COUNTED(count)                                                                          \
    "CASE WHEN pg_catalog.current_setting('track_counts') OPERATOR(pg_catalog.=) 'on' THEN " count \
    " ELSE (pg_catalog.date_part('epoch',pg_catalog.clock_timestamp()) "                           \
    "OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8 END"
/* The same relations, by who has made each of their rows: it grows with each that is made or
 * altered, and falls with each that goes.  What initdb has made is counted only. */
#define READ                                                                                       \
    "(SELECT pg_catalog.count(*) OPERATOR(pg_catalog.*) 8589934592 OPERATOR(pg_catalog.+) "        \
    "COALESCE(pg_catalog.sum(x::pg_catalog.text::pg_catalog.int8) FILTER (WHERE x "                \
    "OPERATOR(pg_catalog.<>) '1'::pg_catalog.xid),0) FROM ("                                       \
    "SELECT xmin FROM pg_catalog.pg_proc UNION ALL SELECT xmin FROM pg_catalog.pg_rewrite "        \
    "UNION ALL SELECT xmin FROM pg_catalog.pg_policy "                                             \
    "UNION ALL SELECT xmin FROM pg_catalog.pg_operator "                                           \
    "UNION ALL SELECT xmin FROM pg_catalog.pg_cast "                                               \
    "UNION ALL SELECT xmin FROM pg_catalog.pg_aggregate "                                          \
    "UNION ALL SELECT xmin FROM pg_catalog.pg_inherits "                                           \
    "UNION ALL SELECT xmin FROM pg_catalog.pg_db_role_setting) r(x))"
#define COUNTED_FINGERPRINT                                                                        \
    "pg_catalog.concat(" IF_COUNTED(COUNT_OF(DEEP)) ",'.'," IF_COUNTED(COUNT_OF(WIDE)) ")"
#define READ_FINGERPRINT "pg_catalog.concat(" READ ",'.'," IF_COUNTED(COUNT_OF(WIDE)) ")"
#define SIGNATURE(fingerprint)                                                                     \
    PREPARES "SELECT " fingerprint " WHERE NOT pg_catalog.pg_is_in_recovery()"
#define BEHIND(fingerprint) "SELECT NULL::pg_catalog.text," fingerprint

/* clang-format off: as SQL is laid out */
static const char BEFORE_UNSAFE[] = PREPARES
    "SET jit=off;"
    "WITH RECURSIVE ns AS MATERIALIZED (SELECT n.oid, nspname, "
    "(EXISTS(SELECT FROM (SELECT '\"$user\", public' UNION ALL SELECT reset_val FROM "
    "pg_settings WHERE name='search_path' "
    "UNION ALL SELECT substr(c,13) FROM pg_db_role_setting, unnest(setconfig) c WHERE c "
    "LIKE 'search_path=%' "
    "AND setdatabase IN (0,(SELECT oid FROM pg_database WHERE "
    "datname=current_database()))) p(v) "
    "WHERE lower(translate(nspname,'\" ','')) = ANY(string_to_array(lower(translate(v,'\" "
    "','')),','))) "
    "OR EXISTS(SELECT FROM pg_roles WHERE rolname=nspname))::int "
    "+ 2*EXISTS(SELECT FROM pg_roles WHERE rolname=nspname)::int AS reach, "
    "nspname IN ('pg_catalog','information_schema') OR "
    "left(nspname,8) IN ('pg_toast','pg_temp_') AS own "
    "FROM pg_namespace n), "
    "fn0 AS MATERIALIZED (SELECT p.oid, proname, nspname, reach, ns.own AND p.oid<16384 AS "
    "own, prokind, prorettype, pronargs, pronargdefaults, proargtypes, proargdefaults, "
    "CASE WHEN nspname='pg_catalog' AND p.oid<16384 THEN proname = ANY( "
    "'{";

static const char BEHIND_UNSAFE[] =
    "}'"
    ") ELSE prokind='p' OR provolatile='v' END AS bad "
    "FROM pg_proc p JOIN ns ON ns.oid=pronamespace), "
    "bad0 AS MATERIALIZED (SELECT oid FROM fn0 WHERE bad), "
    "fn AS MATERIALIZED (SELECT f.*, f.bad "
    "OR (prokind='a' AND NOT own AND f.oid IN (SELECT aggfnoid FROM pg_aggregate WHERE "
    "aggtransfn IN (SELECT oid FROM bad0) OR aggfinalfn IN (SELECT oid FROM bad0) "
    "OR aggmtransfn IN (SELECT oid FROM bad0) OR aggminvtransfn IN (SELECT oid FROM bad0) "
    "OR aggmfinalfn IN (SELECT oid FROM bad0))) "
    "OR (pronargdefaults>0 AND NOT own AND EXISTS(SELECT FROM "
    "regexp_matches(proargdefaults::text,':(?:funcid|opfuncid) ([0-9]+)','g') m WHERE "
    "m[1]::oid IN (SELECT oid FROM bad0))) AS worse "
    "FROM fn0 f), "
    "bad AS MATERIALIZED (SELECT oid FROM fn WHERE worse), "
    "ty(oid) AS (SELECT contypid FROM pg_constraint, "
    "regexp_matches(conbin::text,':(?:funcid|opfuncid) ([0-9]+)','g') m WHERE contypid<>0 "
    "AND m[1]::oid IN (SELECT oid FROM bad) "
    "UNION SELECT casttarget FROM pg_cast JOIN pg_type t ON t.oid=casttarget WHERE "
    "castfunc IN (SELECT oid FROM bad) AND t.oid>=16384 "
    "UNION SELECT oid FROM pg_type WHERE typinput IN (SELECT oid FROM bad) AND "
    "oid>=16384), "
    "types AS (SELECT oid FROM ty UNION "
    "SELECT t.oid FROM types b JOIN LATERAL ( "
    "SELECT oid FROM pg_type WHERE typbasetype=b.oid UNION ALL SELECT typarray FROM "
    "pg_type WHERE pg_type.oid=b.oid AND typarray<>0 "
    "UNION ALL SELECT reltype FROM pg_attribute JOIN pg_class c ON c.oid=attrelid AND "
    "relkind='c' WHERE atttypid=b.oid) t ON true), "
    "edge(rel,needs) AS MATERIALIZED (SELECT ev_class, refobjid FROM pg_depend JOIN "
    "pg_rewrite r ON r.oid=objid JOIN pg_class c ON c.oid=ev_class AND relkind='v' "
    "WHERE classid='pg_rewrite'::regclass AND refclassid='pg_class'::regclass AND "
    "refobjid<>ev_class "
    "UNION SELECT polrelid, refobjid FROM pg_depend JOIN pg_policy p ON p.oid=objid WHERE "
    "classid='pg_policy'::regclass AND refclassid='pg_class'::regclass AND "
    "refobjid<>polrelid "
    "UNION SELECT inhparent, inhrelid FROM pg_inherits), "
    "needed(rel) AS (SELECT rel FROM edge WHERE rel>=16384 UNION SELECT oid FROM pg_class "
    "WHERE relkind='v' AND oid>=16384 UNION SELECT needs FROM needed JOIN edge "
    "USING(rel)), "
    "tree(rel,t) AS (SELECT ev_class, ev_action::text FROM pg_rewrite r JOIN pg_class c ON "
    "c.oid=ev_class AND relkind='v' WHERE ev_class IN (SELECT rel FROM needed) "
    "UNION ALL SELECT polrelid, polqual::text FROM pg_policy JOIN pg_class c ON "
    "c.oid=polrelid AND relrowsecurity WHERE polcmd IN ('r','*')), "
    "seed(rel,nature) AS (SELECT rel, 2 FROM tree WHERE EXISTS(SELECT FROM "
    "regexp_matches(t,':(?:funcid|opfuncid|aggfnoid|winfnoid) ([0-9]+)','g') m WHERE "
    "m[1]::oid IN (SELECT oid FROM bad)) "
    "UNION SELECT ev_class, 2 FROM pg_depend JOIN pg_rewrite r ON r.oid=objid WHERE "
    "classid='pg_rewrite'::regclass AND refclassid='pg_type'::regclass AND refobjid IN "
    "(SELECT oid FROM types) "
    "UNION SELECT oid, CASE WHEN relkind='f' THEN 3 WHEN relkind='S' THEN 5 ELSE 4 END "
    "FROM pg_class WHERE relkind IN ('f','S') OR (relpersistence='u' AND relkind IN "
    "('r','p','m'))), "
    "reached AS (SELECT rel, nature FROM seed UNION SELECT e.rel, r.nature FROM reached r "
    "JOIN edge e ON e.needs=r.rel) "
    "SELECT * FROM ( "
    "SELECT 0 AS kind, nspname, proname AS name, 1+bool_or(worse)::int AS nature, "
    "min(reach) AS reach FROM fn WHERE NOT own AND prorettype NOT IN "
    "('trigger'::regtype,'event_trigger'::regtype) GROUP BY 2,3 "
    "UNION ALL SELECT 1, nspname, proname, 2, min(reach) FROM fn JOIN pg_type t ON "
    "t.oid=proargtypes[0] WHERE worse AND NOT own AND pronargs-pronargdefaults<=1 AND "
    "typtype IN ('c','p','d') GROUP BY 2,3 "
    "UNION ALL SELECT 2, nspname, oprname, 2, min(reach) FROM pg_operator o JOIN ns ON "
    "ns.oid=oprnamespace WHERE oprcode IN (SELECT oid FROM bad) AND o.oid>=16384 GROUP BY "
    "2,3 "
    "UNION ALL SELECT 3, nspname, typname, 2, reach FROM types JOIN pg_type t USING(oid) "
    "JOIN ns ON ns.oid=typnamespace "
    "UNION ALL SELECT 4, nspname, relname, coalesce(worst,1), reach FROM pg_class c JOIN "
    "ns ON ns.oid=relnamespace LEFT JOIN (SELECT rel, max(nature) AS worst FROM reached "
    "GROUP BY 1) w ON rel=c.oid WHERE NOT ns.own AND relkind IN ('r','p','v','m','f','S') "
    "AND relpersistence<>'t' "
    ") x LIMIT 100001 ";
/* clang-format on */

/* Before that the counters come to a process that tells them half a second later. */
static bool counts_at_once(uint64_t major)
{
    return major >= 15;
}

void pg_catalog_put_signature(struct buf *out, uint64_t major)
{
    pg_put_query(out, counts_at_once(major) ? slice_text(SIGNATURE(COUNTED_FINGERPRINT))
                                            : slice_text(SIGNATURE(READ_FINGERPRINT)));
}

struct slice pg_catalog_fingerprint_query(uint64_t major)
{
    return counts_at_once(major)
               ? slice_text(
                     BEHIND(COUNTED_FINGERPRINT) ";SELECT pg_catalog.pg_stat_force_next_flush()")
               : slice_text(BEHIND(READ_FINGERPRINT));
}

enum err pg_catalog_read_fingerprint(struct slice text, struct pg_catalog_fingerprint *out)
{
    const uint8_t *dot = text.len == 0 ? NULL : memchr(text.at, '.', text.len);
    struct pg_catalog_fingerprint read;
    size_t before;

    if (dot == NULL)
        return ERR_SYNTAX;
    before = (size_t)(dot - text.at);
    if (!slice_to_u64(slice_of(text.at, before), &read.deep) ||
        !slice_to_u64(slice_from(text, before + 1), &read.wide))
        return ERR_SYNTAX;
    *out = read;
    return ERR_NONE;
}

/* current_setting() reads settings of the application, nearly always; see builtin_function.h. */
static bool is_unsafe(const struct builtin_function *f)
{
    return f->class != BUILTIN_SAFE && f->class != BUILTIN_SHOWS;
}

void pg_catalog_put_query(struct buf *out)
{
    const struct builtin_function *f;
    struct buf text = { 0 };
    const char *comma = "";

    buf_text(&text, BEFORE_UNSAFE);
    for (size_t i = 0; (f = builtin_function_at(i)) != NULL; i++) {
        if (!is_unsafe(f))
            continue;
        buf_text(&text, comma);
        buf_text(&text, f->name);
        comma = ",";
    }
    buf_text(&text, BEHIND_UNSAFE);
    pg_put_query(out, buf_all(&text));
    buf_fini(&text);
}

static enum err read_number(const struct pg_row *row, size_t column, uint64_t most, uint64_t *out)
{
    struct pg_value v = pg_row_value(row, column);

    if (v.is_null || !slice_to_u64(v.bytes, out) || *out > most)
        return ERR_PROTOCOL;
    return ERR_NONE;
}

enum err pg_catalog_read_row(struct slice body, struct catalog_row *out)
{
    struct pg_row row;
    uint64_t kind, nature, reach;

    TRY(pg_read_row(body, &row));
    if (row.count != 5)
        return ERR_PROTOCOL;
    TRY(read_number(&row, 0, CATALOG_KIND_COUNT - 1, &kind));
    TRY(read_number(&row, 3, CATALOG_RELATION_TEMPORARY, &nature));
    TRY(read_number(&row, 4, CATALOG_REACH_DEFAULT | CATALOG_REACH_USER, &reach));
    *out = (struct catalog_row){ .kind = (enum catalog_kind)kind,
                                 .schema = pg_row_value(&row, 1).bytes,
                                 .name = pg_row_value(&row, 2).bytes,
                                 .nature = (uint8_t)nature,
                                 .reach = (uint8_t)reach };
    return ERR_NONE;
}
