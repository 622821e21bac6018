/* One line an event, to stderr: `time level what key=value ...`, or the same as JSON.
 *
 *     log_event(LOG_WARN, "upstream lost", log_text("endpoint", name), log_text("pool", pool),
 *               log_err("reason", err), log_number("waiting", waiting));
 *
 * The first field names the object that the line is about.  Lines of the same level, text and first
 * field are written once in ten seconds, the rest is counted and told in one line when the time is
 * over (`... repeated=312 seconds=10`), so a storm floods nothing; therefore what differs from line
 * to line, a peer's port say, is never the first field.  Debug lines are all written.
 *
 * Any thread may log; a line is one write(2) and never longer than 4096 bytes: a long value is cut.
 * Never give it a password, a key or a URL that holds one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum log_kind { LOG_KIND_END, LOG_KIND_TEXT, LOG_KIND_NUMBER, LOG_KIND_SIGNED, LOG_KIND_BOOL };

/* Made by the functions below; the key is a word of our own, the value may be anything. */
struct log_field {
    const char *key; /* borrowed for the call */
    enum log_kind kind;
    struct slice text; /* borrowed for the call */
    uint64_t number;
};

struct log_settings {
    enum log_level level; /* the least urgent that is written; zero: errors alone */
    bool json;
    int fd; /* borrowed; zero: stderr */
};

/* Until it is called: LOG_INFO, text, stderr.  May be called again, at a reload. */
void log_setup(const struct log_settings *settings);
bool log_is_on(enum log_level level);

/* Tells what was counted in windows that are over; to be called about once a second. */
void log_tick(uint64_t now_us);
/* Tells all that was counted, before the process ends. */
void log_flush(void);

/* Writes a line about an event; arguments are evaluated only if the level is on. */
#define log_event(level, what, ...)                                                                \
    do {                                                                                           \
        if (log_is_on(level))                                                                      \
            log_write(                                                                             \
                level, what,                                                                       \
                (const struct log_field[]){ __VA_ARGS__ __VA_OPT__(, ){ .kind = LOG_KIND_END } }); \
    } while (0)

/* Behind log_event(); fields end with LOG_KIND_END. */
void log_write(enum log_level level, const char *what, const struct log_field *fields);

static inline struct log_field log_slice(const char *key, struct slice value)
{
    return (struct log_field){ .key = key, .kind = LOG_KIND_TEXT, .text = value };
}

static inline struct log_field log_text(const char *key, const char *value)
{
    return log_slice(key, slice_text(value == NULL ? "" : value));
}

static inline struct log_field log_number(const char *key, uint64_t value)
{
    return (struct log_field){ .key = key, .kind = LOG_KIND_NUMBER, .number = value };
}

static inline struct log_field log_signed(const char *key, int64_t value)
{
    return (struct log_field){ .key = key, .kind = LOG_KIND_SIGNED, .number = (uint64_t)value };
}

static inline struct log_field log_bool(const char *key, bool value)
{
    return (struct log_field){ .key = key, .kind = LOG_KIND_BOOL, .number = value };
}

static inline struct log_field log_err(const char *key, enum err err)
{
    return log_text(key, err_text(err));
}
