#include "config/hba.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "proxy/base/buf.h"
#include "tests/unit/check.h"

static struct arena arena;
static struct problems problems;
static struct hba hba;
static struct ident ident;
static char *told;
static size_t told_len;

static const struct place PLACE = { .file = "hba.conf", .order = 3 };

static void begin(void)
{
    arena_fini(&arena);
    problems_fini(&problems);
    free(told);
    told = NULL;
}

static void tell(void)
{
    FILE *out = open_memstream(&told, &told_len);

    problems_print(&problems, out);
    fclose(out);
}

static void parse(struct slice text)
{
    begin();
    hba_parse(text, PLACE, &arena, &hba, &problems);
    tell();
}

static void expect_problem(const char *text, const char *expected)
{
    parse(slice_text(text));
    CHECK_TEXT(told, expected);
    CHECK_INT(hba.count, 0);
}

struct visit {
    const char *from, *database, *user; /* from NULL: a Unix socket */
    bool is_tls, is_replication;
};

/* The line of the rule that fits; 0: none. */
static unsigned line_of(struct visit v)
{
    struct sockaddr_in four = { .sin_family = AF_INET };
    struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
    struct hba_visit visit = { .is_tls = v.is_tls,
                               .is_replication = v.is_replication,
                               .database = slice_text(v.database != NULL ? v.database : "db"),
                               .user = slice_text(v.user != NULL ? v.user : "app") };
    const struct hba_rule *rule;

    if (v.from != NULL && inet_pton(AF_INET, v.from, &four.sin_addr) == 1)
        visit.address = (struct sockaddr *)&four;
    else if (v.from != NULL && inet_pton(AF_INET6, v.from, &six.sin6_addr) == 1)
        visit.address = (struct sockaddr *)&six;
    rule = hba_match(&hba, &visit);
    return rule == NULL ? 0 : rule->place.line;
}

/* --- rules --- */

static void fields_are_read_as_postgresql_reads_them(void)
{
    parse(bytes("# a comment\n"
                "\n"
                "local all all peer map=admins\n"
                "host\tdb1,\"my db\"  app,\"+x\"\t10.0.0.0/8 scram-sha-256 # and so on\n"
                "hostssl all \"all\",\"a\"\"b\" 2001:db8::/33 cert \\\n"
                "    \"map=a b\"\n"
                "hostnossl sameuser,replication all 192.168.1.0 255.255.255.0 md5\r\n"
                "hostssl all all all password clientcert=verify-ca\n"
                "local all all ident"));
    CHECK_TEXT(told, "");
    CHECK_INT(hba.count, 6);
    CHECK_INT(hba.rules[0].type, HBA_LOCAL);
    CHECK_INT(hba.rules[0].method, HBA_PEER);
    CHECK_TEXT(hba.rules[0].map, "admins");
    CHECK_INT(hba.rules[0].place.line, 3);
    CHECK_INT(hba.rules[0].place.order, 3);

    CHECK_INT(hba.rules[1].type, HBA_HOST);
    CHECK_INT(hba.rules[1].databases.count, 2);
    CHECK_TEXT(hba.rules[1].databases.list[1].name, "my db");
    CHECK_INT(hba.rules[1].users.count, 2);
    CHECK_INT(hba.rules[1].users.list[1].word, HBA_NAME);
    CHECK_INT(hba.rules[1].family, AF_INET);
    CHECK_INT(hba.rules[1].method, HBA_SCRAM);

    CHECK_INT(hba.rules[2].databases.list[0].word, HBA_ALL);
    CHECK_INT(hba.rules[2].users.list[0].word, HBA_NAME);
    CHECK_TEXT(hba.rules[2].users.list[1].name, "a\"b");
    CHECK_INT(hba.rules[2].family, AF_INET6);
    CHECK_INT(hba.rules[2].method, HBA_CERT);
    CHECK_TEXT(hba.rules[2].map, "a b");

    CHECK_INT(hba.rules[3].databases.list[0].word, HBA_SAMEUSER);
    CHECK_INT(hba.rules[3].databases.list[1].word, HBA_REPLICATION);
    CHECK_INT(hba.rules[3].mask[2], 255);
    CHECK_INT(hba.rules[3].mask[3], 0);
    CHECK_INT(hba.rules[4].client_cert, HBA_CLIENT_CERT_VALID);
    CHECK_INT(hba.rules[5].method, HBA_PEER);
    CHECK_INT(hba.rules[5].place.line, 9);
}

static void a_list_goes_on_behind_a_comma_and_blanks(void)
{
    parse(bytes("host a, b ,c, d u1,\tu2 10.0.0.0/8 trust"));
    CHECK_TEXT(told, "hba.conf:1: there can be only one address, not a list\n");
    parse(bytes("host a, b u1,\tu2,,u3 10.0.0.0/8 trust"));
    CHECK_TEXT(told, "");
    CHECK_INT(hba.rules[0].databases.count, 2);
    CHECK_INT(hba.rules[0].users.count, 3);
    CHECK_TEXT(hba.rules[0].users.list[2].name, "u3");
}

static void words_in_quotes_are_names(void)
{
    parse(bytes("host \"all\",\"sameuser\",\"replication\",\"@x\",\"/y\" \"all\",\"+r\",\"a\"\"b\" "
                "all trust"));
    CHECK_TEXT(told, "");
    for (int i = 0; i < 5; i++)
        CHECK_INT(hba.rules[0].databases.list[i].word, HBA_NAME);
    CHECK_TEXT(hba.rules[0].databases.list[3].name, "@x");
    CHECK_INT(hba.rules[0].users.list[0].word, HBA_NAME);
    CHECK_TEXT(hba.rules[0].users.list[1].name, "+r");
    CHECK_TEXT(hba.rules[0].users.list[2].name, "a\"b");
    CHECK_INT(line_of((struct visit){ .from = "1.2.3.4", .database = "all", .user = "all" }), 1);
    CHECK_INT(line_of((struct visit){ .from = "1.2.3.4", .database = "db", .user = "all" }), 0);
    CHECK_INT(
        line_of((struct visit){ .from = "1.2.3.4", .database = "replication", .user = "a\"b" }), 1);
}

static void a_line_goes_on_behind_a_backslash(void)
{
    parse(bytes("# a comment too \\\nhost all all all trust\n"
                "host all \\\r\n all all\\\n trust\nlocal all all trust\\"));
    CHECK_TEXT(told, "");
    CHECK_INT(hba.count, 2);
    CHECK_INT(hba.rules[0].place.line, 3);
    CHECK_INT(hba.rules[1].place.line, 6);
}

static void what_is_wrong_is_told_with_its_line(void)
{
#define RULE "a rule is TYPE DATABASE USER"
    expect_problem("\nhot all all all trust",
                   "hba.conf:2: unknown type \"hot\"; did you mean \"host\"?\n");
    expect_problem("host",
                   "hba.conf:1: the database is missing: " RULE " ADDRESS METHOD [OPTIONS]\n");
    expect_problem("host all",
                   "hba.conf:1: the user is missing: " RULE " ADDRESS METHOD [OPTIONS]\n");
    expect_problem("host all all",
                   "hba.conf:1: the address is missing: " RULE " ADDRESS METHOD [OPTIONS]\n");
    expect_problem("local all all",
                   "hba.conf:1: the method is missing: " RULE " METHOD [OPTIONS]\n");
    expect_problem("host,local all all all trust",
                   "hba.conf:1: there can be only one type, not a list\n");
    expect_problem("host all all 10.0.0.0/8,all trust",
                   "hba.conf:1: there can be only one address, not a list\n");
    expect_problem("host all all all trust,md5",
                   "hba.conf:1: there can be only one method, not a list\n");
    expect_problem("host all \"all all trust",
                   "hba.conf:1: the quote that ends a name is missing\n");
    expect_problem("host all all 10.0.0.0/33 trust",
                   "hba.conf:1: behind the slash of an address stand 0 to 32 bits, not \"33\"\n");
    expect_problem("host all all ::/129 trust",
                   "hba.conf:1: behind the slash of an address stand 0 to 128 bits, not \"129\"\n");
    expect_problem("host all all 10.0.0.0/ trust",
                   "hba.conf:1: behind the slash of an address stand 0 to 32 bits, not \"\"\n");
    expect_problem("host all all 10.0.0.0 trust",
                   "hba.conf:1: \"trust\" is no mask for \"10.0.0.0\"\n");
    expect_problem("host all all 10.0.0.0 ffff:: trust",
                   "hba.conf:1: \"ffff::\" is no mask for \"10.0.0.0\"\n");
    expect_problem("host all all 10.0.0.0",
                   "hba.conf:1: the mask behind an address without a slash "
                   "is missing: " RULE " ADDRESS METHOD [OPTIONS]\n");
    expect_problem("host all all .example.org trust",
                   "hba.conf:1: \".example.org\" is no address: it is \"all\", ADDRESS/BITS or "
                   "ADDRESS MASK (host names are not supported)\n");
    expect_problem("host all all all trusty",
                   "hba.conf:1: unknown method \"trusty\"; did you mean \"trust\"?\n");
    expect_problem("host all all all trust mapp=x",
                   "hba.conf:1: unknown option \"mapp\"; did you mean \"map\"?\n");
    expect_problem("host all all all trust map",
                   "hba.conf:1: \"map\" is no option: an option is NAME=VALUE\n");
}

static void what_is_not_supported_says_so(void)
{
    expect_problem("include other.conf",
                   "hba.conf:1: \"include\" is not supported: all rules are in one file\n");
    expect_problem("hostgssenc all all all trust",
                   "hba.conf:1: \"hostgssenc\" is not supported: there is no encryption by GSS\n");
    expect_problem("host @dbs all all trust",
                   "hba.conf:1: \"@dbs\": a file of names is not supported: write the names\n");
    expect_problem("host all /^a all trust",
                   "hba.conf:1: \"/^a\": a regular expression is not supported (a name that begins "
                   "with a slash is written in quotes)\n");
    expect_problem(
        "host samerole all all trust",
        "hba.conf:1: \"samerole\": members of a role are known to the servers only: write "
        "the names\n");
    expect_problem(
        "host all +admins all trust",
        "hba.conf:1: \"+admins\": members of a role are known to the servers only: write "
        "the names\n");
    expect_problem("host all all samenet trust",
                   "hba.conf:1: \"samenet\" is not supported: write the addresses\n");
    expect_problem(
        "host all all all ldap",
        "hba.conf:1: method \"ldap\" is not supported; there are trust, reject, password, "
        "md5, scram-sha-256, cert and peer\n");
    expect_problem("host all all all ident",
                   "hba.conf:1: method \"ident\" is not supported; there are trust, reject, "
                   "password, md5, scram-sha-256, cert and peer\n");
    expect_problem("host all all all peer",
                   "hba.conf:1: method \"peer\" is for \"local\" rules only\n");
    expect_problem("host all all all cert",
                   "hba.conf:1: method \"cert\" is for \"hostssl\" rules only\n");
    expect_problem("host all all all md5 clientcert=verify-ca",
                   "hba.conf:1: clientcert is for \"hostssl\" rules only\n");
    expect_problem("hostssl all all all md5 clientcert=1",
                   "hba.conf:1: clientcert is verify-ca or verify-full, not \"1\"\n");
    expect_problem("hostssl all all all cert clientcert=verify-ca",
                   "hba.conf:1: with method \"cert\", clientcert can only be verify-full\n");
    expect_problem("hostssl all all all cert clientname=DN",
                   "hba.conf:1: clientname is CN, the only one supported, not \"DN\"\n");
    expect_problem("hostssl all all all md5 map=x",
                   "hba.conf:1: map is for the methods \"cert\" and \"peer\"\n");
    expect_problem("hostssl all all all cert map=", "hba.conf:1: the map's name is missing\n");
}

static void certificates_are_asked_for_as_the_rule_says(void)
{
    parse(bytes("hostssl all all all cert\n"
                "hostssl all all all cert clientcert=verify-full clientname=CN map=m\n"
                "hostssl all all all md5 clientcert=verify-full\n"
                "hostssl all all all md5 clientcert=verify-ca\n"
                "hostssl all all all md5"));
    CHECK_TEXT(told, "");
    CHECK_INT(hba.rules[0].client_cert, HBA_CLIENT_CERT_OF_USER);
    CHECK_INT(hba.rules[1].client_cert, HBA_CLIENT_CERT_OF_USER);
    CHECK_TEXT(hba.rules[1].map, "m");
    CHECK_INT(hba.rules[2].client_cert, HBA_CLIENT_CERT_OF_USER);
    CHECK_INT(hba.rules[3].client_cert, HBA_CLIENT_CERT_VALID);
    CHECK_INT(hba.rules[4].client_cert, HBA_CLIENT_CERT_NOTHING);
    CHECK_TEXT(hba_method_name(HBA_SCRAM), "scram-sha-256");
}

static void too_long_a_line_and_zero_bytes_are_refused_and_the_next_line_is_read(void)
{
    struct buf text = { 0 };

    while (text.len <= 80000)
        buf_text(&text, "host all all all trust \\\n");
    buf_text(&text, "\nlocal all all trust");
    parse(buf_all(&text));
    CHECK_TEXT(told, "hba.conf:1: the line is longer than 65536 bytes\n");
    CHECK_INT(hba.count, 1);
    buf_fini(&text);
    parse(bytes("local all a\0ll trust\nlocal all all trust\n"));
    CHECK_TEXT(told, "hba.conf:1: a zero byte is in this line\n");
    CHECK_INT(hba.count, 1);
}

/* --- matching --- */

static void the_first_rule_that_fits_holds(void)
{
    parse(bytes("local all all peer\n"
                "hostssl all admin 10.0.0.0/8 cert\n"
                "hostnossl all admin all reject\n"
                "host db1,db2 app,web 10.1.2.0 255.255.254.0 md5\n"
                "host sameuser all 127.0.0.1/32 trust\n"
                "host all all ::1/128 trust\n"
                "host replication repl 10.0.0.0/8 scram-sha-256\n"
                "host all repl 10.0.0.0/8 reject\n"
                "host all app 2001:db8:8000::/33 password\n"));
    CHECK_TEXT(told, "");
    CHECK_INT(line_of((struct visit){ .from = NULL, .database = "x", .user = "y" }), 1);
    CHECK_INT(line_of((struct visit){ .from = NULL, .database = "x", .user = "y", .is_tls = true }),
              1);
    CHECK_INT(line_of((struct visit){
                  .from = "10.200.1.1", .database = "x", .user = "admin", .is_tls = true }),
              2);
    CHECK_INT(line_of((struct visit){ .from = "10.200.1.1", .database = "x", .user = "admin" }), 3);
    CHECK_INT(line_of((struct visit){
                  .from = "11.0.0.0", .database = "x", .user = "admin", .is_tls = true }),
              0);
    CHECK_INT(line_of((struct visit){ .from = "10.1.2.0", .database = "db1", .user = "app" }), 4);
    CHECK_INT(line_of((struct visit){
                  .from = "10.1.3.255", .database = "db2", .user = "web", .is_tls = true }),
              4);
    CHECK_INT(line_of((struct visit){ .from = "10.1.4.0", .database = "db2", .user = "web" }), 0);
    CHECK_INT(line_of((struct visit){ .from = "10.1.2.1", .database = "db3", .user = "web" }), 0);
    CHECK_INT(line_of((struct visit){ .from = "10.1.2.1", .database = "db1", .user = "other" }), 0);
    CHECK_INT(line_of((struct visit){ .from = "127.0.0.1", .database = "joe", .user = "joe" }), 5);
    CHECK_INT(line_of((struct visit){ .from = "127.0.0.1", .database = "joe", .user = "Joe" }), 0);
    CHECK_INT(line_of((struct visit){ .from = "127.0.0.2", .database = "joe", .user = "joe" }), 0);
    CHECK_INT(line_of((struct visit){ .from = "::1" }), 6);
    CHECK_INT(line_of((struct visit){ .from = "::2" }), 0);
    CHECK_INT(line_of((struct visit){ .from = "2001:db8:8000::5" }), 9);
    CHECK_INT(line_of((struct visit){ .from = "2001:db8:ffff:ffff::" }), 9);
    CHECK_INT(line_of((struct visit){ .from = "2001:db8:7fff::5" }), 0);
}

static void replication_is_covered_by_its_own_word_only(void)
{
    parse(bytes("host all all 10.0.0.0/8 trust\nhost replication repl 10.0.0.0/8 md5\n"));
    CHECK_INT(line_of((struct visit){
                  .from = "10.0.0.1", .database = "", .user = "repl", .is_replication = true }),
              2);
    CHECK_INT(line_of((struct visit){
                  .from = "10.0.0.1", .database = "", .user = "app", .is_replication = true }),
              0);
    CHECK_INT(
        line_of((struct visit){ .from = "10.0.0.1", .database = "replication", .user = "repl" }),
        1);
    parse(bytes("host replication repl all md5\nhost sameuser,repl repl all trust\n"));
    CHECK_INT(
        line_of((struct visit){ .from = "10.0.0.1", .database = "replication", .user = "repl" }),
        0);
    CHECK_INT(line_of((struct visit){ .from = "10.0.0.1", .database = "repl", .user = "repl" }), 2);
    CHECK_INT(line_of((struct visit){
                  .from = "10.0.0.1", .database = "repl", .user = "repl", .is_replication = true }),
              1);
}

static void an_address_of_ipv4_in_ipv6_is_one_of_ipv4(void)
{
    parse(bytes("host all all 10.0.0.0/8 trust\nhost all all ::/0 reject\n"));
    CHECK_INT(line_of((struct visit){ .from = "::ffff:10.1.1.1" }), 1);
    CHECK_INT(line_of((struct visit){ .from = "::ffff:11.1.1.1" }), 0);
    CHECK_INT(line_of((struct visit){ .from = "::1" }), 2);
    parse(bytes("host all all 0.0.0.0/0 trust"));
    CHECK_INT(line_of((struct visit){ .from = "255.255.255.255" }), 1);
    CHECK_INT(line_of((struct visit){ .from = "::1" }), 0);
    parse(bytes("host all all all trust"));
    CHECK_INT(line_of((struct visit){ .from = "255.255.255.255" }), 1);
    CHECK_INT(line_of((struct visit){ .from = "::1" }), 1);
    CHECK_INT(line_of((struct visit){ .from = NULL }), 0);
}

/* --- maps --- */

static void parse_maps(const char *text)
{
    begin();
    ident_parse(slice_text(text), PLACE, &arena, &ident, &problems);
    tell();
}

static bool allows(const char *map, const char *system_name, const char *user)
{
    return ident_allows(&ident, map, slice_text(system_name), slice_text(user));
}

static void without_a_map_the_names_must_be_the_same(void)
{
    parse_maps("");
    CHECK(allows(NULL, "joe", "joe"));
    CHECK(!allows(NULL, "joe", "Joe"));
    CHECK(!allows(NULL, "", ""));
    CHECK(!allows("m", "joe", "joe"));
    CHECK(!ident_allows(&ident, NULL, bytes("joe\0"), bytes("joe\0")));
}

static void a_map_says_who_may_be_whom(void)
{
    parse_maps("# MAP SYSTEM USER\n"
               "m joe app\n"
               "m joe web\n"
               "m \"Joe Doe\" \"my app\"\n"
               "other ann app\n");
    CHECK_TEXT(told, "");
    CHECK(allows("m", "joe", "app"));
    CHECK(allows("m", "joe", "web"));
    CHECK(allows("m", "Joe Doe", "my app"));
    CHECK(allows("other", "ann", "app"));
    CHECK(!allows("m", "ann", "app"));
    CHECK(!allows("m", "joe", "joe"));
    CHECK(!allows("none", "joe", "app"));
}

static void a_regular_expression_fits_and_gives_its_group(void)
{
    parse_maps("m /^(.*)@example\\.org$ \\1\n"
               "m /^([a-z]+)-(.)$ db_\\1_x\n"
               "m /^guest guest\n"
               "opt /^x(y)?$ \\1\n");
    CHECK_TEXT(told, "");
    CHECK(allows("m", "joe@example.org", "joe"));
    CHECK(!allows("m", "joe@example.org", "ann"));
    CHECK(!allows("m", "joe@example_org", "joe"));
    CHECK(!allows("m", "joe@example.org.evil", "joe"));
    CHECK(allows("m", "abc-9", "db_abc_x"));
    CHECK(!allows("m", "abc-9", "db_abd_x"));
    CHECK(allows("m", "guest17", "guest"));
    CHECK(allows("opt", "xy", "y"));
    CHECK(!allows("opt", "x", ""));
}

static void bad_lines_of_maps_are_told(void)
{
    static const struct {
        const char *text, *told;
    } BAD[] = {
        { "m joe", "hba.conf:1: a line is MAP SYSTEM-NAME USER, one word each\n" },
        { "m joe app x", "hba.conf:1: a line is MAP SYSTEM-NAME USER, one word each\n" },
        { "m joe,ann app", "hba.conf:1: a line is MAP SYSTEM-NAME USER, one word each\n" },
        { "m joe +role", "hba.conf:1: \"+role\": members of a role are known to the servers only: "
                         "write the names\n" },
        { "m /^x \\1", "hba.conf:1: \"^x\" has no group in parentheses that \"\\1\" could mean\n" },
        { "m /(x)\\1 a", "hba.conf:1: \"(x)\\1\": \"\\1\" and \"{\" are not supported in regular "
                         "expressions\n" },
        { "m /x{3} a", "hba.conf:1: \"x{3}\": \"\\1\" and \"{\" are not supported in regular "
                       "expressions\n" },
    };

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        parse_maps(BAD[i].text);
        CHECK_TEXT(told, BAD[i].told);
        CHECK_INT(ident.count, 0);
    }
    parse_maps("m /(x a\nm joe joe");
    CHECK_INT(problems.errors, 1);
    CHECK_INT(ident.count, 1);
}

static void a_map_that_no_line_names_is_told(void)
{
    begin();
    hba_parse(bytes("local all all peer map=m\nlocal all all peer map=n\nlocal all all peer"),
              PLACE, &arena, &hba, &problems);
    ident_parse(bytes("m joe app"), PLACE, &arena, &ident, &problems);
    ident_check_maps(&ident, &hba, &problems);
    tell();
    CHECK_TEXT(told, "hba.conf:2: map \"n\" is in no line of an ident_file\n");
}

int main(void)
{
    RUN(fields_are_read_as_postgresql_reads_them);
    RUN(a_list_goes_on_behind_a_comma_and_blanks);
    RUN(words_in_quotes_are_names);
    RUN(a_line_goes_on_behind_a_backslash);
    RUN(what_is_wrong_is_told_with_its_line);
    RUN(what_is_not_supported_says_so);
    RUN(certificates_are_asked_for_as_the_rule_says);
    RUN(too_long_a_line_and_zero_bytes_are_refused_and_the_next_line_is_read);
    RUN(the_first_rule_that_fits_holds);
    RUN(replication_is_covered_by_its_own_word_only);
    RUN(an_address_of_ipv4_in_ipv6_is_one_of_ipv4);
    RUN(without_a_map_the_names_must_be_the_same);
    RUN(a_map_says_who_may_be_whom);
    RUN(a_regular_expression_fits_and_gives_its_group);
    RUN(bad_lines_of_maps_are_told);
    RUN(a_map_that_no_line_names_is_told);
    begin();
    return check_report();
}
