/* See memcached_script.h.  Numbers of Lua have 53 bits, so those of memcached are added up in two
 * halves: what is before the last nine digits, and these. */
#include "proxy/memory/memcached_script.h"

#include <openssl/sha.h>
#include <pthread.h>

const char MEMCACHED_SCRIPT[] =
    "local k,call,op,mode,cmp,new,flags,unit,at,val=KEYS[1],redis.call,unpack(ARGV)\n"
    "local old=call('GET',k)\n"
    "local oflags,cas,v='\\0\\0\\0\\0','',old\n"
    "if old and #old>=16 and old:sub(1,4)=='\\245mc\\1' then\n"
    " oflags,cas,v=old:sub(5,8),old:sub(9,16),old:sub(17)\n"
    "elseif old then\n"
    " local hex=redis.sha1hex(old)\n"
    " for i=1,15,2 do\n"
    "  local b=tonumber(hex:sub(i,i+1),16)\n"
    "  if i==1 then b=b%128 end\n"
    "  cas=cas..string.char(b)\n"
    " end\n"
    "end\n"
    "local function expire(u,t)\n"
    " if u=='EX' then call('EXPIRE',k,t) elseif u=='EXAT' then call('EXPIREAT',k,t)\n"
    " elseif u=='PERSIST' then call('PERSIST',k) end\n"
    "end\n"
    "local function put(f,text,u,t)\n"
    " local all='\\245mc\\1'..f..new..text\n"
    " if u=='KEEP' then call('SET',k,all,'KEEPTTL')\n"
    " elseif u=='PERSIST' then call('SET',k,all)\n"
    " else call('SET',k,all,u,t) end\n"
    "end\n"
    "local function late() return cmp~='' and cmp~=cas end\n"
    "if op=='g' then\n"
    " if not old then return {'NF'} end\n"
    " local before=call('PTTL',k)\n"
    " expire(unit,at)\n"
    " return {'VA',old,call('PTTL',k),before}\n"
    "elseif op=='t' then\n"
    " if not old then return {'NF'} end\n"
    " expire(unit,at)\n"
    " return {'HD'}\n"
    "elseif op=='d' then\n"
    " if not old then return {'NF'} end\n"
    " if late() then return {'EX'} end\n"
    " call('DEL',k)\n"
    " return {'HD'}\n"
    "elseif op=='s' then\n"
    " if mode=='A' or mode=='P' then\n"
    "  if not old then return {'NS'} end\n"
    "  if late() then return {'EX'} end\n"
    "  if ARGV[12]~='' and #v+#val>tonumber(ARGV[12]) then return {'TL'} end\n"
    "  put(oflags,mode=='A' and v..val or val..v,'KEEP')\n"
    "  return {'HD'}\n"
    " end\n"
    " if mode=='E' and old or mode=='R' and not old and cmp=='' then return {'NS'} end\n"
    " if mode~='E' and cmp~='' then\n"
    "  if not old then return {'NF'} end\n"
    "  if late() then return {'EX'} end\n"
    " end\n"
    " put(flags,val,unit,at)\n"
    " return {'HD'}\n"
    "end\n"
    "if not old then\n"
    " if ARGV[9]=='' then return {'NF'} end\n"
    " put(oflags,ARGV[11],ARGV[9],ARGV[10])\n"
    " return {'VA',ARGV[11],call('PTTL',k),-2}\n"
    "end\n"
    "if v=='' then return {'NN'} end\n"
    "if late() then return {'EX'} end\n"
    "local function halves(text)\n"
    " text=text:gsub('^0+','')\n"
    " if #text>20 then return nil end\n"
    " local hi,lo=tonumber(text:sub(1,-10)) or 0,tonumber(text:sub(-9)) or 0\n"
    " if hi>18446744073 or hi==18446744073 and lo>709551615 then return nil end\n"
    " return hi,lo\n"
    "end\n"
    "local sign,digits,rest=v:match('^%s*([%+%-]?)(%d+)(.*)$')\n"
    "if not digits or rest~='' and rest:byte(1)~=0 and not rest:match('^%s')\n"
    " then return {'NN'} end\n"
    "local hi,lo=halves(digits)\n"
    "if not hi then return {'NN'} end\n"
    "if sign=='-' and hi+lo>0 then\n" /* as strtoull has it */
    " hi,lo=18446744073-hi,709551616-lo\n"
    " if lo<0 then hi,lo=hi-1,lo+1000000000 end\n"
    " if hi>9223372036 or hi==9223372036 and lo>=854775808 then return {'NN'} end\n"
    "end\n"
    "local dhi,dlo=halves(val)\n"
    "if mode=='I' then\n"
    " hi,lo=hi+dhi,lo+dlo\n"
    " if lo>=1000000000 then hi,lo=hi+1,lo-1000000000 end\n"
    " if hi>18446744073 or hi==18446744073 and lo>=709551616 then "
    "hi,lo=hi-18446744073,lo-709551616 end\n"
    "else\n"
    " hi,lo=hi-dhi,lo-dlo\n"
    "end\n"
    "if lo<0 then hi,lo=hi-1,lo+1000000000 end\n"
    "if hi<0 then hi,lo=0,0 end\n"
    "local text=hi>0 and string.format('%.0f%09.0f',hi,lo) or string.format('%.0f',lo)\n"
    "put(oflags,text..string.rep(' ',#v-#text),'KEEP')\n"
    "local before=call('PTTL',k)\n"
    "expire(unit,at)\n"
    "return {'VA',text,call('PTTL',k),before}\n";

static char sha[2 * SHA_DIGEST_LENGTH + 1];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_sha(void)
{
    static const char DIGITS[] = "0123456789abcdef";
    uint8_t digest[SHA_DIGEST_LENGTH];

    SHA1((const uint8_t *)MEMCACHED_SCRIPT, sizeof(MEMCACHED_SCRIPT) - 1, digest);
    for (size_t i = 0; i < sizeof(digest); i++) {
        sha[2 * i] = DIGITS[digest[i] >> 4];
        sha[2 * i + 1] = DIGITS[digest[i] & 15];
    }
}

struct slice memcached_script_sha(void)
{
    pthread_once(&once, make_sha);
    return slice_of(sha, sizeof(sha) - 1);
}
