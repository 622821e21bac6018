/* The insides of the SQL flow, shared by its files:
 *
 *     side_flow.c       a worker's side of a pool: made, changed by a reload, taken away
 *     account_flow.c    users in databases, and what they are told at login
 *     entry_flow.c      a session comes in: TLS, login, welcome
 *     admission_flow.c  how a client is to prove who he is
 *     inquiry_flow.c    auth_query: what the servers know of him
 *     session_flow.c    a session's life between its exchanges: waits, errors of ours, its end
 *     ask_flow.c        what a session asks: an exchange is gathered (gather_flow.c), routed, begun
 *     begin_flow.c      transactions that may be begun elsewhere
 *     message_flow.c    its messages, one by one, to the upstream; parse_flow.c, query_flow.c,
 *                       portal_flow.c
 *     prepared_flow.c   statements that must be prepared there first
 *     result_flow.c     what their results look like, which must stay
 *     restore_flow.c    settings that go back to what a client began with
 *     sequence_flow.c   currval() of what others did
 *     edit_flow.c       a Query's text in other words, and its answer as if it were the client's
 *     prepare_flow.c    PREPARE, EXECUTE, DEALLOCATE and RESET in words that servers understand
 *     reply_flow.c      what a server says: forwarded, swallowed; heal_flow.c: or asked elsewhere
 *     loss_flow.c       a server is lost: what its session is told
 *     commit_flow.c     or, of a COMMIT, what the servers that are left know of it
 *     settle_flow.c     what an exchange changed: settings, statements, pins; and its end
 *     route_flow.c      which endpoint: what the statement is, which replica is fresh enough
 *     lease_flow.c      rosters of upstreams: leased, waited for, handed on, given back
 *     move_flow.c       upstreams that another worker has more need of
 *     budget_flow.c     how many upstreams the process may have
 *     upstream_flow.c   one upstream: TLS, login, loss, clock
 *     libpq_flow.c      logins that libpq does for us
 *     tunnel_flow.c     replication: bytes that go by
 *     sample_flow.c     where the primary and the replicas stand in the log
 *     catalog_flow.c    what the primary's catalog says of functions and relations
 *     cancel_flow.c     requests to cancel
 *     demotion_flow.c   a primary that is none any more is left
 *     local_flow.c      statements that Sheaf answers itself; local_messages_flow.c
 *     halt_flow.c       databases that are paused, or closed to new sessions
 *     code_flow.c       settings that code may set
 *     preset_flow.c     ALTER ROLE ... SET: upstreams that began with something else
 *     tally_flow.c      what is counted; slow_flow.c: statements that were slow, for people
 *     console_flow.c    PgBouncer's console; console_ask_flow.c, console_rows_flow.c
 *
 * All of it belongs to one worker's thread, but for the budgets' counters.
 *
 * An *exchange* is what a client asks until the server is ready again: a simple Query, a function
 * call, or extended messages up to Sync.  For one a session leases an upstream; within a
 * transaction, or while something pins it, it keeps that. */
#pragma once

#include "proxy/base/arena.h"
#include "proxy/base/slab.h"
#include "proxy/core/session.h"
#include "proxy/core/slow.h"
#include "proxy/core/stats.h"
#include "proxy/core/upstream.h"
#include "proxy/sql/begin_flow.h"
#include "proxy/sql/pg_admit.h"
#include "proxy/sql/pg_catalog.h"
#include "proxy/sql/pg_expect.h"
#include "proxy/sql/pg_login.h"
#include "proxy/sql/pg_pins.h"
#include "proxy/sql/pg_prepared.h"
#include "proxy/sql/pg_settings_session.h"
#include "proxy/sql/pg_statements.h"
#include "proxy/sql/reply_flow.h"
#include "proxy/sql/slow_flow.h"
#include "proxy/sql/sql_counts.h"
#include "proxy/sql/sql_works.h"
#include "proxy/wire/pgwire.h"
#include "proxy/wire/pgwire_write.h"
#include "replica/catalog_table.h"
#include "replica/policy.h"
#include "replica/position.h"
#include "replica/statement.h"
#include "replica/verdicts.h"

enum {
    SQL_GATHER_BYTES = 16 * 1024, /* an exchange that is longer is not read whole to be routed */
    SQL_HOLD_BYTES = 16 * 1024,   /* of a replica's answer, until it is sure to be one */
    SQL_KEEP_BYTES = SCRIPT_TEXT_LIMIT + 64 * 1024, /* of what it answers: what replicas are sent */
    SQL_UNSENT_BYTES = 256 * 1024,    /* to a server: then its session is not read from */
    SQL_UNREAD_BYTES = 256 * 1024,    /* of a session: then its server is not read from */
    SQL_KEPT_BYTES = 64 * 1024,       /* of a session that waits: then it is not read from */
    SQL_WHOLE_BYTES = 64 * 1024,      /* of a server: a message that must be seen whole */
    SQL_PARSE_BYTES = SQL_KEEP_BYTES, /* of a client: Query and Parse */
    SQL_PASS_BYTES = 64 * 1024,       /* a message of which so much is to come goes by unseen */
    SQL_COLUMNS_BYTES = 160 * 1024,   /* of a server: 1664 columns, whose names have 63 bytes */
};

/* What the flow notes of what it expects of a server (pg_expected.note). */
enum sql_expect_note {
    SQL_NOTE_CHANGE = 1 << 0,    /* of the session's names: to be settled */
    SQL_NOTE_PREPARES = 1 << 1,  /* of the upstream's: the subject is a statement, counted */
    SQL_NOTE_UNNAMED = 1 << 2,   /* the server's unnamed one; the same */
    SQL_NOTE_DUPLICATE = 1 << 3, /* the server's words are about another name; the same */
    SQL_NOTE_DEEDS = 1 << 4,     /* the session's next deeds are done by it */
    SQL_NOTE_SETTINGS = 1 << 5,  /* puts the server's settings right */
    SQL_NOTE_PROBE = 1 << 6,     /* asks which pins there are */
    SQL_NOTE_RESET = 1 << 7,     /* ROLLBACK or DISCARD ALL for who left */
    SQL_NOTE_RETAG = 1 << 8,     /* it was said in other words: the tag is in `number` */
    SQL_NOTE_EDITED = 1 << 9,    /* the same of a Query: the session's edits tell */
    SQL_NOTE_RESULT = 1 << 10,   /* tells what the result of the subject looks like; counted */
    SQL_NOTE_FIRST = 1 << 11,    /* and that is what whoever prepares it now will know */
    SQL_NOTE_APART = 1 << 12,    /* in no exchange of the client's: an error is not his */
    SQL_NOTE_CHANGED = 1 << 13,  /* was sent to fail: see result_flow.c */
    SQL_NOTE_GOES_ON = 1 << 14,  /* a Query that another follows before the client hears of both */
    SQL_NOTE_RESTORED = 1 << 15, /* what goes back to the start is put right by what follows */
    SQL_NOTE_COMMIT = SQL_NOTE_SETTINGS | SQL_NOTE_PROBE, /* the mark of the COMMIT behind it */
    SQL_NOTE_BEFORE = SQL_NOTE_SETTINGS | SQL_NOTE_RESET, /* what is asked must wait for it */
};

/* What the client asked for. */
enum sql_tag {
    SQL_TAG_RESET,
    SQL_TAG_PREPARE,
    SQL_TAG_DEALLOCATE,
    SQL_TAG_DEALLOCATE_ALL,
    SQL_TAG_SET,
};

enum { SQL_TAG_SHIFT = 8 }; /* in pg_expected.number; below it, how many changes are settled */

/* What all workers share of those who log in as one user to one database of one endpoint, or as one
 * user, or to one database. */
struct sql_budget {
    struct list link;
    char *key; /* owned */
    uint32_t refs;
    atomic_uint open;                         /* upstreams, of all workers */
    atomic_ullong wanted_us;                  /* when one was last asked for in vain, */
    atomic_uintptr_t wanted_by;               /* and by which roster: only compared */
    atomic_ullong dirty_us;                   /* with causal_scope: the last write of all */
    atomic_ullong lazy_us;                    /* of a pool's: sample_flow.c */
    atomic_uint catalog_changes;              /* of a catalog's: how often somebody has done DDL, */
    atomic_uint editions;                     /* and how often that, or that others had, was seen */
    atomic_ullong catalog_deep, catalog_wide; /* and its fingerprint, as last told; 0: not yet */
    atomic_ullong catalog_told_us;            /* by the primary to a worker that asked for it */
};

/* Those that an upstream counts in. */
struct sql_budgets {
    struct sql_budget *own, *database, *user;
};

struct sql_sampler;
struct sql_catalog;
struct sql_libpq;
struct sql_inquiries;
struct sql_commit;
struct sql_answer;
struct sql_login_state;
struct sql_entry;
struct sql_console;

/* An endpoint as this worker sees it. */
struct sql_endpoint {
    struct list link; /* on side->past_endpoints, once a reload took it out */
    struct sql_side *side;
    uint32_t index;
    const struct endpoint_settings *settings; /* of side->assembly, while it is present */
    char *identity, *name;                    /* owned */
    struct scram_keys keys;                   /* of who its URL names; iterations 0: not known */
    bool present, may_write; /* the latter of one that was taken out: sql_may_write_at() */
    struct stats_row *stats;
    struct sql_counts *counts;
    bool failing;  /* nobody is sent there; the clock tries again, or a probe finds that it is up */
    bool was_down; /* by the probes, when the clock looked last */
    enum err failure;
    char why[200];
    uint64_t retry_at_us, backoff_ms;
    uint32_t busy;               /* leases and waiters */
    uint32_t waiting;            /* of them, the latter */
    uint32_t rosters, upstreams; /* that refer to it */
    uint64_t presets_us; /* what was done to presets up to then is done here: preset_flow.c */
    struct sql_sampler *sampler; /* owned by sample_flow; NULL: not needed yet */
};

/* A listener of the pool: what its sessions are opened with.  It stays for their sake when a reload
 * takes the listener away. */
struct sql_gate {
    struct session_limits limits; /* first */
    struct list link;             /* on side->gates */
    struct sql_side *side;
    char *name;                               /* owned */
    const struct listener_settings *settings; /* of side->assembly; NULL: it is gone */
    struct tls_context *tls;                  /* counted; NULL: no TLS */
};

/* Upstreams of one account to one endpoint. */
struct sql_roster {
    struct list link; /* on account->rosters */
    struct sql_account *account;
    struct sql_endpoint *endpoint;
    struct sql_budget *budget, *database_budget, *user_budget; /* counted */
    struct list idle;        /* sql_upstreams; the one used last is the first */
    struct list waiters;     /* sql_sessions; the first came first */
    uint32_t wish_from;      /* a worker whose sessions wait for what is free here, */
    uint32_t wish_count;     /* so many; 0: none */
    uint64_t wish_age_us;    /* how long the first of them had waited, */
    uint64_t wish_at_us;     /* when it told so */
    uint64_t asked_until_us; /* until then our own wish is believed */
    uint32_t waiter_count;
    uint64_t least_again_us; /* not before is one opened that nobody waits for: the last failed */
    uint32_t open;           /* here, those that start included */
    uint32_t starting;       /* of them */
    bool guesses_scram;      /* the last login was by that: see pg_login.h */
    const struct pg_settings *reported; /* counted: what the server said at the last login */
    struct buf reported_as;             /* in its own words; owned */
};

/* What a client is told at its login, besides its key. */
struct sql_welcome {
    struct sql_welcome *next;
    const struct pg_settings *start;    /* counted: what the client began with */
    const struct pg_settings *reported; /* counted */
};

/* With which a user is logged in to servers. */
struct sql_credentials {
    char *password;            /* owned: clear, or its md5 hash; NULL: none */
    struct scram_keys keys;    /* by which a client proved who he is */
    struct scram_keys derived; /* from the password, for the servers' verifier */
};

/* What the console counts in one pass over all sessions and upstreams. */
struct sql_seen {
    uint32_t waiting, pinned, active, idle, starting, cancelled, on_primary, on_replica;
    uint64_t since_us; /* of the one that has waited longest; 0: none does */
};

/* A user in a database: whose sessions share upstreams. */
struct sql_account {
    struct list link; /* on side->accounts */
    struct sql_side *side;
    uint64_t number;                              /* never given twice: the scope of statements */
    char *database, *user;                        /* as clients name them; owned */
    const struct sql_user *user_settings;         /* of side->assembly; NULL: of no line */
    const struct sql_database *database_settings; /* of side->assembly; NULL: it is gone */
    struct sql_credentials credentials;           /* of who logged in last */
    struct list rosters;
    struct sql_welcome *welcomes; /* owned */
    uint32_t welcome_count;
    unsigned welcomed; /* when they were the servers' words, see account_flow.c */
    uint32_t sessions;
    struct sql_budget *scope; /* counted: who shares causality with it; NULL: each for itself */
    uint32_t guests;          /* upstreams of no roster */
    uint64_t idle_since_us;
    uint64_t serializable_until_us; /* it is taken for granted that its role's transactions are */
    struct sql_code *code;          /* owned by code_flow.c; NULL: none */
    struct sql_ledger *ledger;      /* borrowed from the side: what its database has done */
    struct sql_catalog *catalog;    /* counted: of its database */
    struct sql_seen seen;           /* while the console's rows are made */
};

enum sql_stage {
    SQL_OPENING,   /* the first message is awaited */
    SQL_ASKING,    /* waits for what auth_query says of who it is */
    SQL_ADMITTING, /* has to prove who it is */
    SQL_WELCOMING, /* waits for what a server says at login */
    SQL_READY,
    SQL_CONSOLE, /* has no account, and needs no server */
    SQL_TUNNEL,  /* replication: bytes go by both ways */
    SQL_LEAVING,
};

enum sql_wait {
    SQL_WAITS_NOT,
    SQL_WAITS_LEASE,    /* on a roster's list */
    SQL_WAITS_PRIMARY,  /* on the side's list: there is none */
    SQL_WAITS_SAMPLE,   /* on a sampler's list: where the primary stands */
    SQL_WAITS_POSITION, /* on a sampler's list: for a replica to come so far */
    SQL_WAITS_COMMIT,   /* on the side's list: what became of its COMMIT */
    SQL_WAITS_RESUME,   /* on a halt's list: its database is paused */
};

struct sql_session {
    struct session base;         /* first; its limits are of its gate */
    struct sql_account *account; /* counted in its sessions; NULL: not admitted */
    struct sql_entry *entry;     /* owned: until it is READY */
    struct sql_console *console; /* owned; NULL: it is none */
    struct sql_upstream *lease;
    struct list wait_link;
    struct sql_roster *waits_at;
    uint64_t wait_since_us; /* 0: it does not */
    uint64_t wait_number;   /* who came first has the least: many come in one turn, at one time */
    uint64_t wait_began_us; /* this wait, of perhaps several */
    uint64_t began_us;      /* its transaction, or the exchange that is one */
    uint64_t frame_left;    /* of a message that streams by */
    uint64_t status_us;     /* since when it is between two exchanges */
    struct buf replay;      /* an exchange that a replica refused: to be asked again, first */
    struct pg_settings_session settings;
    const struct pg_settings *told; /* counted: what was reported to the client */
    struct pg_statements_session statements;
    struct sql_deeds *deeds;     /* owned: changes under way */
    struct sql_presets *presets; /* owned: those that its transaction may change; NULL: none */
    struct buf nobody;           /* see sql_nobody() */
    struct pg_statement *said, *portal_said, *portal_prepares; /* references: see sql_words.h */
    struct sql_edits *edits;   /* owned: of the Query under way, if it is SQL_NOTE_EDITED */
    struct sql_commit *commit; /* owned by commit_flow.c: its COMMIT under way; NULL: none */
    struct position needed;    /* a replica must have reached it */
    uint64_t dirty_us; /* when the primary last answered it; 0: not since `needed` was known */
    uint64_t needed_as_of_us; /* `needed` covers all that was before */
    uint64_t read_us;         /* when a replica last answered it, */
    uint64_t read_since_us;   /* since when it was that one, or when another was looked for last, */
    struct sql_endpoint *read_from; /* and which; borrowed, NULL: none, or it is gone */
    uint64_t changed_id; /* of a statement whose result is another at the lease; 0: none */
    uint64_t portal_hash, portal_named, portal_copied; /* the names of those with portal_deeds... */
    uint64_t followed;     /* pg_settings_number() of what sql_local_follow() has seen */
    uint64_t avoided;      /* by endpoint index: not asked again in this exchange */
    uint32_t pins;         /* enum pg_pin, of the lease */
    uint32_t pins_counted; /* of them, see sql_tally_pins() */
    uint32_t key_pid, key_secret;
    uint32_t own_edition; /* of the catalog, while the lease has one of its own; 0: it has not */
    uint8_t stage;        /* enum sql_stage */
    uint8_t waits;        /* enum sql_wait */
    uint8_t status;       /* enum pg_status, as the client was told */
    uint8_t route;        /* enum sql_route: SET sheaf.route, user, database, listener */
    uint8_t begun, begun_isolation; /* enum sql_begun; enum mode_isolation, as that BEGIN said */
    bool drops_frame : 1;           /* frame_left goes nowhere, */
    bool frame_asks : 1;            /* or is of what is expected last, */
    bool frame_ends_copy : 1;       /* or of a CopyDone or CopyFail */
    bool ends : 1;                  /* what it said is its end, once all else is answered */
    bool skips : 1;                 /* after an error of ours, until Sync */
    bool in_exchange : 1;           /* extended messages since the last Sync were forwarded */
    bool bound : 1, executed : 1;   /* of these, a Bind, an Execute */
    bool wants_own : 1;  /* this exchange asks for what its session did where it was last */
    bool forced : 1;     /* this exchange goes to the primary, whatever it is */
    bool conflicted : 1; /* what the primary removed was in its way: replicas are up */
    bool waited_for_position : 1;
    bool healed : 1; /* this exchange was refused by a primary, and is asked again */
    bool has_min_position : 1;
    bool in_transaction : 1; /* which counts as an open request */
    bool barrier : 1;        /* nothing further is sent until all is answered */
    bool copy_barrier : 1;   /* nor until the server takes COPY's data, or has an error */
    bool copy_ended : 1;     /* CopyDone or CopyFail was sent for it */
    bool applies : 1;        /* waits until its server is set as it is */
    bool asks_more : 1;      /* what it asked waits, and counts as an open request */
    bool copies : 1;         /* the Query under way has a COPY FROM STDIN */
    bool probes : 1, probes_settings : 1; /* something was done that only the server knows all of */
    bool own_names : 1; /* pooling = session as it began: its statements are the server's by them */
    bool may_change_catalog : 1; /* so may what is asked, if it is done; */
    bool changes_catalog : 1;    /* and so does what was done in the transaction */
    bool counts_catalog : 1;     /* which is known already */
    bool dirties : 1;            /* what was asked since an exchange was ended may write; */
    bool commits : 1;            /* or end its transaction */
    bool has_written : 1;        /* so may have what was answered of the transaction; */
    bool may_commit : 1;         /* or have left a portal there that does */
    bool fails_next : 1;         /* the exchange that comes next was answered with an error */
    bool portal_copies : 1;      /* a portal is a COPY FROM STDIN */
    bool portal_deeds : 1;       /* the last one changes something, and was not executed yet; */
    bool deeds_sent : 1;         /* such a one was, in this exchange, */
    bool discards : 1;           /* and is DISCARD ALL */
    bool query_noted : 1;        /* the Query that comes next, or waits: its deeds are noted */
    bool query_last : 1;         /* nothing was asked since the last Query, or function call */
    bool prepares_for_query : 1, began_half : 1; /* before a Query that may end it was seen */
    bool verifies : 1;   /* waits for what the result of a statement looks like at its server */
    bool roams : 1;      /* waits for any replica that may serve it, whichever is free first */
    uint8_t portal_kind; /* enum statement_kind */
    uint8_t cause;       /* enum sql_cause + 1, not counted yet; 0: none */
};

struct sql_upstream {
    struct upstream base;          /* first */
    struct sql_roster *roster;     /* NULL: of a sampler or tunnel */
    struct sql_endpoint *endpoint; /* borrowed: it lives while upstreams do */
    struct list idle_link;
    struct sql_session *lessee;    /* NULL: idle, or starting */
    struct sql_sampler *sampler;   /* it belongs to; NULL: none */
    struct sql_catalog *catalog;   /* the same */
    struct sql_inquirer *inquirer; /* the same */
    struct sql_commit *commit;     /* the same */
    struct sql_budgets budgets;    /* counted, while it is between two workers */
    struct sql_account *account;   /* borrowed: counts it in its rosters or guests */
    const char *tunnel; /* borrowed: what `replication` is to be; NULL: it is no tunnel */
    struct sql_login_state *login; /* owned: until it stands */
    struct pg_expect expect;
    struct pg_prepared prepared;
    const struct pg_settings *settings; /* counted: what was set besides the server's presets */
    const struct pg_settings *reported; /* counted: ParameterStatus as last told */
    struct buf kept;                    /* the exchange, while it may be asked elsewhere */
    struct buf failure;  /* why the statement of a Query could not be prepared in front of it */
    struct buf held;     /* the answer, while it may be dropped for another's */
    uint64_t frame_left; /* of a message that streams by */
    uint64_t born_us, idle_since_us, leased_us, asked_us;
    uint32_t key_pid;
    uint32_t key_secret;
    uint32_t syncs_open; /* of those that are owed */
    uint32_t cancels;    /* requests to cancel that are on their way to it */
    uint32_t found;      /* pins that the probe found */
    uint32_t departs_to; /* a worker, while it is on works->departing */
    char fingerprint[PG_CATALOG_SIGNATURE_BYTES]; /* of the catalog, that the probe found; or "" */
    uint32_t sequences_pid; /* key_pid of the session that may have used sequences there last */
    struct pg_settings_found settings_found;
    struct verdict_key shape; /* of what is held; zero: it has none */
    char sqlstate[6];         /* of the last error in this exchange; "" if there was none */
    struct sql_heard heard;   /* what this exchange is about */
    uint8_t status;           /* enum pg_status, of the last ReadyForQuery */
    uint8_t stands_by;        /* enum sql_stands_by */
    bool asks_tls : 1;        /* SSLRequest was sent */
    bool stood : 1;           /* it was ready once */
    bool frame_shown : 1, error_told : 1; /* frame_left goes to the session; its end is owed */
    bool is_primary : 1;                  /* this exchange was asked of one that may take writes */
    bool holds : 1;    /* nothing was forwarded of this exchange yet, and others may be asked */
    bool fatal : 1;    /* the server ends because of what its session said */
    bool says_why : 1; /* it ends for reasons of its own, and `sqlstate` is that which it gave */
    bool led : 1;      /* somebody had it while its endpoint was the primary */
    bool refused : 1;  /* what follows is swallowed, then others are asked */
    bool awaits_cancel : 1; /* free, but for those */
    bool ending : 1;        /* closed when it is free */
    bool resetting : 1;     /* ROLLBACK or DISCARD ALL is under way; nobody's */
    bool discards : 1;      /* the latter follows the former */
    bool probing : 1;       /* the server is asked which pins there are */
    bool cancel_due : 1;    /* once that is answered */
    bool probes_settings : 1;
    bool probe_failed : 1;        /* the last one */
    bool hides_settings : 1;      /* code ran that may have set what no probe shows */
    bool lacks_start : 1;         /* or has RESET, or taken back, what the client began with */
    bool is_not_serializable : 1; /* its transactions, if nothing is said of it, */
    bool reads_committed : 1;     /* but READ COMMITTED */
};

enum { SQL_FORMS = 8 };

/* What the users' secrets are, so that what is made for want of one looks like them. */
struct sql_secrets {
    uint64_t others; /* that are no verifiers of SCRAM */
    uint32_t form_count;
    struct {
        struct scram_form form;
        uint64_t count;
    } forms[SQL_FORMS]; /* of the verifiers */
};

/* A worker's own side of an sql pool. */
struct sql_side {
    struct list link; /* on the worker's list of sides */
    char *name;
    bool gone;
    struct worker *worker;
    struct assembly *assembly; /* counted reference */
    const struct sql_pool *settings;
    struct sql_budget *shared; /* counted: what all its workers tell each other */
    struct slab session_slab;
    struct list gates;
    struct sql_endpoint **endpoints; /* owned */
    uint32_t endpoint_count;
    struct list past_endpoints;
    struct list accounts;
    uint64_t accounts_made;
    uint64_t waits_begun;
    struct list waiters; /* for a primary */
    struct list halts, consoles, ledgers, catalogs, presets_past, commits;
    uint32_t ledger_count, presets_past_count;
    uint64_t minute_us;           /* of the ledgers */
    struct sql_endpoint *primary; /* as the board said in this epoch, if it is known */
    uint64_t reconnect_us; /* when RECONNECT came last: upstreams of before are not to stay */
    uint32_t primary_epoch, demotion_epoch; /* of the latter, who was left is settled */
    bool primary_known;
    uint64_t doubt_until_us; /* it may have been demoted: nothing is sent there */
    struct stats_row *stats;
    struct sql_counts *counts;
    uint32_t editions; /* of sessions, how many there were */
    struct verdicts *verdicts;
    uint32_t verdict_epoch, waiters_epoch; /* rises when those may be others; `waiters` know */
    struct policy_turn turn;
    struct slow_watch slow;
    struct pg_settings_pool *interned;
    struct pg_statements *statements;
    struct sql_kept_keys *kept_keys; /* owned by admission_flow */
    struct sql_secrets secrets;
    struct sql_inquiries *inquiries; /* owned by inquiry_flow; NULL: nothing was asked */
    struct arena arena;              /* of one classification */
    struct script script;
};

struct sql_works {
    struct list sides;
    struct list departing; /* upstreams that move to another worker when the turn ends */
};

static inline struct sql_works *sql_works_of(const struct worker *w)
{
    return w->works[POOL_SQL];
}

static inline struct sql_gate *sql_gate_of(const struct sql_session *s)
{
    return (struct sql_gate *)s->base.limits;
}

static inline struct sql_side *sql_side_of(const struct sql_session *s)
{
    return sql_gate_of(s)->side;
}

/* What a text is. */
struct sql_class {
    struct statement_verdict verdict;
    struct shape_hints hints;
    struct verdict_key key;
    bool has_shape;
    bool is_sheaf_set; /* SET sheaf.x, whatever the grammar says of the value */
    struct slice text;
    struct slice read;           /* the same, or what was read in its place: sql_readable() */
    const struct script *script; /* in side->arena, until the next; NULL: it was remembered */
};

/* May it change what others see?  BEGIN is the primary's, but does not. */
static inline bool sql_may_write(const struct statement_verdict *v)
{
    return v->route > ROUTE_TRY && v->kind != STATEMENT_BEGIN;
}

/* What the result of a statement looks like. */
struct sql_result {
    uint64_t columns;  /* a hash, if it is known; 0: it has none */
    uint64_t found_us; /* when it was last found to be so */
    uint8_t *types;    /* owned: of its parameters, four bytes each; NULL: not known, or none */
    uint16_t type_count;
    bool is_known;
};

/* What an interned statement is: its note. */
struct sql_note {
    struct statement_verdict verdict;
    struct verdict_key key;
    struct sql_result result;
    char *name; /* owned: of what it executes, deallocates or prepares; NULL: none */
    uint32_t name_len, written_at, written_len; /* and where in the text that stands */
    uint64_t said_for; /* id of that in whose place it was said last; 0: it is a client's */
    uint32_t epoch;    /* the side's verdict_epoch */
    uint8_t hint;      /* enum shape_hint_route */
    bool has_deeds;
    bool is_of_sql; /* what a PREPARE's executions are */
    bool is_ours;   /* sql_local_is(); */
    bool is_position;
};

enum sql_verb { SQL_GO, SQL_WAIT_PRIMARY, SQL_WAIT_SAMPLE, SQL_WAIT_POSITION, SQL_REFUSE };

struct sql_decision {
    enum sql_verb verb;
    struct sql_endpoint *endpoint; /* to go to, or to wait for */
    const char *why;
    enum sql_cause cause; /* of SQL_GO */
};

/* What was done in a database, for SHOW STATS. */
enum sql_done {
    SQL_DONE_ASSIGNMENTS,
    SQL_DONE_TRANSACTIONS,
    SQL_DONE_QUERIES,
    SQL_DONE_RECEIVED, /* bytes, from clients */
    SQL_DONE_SENT,
    SQL_DONE_TRANSACTION_US,
    SQL_DONE_QUERY_US,
    SQL_DONE_WAIT_US,
    SQL_DONE_CLIENT_PARSES,
    SQL_DONE_SERVER_PARSES,
    SQL_DONE_BINDS,
    SQL_DONE_COUNT,
};

struct sql_ledger {
    struct list link;                                           /* on side->ledgers */
    char *database;                                             /* owned */
    uint64_t done[SQL_DONE_COUNT], done_before[SQL_DONE_COUNT]; /* when the minute began */
    uint64_t last_minute[SQL_DONE_COUNT];
};

/* budget_flow.c */
struct sql_budget *sql_budget_open(const char *pool, const char *endpoint, const char *database,
                                   const char *user);
void sql_budget_close(struct sql_budget **where);
bool sql_budget_take(struct sql_roster *roster, bool reserve);
bool sql_budget_take_least(struct sql_roster *roster); /* up to min_pool_size */
void sql_budget_give(struct sql_roster *roster);
void sql_budgets_ref(struct sql_budgets budgets);
void sql_budgets_give(struct sql_budgets budgets); /* and the references */
void sql_budgets_unref(struct sql_budgets budgets);
/* By rosters of other accounts, just now; one of its own account asks by sql_move_ask(). */
bool sql_budget_is_wanted(const struct sql_roster *roster);

/* account_flow.c */
struct sql_account *sql_account_find(struct sql_side *side, struct slice database,
                                     struct slice user);
void sql_account_follow(struct sql_account *a, bool are_others); /* are_others: the servers */
void sql_account_free(struct sql_account *a);
void sql_account_tick(struct sql_account *a, uint64_t now_us, bool housekeeping);
struct sql_sizes sql_account_sizes(const struct sql_account *a);
uint32_t sql_account_max_connections(const struct sql_account *a);
enum sql_pooling sql_account_pooling(const struct sql_account *a);
struct sql_roster *sql_roster_of(struct sql_account *a, struct sql_endpoint *e);
/* False: not known yet.  *reported is borrowed. */
bool sql_welcome_find(struct sql_account *a, const struct pg_settings *start,
                      const struct pg_settings **reported);
void sql_welcome_keep(struct sql_account *a, const struct pg_settings *start,
                      const struct pg_settings *reported);
void sql_welcomes_forget(void); /* in all workers */

/* entry_flow.c */
size_t sql_entry_input(struct sql_session *s, struct slice in);
void sql_entry_go_on(struct sql_session *s); /* WELCOMING: a lease came, or its answer */
void sql_entry_free(struct sql_session *s);
void sql_entry_tell_error(struct sql_session *s, const struct pg_report *report);
/* auth_query's answer came; NULL: there is none. */
void sql_entry_answered(struct sql_session *s, struct sql_answer *answer);
/* He is asked again who he is. */
void sql_entry_admit(struct sql_session *s);
/* A server where logins go: the primary, or a replica.  NULL: there is none. */
struct sql_endpoint *sql_endpoint_for_login(struct sql_side *side);

/* admission_flow.c */
struct sql_admission {
    const char *user, *database; /* borrowed */
    bool is_replication;         /* physical */
    bool is_answered;            /* auth_query was asked */
    struct sql_answer *answer;   /* borrowed while it is taken; NULL: he is not known there */
    struct pg_admit_settings settings;
    uint8_t endpoint_hash[TLS_END_POINT_MOST];
    char host[64];
};
/* How he is to prove who he is; false: he was refused already, or is SQL_ASKING.  Does not move
 * until that is done. */
bool sql_admission_settings(struct sql_session *s, struct sql_admission *a);
/* The settings are others now. */
void sql_admission_follow(struct sql_side *side);
void sql_admission_end(struct sql_side *side);
void sql_admission_saw(struct sql_side *side, const char *secret);

/* session_flow.c */
/* What it waited for came, or must be looked for elsewhere: it is shown its input again. */
void sql_session_go_on(struct sql_session *s);
/* Ends the session when what was put for it is written: why was said. */
void sql_session_end(struct sql_session *s, enum close_reason reason);
/* Ends the session with a FATAL error. */
#define sql_session_fatal(s, sqlstate, ...) sql_session_fatal_hint(s, sqlstate, "", __VA_ARGS__)
void sql_session_fatal_hint(struct sql_session *s, const char *sqlstate, const char *hint,
                            const char *format, ...) PRINTF_LIKE(4, 5);
/* The exchange at the front of its input, which was not begun, is answered with an error. */
#define sql_session_fail_exchange(s, sqlstate, ...)                                                \
    sql_session_fail_exchange_hint(s, sqlstate, "", __VA_ARGS__)
void sql_session_fail_exchange_hint(struct sql_session *s, const char *sqlstate, const char *hint,
                                    const char *format, ...) PRINTF_LIKE(4, 5);
#define SQL_TOO_MANY_HINT "Try again when others have left, or raise max_sessions."
void sql_session_put(struct sql_session *s, struct slice bytes);
/* Gives the lease back, or up. */
void sql_session_let_go(struct sql_session *s);
/* Whether it holds a transaction: then it is not idle, for who drains the process. */
void sql_session_holds(struct sql_session *s, bool transaction);
void sql_session_tick(struct sql_session *s, uint64_t now_us);
/* As an administrator ends it. */
void sql_session_kill(struct sql_session *s);

/* ask_flow.c */
size_t sql_ask_input(struct sql_session *s, struct slice in);
/* Its client sends no more, and so many bytes are left of what it said.  True: it ends. */
bool sql_ask_left(struct sql_session *s, size_t left);
bool sql_keeps_lease(const struct sql_session *s); /* whatever is asked */

/* message_flow.c */
/* One message, or the part of it that is there, to the lease; returns the bytes used, 0: more are
 * needed, or it must wait.  Class NULL: of a Query it is not known yet. */
size_t sql_message_forward(struct sql_session *s, struct slice in, struct pg_frame f,
                           const struct sql_class *class);
size_t sql_message_stream(struct sql_session *s, struct slice in);
bool sql_is_amid_message(const struct sql_session *s); /* the server waits for the rest of one */

void sql_message_put(struct sql_upstream *u, struct slice bytes);
/* False: too much is under way; the message waits. */
bool sql_message_expect(struct sql_session *s, enum pg_expect_kind kind, uint8_t flags,
                        uint16_t note, struct pg_statement *subject);
/* The same, for so many at once: sql_message_expect() then takes them. */
bool sql_message_has_room(struct sql_session *s, uint32_t count);
/* Those of the client's messages that come begin an exchange, if none is under way. */
void sql_message_begin(struct sql_session *s);
/* The message waits until what was sent before it is answered; returns 0. */
size_t sql_message_wait(struct sql_session *s);

/* sequence_flow.c */
/* What currval() would tell.  Nothing is under way, and what comes next waits for it. */
void sql_sequences_forget(struct sql_session *s);

/* sql_words.h has prepared_flow.c, result_flow.c, edit_flow.c, prepare_flow.c */

/* settle_flow.c */
bool sql_class_has_deeds(const struct sql_class *c);
/* What this text will change is noted, to be done as its statements are answered. */
void sql_deeds_note(struct sql_session *s, struct slice text, const struct pg_bind *bound);
/* `reworded`: it was said in other words than those that are noted. */
void sql_deeds_complete(struct sql_upstream *u, uint16_t note, bool reworded, struct slice tag);
void sql_deeds_forget(struct sql_session *s);
void sql_pins_note(struct sql_session *s, const struct statement_verdict *v, struct slice text);
void sql_settle_entry(struct sql_upstream *u, const struct pg_expected *e, enum pg_outcome outcome);
void sql_settle_lost(struct sql_upstream *u); /* all that is expected: it will not come */
enum err sql_setting_do(struct sql_session *s, const struct setting *set); /* or undo */
void sql_exchange_answered(struct sql_upstream *u); /* ReadyForQuery came, for the session */
void sql_exchange_ended(struct sql_upstream *u);    /* nothing is owed any more */
void sql_probe_ended(struct sql_upstream *u);
void sql_probe_forget(struct sql_upstream *u); /* what it has found, of whoever was asked for */
uint64_t sql_server_major(const struct sql_upstream *u); /* of its version; 0: unknown */
/* The server is set as the session has it, in front of what that asks.  False: it is so. */
bool sql_settings_apply(struct sql_upstream *u, const struct pg_settings *wanted);
/* The session leaves it within a transaction, which is not to be: what that has set is undone. */
void sql_settings_undo(struct sql_upstream *u);

/* route_flow.c */
/* The text; or, where the client's encoding hides what is in it, one as long that does not. */
struct slice sql_readable(const struct sql_session *s, struct slice text, struct arena *arena);
/* Was it made to be read? */
static inline bool sql_is_masked(const struct sql_class *class)
{
    return class->read.at != class->text.at;
}
/* A part of what was read, in the text. */
static inline struct slice sql_part(const struct sql_class *class, struct slice part)
{
    return slice_of(class->text.at + (part.at - class->read.at), part.len);
}
void sql_classify(struct sql_session *s, struct slice text, struct sql_class *out);
const struct sql_note *sql_note_of(struct sql_session *s, struct pg_statement *st);
struct sql_decision sql_decide(struct sql_session *s, const struct statement_verdict *v,
                               const struct shape_hints *hints);
/* A replica refused it: for some time it is the primary's. */
void sql_verdict_overrule(struct sql_session *s, const struct sql_upstream *u);
struct sql_endpoint *sql_primary(struct sql_side *side); /* NULL: there is none */
/* Is it that, though it may be doubted just now? */
bool sql_is_primary(const struct sql_endpoint *e);
/* Its health; where nobody probes it, it is tried once it was out of service for its time. */
bool sql_is_up(const struct sql_endpoint *e);
/* Does it take writes, for all that is known?  True of one that was the primary until now. */
bool sql_may_write_at(const struct sql_endpoint *e);
/* It refused to write: for a moment, or until the board tells of another, there is none. */
void sql_primary_is_doubted(struct sql_endpoint *e);
bool sql_is_causal(const struct sql_session *s);

/* lease_flow.c */
void sql_lease_end(struct sql_upstream *u);
void sql_lease_drop(struct sql_upstream *u); /* it is not to be used by others */
void sql_upstream_is_free(struct sql_upstream *u);
void sql_wait_begin(struct sql_session *s, enum sql_wait wait, struct list *waiters);
void sql_wait_end(struct sql_session *s);
void sql_roster_tick(struct sql_roster *roster, uint64_t now_us);
void sql_roster_turn_away(struct sql_roster *roster);
/* The primary may be another now. */
void sql_primary_waiters_look(struct sql_side *side);
void sql_waiters_expire(struct list *waiters, uint64_t now_us, bool housekeeping);

/* upstream_flow.c */
void sql_upstream_open(struct sql_roster *roster);
/* Of no roster: its owner is told by sql_sampler_ready() and the like. */
struct sql_upstream *sql_upstream_open_alone(struct sql_account *a, struct sql_endpoint *e);
void sql_upstream_close(struct sql_upstream *u); /* nobody's; says goodbye */
void sql_upstream_end(struct sql_upstream *u);   /* when it is free */
void sql_upstream_retire(struct sql_upstream *u);
void sql_upstream_tick(struct sql_upstream *u, uint64_t now_us, bool housekeeping);
void sql_endpoint_tick(struct sql_endpoint *e, uint64_t now_us);
void sql_upstream_connected(struct upstream *base);
size_t sql_upstream_input(struct upstream *base, struct slice in);
void sql_upstream_lost(struct upstream *base, enum err err, const char *why);
void sql_upstream_drained(struct upstream *base, uint64_t before);
void sql_upstream_passed(struct upstream *base, size_t len);
const char *sql_upstream_user(const struct sql_upstream *u);     /* who logs in to the server */
const char *sql_upstream_database(const struct sql_upstream *u); /* as the server names it */
/* What it says of in_hot_standby. */
void sql_upstream_stands_by(struct sql_upstream *u, struct slice value);
/* Sends a Query on nobody's behalf; the answer is swallowed.  ask: the clock looks after it. */
void sql_upstream_put_query(struct sql_upstream *u, struct slice text, uint16_t note);
void sql_upstream_ask(struct sql_upstream *u, struct slice text, uint16_t note);
/* Undoes what who left it has left: a transaction, and with `discard` all else. */
void sql_upstream_reset(struct sql_upstream *u, bool discard);
void sql_upstream_reset_ended(struct sql_upstream *u);
/* The server says an error that nobody asked for: it is going. */
void sql_upstream_says_goodbye(struct sql_upstream *u, const struct pg_report *report);
void sql_endpoint_turn_away(struct sql_endpoint *e); /* those who wait there look for another */
void sql_endpoint_fails(struct sql_endpoint *e, enum err err, const char *why);

/* libpq_flow.c */
/* Tells libpq, begun with the first, what the server asks for.  False: the upstream is lost. */
bool sql_libpq_say(struct sql_upstream *u, struct sql_libpq **where, struct slice request);
void sql_libpq_end(struct sql_libpq **where);

/* side_flow.c */
struct sql_side *sql_side_find(struct worker *w, const char *pool); /* NULL: there is none */

/* tally_flow.c */
struct sql_ledger *sql_ledger_of(struct sql_side *side, const char *database);
void sql_ledgers_free(struct sql_side *side);
void sql_tally_wait_begins(struct sql_session *s);
void sql_tally_wait_ends(struct sql_session *s);
void sql_tally_lease(struct sql_session *s, bool begins);
/* What an exchange took, and whether it ended a transaction. */
void sql_tally_answered(struct sql_session *s, const struct sql_upstream *u, uint64_t took_us);
/* What pins it now. */
void sql_tally_pins(struct sql_session *s, uint32_t pins);
void sql_tally_tick(struct sql_side *side, uint64_t now_us);
static inline void sql_tally(struct sql_session *s, enum sql_done what, uint64_t more)
{
    if (s->account != NULL)
        s->account->ledger->done[what] += more;
}
