#include "proxy/blob/folder_path.h"

#include <stdlib.h>

#include "tests/unit/check.h"

static char path[FOLDER_PATH_BYTES];

static const char *path_of(struct slice key)
{
    size_t len = 0;
    enum folder_outcome outcome = folder_path_of_key(key, path, &len);

    if (outcome != FOLDER_OK)
        return folder_outcome_words(outcome)->code;
    CHECK_INT(strlen(path), len);
    return path;
}

static void check_both_ways(struct slice key, const char *expected)
{
    uint8_t again[FOLDER_KEY_BYTES];
    size_t len = 0;

    CHECK_TEXT(path_of(key), expected);
    CHECK(folder_path_to_key(expected, again, &len));
    CHECK_BYTES(slice_of(again, len), key);
}

static void plain_keys_are_their_own_paths(void)
{
    check_both_ways(bytes("cat.jpg"), "cat.jpg");
    check_both_ways(bytes("photos/2024/cat (1).jpg"), "photos+/2024+/cat (1).jpg");
    check_both_ways(bytes("gr\xc3\xbc\xc3\x9f/\xf0\x9f\x90\x88"),
                    "gr\xc3\xbc\xc3\x9f+/\xf0\x9f\x90\x88");
    check_both_ways(bytes("a+b~c@d=e&f;g:h"), "a+b~c@d=e&f;g:h");
}

static void a_key_and_those_below_it_do_not_meet(void)
{
    check_both_ways(bytes("a"), "a");
    check_both_ways(bytes("a/"), "a+/%");
    check_both_ways(bytes("a/b"), "a+/b");
    check_both_ways(bytes("a+"), "a%2B");
    check_both_ways(bytes("a+/b"), "a%2B+/b");
    check_both_ways(bytes("a++"), "a+%2B");
}

static void odd_segments_have_names(void)
{
    check_both_ways(bytes("."), "%2E");
    check_both_ways(bytes(".."), "%2E.");
    check_both_ways(bytes("../../etc/passwd"), "%2E.+/%2E.+/etc+/passwd");
    check_both_ways(bytes(".sheaf/stamp"), "%2Esheaf+/stamp");
    check_both_ways(bytes("/"), "%+/%");
    check_both_ways(bytes("//x//"), "%+/%+/x+/%+/%");
    check_both_ways(bytes("100%"), "100%25");
    check_both_ways(bytes("%"), "%25");
    check_both_ways(bytes("a\nb\x7f\x01"), "a%0Ab%7F%01");
    check_both_ways(bytes("a%~"), "a%25~");
    check_both_ways(bytes("+"), "%2B");
}

static void what_no_object_can_be_called_is_refused(void)
{
    char key[FOLDER_KEY_BYTES + 1];

    memset(key, 'k', sizeof(key));
    CHECK_TEXT(path_of(bytes("")), "InvalidArgument");
    CHECK_TEXT(path_of(bytes("a\0b")), "InvalidArgument");
    CHECK_TEXT(path_of(slice_of(key, sizeof(key))), "KeyTooLongError");
}

static void long_segments_go_on_inside(void)
{
    char key[FOLDER_KEY_BYTES], expected[FOLDER_PATH_BYTES] = "";

    memset(key, 'k', sizeof(key));
    for (int i = 0; i < 4; i++)
        snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "%.250s%%~/",
                 key);
    snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "%.24s", key);
    check_both_ways(slice_of(key, sizeof(key)), expected);

    memset(key, 'k', 250);
    memcpy(key + 250, "/x", 2);
    snprintf(expected, sizeof(expected), "%.250s+/x", key);
    check_both_ways(slice_of(key, 252), expected);
    snprintf(expected, sizeof(expected), "%.250s", key);
    check_both_ways(slice_of(key, 250), expected);
    memcpy(key + 250, "..", 2);
    snprintf(expected, sizeof(expected), "%.250s%%~/%%2E.", key);
    check_both_ways(slice_of(key, 252), expected);
}

static void a_character_is_not_cut(void)
{
    char key[256], expected[FOLDER_PATH_BYTES];

    memset(key, 'k', sizeof(key));
    memcpy(key + 248, "\xf0\x9f\x90\x88", 4);
    snprintf(expected, sizeof(expected), "%.248s%%~/\xf0\x9f\x90\x88kkkk", key);
    check_both_ways(slice_of(key, 256), expected);
}

static void the_longest_paths_fit(void)
{
    static const char *const UNITS[] = {
        "/", "\x01", "\x01/", "%", ".", "./", "+/", "\xc3\xbc", "k"
    };
    char key[FOLDER_KEY_BYTES];
    uint8_t again[FOLDER_KEY_BYTES];
    size_t len;

    for (size_t u = 0; u < sizeof(UNITS) / sizeof(UNITS[0]); u++) {
        size_t longest = 0;

        for (size_t i = 0; i < sizeof(key); i++)
            key[i] = UNITS[u][i % strlen(UNITS[u])];
        path_of(slice_of(key, sizeof(key)));
        CHECK(strlen(path) <= 3113);
        for (const char *at = path; *at != '\0'; at += strcspn(at, "/"), at += *at == '/')
            longest = strcspn(at, "/") > longest ? strcspn(at, "/") : longest;
        CHECK(longest <= 255);
        CHECK(folder_path_to_key(path, again, &len) && len == sizeof(key) &&
              memcmp(again, key, len) == 0);
    }
}

static void files_of_others_are_no_keys(void)
{
    static const char *const OTHERS[] = {
        "",      "a+",     "a/b",  ".hidden", "a+/.nfs01", "%41",     "a%2b",   "%",       "+/a",
        "a++/b", "a%~/b",  "a%",   "a%2",     "%00",       "a+//b",   "/a",     "a+/",     "%2E%2E",
        "%/a",   "%~/abc", "a%7e", "%+",      "a+b+",      "%2E.+/.", "a+/%+b", "a%2B+b%",
    };
    uint8_t key[FOLDER_KEY_BYTES];
    size_t len;

    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++) {
        if (strcmp(OTHERS[i], "%") == 0)
            continue;
        if (folder_path_to_key(OTHERS[i], key, &len)) {
            printf("%s is one\n", OTHERS[i]);
            CHECK(false);
        }
    }
}

/* Random paths and keys out of what matters. */
static void no_two_keys_have_one_path(void)
{
    static const char *const UNITS[] = { "/", ".", "+", "%", "~", "%~", "%2B", "2B", "a", "\x01" };
    uint8_t again[FOLDER_KEY_BYTES];
    size_t len;

    srand(7);
    for (int round = 0; round < 200000; round++) {
        char text[64] = "", made[FOLDER_PATH_BYTES];
        int units = 1 + rand() % 8;

        for (int i = 0; i < units; i++)
            strncat(text, UNITS[rand() % 10], sizeof(text) - strlen(text) - 1);
        CHECK(folder_path_of_key(slice_text(text), made, &len) == FOLDER_OK);
        CHECK(folder_path_to_key(made, again, &len) &&
              slice_is(slice_of(again, len), slice_text(text)));
        CHECK(strstr(made, "/.") == NULL && made[0] != '.' && made[0] != '/');
        /* The same text as a path: whatever it stands for has just this path. */
        if (folder_path_to_key(text, again, &len)) {
            CHECK(folder_path_of_key(slice_of(again, len), made, &len) == FOLDER_OK);
            CHECK_TEXT(made, text);
        }
    }
}

static void a_prefix_is_found_in_its_directory(void)
{
    size_t len, used;

    CHECK(folder_path_of_prefix(bytes("a/b/ca"), path, &len, &used) == FOLDER_OK);
    CHECK_TEXT(path, "a+/b+/");
    CHECK_INT(used, 4);
    CHECK(folder_path_of_prefix(bytes("ca"), path, &len, &used) == FOLDER_OK);
    CHECK_TEXT(path, "");
    CHECK_INT(used, 0);
    CHECK(folder_path_of_prefix(bytes(""), path, &len, &used) == FOLDER_OK && used == 0);
    CHECK(folder_path_of_prefix(bytes("a\0/"), path, &len, &used) == FOLDER_KEY_REFUSED);
}

static void buckets_have_plain_names(void)
{
    CHECK(folder_bucket_is_valid(bytes("my-bucket.2024_x")));
    CHECK(!folder_bucket_is_valid(bytes("")));
    CHECK(!folder_bucket_is_valid(bytes(".sheaf")));
    CHECK(!folder_bucket_is_valid(bytes("..")));
    CHECK(!folder_bucket_is_valid(bytes("a/b")));
    CHECK(!folder_bucket_is_valid(bytes("lost+found")));
    CHECK(!folder_bucket_is_valid(bytes("a\0b")));
    CHECK(!folder_bucket_is_valid(bytes("\xc3\xbc")));
}

static void the_mail_servers_names_lead_to_its_folders(void)
{
    size_t len;

    CHECK(folder_stalwart_path(bytes("aaaqeayeaudaocajbifqydiob2ibceqtcqkrmfyydenbwha0dypq"), 2,
                               path, &len) == FOLDER_OK);
    CHECK_TEXT(path, "0/1/aaaqeayeaudaocajbifqydiob2ibceqtcqkrmfyydenbwha0dypq");
    CHECK(folder_stalwart_path(bytes("knkectcxifjfix7tkbau7x7ukjausts3iraviqjonr0di"), 3, path,
                               &len) == FOLDER_OK);
    CHECK_TEXT(path, "53/54/41/knkectcxifjfix7tkbau7x7ukjausts3iraviqjonr0di");
    CHECK(folder_stalwart_path(bytes("aa"), 2, path, &len) == FOLDER_OK);
    CHECK_TEXT(path, "0/aa"); /* a key of one byte */
    CHECK(folder_stalwart_path(bytes("ab"), 2, path, &len) ==
          FOLDER_KEY_REFUSED); /* left-over bits */
    CHECK(folder_stalwart_path(bytes("a"), 2, path, &len) == FOLDER_KEY_REFUSED);
    CHECK(folder_stalwart_path(bytes("../../x"), 2, path, &len) == FOLDER_KEY_REFUSED);
    CHECK(folder_stalwart_path(bytes("A8"), 2, path, &len) == FOLDER_KEY_REFUSED);
    CHECK(folder_stalwart_path(bytes("aa\0"), 2, path, &len) == FOLDER_KEY_REFUSED);
}

int main(void)
{
    RUN(plain_keys_are_their_own_paths);
    RUN(a_key_and_those_below_it_do_not_meet);
    RUN(odd_segments_have_names);
    RUN(what_no_object_can_be_called_is_refused);
    RUN(long_segments_go_on_inside);
    RUN(a_character_is_not_cut);
    RUN(the_longest_paths_fit);
    RUN(files_of_others_are_no_keys);
    RUN(no_two_keys_have_one_path);
    RUN(a_prefix_is_found_in_its_directory);
    RUN(buckets_have_plain_names);
    RUN(the_mail_servers_names_lead_to_its_folders);
    return check_report();
}
