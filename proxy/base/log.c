/* See log.h.  A line is built on the stack and leaves with one write(2).  What is shared between
 * threads is the settings (atomic words, written by log_setup) and the table of lines lately
 * written, under a lock that is held for looking up and counting, never for writing. */
#include "proxy/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/clock.h"

enum {
    LINE_BYTES = 4096,
    VALUE_BYTES = 1024, /* most that one value takes of the line */
    TAIL_BYTES = 16,    /* kept free for what ends a value and a line */
    OBJECT_BYTES = 96,
    RECENT_LINES = 256,
};

#define WINDOW_US UINT64_C(10000000)

static const char *const LEVELS[] = { "error", "warn", "info", "debug" };

static struct {
    _Atomic int level; /* atomic */
    _Atomic bool json; /* atomic */
    _Atomic int fd;    /* atomic */
} settings = { .level = LOG_INFO };

/* A line that was written in the last seconds, and how often it came again. */
struct recent {
    uint64_t since_us; /* zero: free */
    uint64_t repeated;
    const char *what; /* literals */
    const char *key;
    enum log_level level;
    size_t object_len;
    char object[OBJECT_BYTES];
};

static struct {
    pthread_mutex_t lock;
    uint64_t hash[RECENT_LINES];
    struct recent line[RECENT_LINES];
    uint64_t crowded; /* lines not written since no place was free to count them */
    uint64_t crowded_since_us;
} recent = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct line {
    size_t len;
    bool json;
    bool is_cut;
    char bytes[LINE_BYTES];
};

void log_setup(const struct log_settings *s)
{
    atomic_store_explicit(&settings.level, (int)s->level, memory_order_relaxed);
    atomic_store_explicit(&settings.json, s->json, memory_order_relaxed);
    atomic_store_explicit(&settings.fd, s->fd, memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&settings.level, memory_order_relaxed);
}

static void line_put(struct line *l, const char *at, size_t len)
{
    if (len > sizeof(l->bytes) - TAIL_BYTES - l->len) {
        l->is_cut = true;
        return;
    }
    memcpy(l->bytes + l->len, at, len);
    l->len += len;
}

static void line_text(struct line *l, const char *text)
{
    line_put(l, text, strlen(text));
}

/* How many bytes a UTF-8 character has that begins so; 0 if none does. */
static size_t length_by_first(uint8_t first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    return first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/* How many bytes the UTF-8 character there has; 0 if it is none. */
static size_t character_len(struct slice s)
{
    static const uint32_t LEAST[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t len = length_by_first(s.at[0]);
    uint32_t code = s.at[0] & (0x7Fu >> len);

    if (len == 1)
        return 1;
    if (len == 0 || len > s.len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((s.at[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (s.at[i] & 0x3F);
    }
    if (code < LEAST[len] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return 0;
    return len;
}

/* Writes one character as it may stand between quotes; returns how many bytes of `s` that was. */
static size_t put_character(struct line *l, struct slice s)
{
    size_t len = character_len(s);
    char escape[8];

    if (len == 1 && (s.at[0] == '"' || s.at[0] == '\\')) {
        snprintf(escape, sizeof(escape), "\\%c", s.at[0]);
    } else if (len == 1 && s.at[0] == '\n') {
        snprintf(escape, sizeof(escape), "\\n");
    } else if (len == 0 || s.at[0] < ' ' || s.at[0] == 0x7F) {
        snprintf(escape, sizeof(escape), l->json ? "\\u%04x" : "\\x%02x", s.at[0]);
        len = 1;
    } else {
        line_put(l, (const char *)s.at, len);
        return len;
    }
    line_text(l, escape);
    return len;
}

static bool needs_quotes(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] <= ' ' || s.at[i] >= 0x7F || strchr("\"\\=", s.at[i]) != NULL)
            return true;
    return s.len == 0;
}

static void put_value(struct line *l, struct slice s)
{
    size_t end = l->len + VALUE_BYTES;
    bool quoted = l->json || needs_quotes(s);

    if (end > sizeof(l->bytes) - 2 * TAIL_BYTES)
        end = sizeof(l->bytes) - 2 * TAIL_BYTES;
    if (quoted)
        line_text(l, "\"");
    while (s.len > 0 && l->len < end)
        s = slice_from(s, put_character(l, s));
    if (s.len > 0)
        line_text(l, "...");
    if (quoted)
        line_text(l, "\"");
}

static void put_field(struct line *l, const struct log_field *f)
{
    char number[24];

    /* A field that has no room for its key and some of its value is left out whole. */
    if (l->is_cut || sizeof(l->bytes) - l->len < strlen(f->key) + 6 * TAIL_BYTES) {
        l->is_cut = true;
        return;
    }
    line_text(l, l->json ? ",\"" : " ");
    line_text(l, f->key);
    line_text(l, l->json ? "\":" : "=");
    switch (f->kind) {
    case LOG_KIND_TEXT:
        put_value(l, f->text);
        break;
    case LOG_KIND_NUMBER:
        snprintf(number, sizeof(number), "%llu", (unsigned long long)f->number);
        line_text(l, number);
        break;
    case LOG_KIND_SIGNED:
        snprintf(number, sizeof(number), "%lld", (long long)f->number);
        line_text(l, number);
        break;
    case LOG_KIND_BOOL:
        line_text(l, f->number ? "true" : "false");
        break;
    case LOG_KIND_END:
        break;
    }
}

static void put_head(struct line *l, enum log_level level, const char *what)
{
    char when[40];
    struct timespec now;
    struct tm parts;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(when + strlen(when), 8, ".%03dZ", (int)(now.tv_nsec / 1000000) % 1000);
    line_text(l, l->json ? "{\"time\":\"" : "");
    line_text(l, when);
    line_text(l, l->json ? "\",\"level\":\"" : " ");
    line_text(l, LEVELS[level]);
    line_text(l, l->json ? "\",\"event\":" : " ");
    if (l->json)
        put_value(l, slice_text(what));
    else
        line_text(l, what);
}

static void write_line(enum log_level level, const char *what, const struct log_field *fields)
{
    struct line l;
    int fd = atomic_load_explicit(&settings.fd, memory_order_relaxed);

    l.len = 0;
    l.is_cut = false;
    l.json = atomic_load_explicit(&settings.json, memory_order_relaxed);
    put_head(&l, level, what);
    for (; fields->kind != LOG_KIND_END; fields++)
        put_field(&l, fields);
    /* These fit always: TAIL_BYTES are theirs. */
    if (l.json)
        l.bytes[l.len++] = '}';
    l.bytes[l.len++] = '\n';
    while (write(fd == 0 ? STDERR_FILENO : fd, l.bytes, l.len) < 0 && errno == EINTR)
        ;
}

static uint64_t hash_more(uint64_t hash, const void *at, size_t len)
{
    const unsigned char *byte = at;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001B3);
    return hash;
}

static uint64_t hash_of(enum log_level level, const char *what, const struct log_field *object)
{
    uint64_t hash = hash_more(UINT64_C(0xCBF29CE484222325) + (uint64_t)level, what, strlen(what));

    if (object->kind == LOG_KIND_TEXT)
        return hash_more(hash, object->text.at, object->text.len);
    return hash_more(hash, &object->number, sizeof(object->number));
}

static void remember(struct recent *r, uint64_t now_us, enum log_level level, const char *what,
                     const struct log_field *object)
{
    *r = (struct recent){ .since_us = now_us, .what = what, .level = level, .key = object->key };
    if (object->kind == LOG_KIND_TEXT) {
        r->object_len = object->text.len < OBJECT_BYTES ? object->text.len : OBJECT_BYTES;
        if (r->object_len > 0)
            memcpy(r->object, object->text.at, r->object_len);
    } else if (object->kind != LOG_KIND_END) {
        r->object_len =
            (size_t)snprintf(r->object, OBJECT_BYTES, "%lld", (long long)object->number);
    }
}

/* Tells how often a line came again, after its window was taken off the table. */
static void write_summary(const struct recent *r, uint64_t now_us)
{
    struct log_field fields[4];
    size_t count = 0;

    if (r->repeated == 0)
        return;
    if (r->key != NULL)
        fields[count++] = log_slice(r->key, slice_of(r->object, r->object_len));
    fields[count++] = log_number("repeated", r->repeated);
    fields[count++] = log_number("seconds", (now_us - r->since_us) / 1000000);
    fields[count] = (struct log_field){ .kind = LOG_KIND_END };
    write_line(r->level, r->what, fields);
}

static bool is_over(uint64_t since_us, uint64_t now_us)
{
    return now_us > since_us && now_us - since_us >= WINDOW_US;
}

/* May this line be written?  If not it was counted.  `past` gets an earlier window of the same line
 * that is over and must be told first. */
static bool admit(uint64_t now_us, enum log_level level, const char *what,
                  const struct log_field *object, struct recent *past)
{
    uint64_t hash = hash_of(level, what, object);
    size_t place = RECENT_LINES;
    bool may = true;

    pthread_mutex_lock(&recent.lock);
    for (size_t i = 0; i < RECENT_LINES; i++) {
        if (recent.line[i].since_us != 0 && recent.hash[i] == hash) {
            place = i;
            break;
        }
        /* A window that is over and counted nothing needs no telling. */
        if (recent.line[i].since_us == 0 ||
            (recent.line[i].repeated == 0 && is_over(recent.line[i].since_us, now_us)))
            place = i;
    }
    if (place == RECENT_LINES) {
        if (recent.crowded++ == 0)
            recent.crowded_since_us = now_us;
        may = false;
    } else if (recent.line[place].since_us != 0 && recent.hash[place] == hash &&
               !is_over(recent.line[place].since_us, now_us)) {
        recent.line[place].repeated++;
        may = false;
    } else {
        *past = recent.line[place];
        recent.hash[place] = hash;
        remember(&recent.line[place], now_us, level, what, object);
    }
    pthread_mutex_unlock(&recent.lock);
    return may;
}

void log_write(enum log_level level, const char *what, const struct log_field *fields)
{
    struct recent past = { 0 };
    uint64_t now_us = clock_now_us();

    if (level < LOG_DEBUG && !admit(now_us, level, what, fields, &past))
        return;
    write_summary(&past, now_us);
    write_line(level, what, fields);
}

/* Takes windows off the table and tells them: those that are over, or all. */
static void tell(uint64_t now_us, bool all)
{
    uint64_t crowded = 0;

    for (size_t i = 0; i < RECENT_LINES; i++) {
        struct recent past = { 0 };

        pthread_mutex_lock(&recent.lock);
        if (recent.line[i].since_us != 0 && (all || is_over(recent.line[i].since_us, now_us))) {
            past = recent.line[i];
            recent.line[i] = (struct recent){ 0 };
        }
        pthread_mutex_unlock(&recent.lock);
        write_summary(&past, now_us);
    }
    pthread_mutex_lock(&recent.lock);
    if (all || is_over(recent.crowded_since_us, now_us)) {
        crowded = recent.crowded;
        recent.crowded = 0;
    }
    pthread_mutex_unlock(&recent.lock);
    if (crowded > 0)
        write_line(
            LOG_WARN, "too many different lines, some were not written",
            (const struct log_field[]){ log_number("lines", crowded), { .kind = LOG_KIND_END } });
}

void log_tick(uint64_t now_us)
{
    tell(now_us, false);
}

void log_flush(void)
{
    tell(clock_now_us(), true);
}
