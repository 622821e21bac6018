/* See redis_guard.h. */
#include "proxy/memory/redis_guard.h"

#include "config/snapshot.h"

enum {
    INTEGER_BYTES = 20, /* the longest, as the next */
    FLOAT_BYTES = 5 * 1024,
    LOG_BYTES = 16 + 12 * 1024,
};

/* sum: the value and what is added; first: that of the first key; rest: the longest of the other
 * keys'; after: it is seen when it was done, and undone.  Values of other types have no length. */
const char REDIS_GUARD[] =
    "local most,class,mode=tonumber(ARGV[1]),ARGV[2],ARGV[3]\n"
    "local function len(k)\n"
    " local n=redis.pcall('STRLEN',k)\n"
    " return type(n)=='number' and n or 0\n"
    "end\n"
    "local function excess(n)\n"
    " return redis.error_reply('ERR a value of '..string.format('%.0f',n)..\n"
    "  ' bytes is larger than max_value of class '..class..', '..ARGV[1])\n"
    "end\n"
    "local n=0\n"
    "if mode=='sum' then n=len(KEYS[1])+#ARGV[6]\n"
    "elseif mode=='first' then n=len(KEYS[1])\n"
    "elseif mode=='rest' then\n"
    " for i=2,#KEYS do n=math.max(n,len(KEYS[i])) end\n"
    "end\n"
    "if n>most then return excess(n) end\n"
    "if mode~='after' then return redis.pcall(unpack(ARGV,4)) end\n"
    "local old=redis.call('TYPE',KEYS[1]).ok=='string' and redis.call('GET',KEYS[1])\n"
    "local reply=redis.pcall(unpack(ARGV,4))\n"
    "n=len(KEYS[1])\n"
    "if n<=most then return reply end\n"
    "if old then redis.call('SET',KEYS[1],old,'KEEPTTL') else redis.call('DEL',KEYS[1]) end\n"
    "return excess(n)\n";

const char *redis_guard_mode(struct slice command, const struct key_class *c)
{
    static const struct {
        const char *name, *mode;
        uint64_t most; /* bytes that it makes; 0: any number */
    } GUARDED[] = {
        { "append", "sum", 0 },
        { "rename", "first", 0 },
        { "renamenx", "first", 0 },
        { "copy", "first", 0 },
        { "bitop", "rest", 0 },
        { "bitfield", "after", 0 },
        { "incr", "after", INTEGER_BYTES },
        { "decr", "after", INTEGER_BYTES },
        { "incrby", "after", INTEGER_BYTES },
        { "decrby", "after", INTEGER_BYTES },
        { "incrbyfloat", "after", FLOAT_BYTES },
        { "pfadd", "after", LOG_BYTES },
        { "pfmerge", "after", LOG_BYTES },
    };

    for (size_t i = 0; i < sizeof(GUARDED) / sizeof(GUARDED[0]); i++)
        if (slice_is_text(command, GUARDED[i].name))
            return GUARDED[i].most > 0 && GUARDED[i].most <= c->max_value_bytes ? NULL
                                                                                : GUARDED[i].mode;
    return NULL;
}
