//! redis-rs with its default settings.
use redis::{Client, Commands, Connection, ErrorKind, RedisError, RedisResult, Script, Value};
use redis::{ServerErrorKind, streams::StreamReadReply};
use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::time::Duration;
use std::{env, error::Error, process, thread};

const MANY: usize = 300;
const PATIENCE: u64 = 30; // seconds, for what must come
const DOUBLE: &str = "return redis.call('get', KEYS[1]) * ARGV[1]";

type Told = Result<(), Box<dyn Error>>;

struct Story {
    port: u16,
    guarded_port: u16,
    prefix: String,
    resp: u8,
    redis: Connection,
}

fn same<T: PartialEq + Debug>(got: T, want: T) -> Told {
    if got == want { Ok(()) } else { Err(format!("{got:?}, not {want:?}").into()) }
}

fn refused<T: Debug>(result: RedisResult<T>, want: impl Fn(&RedisError) -> bool) -> Told {
    match result {
        Err(error) if want(&error) => Ok(()),
        other => Err(format!("{other:?}, not the refusal that is due").into()),
    }
}

/// The library speaks RESP2 unless told otherwise.
fn client(resp: u8, port: u16, who: &str, database: u8) -> RedisResult<Client> {
    let protocol = if resp == 3 { "?protocol=resp3" } else { "" };
    Client::open(format!("redis://{who}127.0.0.1:{port}/{database}{protocol}"))
}

impl Story {
    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    fn tagged(&self, name: &str) -> String {
        format!("{{{}}}:{name}", self.prefix)
    }

    fn keys(&self, name: &str, count: usize) -> Vec<String> {
        (0..count).map(|n| self.key(&format!("{name}{n}"))).collect()
    }

    fn another(&self) -> RedisResult<Connection> {
        client(self.resp, self.port, "", 0)?.get_connection()
    }

    fn connect(&mut self) -> Told {
        same(redis::cmd("PING").query::<String>(&mut self.redis)?, "PONG".into())?;
        let info: String = redis::cmd("CLIENT").arg("INFO").query(&mut self.redis)?;
        same(info.contains(&format!(" resp={} lib-name=redis-rs", self.resp)), true)
    }

    fn strings(&mut self) -> Told {
        let (a, none) = (self.key("a"), self.key("none"));
        let bytes = vec![0u8, 13, 10, 255];
        self.redis.set::<_, _, ()>(&a, &bytes)?;
        same(self.redis.get::<_, Vec<u8>>(&a)?, bytes)?;
        same(self.redis.get::<_, Option<String>>(&none)?, None)?;
        let keys = self.keys("s", 21);
        let pairs: Vec<_> = keys[..20].iter().zip(0u64..).collect();
        self.redis.mset::<_, _, ()>(&pairs)?;
        let want: Vec<Option<u64>> = (0..20).map(Some).chain([None]).collect();
        same(self.redis.mget::<_, Vec<Option<u64>>>(&keys)?, want)?;
        same(self.redis.del::<_, u64>(&keys)?, 20)
    }

    fn large(&mut self) -> Told {
        let (key, value) = (self.key("large"), "0123456789abcdef".repeat(1 << 16));
        self.redis.set::<_, _, ()>(&key, &value)?;
        same(self.redis.get::<_, String>(&key)? == value, true)?;
        same(self.redis.del::<_, u64>(&key)?, 1)
    }

    fn collections(&mut self) -> Told {
        let (hash, zset, stream) = (self.key("hash"), self.key("zset"), self.key("stream"));
        self.redis.del::<_, ()>(&[&hash, &zset, &stream])?;
        self.redis.hset_multiple::<_, _, _, ()>(&hash, &[("f", 1), ("g", 2)])?;
        self.redis.zadd_multiple::<_, _, _, ()>(&zset, &[(1.0, "a"), (2.5, "b")])?;
        self.redis.xadd::<_, _, _, _, ()>(&stream, "1-1", &[("f", "v")])?;
        let all: HashMap<String, u64> = self.redis.hgetall(&hash)?;
        same(all, HashMap::from([("f".into(), 1), ("g".into(), 2)]))?;
        let scores: Vec<(String, f64)> = self.redis.zrange_withscores(&zset, 0, -1)?;
        same(scores, vec![("a".into(), 1.0), ("b".into(), 2.5)])?;
        same(self.redis.zscore::<_, _, f64>(&zset, "b")?, 2.5)?;
        let read: StreamReadReply = self.redis.xread(&[&stream], &["0"])?;
        same(read.keys[0].ids[0].get::<String>("f"), Some("v".into()))
    }

    fn pipeline(&mut self) -> Told {
        let mut pipe = redis::pipe();
        for (n, key) in self.keys("p", MANY).iter().enumerate() {
            pipe.set(key, n).ignore().get(key);
        }
        same(pipe.query::<Vec<usize>>(&mut self.redis)?, (0..MANY).collect())
    }

    fn transaction(&mut self) -> Told {
        let key = self.tagged("t");
        let (sum,): (u64,) = redis::pipe().atomic().set(&key, 1).ignore().incr(&key, 1).query(&mut self.redis)?;
        same(sum, 2)
    }

    fn watch(&mut self) -> Told {
        let (key, mut other, mut tries) = (self.tagged("w"), self.another()?, 0);
        self.redis.set::<_, _, ()>(&key, 1)?;
        let (value,): (u64,) = redis::transaction(&mut self.redis, &[&key], |connection, pipe| {
            tries += 1;
            let value: u64 = connection.get(&key)?;
            if tries == 1 {
                other.set::<_, _, ()>(&key, 10)?; // somebody else, in between
            }
            pipe.set(&key, value + 1).ignore().get(&key).query(connection)
        })?;
        same((tries, value), (2, 11))
    }

    fn scan(&mut self) -> Told {
        let pattern = self.key("p*");
        let seen: RedisResult<HashSet<String>> = self.redis.scan_match(pattern)?.collect();
        same(seen?, self.keys("p", MANY).into_iter().collect())
    }

    fn double(&mut self, times: u64) -> RedisResult<u64> {
        Script::new(DOUBLE).key(self.key("n")).arg(times).invoke(&mut self.redis)
    }

    fn script(&mut self) -> Told {
        let n = self.key("n");
        self.redis.set::<_, _, ()>(&n, 21)?;
        same((self.double(2)?, self.double(4)?), (42, 84))
    }

    fn script_flushed(&mut self) -> Told {
        redis::cmd("SCRIPT").arg("FLUSH").exec(&mut self.redis)?;
        let sha = Script::new(DOUBLE).get_hash().to_string();
        let there: Vec<bool> = redis::cmd("SCRIPT").arg("EXISTS").arg(sha).query(&mut self.redis)?;
        same(there, vec![false])?;
        same((self.double(2)?, self.double(4)?), (42, 84))
    }

    fn publish(&mut self) -> Told {
        let mut connection = self.another()?;
        let mut heard = connection.as_pubsub();
        heard.set_read_timeout(Some(Duration::from_secs(PATIENCE)))?;
        heard.subscribe(self.key("channel"))?;
        heard.psubscribe(self.key("pattern:*"))?;
        for channel in [self.key("channel"), self.key("pattern:1")] {
            same(self.redis.publish::<_, _, u64>(&channel, "hello")?, 1)?;
            let message = heard.get_message()?;
            same((message.get_channel_name(), message.get_payload::<String>()?), (&channel, "hello".into()))?;
        }
        Ok(())
    }

    fn blocking(&mut self) -> Told {
        let (queue, mut other) = (self.key("queue"), self.another()?);
        same(other.blpop(&queue, 0.05)?, None::<[String; 2]>)?;
        let name = queue.clone();
        let popper = thread::spawn(move || other.blpop::<_, Vec<String>>(&name, PATIENCE as f64));
        self.redis.rpush::<_, _, ()>(&queue, "job")?;
        same(popper.join().unwrap()?, vec![queue, "job".into()])
    }

    fn error(&mut self) -> Told {
        let (text, many) = (self.key("text"), self.keys("none", 50));
        self.redis.set::<_, _, ()>(&text, "t")?;
        refused(self.redis.lpush::<_, _, u64>(&text, "x"), |error| error.code() == Some("WRONGTYPE"))?;
        refused(self.redis.sunion::<_, Value>(&many), |error| error.kind() == ErrorKind::Server(ServerErrorKind::CrossSlot))?;
        same(self.redis.get(&text)?, "t".to_string())
    }

    fn auth(&mut self) -> Told {
        let mut known = client(self.resp, self.guarded_port, "app:app-secret@", 0)?.get_connection()?;
        known.set::<_, _, ()>(format!("app:{}", self.prefix), 1)?;
        refused(known.get::<_, Value>("other"), |error| error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm))?;
        let stranger = client(self.resp, self.guarded_port, "app:guessed@", 0)?.get_connection();
        refused(stranger.map(|_| ()), |error| {
            error.kind() == ErrorKind::AuthenticationFailed || error.code() == Some("WRONGPASS")
        })
    }

    fn database(&mut self) -> Told {
        let (text, mut other) = (self.key("text"), client(self.resp, self.port, "", 1)?.get_connection()?);
        same(other.get(&text)?, None::<String>)?;
        other.set::<_, _, ()>(&text, "elsewhere")?;
        same(self.redis.get(&text)?, "t".to_string())
    }
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [port, guarded_port, _, _, prefix, resp] = arguments.as_slice() else {
        eprintln!("usage: PROGRAM PORT GUARDED_PORT TLS_PORT AUTHORITY PREFIX RESP");
        process::exit(2);
    };
    let (port, resp) = (port.parse().unwrap(), resp.parse().unwrap());
    let redis = client(resp, port, "", 0).and_then(|client| client.get_connection()).expect("connects");
    let mut story =
        Story { port, guarded_port: guarded_port.parse().unwrap(), prefix: prefix.clone(), resp, redis };
    let checks: [(&str, fn(&mut Story) -> Told); 15] = [
        ("connect", Story::connect),
        ("strings", Story::strings),
        ("large", Story::large),
        ("collections", Story::collections),
        ("pipeline", Story::pipeline),
        ("transaction", Story::transaction),
        ("watch", Story::watch),
        ("scan", Story::scan),
        ("script", Story::script),
        ("script_flushed", Story::script_flushed),
        ("publish", Story::publish),
        ("blocking", Story::blocking),
        ("error", Story::error),
        ("auth", Story::auth),
        ("database", Story::database),
    ];
    for (name, check) in checks {
        if let Err(error) = check(&mut story) {
            println!("failed {name}: {error}");
            process::exit(1);
        }
        println!("ok {name}");
    }
}
