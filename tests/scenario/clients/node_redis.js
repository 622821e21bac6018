// node-redis with its default settings: node node_redis.js PORT RESP, where RESP is 2 or 3.
// Ends with 0 if all is as it must be.
"use strict";
const assert = require("node:assert/strict");
const { createClient } = require("redis");

const port = Number(process.argv[2]);
const RESP = Number(process.argv[3]);

async function strings(client) {
  assert.equal(await client.set("node:a", "1"), "OK");
  assert.equal(await client.get("node:a"), "1");
  assert.equal(await client.get("node:none"), null);
  assert.equal(await client.mSet({ "node:a": "x", "node:b": "y", "node:c": "z" }), "OK");
  assert.deepEqual(await client.mGet(["node:c", "node:none", "node:a"]), ["z", null, "x"]);
  assert.equal(await client.del(["node:a", "node:b", "node:c"]), 3);
}

async function collections(client) {
  await client.del(["node:h", "node:z", "node:s"]);
  await client.hSet("node:h", { f: "1", g: "2" });
  assert.deepEqual({ ...(await client.hGetAll("node:h")) }, { f: "1", g: "2" });
  await client.zAdd("node:z", [{ score: 1, value: "a" }, { score: 2.5, value: "b" }]);
  assert.deepEqual((await client.zRangeWithScores("node:z", 0, -1)).map((m) => ({ ...m })),
    [{ value: "a", score: 1 }, { value: "b", score: 2.5 }]);
  assert.equal(await client.zScore("node:z", "b"), 2.5);
  await client.sAdd("node:s", ["a", "b"]);
  assert.deepEqual([...(await client.sMembers("node:s"))].sort(), ["a", "b"]);
}

async function pipelines(client) {
  const replies = await Promise.all(
    Array.from({ length: 500 }, (_, n) => client.set(`node:p:${n}`, String(n)).then(() => client.get(`node:p:${n}`))));
  assert.deepEqual(replies, Array.from({ length: 500 }, (_, n) => String(n)));
  await assert.rejects(client.lPush("node:p:1", "x"), /WRONGTYPE/);
}

async function transactions(client) {
  assert.deepEqual(await client.multi().set("{node}t", "1").incr("{node}t").exec(), ["OK", 2]);
}

async function subscriptions(client) {
  const subscriber = await client.duplicate().connect();
  const heard = new Promise((resolve) => {
    subscriber.subscribe("node:channel", (...what) => resolve(what)).then(() => client.publish("node:channel", "hello"));
  });
  assert.deepEqual(await heard, ["hello", "node:channel"]);
  const matched = new Promise((resolve) => {
    subscriber.pSubscribe("node:pattern:*", (...what) => resolve(what)).then(() => client.publish("node:pattern:1", "hi"));
  });
  assert.deepEqual(await matched, ["hi", "node:pattern:1"]);
  await subscriber.close();
}

async function listings(client) {
  const keys = new Set();
  for await (const batch of client.scanIterator({ MATCH: "node:p:*", COUNT: 50 })) {
    batch.forEach((key) => keys.add(key));
  }
  assert.equal(keys.size, 500);
}

async function main() {
  const client = createClient({ RESP, url: `redis://127.0.0.1:${port}` });
  client.on("error", (error) => {
    throw error;
  });
  await client.connect();
  for (const part of [strings, collections, pipelines, transactions, subscriptions, listings]) {
    await part(client);
  }
  const other = await createClient({ RESP, url: `redis://127.0.0.1:${port}/1`, name: "second" }).connect();
  assert.equal(await other.get("node:p:1"), null);
  await other.close();
  await client.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
