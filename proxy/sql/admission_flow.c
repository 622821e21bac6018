/* Who may come in, and how he proves it: the rule that fits his address, database and name, the
 * secret that is known of him, and what TLS or the system vouch for. */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "config/hba.h"
#include "proxy/base/mem.h"
#include "proxy/sql/inquiry_flow.h"
#include "proxy/sql/sql_flow.h"

/* ---- secrets ---- */

enum { MACHINE_ID_DIGITS = 32 };

/* Keys of passwords in clear, which cost half a millisecond to derive. */
struct sql_kept_keys {
    uint32_t count;
    struct scram_keys *of_user[]; /* owned; by the place in the settings; NULL: not derived yet */
};

static uint8_t process_secret[32];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* That of this machine, which nobody hears over the network: random, and the same for good. */
static bool read_machine_id(uint8_t id[MACHINE_ID_DIGITS])
{
    FILE *f = fopen("/etc/machine-id", "re");
    size_t read = f == NULL ? 0 : fread(id, 1, MACHINE_ID_DIGITS, f);

    if (f != NULL)
        fclose(f);
    for (size_t i = 0; i < read; i++)
        if (!isxdigit(id[i])) /* "uninitialized" */
            return false;
    return read == MACHINE_ID_DIGITS;
}

/* Of it the salts of users are made who have none of their own, also of those who don't exist: if
 * these changed with each start, they could be told from verifiers, whose salts stay.  It can't
 * come from passwords, since who hears a salt could try which ones lead to it. */
static void make_process_secret(void)
{
    uint8_t id[MACHINE_ID_DIGITS];

    if (getrandom(process_secret, sizeof(process_secret), 0) != sizeof(process_secret))
        abort(); /* without it, what is said to unknown users could be told from what others hear */
    if (!read_machine_id(id))
        return;
    scram_salt_of_user(slice_text("sheaf: salts of users"), slice_of(id, sizeof(id)),
                       process_secret, sizeof(process_secret));
    OPENSSL_cleanse(id, sizeof(id));
}

static void kept_keys_free(struct sql_kept_keys **kept)
{
    struct sql_kept_keys *k = *kept;

    *kept = NULL;
    for (uint32_t i = 0; k != NULL && i < k->count; i++) {
        if (k->of_user[i] != NULL)
            scram_keys_wipe(k->of_user[i]);
        free(k->of_user[i]);
    }
    free(k);
}

static struct scram_keys *kept_keys(struct sql_side *side, const struct sql_user *user)
{
    const struct sql_pool *pool = side->settings;
    struct sql_kept_keys *kept = side->kept_keys;
    size_t at = (size_t)(user - pool->users);

    if (kept == NULL) {
        kept = mem_new(sizeof(*kept) + pool->user_count * sizeof(struct scram_keys *));
        kept->count = pool->user_count;
        side->kept_keys = kept;
    }
    if (kept->of_user[at] == NULL)
        kept->of_user[at] = mem_new(sizeof(struct scram_keys));
    return kept->of_user[at];
}

/* Where method md5 asks nobody for SCRAM, users who do not exist are not asked for it either.  Whom
 * auth_query does not know is taken for one with a verifier, until it told of others alone. */
static bool has_no_verifier(const struct sql_side *side)
{
    const struct sql_secrets *secrets = &side->secrets;

    return secrets->form_count == 0 && (side->settings->auth_user == NULL || secrets->others > 0);
}

/* That of most verifiers. */
static struct scram_form common_form(const struct sql_secrets *secrets)
{
    uint32_t most = 0;

    for (uint32_t i = 1; i < secrets->form_count; i++)
        if (secrets->forms[i].count > secrets->forms[most].count)
            most = i;
    return secrets->forms[most].form; /* zero if there is none */
}

static void count_form(struct sql_secrets *secrets, struct scram_form form)
{
    uint32_t i = 0;

    while (i < secrets->form_count && (secrets->forms[i].form.iterations != form.iterations ||
                                       secrets->forms[i].form.salt_len != form.salt_len))
        i++;
    if (i == SQL_FORMS || form.iterations > SCRAM_ITERATIONS_MOST)
        return; /* as rare as that it may stand out */
    secrets->forms[i].form = form;
    secrets->forms[i].count++;
    if (i == secrets->form_count)
        secrets->form_count++;
}

void sql_admission_saw(struct sql_side *side, const char *secret)
{
    struct scram_verifier v;

    if (scram_is_verifier(slice_text(secret))) {
        if (scram_verifier_parse(slice_text(secret), &v) == ERR_NONE)
            count_form(&side->secrets, (struct scram_form){ v.iterations, v.salt_len });
    } else {
        side->secrets.others++;
    }
}

void sql_admission_follow(struct sql_side *side)
{
    const struct sql_pool *pool = side->settings;

    kept_keys_free(&side->kept_keys); /* secrets may be others now */
    side->secrets = (struct sql_secrets){ 0 };
    for (uint32_t i = 0; i < pool->user_count; i++)
        if (pool->users[i].secret != NULL &&
            (pool->auth_user == NULL || strcmp(pool->users[i].name, pool->auth_user) != 0))
            sql_admission_saw(side, pool->users[i].secret);
}

void sql_admission_end(struct sql_side *side)
{
    kept_keys_free(&side->kept_keys);
}

/* ---- who vouches ---- */

static bool is_allowed(const struct sql_pool *pool, const struct hba_rule *rule, const char *name,
                       const char *user)
{
    const char *map = rule == NULL ? NULL : rule->map;

    return map == NULL ? strcmp(name, user) == 0
                       : ident_allows(pool->ident, map, slice_text(name), slice_text(user));
}

static bool is_vouched_by_certificate(const struct sql_session *s, const struct sql_pool *pool,
                                      const struct hba_rule *rule, const char *user)
{
    const struct tls_stream *tls = s->base.conn.tls;
    char name[256];

    return tls != NULL && tls_peer_is_verified(tls) &&
           tls_peer_name(tls, name, sizeof(name)) == ERR_NONE && is_allowed(pool, rule, name, user);
}

static bool is_vouched_by_system(const struct sql_session *s, const struct sql_pool *pool,
                                 const struct hba_rule *rule, const char *user)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    struct passwd entry, *found = NULL;
    char room[4096];

    if (getsockopt(s->base.conn.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 ||
        getpwuid_r(peer.uid, &entry, room, sizeof(room), &found) != 0 || found == NULL)
        return false;
    return is_allowed(pool, rule, found->pw_name, user);
}

/* ---- the method ---- */

static enum pg_admit_method method_of_pool(const struct sql_pool *pool)
{
    static const enum pg_admit_method METHODS[] = {
        [SQL_AUTH_SCRAM] = PG_ADMIT_SCRAM,       [SQL_AUTH_MD5] = PG_ADMIT_MD5,
        [SQL_AUTH_PASSWORD] = PG_ADMIT_PASSWORD, [SQL_AUTH_CERT] = PG_ADMIT_CERT,
        [SQL_AUTH_PEER] = PG_ADMIT_PEER,         [SQL_AUTH_TRUST] = PG_ADMIT_TRUST,
    };

    return METHODS[pool->auth];
}

static enum pg_admit_method method_of_rule(const struct hba_rule *rule)
{
    static const enum pg_admit_method METHODS[] = {
        [HBA_TRUST] = PG_ADMIT_TRUST,       [HBA_REJECT] = PG_ADMIT_REJECT,
        [HBA_PASSWORD] = PG_ADMIT_PASSWORD, [HBA_MD5] = PG_ADMIT_MD5,
        [HBA_SCRAM] = PG_ADMIT_SCRAM,       [HBA_CERT] = PG_ADMIT_CERT,
        [HBA_PEER] = PG_ADMIT_PEER,
    };

    return rule == NULL ? PG_ADMIT_NO_RULE : METHODS[rule->method];
}

/* A password in clear over the net would be anybody's. */
static bool may_ask_clear(const struct sql_session *s, const struct sockaddr_storage *peer)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;

    if (s->base.conn.tls != NULL || peer->ss_family == AF_UNIX ||
        sql_side_of(s)->settings->base.insecure_listen)
        return true;
    if (peer->ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    return peer->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static bool asks_for_secret(enum pg_admit_method method)
{
    return method == PG_ADMIT_PASSWORD || method == PG_ADMIT_MD5 || method == PG_ADMIT_SCRAM;
}

/* False: auth_query is asked. */
static bool ask_for_secret(struct sql_session *s, struct sql_admission *a)
{
    struct sql_side *side = sql_side_of(s);
    struct sql_answer *answer = a->answer;
    /* Physical replication is of no database. */
    const char *database = a->is_replication ? "postgres" : a->database, *secret = NULL;

    if (!a->is_answered)
        answer = sql_inquiry_find(side, a->user, database);
    if (answer == NULL && !a->is_answered) {
        s->stage = SQL_ASKING;
        sql_inquiry_ask(s, a->user, database);
        return false;
    }
    if (answer != NULL)
        secret = sql_answer_secret(answer, &a->settings.kept);
    if (secret != NULL)
        a->settings.secret = slice_text(secret);
    return true;
}

static bool find_secret(struct sql_session *s, struct sql_admission *a)
{
    struct sql_side *side = sql_side_of(s);
    const struct sql_user *known = sql_pool_user(side->settings, a->user);

    if (asks_for_secret(a->settings.method) && sql_inquiry_asks_of(side, a->user))
        return ask_for_secret(s, a);
    if (known == NULL || known->secret == NULL)
        return true;
    a->settings.secret = slice_text(known->secret);
    if (sql_secret_kind(known->secret) == SQL_SECRET_PASSWORD)
        a->settings.kept = kept_keys(side, known);
    return true;
}

/* What TLS and the system say of him. */
static void set_vouchers(struct sql_session *s, const struct hba_rule *rule, const char *user,
                         struct pg_admit_settings *out)
{
    const struct sql_pool *pool = sql_side_of(s)->settings;

    out->is_tls = s->base.conn.tls != NULL;
    out->has_cert = out->is_tls && tls_peer_is_verified(s->base.conn.tls);
    if (rule != NULL && rule->client_cert == HBA_CLIENT_CERT_VALID)
        out->cert = PG_ADMIT_CERT_VALID;
    if (rule != NULL && rule->client_cert == HBA_CLIENT_CERT_OF_USER)
        out->cert = PG_ADMIT_CERT_OF_USER;
    out->is_vouched = out->method == PG_ADMIT_PEER ? is_vouched_by_system(s, pool, rule, user)
                                                   : is_vouched_by_certificate(s, pool, rule, user);
}

/* The host of "HOST:PORT" or "[HOST]:PORT", in its place. */
static const char *host_of(char *address)
{
    char *end = strrchr(address, address[0] == '[' ? ']' : ':');

    if (end != NULL)
        *end = '\0';
    return address[0] == '[' ? address + 1 : address;
}

bool sql_admission_settings(struct sql_session *s, struct sql_admission *a)
{
    const struct sql_pool *pool = sql_side_of(s)->settings;
    struct sockaddr_storage peer = { .ss_family = AF_UNIX };
    socklen_t len = sizeof(peer);
    const struct hba_rule *rule = NULL;
    size_t hash_len = 0;

    pthread_once(&once, make_process_secret);
    if (getpeername(s->base.conn.fd, (struct sockaddr *)&peer, &len) != 0)
        peer.ss_family = AF_UNIX;
    a->settings = (struct pg_admit_settings){
        .method = method_of_pool(pool),
        .user = slice_text(a->user),
        .database = slice_text(a->database),
        .process_secret = slice_of(process_secret, sizeof(process_secret)),
        .form = common_form(&sql_side_of(s)->secrets),
        .has_no_verifier = has_no_verifier(sql_side_of(s)),
        .is_replication = a->is_replication,
    };
    if (pool->hba != NULL) {
        struct hba_visit visit = { .is_tls = s->base.conn.tls != NULL,
                                   .is_replication = a->is_replication,
                                   .address = (const struct sockaddr *)&peer,
                                   .database = slice_text(a->database),
                                   .user = slice_text(a->user) };

        rule = hba_match(pool->hba, &visit);
        a->settings.method = method_of_rule(rule);
    }
    if (a->settings.method == PG_ADMIT_PASSWORD && !may_ask_clear(s, &peer)) {
        sql_session_fatal(s, "28000",
                          "a password in clear may be said over TLS only: connect with "
                          "sslmode=require");
        return false;
    }
    if (!find_secret(s, a))
        return false;
    set_vouchers(s, rule, a->user, &a->settings);
    if (s->base.conn.tls != NULL &&
        tls_server_end_point(s->base.conn.tls, a->endpoint_hash, &hash_len) == ERR_NONE)
        a->settings.endpoint = slice_of(a->endpoint_hash, hash_len);
    if (peer.ss_family != AF_UNIX) {
        session_address(&s->base, a->host, sizeof(a->host));
        a->settings.host = host_of(a->host);
    }
    return true;
}
