/* What servers tell of themselves, of all shards: texts one behind the other, each under a line
 * that names its shard; LATENCY HISTOGRAM added up; FUNCTION STATS of the shard that runs one. */
#include <string.h>

#include "proxy/memory/redis_merge.h"
#include "proxy/wire/resp_reader.h"

/* ---- texts ---- */

/* The words of a text, or of an error in its place. */
static bool text_of(struct slice reply, struct slice *out)
{
    struct resp_reader reader = { reply };
    struct resp_item item;

    if (resp_read(&reader, &item) != ERR_NONE || strchr("+-$=!", item.type) == NULL || item.is_null)
        return false;
    *out = item.type == '=' ? slice_from(item.text, 4) : item.text;
    return true;
}

static bool is_told_by_any(const struct memory_merge *m)
{
    for (uint32_t i = 0; i < m->part_count; i++)
        if (!m->parts[i].failed && m->parts[i].reply.len > 0 && m->parts[i].reply.at[0] != '-')
            return true;
    return false;
}

/* Who asks wants to know how the servers are: one that is down is told as such, among them. */
void redis_merge_texts(struct memory_merge *m)
{
    const struct redis_note *note = m->note;
    struct buf all = { 0 };
    struct slice text;

    if (!is_told_by_any(m)) {
        redis_merge_one(m);
        return;
    }
    for (uint32_t i = 0; i < m->part_count; i++) {
        if (!text_of(m->parts[i].reply, &text))
            text = slice_text("(no text)");
        while (text.len > 0 && (text.at[text.len - 1] == '\n' || text.at[text.len - 1] == '\r'))
            text.len--;
        buf_format(&all, "%sshard %u", i > 0 ? "\n" : "", m->parts[i].shard);
        if (redis_merge_has_shard(m, i))
            buf_format(&all, " (%s)", memory_site_endpoint(m->site, m->parts[i].shard)->name);
        buf_text(&all, ":\n");
        buf_slice(&all, text);
        buf_text(&all, "\n");
    }
    resp_put_verbatim(m->out, note->version, "txt", buf_all(&all));
    buf_fini(&all);
}

/* ---- LATENCY HISTOGRAM ---- */

enum { MOST_BOUNDS = 64 };

/* How many calls took at most so many microseconds, each bound's count with those below it. */
struct histogram {
    struct slice name; /* the element */
    int64_t calls;
    struct {
        int64_t bound, count;
    } at[MOST_BOUNDS];
    size_t bounds;
};

struct histograms {
    struct histogram *at; /* in the arena */
    size_t count, cap;
};

static bool read_integer(struct resp_reader *reader, int64_t *out)
{
    struct resp_item item;

    if (resp_read(reader, &item) != ERR_NONE || item.type != ':')
        return false;
    *out = item.integer;
    return true;
}

/* Pairs, as a map or a flat array. */
static bool read_pairs(struct resp_reader *reader, uint64_t *pairs)
{
    struct resp_item item;

    if (resp_read(reader, &item) != ERR_NONE || strchr("*%", item.type) == NULL ||
        item.count % 2 != 0)
        return false;
    *pairs = item.count / 2;
    return true;
}

/* "calls" and its number, "histogram_usec" and its pairs of bound and count. */
static bool read_histogram(struct resp_reader *reader, struct histogram *out)
{
    uint64_t fields, bounds;
    struct slice name;

    *out = (struct histogram){ 0 };
    if (resp_read_skip(reader, &out->name) != ERR_NONE || !read_pairs(reader, &fields) ||
        fields != 2 || resp_read_skip(reader, &name) != ERR_NONE ||
        !read_integer(reader, &out->calls) || resp_read_skip(reader, &name) != ERR_NONE ||
        !read_pairs(reader, &bounds) || bounds > MOST_BOUNDS)
        return false;
    for (out->bounds = 0; out->bounds < bounds; out->bounds++)
        if (!read_integer(reader, &out->at[out->bounds].bound) ||
            !read_integer(reader, &out->at[out->bounds].count))
            return false;
    return true;
}

/* What `h` counted up to this bound. */
static int64_t count_up_to(const struct histogram *h, int64_t bound)
{
    int64_t count = 0;

    for (size_t i = 0; i < h->bounds && h->at[i].bound <= bound; i++)
        count = h->at[i].count;
    return count;
}

/* Servers leave out bounds at which nothing was added. */
static void add_histogram(struct histogram *sum, const struct histogram *more)
{
    struct histogram both = { .name = sum->name, .calls = sum->calls + more->calls };
    size_t i = 0, k = 0;

    while ((i < sum->bounds || k < more->bounds) && both.bounds < MOST_BOUNDS) {
        int64_t bound =
            k == more->bounds || (i < sum->bounds && sum->at[i].bound < more->at[k].bound)
                ? sum->at[i].bound
                : more->at[k].bound;

        i += i < sum->bounds && sum->at[i].bound == bound;
        k += k < more->bounds && more->at[k].bound == bound;
        both.at[both.bounds].bound = bound;
        both.at[both.bounds++].count = count_up_to(sum, bound) + count_up_to(more, bound);
    }
    *sum = both;
}

static void keep_histogram(struct memory_merge *m, struct histograms *all,
                           const struct histogram *one)
{
    struct histogram *larger;

    for (size_t i = 0; i < all->count; i++)
        if (slice_is(all->at[i].name, one->name)) {
            add_histogram(&all->at[i], one);
            return;
        }
    if (all->count == all->cap) {
        all->cap = all->cap == 0 ? 16 : all->cap * 2;
        larger = arena_new(m->arena, all->cap * sizeof(*larger));
        if (all->count > 0)
            memcpy(larger, all->at, all->count * sizeof(*larger));
        all->at = larger;
    }
    all->at[all->count++] = *one;
}

static bool read_histograms(struct memory_merge *m, struct slice reply, struct histograms *all)
{
    struct resp_reader reader = { reply };
    struct histogram one;
    uint64_t count;

    if (!read_pairs(&reader, &count))
        return false;
    for (; count > 0; count--) {
        if (!read_histogram(&reader, &one))
            return false;
        keep_histogram(m, all, &one);
    }
    return true;
}

void redis_merge_histograms(struct memory_merge *m)
{
    const struct redis_note *note = m->note;
    struct histograms all = { 0 };

    if (redis_merge_failed(m))
        return;
    for (uint32_t i = 0; i < m->part_count; i++)
        if (!read_histograms(m, m->parts[i].reply, &all)) {
            redis_merge_out_of_step(m);
            return;
        }
    resp_put_map(m->out, note->version, all.count);
    for (size_t i = 0; i < all.count; i++) {
        const struct histogram *h = &all.at[i];

        buf_slice(m->out, h->name);
        resp_put_map(m->out, note->version, 2);
        resp_put_bulk_text(m->out, "calls");
        resp_put_integer(m->out, h->calls);
        resp_put_bulk_text(m->out, "histogram_usec");
        resp_put_map(m->out, note->version, h->bounds);
        for (size_t k = 0; k < h->bounds; k++) {
            resp_put_integer(m->out, h->at[k].bound);
            resp_put_integer(m->out, h->at[k].count);
        }
    }
}

/* ---- FUNCTION STATS ---- */

/* The libraries are the same everywhere, but a function runs on one shard. */
static bool runs_one(struct slice reply)
{
    struct resp_reader reader = { reply };
    struct slice name;
    struct resp_item item;
    uint64_t pairs;

    return read_pairs(&reader, &pairs) && pairs > 0 && resp_read_skip(&reader, &name) == ERR_NONE &&
           resp_read(&reader, &item) == ERR_NONE && !item.is_null;
}

void redis_merge_running(struct memory_merge *m)
{
    if (redis_merge_failed(m))
        return;
    for (uint32_t i = 0; i < m->part_count; i++)
        if (runs_one(m->parts[i].reply)) {
            buf_slice(m->out, m->parts[i].reply);
            return;
        }
    redis_merge_one(m);
}
