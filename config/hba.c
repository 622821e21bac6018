/* See hba.h.  A field after the other is taken off a line; the first that is wrong is told, and the
 * line is no rule. */
#include "config/hba.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/hba_lines.h"
#include "config/option.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"

struct hba_reader {
    struct hba_lines lines;
    struct hba_line line;
    uint32_t next; /* field */
    struct hba_rule rule;
};

static const char *const TYPES[] = {
    [HBA_LOCAL] = "local",
    [HBA_HOST] = "host",
    [HBA_HOSTSSL] = "hostssl",
    [HBA_HOSTNOSSL] = "hostnossl",
    NULL,
};
static const char *const METHODS[] = {
    [HBA_TRUST] = "trust",         [HBA_REJECT] = "reject",
    [HBA_PASSWORD] = "password",   [HBA_MD5] = "md5",
    [HBA_SCRAM] = "scram-sha-256", [HBA_CERT] = "cert",
    [HBA_PEER] = "peer",           NULL,
};
/* PostgreSQL's others; known, so that the reason is the right one. */
static const char *const OTHER_METHODS[] = {
    "gss", "sspi", "ident", "ldap", "radius", "pam", "bsd", "oauth", NULL,
};
static const char *const OPTIONS[] = { "map", "clientcert", "clientname", NULL };

PRINTF_LIKE(2, 3) static enum err fail(struct hba_reader *r, const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    problems_error(r->lines.problems, r->line.place, "%s", text == NULL ? "out of memory" : text);
    free(text);
    return ERR_SYNTAX;
}

/* An unknown word, with the nearest known one. */
static enum err fail_word(struct hba_reader *r, const char *what, const char *word,
                          const char *const *known)
{
    struct buf text = { 0 };
    enum err err;

    buf_format(&text, "unknown %s \"%s\"", what, word);
    option_suggest_word(known, word, &text);
    err = fail(r, "%.*s", (int)text.len, (const char *)text.at);
    buf_fini(&text);
    return err;
}

static int find(const char *const *words, const char *word)
{
    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return -1;
}

static bool is_word(const struct hba_token *token, const char *word)
{
    return !token->is_quoted && strcmp(token->text, word) == 0;
}

static bool begins(const struct hba_token *token, char letter)
{
    return !token->is_quoted && token->text[0] == letter;
}

/* NULL, and the problem, if there is none. */
static const struct hba_field *take_field(struct hba_reader *r, const char *what)
{
    if (r->next < r->line.count)
        return &r->line.fields[r->next++];
    (void)!fail(r, "the %s is missing: a rule is TYPE DATABASE USER%s METHOD [OPTIONS]", what,
                r->next > 0 && r->rule.type == HBA_LOCAL ? "" : " ADDRESS");
    return NULL;
}

static const struct hba_token *take_one(struct hba_reader *r, const char *what)
{
    const struct hba_field *field = take_field(r, what);

    if (field == NULL || field->count == 1)
        return field == NULL ? NULL : &field->tokens[0];
    (void)!fail(r, "there can be only one %s, not a list", what);
    return NULL;
}

static enum err read_type(struct hba_reader *r)
{
    const struct hba_token *token = take_one(r, "type");
    int type;

    if (token == NULL)
        return ERR_SYNTAX;
    type = find(TYPES, token->text);
    if (type < 0 && strncmp(token->text, "include", 7) == 0)
        return fail(r, "\"%s\" is not supported: all rules are in one file", token->text);
    if (type < 0 && strstr(token->text, "gssenc") != NULL)
        return fail(r, "\"%s\" is not supported: there is no encryption by GSS", token->text);
    if (type < 0)
        return fail_word(r, "type", token->text, TYPES);
    r->rule.type = (enum hba_type)type;
    return ERR_NONE;
}

/* What PostgreSQL lets databases and users be besides names, and what that is here. */
static enum err read_item(struct hba_reader *r, const struct hba_token *token, bool is_user,
                          struct hba_item *out)
{
    *out = (struct hba_item){ .name = token->text };
    if (begins(token, '@'))
        return fail(r, "\"%s\": a file of names is not supported: write the names", token->text);
    if (begins(token, '/'))
        return fail(r,
                    "\"%s\": a regular expression is not supported (a name that begins with a "
                    "slash is written in quotes)",
                    token->text);
    if (is_word(token, "all"))
        out->word = HBA_ALL;
    else if (!is_user && is_word(token, "sameuser"))
        out->word = HBA_SAMEUSER;
    else if (!is_user && is_word(token, "replication"))
        out->word = HBA_REPLICATION;
    else if (is_user ? begins(token, '+')
                     : is_word(token, "samerole") || is_word(token, "samegroup"))
        return fail(r, "\"%s\": members of a role are known to the servers only: write the names",
                    token->text);
    return ERR_NONE;
}

static enum err read_items(struct hba_reader *r, const char *what, bool is_user,
                           struct hba_items *out)
{
    const struct hba_field *field = take_field(r, what);

    if (field == NULL)
        return ERR_SYNTAX;
    out->list = arena_new(r->lines.arena, field->count * sizeof(*out->list));
    for (; out->count < field->count; out->count++)
        TRY(read_item(r, &field->tokens[out->count], is_user, &out->list[out->count]));
    return ERR_NONE;
}

static int parse_address(const char *text, uint8_t out[16])
{
    memset(out, 0, 16);
    return inet_pton(AF_INET, text, out) == 1    ? AF_INET
           : inet_pton(AF_INET6, text, out) == 1 ? AF_INET6
                                                 : AF_UNSPEC;
}

static enum err read_bits(struct hba_reader *r, const char *text)
{
    uint64_t bits, most = r->rule.family == AF_INET ? 32 : 128;

    if (!slice_to_u64(slice_text(text), &bits) || bits > most)
        return fail(r, "behind the slash of an address stand 0 to %u bits, not \"%s\"",
                    (unsigned)most, text);
    for (unsigned i = 0; i < bits; i++)
        r->rule.mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
    return ERR_NONE;
}

static enum err read_address(struct hba_reader *r)
{
    const struct hba_token *token = take_one(r, "address"), *mask;
    const char *slash;
    char *address;

    if (token == NULL)
        return ERR_SYNTAX;
    if (is_word(token, "all"))
        return ERR_NONE;
    if (is_word(token, "samehost") || is_word(token, "samenet"))
        return fail(r, "\"%s\" is not supported: write the addresses", token->text);
    slash = strchrnul(token->text, '/');
    address = arena_text(r->lines.arena, slice_of(token->text, (size_t)(slash - token->text)));
    r->rule.family = parse_address(address, r->rule.address);
    if (r->rule.family == AF_UNSPEC)
        return fail(r,
                    "\"%s\" is no address: it is \"all\", ADDRESS/BITS or ADDRESS MASK (host "
                    "names are not supported)",
                    token->text);
    if (*slash == '/')
        return read_bits(r, slash + 1);
    mask = take_one(r, "mask behind an address without a slash");
    if (mask == NULL)
        return ERR_SYNTAX;
    if (parse_address(mask->text, r->rule.mask) != r->rule.family)
        return fail(r, "\"%s\" is no mask for \"%s\"", mask->text, address);
    return ERR_NONE;
}

static enum err read_method(struct hba_reader *r)
{
    const struct hba_token *token = take_one(r, "method");
    int method;

    if (token == NULL)
        return ERR_SYNTAX;
    method = find(METHODS, token->text);
    if (r->rule.type == HBA_LOCAL && strcmp(token->text, "ident") == 0)
        method = HBA_PEER; /* as PostgreSQL has it */
    if (method < 0 && find(OTHER_METHODS, token->text) >= 0)
        return fail(r,
                    "method \"%s\" is not supported; there are trust, reject, password, md5, "
                    "scram-sha-256, cert and peer",
                    token->text);
    if (method < 0)
        return fail_word(r, "method", token->text, METHODS);
    if (method == HBA_PEER && r->rule.type != HBA_LOCAL)
        return fail(r, "method \"peer\" is for \"local\" rules only");
    if (method == HBA_CERT && r->rule.type != HBA_HOSTSSL)
        return fail(r, "method \"cert\" is for \"hostssl\" rules only");
    r->rule.method = (enum hba_method)method;
    if (method == HBA_CERT)
        r->rule.client_cert = HBA_CLIENT_CERT_OF_USER;
    return ERR_NONE;
}

static enum err read_client_cert(struct hba_reader *r, const char *value)
{
    if (r->rule.type != HBA_HOSTSSL)
        return fail(r, "clientcert is for \"hostssl\" rules only");
    if (strcmp(value, "verify-full") == 0)
        r->rule.client_cert = HBA_CLIENT_CERT_OF_USER;
    else if (strcmp(value, "verify-ca") != 0)
        return fail(r, "clientcert is verify-ca or verify-full, not \"%s\"", value);
    else if (r->rule.method == HBA_CERT)
        return fail(r, "with method \"cert\", clientcert can only be verify-full");
    else
        r->rule.client_cert = HBA_CLIENT_CERT_VALID;
    return ERR_NONE;
}

static enum err read_option(struct hba_reader *r)
{
    const struct hba_token *token = take_one(r, "option");
    const char *equals, *name, *value;

    if (token == NULL)
        return ERR_SYNTAX;
    equals = strchr(token->text, '=');
    if (equals == NULL)
        return fail(r, "\"%s\" is no option: an option is NAME=VALUE", token->text);
    name = arena_text(r->lines.arena, slice_of(token->text, (size_t)(equals - token->text)));
    value = equals + 1;
    if (strcmp(name, "map") == 0) {
        if (r->rule.method != HBA_CERT && r->rule.method != HBA_PEER)
            return fail(r, "map is for the methods \"cert\" and \"peer\"");
        if (*value == '\0')
            return fail(r, "the map's name is missing");
        r->rule.map = value;
        return ERR_NONE;
    }
    if (strcmp(name, "clientcert") == 0)
        return read_client_cert(r, value);
    if (strcmp(name, "clientname") == 0)
        return strcmp(value, "CN") == 0
                   ? ERR_NONE
                   : fail(r, "clientname is CN, the only one supported, not \"%s\"", value);
    return fail_word(r, "option", name, OPTIONS);
}

static enum err read_rule(struct hba_reader *r)
{
    r->next = 0;
    r->rule = (struct hba_rule){ .place = r->line.place, .family = AF_UNSPEC };
    TRY(read_type(r));
    TRY(read_items(r, "database", false, &r->rule.databases));
    TRY(read_items(r, "user", true, &r->rule.users));
    if (r->rule.type != HBA_LOCAL)
        TRY(read_address(r));
    TRY(read_method(r));
    while (r->next < r->line.count)
        TRY(read_option(r));
    return ERR_NONE;
}

void hba_parse(struct slice text, struct place place, struct arena *arena, struct hba *out,
               struct problems *problems)
{
    struct hba_reader r = { 0 };

    *out = (struct hba){ 0 };
    hba_lines_init(&r.lines, text, place, arena, problems);
    while (hba_lines_next(&r.lines, &r.line)) {
        if (read_rule(&r) != ERR_NONE)
            continue;
        out->rules = hba_grown(arena, out->rules, out->count, sizeof(*out->rules));
        out->rules[out->count++] = r.rule;
    }
}

/* --- matching --- */

static bool fits_type(const struct hba_rule *rule, bool is_local, bool is_tls)
{
    switch (rule->type) {
    case HBA_LOCAL:
        return is_local;
    case HBA_HOST:
        return !is_local;
    case HBA_HOSTSSL:
        return !is_local && is_tls;
    case HBA_HOSTNOSSL:
        return !is_local && !is_tls;
    }
    return false;
}

/* The address as bytes; one of IPv4 in IPv6's clothes is one of IPv4. */
static int plain_address(const struct sockaddr *address, const uint8_t **bytes)
{
    const struct in6_addr *six;

    if (address == NULL || address->sa_family == AF_UNIX)
        return AF_UNIX;
    if (address->sa_family == AF_INET) {
        *bytes = (const uint8_t *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
        return AF_INET;
    }
    if (address->sa_family != AF_INET6)
        return AF_UNSPEC;
    six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    *bytes = six->s6_addr;
    if (!IN6_IS_ADDR_V4MAPPED(six))
        return AF_INET6;
    *bytes += 12;
    return AF_INET;
}

static bool fits_address(const struct hba_rule *rule, int family, const uint8_t *bytes)
{
    if (rule->type == HBA_LOCAL || rule->family == AF_UNSPEC)
        return true;
    if (rule->family != family)
        return false;
    for (size_t i = 0; i < (family == AF_INET ? 4 : 16); i++)
        if (((rule->address[i] ^ bytes[i]) & rule->mask[i]) != 0)
            return false;
    return true;
}

static bool fits_database(const struct hba_items *items, const struct hba_visit *visit)
{
    for (uint32_t i = 0; i < items->count; i++) {
        const struct hba_item *item = &items->list[i];

        if (visit->is_replication != (item->word == HBA_REPLICATION))
            continue;
        if (item->word == HBA_NAME
                ? slice_is_text(visit->database, item->name)
                : item->word != HBA_SAMEUSER || slice_is(visit->database, visit->user))
            return true;
    }
    return false;
}

static bool fits_user(const struct hba_items *items, struct slice user)
{
    for (uint32_t i = 0; i < items->count; i++)
        if (items->list[i].word == HBA_ALL || slice_is_text(user, items->list[i].name))
            return true;
    return false;
}

const struct hba_rule *hba_match(const struct hba *hba, const struct hba_visit *visit)
{
    const uint8_t *bytes = NULL;
    int family = plain_address(visit->address, &bytes);

    for (uint32_t i = 0; i < hba->count; i++) {
        const struct hba_rule *rule = &hba->rules[i];

        if (fits_type(rule, family == AF_UNIX, visit->is_tls) &&
            fits_address(rule, family, bytes) && fits_database(&rule->databases, visit) &&
            fits_user(&rule->users, visit->user))
            return rule;
    }
    return NULL;
}

const char *hba_method_name(enum hba_method method)
{
    return METHODS[method];
}
