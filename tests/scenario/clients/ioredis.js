// ioredis with its default settings: node ioredis.js PORT.  Ends with 0 if all is as it must be.
"use strict";
const assert = require("node:assert/strict");
const Redis = require("ioredis");

const port = Number(process.argv[2]);

async function strings(redis) {
  assert.equal(await redis.set("io:a", "1"), "OK");
  assert.equal(await redis.get("io:a"), "1");
  assert.equal(await redis.get("io:none"), null);
  assert.equal(await redis.mset("io:a", "x", "io:b", "y", "io:c", "z"), "OK");
  assert.deepEqual(await redis.mget("io:c", "io:none", "io:a", "io:b"), ["z", null, "x", "y"]);
  assert.equal(await redis.del("io:a", "io:b", "io:c"), 3);
  const bytes = Buffer.from([0, 13, 10, 255]);
  await redis.set("io:bytes", bytes);
  assert.deepEqual(await redis.getBuffer("io:bytes"), bytes);
}

async function collections(redis) {
  await redis.del("io:h", "io:l", "io:z");
  await redis.hset("io:h", { f: "1", g: "2" });
  assert.deepEqual(await redis.hgetall("io:h"), { f: "1", g: "2" });
  await redis.rpush("io:l", "a", "b");
  assert.deepEqual(await redis.lrange("io:l", 0, -1), ["a", "b"]);
  await redis.zadd("io:z", 1, "a", 2.5, "b");
  assert.deepEqual(await redis.zrange("io:z", 0, -1, "WITHSCORES"), ["a", "1", "b", "2.5"]);
}

async function pipelines(redis) {
  const pipeline = redis.pipeline();
  for (let n = 0; n < 500; n++) pipeline.set(`io:p:${n}`, n).get(`io:p:${n}`);
  const replies = await pipeline.exec();
  replies.forEach(([error, value], n) => {
    assert.equal(error, null);
    assert.equal(value, n % 2 === 0 ? "OK" : String((n - 1) / 2));
  });
  const mixed = await redis.pipeline().set("io:text", "t").incr("io:text").get("io:text").exec();
  assert.match(mixed[1][0].message, /not an integer/);
  assert.equal(mixed[2][1], "t");
}

async function transactions(redis) {
  const replies = await redis.multi().set("{io}t", "1").incr("{io}t").exec();
  assert.deepEqual(replies, [[null, "OK"], [null, 2]]);
}

async function scripts(redis) {
  redis.defineCommand("twice", { numberOfKeys: 1, lua: "return redis.call('get', KEYS[1]) * 2" });
  await redis.set("io:n", "21");
  assert.equal(await redis.twice("io:n"), 42);
  assert.equal(await redis.twice("io:n"), 42);
}

async function subscriptions(redis) {
  const subscriber = redis.duplicate();
  const heard = new Promise((resolve) => subscriber.on("message", (...what) => resolve(what)));
  assert.equal(await subscriber.subscribe("io:channel"), 1);
  assert.equal(await redis.publish("io:channel", "hello"), 1);
  assert.deepEqual(await heard, ["io:channel", "hello"]);
  await subscriber.quit();
}

async function listings(redis) {
  const keys = new Set();
  for await (const batch of redis.scanStream({ match: "io:p:*", count: 50 })) {
    batch.forEach((key) => keys.add(key));
  }
  assert.equal(keys.size, 500);
}

async function main() {
  const redis = new Redis({ port, host: "127.0.0.1" });
  for (const part of [strings, collections, pipelines, transactions, scripts, subscriptions, listings]) {
    await part(redis);
  }
  const other = new Redis({ port, host: "127.0.0.1", db: 1, connectionName: "second" });
  assert.equal(await other.get("io:n"), null);
  await other.quit();
  assert.equal(await redis.quit(), "OK");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
