/* See draft_sql.h: the files of users and rules that an sql pool names.  They are read with the
 * configuration, so a reload reads them again, and what is wrong with them is told in its place. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "config/auth_file.h"
#include "config/draft_sql.h"
#include "config/hba.h"
#include "config/tables.h"

enum { FILE_BYTES_MOST = 64 * 1024 * 1024 /* half a million users */ };

/* All of the stream, or false and errno. */
static bool read_stream(FILE *stream, struct buf *out)
{
    struct stat status;
    char piece[16384];
    size_t got;

    if (fstat(fileno(stream), &status) != 0)
        return false;
    if (S_ISDIR(status.st_mode)) {
        errno = EISDIR;
        return false;
    }
    while ((got = fread(piece, 1, sizeof(piece), stream)) > 0) {
        buf_put(out, piece, got);
        explicit_bzero(piece, got);
        if (out->len > FILE_BYTES_MOST) {
            errno = EFBIG;
            return false;
        }
    }
    return ferror(stream) == 0;
}

/* False: there is none, or it cannot be read, which is told. */
static bool read_file(struct loading *l, const struct draft *d, const char *option,
                      const char *file, struct buf *out)
{
    FILE *stream;
    bool good;

    if (file == NULL || l->lines.no_files)
        return false;
    stream = fopen(file, "re");
    good = stream != NULL && read_stream(stream, out);
    if (!good)
        problems_error(l->problems, draft_place(d, option), "%s: cannot read the file \"%s\": %s",
                       option, file, strerrordesc_np(errno));
    if (stream != NULL)
        fclose(stream);
    return good;
}

/* What is wrong in the file stands where the option is, in the order of all lines. */
static struct place place_of(const struct draft *d, const char *option, const char *file)
{
    return (struct place){ .file = file, .order = draft_place(d, option).order };
}

static int compare_users(const void *a, const void *b)
{
    return strcmp(((const struct sql_user *)a)->name, ((const struct sql_user *)b)->name);
}

/* Those of the lines come first, and go before those of the file with the same name. */
static void add_users(struct loading *l, struct sql_pool *sql, const struct auth_users *more)
{
    struct sql_user *all = arena_new(l->arena, (sql->user_count + more->count) * sizeof(*all));
    uint32_t lines = sql->user_count, count = lines;

    if (lines > 0)
        memcpy(all, sql->users, lines * sizeof(*all));
    qsort(all, lines, sizeof(*all), compare_users);
    for (uint32_t i = 0; i < more->count; i++) {
        struct sql_user user = { .name = more->list[i].name,
                                 .secret = more->list[i].secret,
                                 .max_connections = sql->max_user_connections,
                                 .is_of_file = true,
                                 .place = more->list[i].place };

        option_set_presets(tables_sql_user, &user, l->arena);
        if (lines == 0 || bsearch(&user, all, lines, sizeof(*all), compare_users) == NULL)
            all[count++] = user;
    }
    sql->users = all;
    sql->user_count = count;
}

static void digest(struct sql_pool *sql, const struct buf *text)
{
    sql->files_digest = XXH3_64bits_withSeed(text->at, text->len, sql->files_digest + 1);
}

static void forget(struct buf *text)
{
    if (text->len > 0)
        explicit_bzero(text->at, text->len);
    buf_fini(text);
}

static void read_users(struct loading *l, struct draft *d)
{
    struct sql_pool *sql = sql_pool_of(d->pool);
    struct auth_users users;
    struct buf text = { 0 };

    if (read_file(l, d, "auth_file", sql->auth_file, &text)) {
        auth_file_parse(buf_all(&text), place_of(d, "auth_file", sql->auth_file), l->arena, &users,
                        l->problems);
        add_users(l, sql, &users);
        digest(sql, &text);
    }
    forget(&text);
}

static void read_rules(struct loading *l, struct draft *d)
{
    struct sql_pool *sql = sql_pool_of(d->pool);
    struct buf text = { 0 }, map_text = { 0 };

    sql->ident = arena_new(l->arena, sizeof(*sql->ident));
    if (read_file(l, d, "ident_file", sql->ident_file, &map_text)) {
        ident_parse(buf_all(&map_text), place_of(d, "ident_file", sql->ident_file), l->arena,
                    sql->ident, l->problems);
        digest(sql, &map_text);
    }
    if (read_file(l, d, "hba_file", sql->hba_file, &text)) {
        sql->hba = arena_new(l->arena, sizeof(*sql->hba));
        hba_parse(buf_all(&text), place_of(d, "hba_file", sql->hba_file), l->arena, sql->hba,
                  l->problems);
        ident_check_maps(sql->ident, sql->hba, l->problems);
        digest(sql, &text);
    }
    forget(&text);
    forget(&map_text);
}

/* Names are looked up by halving. */
static void sort_users(struct sql_pool *sql)
{
    const char *name = NULL;

    for (uint32_t i = 0; i < sql->user_count && name == NULL; i++)
        if (sql->users[i].secret != NULL &&
            sql_secret_kind(sql->users[i].secret) == SQL_SECRET_PASSWORD)
            name = sql->users[i].name;
    qsort(sql->users, sql->user_count, sizeof(*sql->users), compare_users);
    sql->known_user = name == NULL ? NULL : sql_pool_user(sql, name);
}

void draft_sql_read_files(struct loading *l, struct draft *d)
{
    read_users(l, d);
    read_rules(l, d);
    sort_users(sql_pool_of(d->pool));
}
