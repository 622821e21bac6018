# redis-rb with its default settings: ruby redis_rb.rb PORT GUARDED_PORT TLS_PORT AUTHORITY PREFIX RESP.
# See tests/scenario/lib/story.py for what it prints.
require "digest"
require "redis"

MANY = 300
PATIENCE = 30 # seconds, for what must come
DOUBLE = "return redis.call('get', KEYS[1]) * ARGV[1]"
PORT, GUARDED_PORT, TLS_PORT, AUTHORITY, PREFIX = ARGV

def client(port = PORT, **options) = Redis.new(host: "127.0.0.1", port: port.to_i, **options)
def key(name) = "#{PREFIX}:#{name}"
def keys(name, count) = Array.new(count) { |n| key("#{name}#{n}") }
def tagged(name) = "{#{PREFIX}}:#{name}"

def same(got, want)
  raise "#{got.inspect}, not #{want.inspect}" unless got == want
end

def refused(code)
  got = yield
rescue Redis::CommandError => error
  raise unless error.message.start_with?(code)
else
  raise "#{got.inspect}, not #{code}"
end

REDIS = client

# The library has no object for scripts: its users do this.
def run(times)
  REDIS.evalsha(Digest::SHA1.hexdigest(DOUBLE), keys: [key("n")], argv: [times])
rescue Redis::CommandError => error
  raise unless error.message.start_with?("NOSCRIPT")
  REDIS.eval(DOUBLE, keys: [key("n")], argv: [times])
end

def connect
  same REDIS.ping, "PONG"
  same REDIS.call("CLIENT", "INFO").include?(" resp=2 "), true
end

def strings
  bytes = "\0\r\n\xff".b
  same REDIS.set(key("a"), bytes, ex: 60), "OK"
  same REDIS.get(key("a")).b, bytes
  same REDIS.get(key("none")), nil
  names = keys("s", 21)
  values = Array.new(20, &:to_s)
  same REDIS.mapped_mset(names.first(20).zip(values).to_h), "OK"
  same REDIS.mget(names), values + [nil]
  same REDIS.del(names), 20
end

def large
  value = "0123456789abcdef" * (1 << 16)
  same REDIS.set(key("large"), value), "OK"
  same REDIS.get(key("large")) == value, true
  same REDIS.del(key("large")), 1
end

def collections
  hash, zset, stream = key("hash"), key("zset"), key("stream")
  REDIS.del(hash, zset, stream)
  REDIS.hset(hash, "f" => "1", "g" => "2")
  REDIS.zadd(zset, [[1, "a"], [2.5, "b"]])
  REDIS.xadd(stream, { "f" => "v" }, id: "1-1")
  same REDIS.hgetall(hash), { "f" => "1", "g" => "2" }
  same REDIS.zrange(zset, 0, -1, with_scores: true), [["a", 1.0], ["b", 2.5]]
  same REDIS.zscore(zset, "b"), 2.5
  same REDIS.xread(stream, "0"), { stream => [["1-1", { "f" => "v" }]] }
end

def pipeline
  names = keys("p", MANY)
  got = REDIS.pipelined do |pipe|
    names.each_with_index { |name, n| pipe.set(name, n); pipe.get(name) }
  end
  same got, Array.new(MANY) { |n| ["OK", n.to_s] }.flatten
end

def transaction
  got = REDIS.multi do |multi|
    multi.set(tagged("t"), 1)
    multi.incr(tagged("t"))
  end
  same got, ["OK", 2]
end

def watch
  REDIS.set(tagged("w"), 1)
  [true, false].each do |overtaken|
    got = REDIS.watch(tagged("w")) do
      value = REDIS.get(tagged("w")).to_i
      client.set(tagged("w"), 10) if overtaken # somebody else, in between
      REDIS.multi { |multi| multi.set(tagged("w"), value + 1) }
    end
    same got, overtaken ? nil : ["OK"]
  end
  same REDIS.get(tagged("w")), "11"
end

def scan
  same REDIS.scan_each(match: key("p*"), count: 50).to_a.uniq.sort, keys("p", MANY).sort
end

def script
  REDIS.set(key("n"), 21)
  same REDIS.script(:load, DOUBLE), Digest::SHA1.hexdigest(DOUBLE)
  same [run(2), run(4)], [42, 84]
end

def script_flushed
  same REDIS.script(:flush), "OK"
  same REDIS.script(:exists, Digest::SHA1.hexdigest(DOUBLE)), false
  same [run(2), run(4)], [42, 84]
end

def publish
  heard = []
  client.subscribe(key("channel")) do |on|
    on.subscribe { same REDIS.publish(key("channel"), "hello"), 1 }
    on.message { |*what| heard << what; raise StopIteration }
  end
rescue StopIteration
  begin
    client.psubscribe(key("pattern:*")) do |on|
      on.psubscribe { same REDIS.publish(key("pattern:1"), "hello"), 1 }
      on.pmessage { |_, *what| heard << what; raise StopIteration }
    end
  rescue StopIteration
    same heard, [[key("channel"), "hello"], [key("pattern:1"), "hello"]]
  end
end

def blocking
  same REDIS.blpop(key("queue"), timeout: 0.05), nil
  popper = Thread.new { client.blpop(key("queue"), timeout: PATIENCE) }
  REDIS.rpush(key("queue"), "job")
  same popper.value, [key("queue"), "job"]
end

def error
  REDIS.set(key("text"), "t")
  refused("WRONGTYPE") { REDIS.lpush(key("text"), "x") }
  refused("CROSSSLOT") { REDIS.sunion(keys("none", 50)) }
  same REDIS.get(key("text")), "t"
end

def auth
  known = client(GUARDED_PORT, username: "app", password: "app-secret")
  same known.set("app:#{PREFIX}", 1), "OK"
  refused("NOPERM") { known.get("other") }
  refused("WRONGPASS") { client(GUARDED_PORT, username: "app", password: "guessed").ping }
end

def database
  other = client(db: 1)
  same other.get(key("text")), nil
  same other.set(key("text"), "elsewhere"), "OK"
  same REDIS.get(key("text")), "t"
end

def tls
  same client(TLS_PORT, ssl: true, ssl_params: { ca_file: AUTHORITY }).mget(key("text"), key("n")), ["t", "21"]
end

%i[connect strings large collections pipeline transaction watch scan script script_flushed publish blocking
   error auth database tls].each do |check|
  send(check)
  puts "ok #{check}"
rescue StandardError => error
  warn error.full_message
  puts "failed #{check}: #{error.message}"
  exit 1
end
