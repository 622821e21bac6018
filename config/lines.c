/* See lines.h.
 *
 * inih as packaged reads 200 bytes of a line and drops the rest, keeps 49 bytes of a section's
 * name, says nothing of empty sections, takes an indented line for the continuation of the one
 * above, and tells only the first line that it did not understand.  Hence: its line buffer is set
 * to our longest line, the reader below refuses what does not fit, strips indentation, reads the
 * headings itself, and sees from the missing call that a line was not understood.  inih's settings
 * are variables of the process; they are always set to the same values. */
#include "config/lines.h"

#include <errno.h>
#include <glob.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/expand.h"
#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

enum { INI_END_BYTES = 3 /* CR, LF and NUL, which inih counts to the line */, FILES_DEEP = 16 };

struct lines_file {
    struct lines *lines;          /* borrowed */
    struct lines_file *including; /* borrowed; NULL for the first */
    unsigned depth;
    FILE *stream;     /* owned */
    dev_t device;     /* with inode: to recognise a file that includes itself */
    ino_t inode;      /* 0 for text */
    char *text;       /* owned: the line read last */
    size_t text_size; /* allocated */
    struct place place;
    void *section;   /* borrowed from the owner; NULL before the first heading */
    bool is_waiting; /* inih got a line with something on it and has not called back yet */
};

const char *lines_path(struct arena *arena, const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    struct buf joined = { 0 };

    if (path[0] != '/' && path[0] != '\0' && slash != NULL)
        buf_put(&joined, file, (size_t)(slash - file) + 1);
    buf_text(&joined, path);
    path = arena_text(arena, buf_all(&joined));
    buf_fini(&joined);
    return path;
}

static void check_understood(struct lines_file *f)
{
    if (f->is_waiting)
        problems_error(f->lines->problems, f->place,
                       "not understood: a line is \"NAME = VALUE\", \"[SECTION]\" or a comment");
    f->is_waiting = false;
}

static void read_heading(struct lines_file *f, char *line)
{
    struct lines *lines = f->lines;
    char *end = strchr(line, ']'), *rest;

    if (end == NULL) {
        problems_error(lines->problems, f->place, "the \"]\" of this section's heading is missing");
        end = line + strcspn(line, ";#\r\n");
        *end = '\0';
        rest = end;
    } else {
        rest = end + 1 + strspn(end + 1, " \t\r\n");
    }
    if (*rest != '\0' && *rest != ';' && *rest != '#')
        problems_error(lines->problems, f->place, "nothing may follow the heading of a section");
    *end = '\0';
    f->section = lines->section(lines->owner, f->place, line + 1);
}

/* The next line without indentation; an unfit one is a problem and counts as empty. */
static char *next_line(struct lines_file *f, size_t room)
{
    static char empty[] = "";
    ssize_t len = getline(&f->text, &f->text_size, f->stream);
    char *line = f->text;

    if (len < 0)
        return NULL;
    f->place.line++;
    f->place.order = ++f->lines->order;
    if (strlen(line) != (size_t)len) {
        problems_error(f->lines->problems, f->place, "a zero byte is in this line");
        return empty;
    }
    if ((size_t)len > room - INI_END_BYTES + 1) {
        problems_error(f->lines->problems, f->place, "the line is longer than %zu bytes",
                       room - INI_END_BYTES);
        return empty;
    }
    if (f->place.line == 1 && strncmp(line, "\xEF\xBB\xBF", 3) == 0)
        line += 3;
    return line + strspn(line, " \t");
}

/* An ini_reader, as fgets(): next_line() made sure that there is room. */
static char *read_line(char *to, int size, void *stream)
{
    struct lines_file *f = stream;
    char *line;

    check_understood(f);
    line = next_line(f, (size_t)size);
    if (line == NULL)
        return NULL;
    if (*line == '[') {
        read_heading(f, line);
        *line = '\0';
    }
    f->is_waiting = *line != '\0' && strchr(";#\r\n", *line) == NULL;
    return memcpy(to, line, strlen(line) + 1);
}

static void read_included(struct lines_file *including, const char *path);

static void include(struct lines_file *f, const char *value)
{
    struct lines *lines = f->lines;
    struct buf why = { 0 };
    const char *pattern;
    glob_t found;
    int status;

    if (lines->no_files) {
        problems_error(lines->problems, f->place, "include: no file may be read here");
        return;
    }
    if (expand(slice_text(value), EXPAND_PLAIN, lines->arena, &pattern, &why) != ERR_NONE) {
        problems_error(lines->problems, f->place, "include: %.*s", (int)why.len, (char *)why.at);
        buf_fini(&why);
        return;
    }
    pattern = lines_path(lines->arena, f->place.file, pattern);
    if (strpbrk(pattern, "*?[") == NULL) {
        read_included(f, pattern);
        return;
    }
    status = glob(pattern, 0, NULL, &found);   /* no "~" in it: NOLINT(concurrency-mt-unsafe) */
    if (status != 0 && status != GLOB_NOMATCH) /* an empty conf.d is fine */
        problems_error(lines->problems, f->place, "include: cannot read \"%s\"", pattern);
    if (status != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        read_included(f, arena_text(lines->arena, slice_text(found.gl_pathv[i])));
    globfree(&found);
}

/* An ini_handler. */
static int take_line(void *user, const char *section, const char *name, const char *value)
{
    struct lines_file *f = user;

    (void)section;
    f->is_waiting = false;
    if (name[0] == '\0')
        problems_error(f->lines->problems, f->place, "the name in front of the \"=\" is missing");
    else if (strcmp(name, "include") == 0)
        include(f, value);
    else
        f->lines->line(f->lines->owner, f->section, f->place, name, value);
    return 1;
}

static void parse(struct lines_file *f)
{
    ini_allow_bom = ini_allow_multiline = ini_use_stack = ini_stop_on_first_error = false;
    ini_allow_inline_comments = ini_allow_realloc = true;
    ini_max_line = ini_initial_alloc = LINES_BYTES + INI_END_BYTES;
    if (ini_parse_stream(read_line, f, take_line, f) == -2)
        problems_error(f->lines->problems, f->place, "out of memory");
    check_understood(f);
    free(f->text);
    fclose(f->stream);
}

static bool includes_itself(const struct lines_file *f)
{
    for (const struct lines_file *outer = f->including; outer != NULL; outer = outer->including)
        if (outer->device == f->device && outer->inode == f->inode)
            return true;
    return false;
}

/* Opens, or says why not: at the line that includes it, or for the first file, of the file. */
static enum err open_file(struct lines_file *f, struct place blame)
{
    struct problems *problems = f->lines->problems;
    struct stat status;

    f->stream = fopen(f->place.file, "re");
    if (f->stream == NULL || fstat(fileno(f->stream), &status) != 0) {
        problems_error(problems, blame, "cannot read \"%s\": %s", f->place.file,
                       strerrordesc_np(errno));
    } else if (S_ISDIR(status.st_mode)) {
        problems_error(problems, blame, "cannot read \"%s\": it is a folder", f->place.file);
    } else {
        f->device = status.st_dev;
        f->inode = status.st_ino;
        if (!includes_itself(f) && f->depth <= FILES_DEEP)
            return ERR_NONE;
        problems_error(problems, blame, "include: \"%s\" %s", f->place.file,
                       f->depth > FILES_DEEP ? "is the 17th file in a file" : "includes itself");
    }
    if (f->stream != NULL)
        fclose(f->stream);
    return ERR_NOT_FOUND;
}

static void read_included(struct lines_file *including, const char *path)
{
    struct lines_file f = { .lines = including->lines,
                            .including = including,
                            .depth = including->depth + 1,
                            .place = { .file = path } };

    if (open_file(&f, including->place) == ERR_NONE)
        parse(&f);
}

void lines_read_file(struct lines *lines, const char *file)
{
    struct lines_file f = { .lines = lines, .place = { .file = file } };

    if (open_file(&f, f.place) == ERR_NONE)
        parse(&f);
}

void lines_read_text(struct lines *lines, const char *name, const char *text)
{
    struct lines_file f = { .lines = lines, .place = { .file = name } };

    if (*text == '\0')
        return;
    f.stream = fmemopen((char *)text, strlen(text), "r");
    if (f.stream == NULL)
        problems_error(lines->problems, f.place, "out of memory");
    else
        parse(&f);
}
