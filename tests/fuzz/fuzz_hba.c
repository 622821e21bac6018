/* Any bytes are rules and maps, or problems.  The first byte says how many of the others are rules;
 * what is left are maps, and names to be looked for in both. */
#include <netinet/in.h>
#include <stdlib.h>

#include "config/hba.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void match(const struct hba *hba, const struct ident *ident, struct slice name)
{
    struct sockaddr_in four = { .sin_family = AF_INET };
    struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
    const struct sockaddr *addresses[] = { NULL, (struct sockaddr *)&four,
                                           (struct sockaddr *)&six };

    if (name.len >= 4)
        memcpy(&four.sin_addr, name.at, 4);
    if (name.len >= 16)
        memcpy(&six.sin6_addr, name.at, 16);
    for (unsigned i = 0; i < 12; i++) {
        struct hba_visit visit = { .is_tls = i & 1,
                                   .is_replication = i & 2,
                                   .address = addresses[i / 4],
                                   .database = name,
                                   .user = name };
        const struct hba_rule *rule = hba_match(hba, &visit);

        if (rule == NULL)
            continue;
        must((rule->type == HBA_LOCAL) == (visit.address == NULL));
        must(rule->type != HBA_HOSTSSL || visit.is_tls);
        must(rule->method != HBA_PEER || rule->type == HBA_LOCAL);
        must(hba_method_name(rule->method) != NULL);
        if (rule->map != NULL)
            (void)!ident_allows(ident, rule->map, name, name);
    }
    for (uint32_t i = 0; i < ident->count; i++)
        (void)!ident_allows(ident, ident->lines[i].map, name, name);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct place place = { .file = "fuzz" };
    struct arena arena = { 0 };
    struct problems problems = { 0 };
    struct hba hba;
    struct ident ident;
    size_t rules;

    if (size < 1)
        return 0;
    rules = (size - 1) * at[0] / 256;
    hba_parse(slice_of(at + 1, rules), place, &arena, &hba, &problems);
    ident_parse(slice_of(at + 1 + rules, size - 1 - rules), place, &arena, &ident, &problems);
    ident_check_maps(&ident, &hba, &problems);
    match(&hba, &ident, slice_of(at + 1, size - 1 < 40 ? size - 1 : 40));
    match(&hba, &ident, slice_of("db", 2));
    problems_fini(&problems);
    arena_fini(&arena);
    return 0;
}
