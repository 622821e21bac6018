/* The options of [class NAME].  See tables.h. */
#include "config/snapshot.h"
#include "config/tables.h"
#include "config/tables_pool.h"

static const char *const ACCESSES[] = { "full", "read-only", "forbidden", NULL };

#define AT(member) offsetof(struct key_class, member)

const struct option tables_class[] = {
    { "in", OPTION_LINES, .form = "POOL",
      .text = "the memory pool whose keys are meant; without such a line those of all" },
    { "prefix", OPTION_LINES, .form = "TEXT", .text = "keys that begin so" },
    { "prefix_hex", OPTION_LINES, .form = "HEX",
      .text = "keys that begin with these bytes, two digits each" },
    { "first_byte", OPTION_LINES, .form = "HEX or HEX-HEX",
      .text = "keys whose first byte is this, or between these two, which count" },
    { "pattern", OPTION_LINES, .form = "PATTERN",
      .text = "keys that fit a pattern as KEYS takes it (* ? [a-z]); of keys that are longer than "
              "4096 bytes those are looked at" },
    { "pool", OPTION_TEXT, AT(pool_name), .form = "POOL",
      .text = "the memory pool on whose shards these keys are; it need not listen itself; without "
              "it they are on those of the pool that clients ask" },
    { "access", OPTION_WORD, AT(access), "full", .words = ACCESSES,
      .text = "what clients may do with these keys" },
    { "ttl", OPTION_DURATION, AT(ttl_ms), "none", .min = 1, .max = HOURS(876000), .zero = "none",
      .text =
          "what a key lives that a write leaves without an end of its own; by default max_ttl" },
    { "max_ttl", OPTION_DURATION, AT(max_ttl_ms), "none", .min = 1, .max = HOURS(876000),
      .zero = "none",
      .text = "what a key lives at most: who asks for more gets this, for what expires early is "
              "what clients of a cache are prepared for, and an error is not" },
    { "max_value", OPTION_SIZE, AT(max_value_bytes), "unlimited", .min = 1, .max = GB(2),
      .zero = "unlimited",
      .text = "larger values are refused, those too that APPEND, INCR, RENAME and their like would "
              "make of strings (Redis servers' user must be allowed EVAL then; memcached servers "
              "are asked twice for append and prepend); of lists, hashes and so on each element "
              "is measured, of RESTORE what it is sent, and what a script writes is not, nor what "
              "memcached's incr, decr and ma make, which has 20 digits at most" },
    { "cache", OPTION_DURATION, AT(cache_ms), "off", .min = 1, .max = HOURS(1), .zero = "off",
      .text = "each worker keeps values that are often read (GET, and get of one key) and answers "
              "with them for so long; a write through Sheaf ends that at once, and so does the "
              "key's own end; what others write at the servers is seen when this time is over; a "
              "reload keeps them if nothing about the pool, its classes and theirs changed" },
    { "cache_memory", OPTION_SIZE, AT(cache_bytes), "4mb", .min = KB(64), .max = GB(16),
      .text = "what each worker keeps of such values" },
    { 0 },
};
