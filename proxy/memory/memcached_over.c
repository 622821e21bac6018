/* See memcached_over.h. */
#include "proxy/memory/memcached_over.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/memory/memcached_kept.h"
#include "proxy/memory/memcached_script.h"
#include "proxy/memory/redis_front.h"
#include "proxy/wire/base64.h"
#include "shard/stamp.h"

#define BAD_TOKEN "CLIENT_ERROR bad token in command line format\r\n"

/* Of the front's own commands, a key in base64. */
enum { KEY_MOST = BASE64_BYTES(MEMCACHED_KEY_BYTES), DAYS_S = 30 * 24 * 3600, NUMBER_BYTES = 24 };

/* One of the front's commands on its way. */
struct request {
    struct memcached_call *call;
    struct memcached_text_request text;
    struct memcached_over_ask *ask;
    struct memcached_over_note *note;
    struct slice key;
    struct buf *out;
    uint32_t replies;
    const char *error; /* memcached's, or */
    const char *why;   /* why Redis can't */
};

typedef void over_f(struct request *r);

/* ---- words ---- */

static struct slice number_word(struct request *r, int64_t number)
{
    char text[NUMBER_BYTES];
    int len = snprintf(text, sizeof(text), "%" PRId64, number);

    return arena_copy(r->call->op->arena, slice_of(text, (size_t)len));
}

static struct slice bytes_word(struct request *r, uint64_t number, size_t len)
{
    uint8_t *at = arena_bytes(r->call->op->arena, len);

    memcached_kept_put_number(at, number, len);
    return slice_of(at, len);
}

/* What a value's end is to Redis: two words, the second "0" if it has no number. */
struct end {
    struct slice unit, time;
};

static bool take_end(struct request *r, struct slice word, struct end *out)
{
    int64_t number;

    if (!slice_to_i64(word, &number)) {
        r->error = r->text.verb < MEMCACHED_MG ? MEMCACHED_BAD_FORMAT : BAD_TOKEN;
        return false;
    }
    number = (int32_t)number; /* as memcached has it */
    *out = (struct end){ slice_text("PERSIST"), slice_text("0") };
    if (number == 0)
        return true;
    out->unit = slice_text(number > 0 && number <= DAYS_S ? "EX" : "EXAT");
    out->time = number_word(r, number < 0 ? 1 : number); /* before now is over at once */
    return true;
}

/* The value as it is kept. */
static struct slice headed(struct request *r, uint32_t flags, struct slice value)
{
    uint8_t *at = arena_bytes(r->call->op->arena, MEMCACHED_KEPT_HEAD_BYTES + value.len);

    memcached_kept_put_head(at, flags, r->ask->cas);
    if (value.len > 0)
        memcpy(at + MEMCACHED_KEPT_HEAD_BYTES, value.at, value.len);
    return slice_of(at, MEMCACHED_KEPT_HEAD_BYTES + value.len);
}

/* Of 32 bits, the lowest of what is told, as memcached has it. */
static bool take_flags(struct request *r, struct slice word, uint32_t *out)
{
    uint64_t number = 0;

    if (word.at != NULL && !slice_to_u64(word, &number)) {
        r->error = MEMCACHED_BAD_FORMAT;
        return false;
    }
    *out = (uint32_t)number;
    return true;
}

/* Random numbers are each another one: splitmix64. */
static uint64_t next_cas(struct memcached_shared *shared)
{
    uint64_t z = shared->random += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    z ^= z >> 31;
    return (z & INT64_MAX) | 1;
}

/* ---- requests ---- */

static void say(struct request *r, enum memcached_over_answer answer, const struct slice *words,
                size_t count)
{
    r->ask->answer = answer;
    r->replies++;
    resp_put_command(r->out, words, count);
}

/* What the script is told; the members that are not set are empty. */
struct script {
    const char *op, *mode;
    bool compares;
    uint64_t cas; /* with which */
    uint32_t flags;
    struct end end;
    struct slice value;
    struct end first_end; /* unit is empty: none is made */
    struct slice first;
};

/* How long a value of the key's class may be; "": as long as it is. */
static struct slice most_word(struct request *r)
{
    const struct memory_class *c = memory_site_class(r->call->site, r->key);

    if (c == NULL || c->settings->max_value_bytes == 0)
        return slice_text("");
    return number_word(r, (int64_t)c->settings->max_value_bytes);
}

static struct slice or_empty(struct slice s)
{
    return s.at == NULL ? slice_text("") : s;
}

static void run(struct request *r, const struct script *s)
{
    const struct slice words[MEMCACHED_SCRIPT_WORDS] = {
        slice_text("EVALSHA"),
        memcached_script_sha(),
        slice_text("1"),
        [MEMCACHED_SCRIPT_KEY] = r->key,
        [MEMCACHED_SCRIPT_OP] = slice_text(s->op),
        [MEMCACHED_SCRIPT_MODE] = slice_text(s->mode == NULL ? "" : s->mode),
        [MEMCACHED_SCRIPT_COMPARED] = s->compares ? bytes_word(r, s->cas, 8) : slice_text(""),
        [MEMCACHED_SCRIPT_CAS] = bytes_word(r, r->ask->cas, 8),
        [MEMCACHED_SCRIPT_FLAGS] = bytes_word(r, s->flags, 4),
        [MEMCACHED_SCRIPT_UNIT] = or_empty(s->end.unit),
        [MEMCACHED_SCRIPT_TIME] = or_empty(s->end.time),
        [MEMCACHED_SCRIPT_VALUE] = or_empty(s->value),
        [MEMCACHED_SCRIPT_FIRST_UNIT] = or_empty(s->first_end.unit),
        [MEMCACHED_SCRIPT_FIRST_TIME] = or_empty(s->first_end.time),
        [MEMCACHED_SCRIPT_FIRST] = or_empty(s->first),
        [MEMCACHED_SCRIPT_MOST] = most_word(r),
    };

    say(r, MEMCACHED_OVER_SCRIPT, words, MEMCACHED_SCRIPT_WORDS);
    r->note->runs_script = true;
}

static void put_rows(struct request *r)
{
    struct slice rest = r->text.keys, word, *words;
    size_t count = 1;

    while (memcached_next_word(&rest, &word))
        count++;
    words = arena_new(r->call->op->arena, count * sizeof(*words));
    words[0] = slice_text("MGET");
    rest = r->text.keys;
    for (size_t i = 1; i < count; i++)
        (void)memcached_next_word(&rest, &words[i]);
    say(r, MEMCACHED_OVER_VALUES, words, count);
}

static void put_touched_rows(struct request *r)
{
    struct slice rest = r->text.keys, word;
    struct end end;

    if (!take_end(r, r->text.words[1], &end))
        return;
    while (memcached_next_word(&rest, &word)) {
        struct slice words[] = { slice_text("GETEX"), word, end.unit, end.time };

        say(r, MEMCACHED_OVER_VALUE, words, slice_is_text(end.unit, "PERSIST") ? 3 : 4);
    }
}

/* SET, ADD (NX) or REPLACE (XX). */
static void put_set(struct request *r, const char *condition, uint32_t flags, const struct end *end)
{
    struct slice words[6] = { slice_text("SET"), r->key, headed(r, flags, r->text.value) };
    size_t count = 3;

    if (slice_is_text(r->key, SHARD_STAMP_KEY)) /* our own, after a flush: as Redis pools have it */
        words[2] = r->text.value;
    if (condition != NULL)
        words[count++] = slice_text(condition);
    if (!slice_is_text(end->unit, "PERSIST")) {
        words[count++] = end->unit;
        words[count++] = end->time;
    }
    say(r, MEMCACHED_OVER_DONE, words, count);
}

static void put_store(struct request *r)
{
    struct script s = { .op = "s", .mode = "S", .value = r->text.value };

    if (!take_flags(r, r->text.words[2], &s.flags) || !take_end(r, r->text.words[3], &s.end))
        return;
    switch (r->text.verb) {
    case MEMCACHED_ADD:
        put_set(r, "NX", s.flags, &s.end);
        return;
    case MEMCACHED_REPLACE:
        put_set(r, "XX", s.flags, &s.end);
        return;
    case MEMCACHED_APPEND:
        s.mode = "A";
        break;
    case MEMCACHED_PREPEND:
        s.mode = "P";
        break;
    case MEMCACHED_CAS:
        s.compares = slice_to_u64(r->text.words[5], &s.cas);
        break;
    default: /* lint: of the verbs this is given, it is SET */
        put_set(r, NULL, s.flags, &s.end);
        return;
    }
    run(r, &s);
}

static void put_delete(struct request *r)
{
    struct slice words[] = { slice_text("DEL"), r->key };

    say(r, MEMCACHED_OVER_COUNT, words, 2);
}

static void put_number(struct request *r)
{
    struct script s = { .op = "i",
                        .mode = r->text.verb == MEMCACHED_INCR ? "I" : "D",
                        .value = r->text.words[2] };

    run(r, &s);
}

static void put_touch(struct request *r)
{
    struct script s = { .op = "t" };
    struct slice words[3] = { { 0 }, r->key };

    if (!take_end(r, r->text.words[2], &s.end))
        return;
    if (slice_is_text(s.end.unit, "PERSIST")) {
        run(r, &s);
        return;
    }
    words[0] = slice_text(slice_is_text(s.end.unit, "EX") ? "EXPIRE" : "EXPIREAT");
    words[2] = s.end.time;
    say(r, MEMCACHED_OVER_COUNT, words, 3);
}

/* ---- meta requests ---- */

struct slice memcached_over_flag(struct slice line, enum memcached_verb verb, char flag)
{
    return memcached_line_flag(line, verb == MEMCACHED_MS ? 3 : 2, flag);
}

static struct slice flag(const struct request *r, char letter)
{
    return memcached_over_flag(r->text.line, r->text.verb, letter);
}

/* What is wrong with a flag's token, whatever the command makes of it; NULL: nothing. */
static const char *error_of_token(char letter, struct slice token)
{
    int64_t time;
    uint64_t number;

    switch (letter) {
    case 'N':
    case 'T':
    case 'R':
        return slice_to_i64(token, &time) ? NULL : BAD_TOKEN;
    case 'C':
        return slice_to_u64(token, &number) ? NULL : BAD_TOKEN;
    case 'D':
        return slice_to_u64(token, &number) ? NULL : "CLIENT_ERROR invalid numeric delta value\r\n";
    case 'J':
        return slice_to_u64(token, &number) ? NULL
                                            : "CLIENT_ERROR invalid numeric initial value\r\n";
    case 'F':
        return slice_to_u64(token, &number) ? NULL : MEMCACHED_BAD_FORMAT;
    case 'M':
        return token.len == 1 ? NULL : "CLIENT_ERROR incorrect length for M token\r\n";
    default: /* lint: of memcached's letters, not ours */
        return NULL;
    }
}

/* Why a flag's wish can't be done; NULL: it can, or the command does not look at it. */
static const char *why_not(const struct request *r, char letter)
{
    static const struct {
        enum memcached_verb verb;
        char letter;
        const char *why;
    } REFUSED[] = {
        { MEMCACHED_MG, 'h', "does not keep whether a value was read (flag h)" },
        { MEMCACHED_MG, 'l', "does not keep when a value was read last (flag l)" },
        { MEMCACHED_MG, 'u', "can't read a value without having used it (flag u)" },
        { MEMCACHED_MG, 'N', "can't have one client make what is missing (flag N)" },
        { MEMCACHED_MG, 'R', "can't have one client renew a value (flag R)" },
        { MEMCACHED_MD, 'I', "keeps no stale values (flag I)" },
        { MEMCACHED_MS, 'I', "keeps no stale values (flags I and C)" },
    };

    for (size_t i = 0; i < sizeof(REFUSED) / sizeof(REFUSED[0]); i++)
        if (REFUSED[i].verb == r->text.verb && REFUSED[i].letter == letter &&
            (r->text.verb != MEMCACHED_MS || flag(r, 'C').at != NULL))
            return REFUSED[i].why;
    return NULL;
}

/* An unknown flag, or one that stands there twice; NULL: neither. */
static const char *error_of_letter(struct slice word, bool *seen)
{
    uint8_t letter = word.at[0];

    if (letter == '\0' || letter >= 128 || strchr("OPLkstcfqbNTRDJFCMIlhuv", letter) == NULL)
        return "CLIENT_ERROR invalid flag\r\n";
    if (seen[letter])
        return "CLIENT_ERROR duplicate flag\r\n";
    seen[letter] = true;
    return NULL;
}

/* As memcached looks at all flags of any command before it does anything; what a command has no use
 * for it passes over.  Of several wrong tokens it tells of the last, unless that is F's. */
static bool check_flags(struct request *r)
{
    enum { OPAQUE_MOST = 31 };
    bool is_strict = r->text.verb == MEMCACHED_MD || r->text.verb == MEMCACHED_MA;
    bool seen[128] = { false };
    const char *error = NULL;

    for (uint32_t i = r->text.verb == MEMCACHED_MS ? 3 : 2; i < r->text.word_count; i++) {
        struct slice word = r->text.words[i];
        const char *of_letter = error_of_letter(word, seen), *of_token;

        if (of_letter != NULL) {
            error = of_letter;
            break;
        }
        of_token = error_of_token((char)word.at[0], slice_from(word, 1));
        if (of_token != NULL && (error == NULL || word.at[0] != 'F'))
            error = of_token;
        r->why = r->why == NULL ? why_not(r, (char)word.at[0]) : r->why;
    }
    if (error == NULL && r->why == NULL && flag(r, 'O').len > OPAQUE_MOST)
        r->error = "CLIENT_ERROR opaque token too long\r\n";
    else if (error != NULL)
        r->error = is_strict ? "CLIENT_ERROR invalid or duplicate flag\r\n" : error;
    return r->error == NULL && r->why == NULL;
}

/* The cas of flag C, which is nothing to some if it is 0. */
static void take_cas(struct request *r, bool may_be_nothing, struct script *s)
{
    s->compares = slice_to_u64(flag(r, 'C'), &s->cas) && (s->cas != 0 || !may_be_nothing);
}

static void put_meta_get(struct request *r)
{
    struct script s = { .op = "g", .end.unit = slice_text("KEEP") };
    struct slice words[] = { slice_text("MGET"), r->key }, touch = flag(r, 'T');

    if (!check_flags(r) || (touch.at != NULL && !take_end(r, touch, &s.end)))
        return;
    if (touch.at == NULL && flag(r, 't').at == NULL)
        say(r, MEMCACHED_OVER_VALUES, words, 2);
    else
        run(r, &s);
}

/* The letter of the mode, as a text. */
static const char *take_mode(struct request *r, const char *const *modes)
{
    struct slice token = flag(r, 'M');

    if (token.at == NULL)
        return modes[0];
    for (; *modes != NULL; modes++)
        if (token.len > 0 && (uint8_t)(*modes)[0] == token.at[0])
            return *modes;
    r->error = r->text.verb == MEMCACHED_MS ? "CLIENT_ERROR invalid mode for ms M token\r\n"
                                            : "CLIENT_ERROR invalid mode for ma M token\r\n";
    return NULL;
}

static void put_meta_set(struct request *r)
{
    static const char *const MODES[] = { "S", "E", "R", "A", "P", NULL };
    struct script s = { .op = "s", .value = r->text.value };
    struct slice end = flag(r, 'T');

    if (!check_flags(r) || !take_flags(r, flag(r, 'F'), &s.flags) ||
        !take_end(r, end.at == NULL ? slice_text("0") : end, &s.end))
        return;
    s.mode = take_mode(r, MODES);
    if (s.mode == NULL)
        return;
    take_cas(r, s.mode[0] == 'A' || s.mode[0] == 'P', &s);
    if (s.mode[0] == 'A' || s.mode[0] == 'P' || (s.compares && s.mode[0] != 'E'))
        run(r, &s);
    else
        put_set(r, s.mode[0] == 'E' ? "NX" : s.mode[0] == 'R' ? "XX" : NULL, s.flags, &s.end);
}

static void put_meta_delete(struct request *r)
{
    struct script s = { .op = "d" };

    if (!check_flags(r))
        return;
    take_cas(r, false, &s);
    if (s.compares)
        run(r, &s);
    else
        put_delete(r);
}

/* The last of N and T, which is what one that is made lives. */
static struct slice last_end(const struct request *r)
{
    struct slice first = flag(r, 'N'), touch = flag(r, 'T');

    return touch.at != NULL && touch.at > first.at ? touch : first;
}

static void put_meta_number(struct request *r)
{
    static const char *const MODES[] = { "I", "+", "D", "-", NULL };
    struct script s = { .op = "i", .end.unit = slice_text("KEEP") };
    struct slice touch = flag(r, 'T'), delta = flag(r, 'D'), first = flag(r, 'J');

    if (!check_flags(r) || (touch.at != NULL && !take_end(r, touch, &s.end)) ||
        (flag(r, 'N').at != NULL && !take_end(r, last_end(r), &s.first_end)))
        return;
    s.value = delta.at == NULL ? slice_text("1") : delta;
    s.first = first.at == NULL ? slice_text("0") : first;
    s.mode = take_mode(r, MODES);
    if (s.mode == NULL)
        return;
    s.mode = s.mode[0] == 'I' || s.mode[0] == '+' ? "I" : "D";
    take_cas(r, true, &s);
    run(r, &s);
}

/* ---- all shards ---- */

static void put_flush(struct request *r)
{
    struct slice words[] = { slice_text("FLUSHDB") };
    int64_t delay;

    if (r->text.word_count > 1 && (!slice_to_i64(r->text.words[1], &delay) || delay > 0))
        r->why = "can't empty itself later than now";
    else
        say(r, MEMCACHED_OVER_DONE, words, 1);
}

static void put_refused(struct request *r)
{
    (void)r;
}

/* ---- the table ---- */

static const struct row {
    const char *name;
    over_f *put;
    const char *text;
} TABLE[] = {
#define ROWS                  put_rows
#define TOUCHED_ROWS          put_touched_rows
#define STORE                 put_store
#define DELETE                put_delete
#define NUMBER                put_number
#define TOUCH                 put_touch
#define META_GET              put_meta_get
#define META_SET              put_meta_set
#define META_DELETE           put_meta_delete
#define META_NUMBER           put_meta_number
#define FLUSH                 put_flush
#define LOCAL                 NULL
#define REFUSED               put_refused
#define OVER(name, way, text) { name, way, text },
#include "proxy/memory/memcached_over.def"
#undef OVER
};

static const struct row *find(enum memcached_verb verb)
{
    const char *name = memcached_verb_name(verb);

    for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++)
        if (strcmp(TABLE[i].name, name) == 0)
            return &TABLE[i];
    return NULL;
}

/* The key that is meant: those of meta commands may be in base64. */
static bool take_key(struct request *r)
{
    bool is_meta = r->text.verb >= MEMCACHED_MG && r->text.verb <= MEMCACHED_MA;
    uint8_t *bytes;
    size_t len;

    r->key = r->text.key;
    if (!is_meta || flag(r, 'b').at == NULL)
        return true;
    bytes = arena_bytes(r->call->op->arena, MEMCACHED_KEY_BYTES);
    if (base64_decode(r->text.key, bytes, MEMCACHED_KEY_BYTES, &len) != ERR_NONE)
        return false;
    r->key = slice_of(bytes, len);
    return true;
}

/* With an end behind it, where numbers stop at the latest; clients need not send all of one. */
static struct slice line_kept(struct arena *arena, struct slice line)
{
    static const char END[] = "\r\n";
    uint8_t *bytes = arena_bytes(arena, line.len + sizeof(END));

    memcpy(bytes, line.at, line.len);
    memcpy(bytes + line.len, END, sizeof(END));
    return slice_of(bytes, line.len);
}

static bool is_embedded(const struct memcached_call *call)
{
    return memory_site_endpoint(call->site, call->op->parts[0].shard)->store_path != NULL;
}

/* False: it was refused. */
static bool translate_one(struct request *r)
{
    const struct row *row = find(r->text.verb);

    r->ask->verb = r->text.verb;
    r->ask->line = line_kept(r->call->op->arena, r->text.line);
    r->ask->cas = next_cas(memcached_shared_of(r->call->site));
    r->ask->now_s = r->call->site->wall_us / 1000000;
    if (row == NULL || row->put == NULL || row->put == put_refused || !take_key(r))
        r->why = row == NULL || row->put == NULL ? "has no such statistics" : row->text;
    else
        row->put(r);
    if (r->error == NULL && r->why == NULL)
        return true;
    if (r->error != NULL && r->call->text != NULL)
        memcached_answer_text(r->call, r->error);
    else if (r->error != NULL)
        memcached_answer_status(r->call, MEMCACHED_STATUS_INVALID);
    else
        memcached_refuse(r->call, MEMCACHED_STATUS_UNKNOWN_COMMAND,
                         "'%s' can't be served over %s: it %s", memcached_verb_name(r->text.verb),
                         is_embedded(r->call) ? "an embedded shard" : "Redis", r->why);
    return false;
}

/* All commands of one part. */
static bool translate_part(struct memcached_call *call, struct memcached_over_note *note,
                           uint32_t index)
{
    struct memory_part *part = &call->op->parts[index];
    struct memcached_over_part *over = &note->parts[index];
    struct slice rest = part->bytes;
    struct buf out = { 0 };
    uint32_t replies = 0;
    bool is_fine = true;

    while (rest.len > 0 && is_fine && over->count < MEMCACHED_OVER_ASKS) {
        struct memcached_text_limits limits = { rest.len + 1, rest.len + 1, KEY_MOST };
        struct memcached_text_progress progress = { 0 };
        struct request r = { .call = call, .note = note, .out = &out };
        size_t need;

        r.ask = &over->asks[over->count++];
        if (memcached_text_parse(&progress, rest, &limits, &r.text, &need) != PARSE_DONE)
            break;
        rest = slice_from(rest, r.text.len);
        is_fine = translate_one(&r);
        replies += r.replies;
    }
    part->bytes = arena_copy(call->op->arena, buf_all(&out));
    part->replies = replies;
    buf_fini(&out);
    return is_fine;
}

void memcached_over_translate(struct memcached_call *call)
{
    struct memory_operation *op = call->op;
    struct memcached_over_note *note = arena_new(op->arena, sizeof(*note));

    note->merge = op->merge;
    note->note = op->note;
    note->is_text = call->text != NULL;
    note->parts = arena_new(op->arena, op->part_count * sizeof(*note->parts));
    for (uint32_t i = 0; i < op->part_count; i++)
        if (!translate_part(call, note, i))
            return;
    op->merge = memcached_over_merge;
    op->note = note;
    /* It may need a second round, and what follows must find it done. */
    op->alone |= note->runs_script && !is_embedded(call);
}
