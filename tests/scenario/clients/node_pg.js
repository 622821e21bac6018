// node-postgres with its default settings: node node_pg.js PORT.  Ends with 0 if all is as it must be.
"use strict";
const assert = require("node:assert/strict");
const { Client, Pool } = require("pg");

const where = { host: "127.0.0.1", port: Number(process.argv[2]), user: "app", password: "secret", database: "app" };

async function queries(client) {
  assert.deepEqual((await client.query("SELECT 1 AS one, NULL AS none, 'x' AS text")).rows, [{ one: 1, none: null, text: "x" }]);
  assert.deepEqual((await client.query("SELECT $1::int + $2::int AS sum", [20, 22])).rows, [{ sum: 42 }]);
  const all = await client.query("SELECT 1 AS a; SELECT 2 AS b");
  assert.deepEqual(all.map((each) => each.rows[0]), [{ a: 1 }, { b: 2 }]);
  await assert.rejects(client.query("SELECT * FROM nosuch"), { code: "42P01" });
  await assert.rejects(client.query("SELECT $1::int", ["x"]), { code: "22P02" });
  const bytes = Buffer.from([0, 1, 2, 255]);
  assert.deepEqual((await client.query("SELECT $1::bytea AS b", [bytes])).rows[0].b, bytes);
  const when = new Date("2024-05-06T07:08:09.123Z");
  assert.deepEqual((await client.query("SELECT $1::timestamptz AS t", [when])).rows[0].t, when);
  assert.deepEqual((await client.query("SELECT $1::int[] AS a", [[1, 2, 3]])).rows[0].a, [1, 2, 3]);
}

async function named(client) {
  for (let n = 0; n < 20; n++) {
    const reply = await client.query({ name: "node-add", text: "SELECT $1::int + 1 AS n", values: [n] });
    assert.equal(reply.rows[0].n, n + 1);
  }
  await assert.rejects(client.query({ name: "node-bad", text: "bogus", values: [] }), { code: "42601" });
  assert.equal((await client.query({ name: "node-add", text: "SELECT $1::int + 1 AS n", values: [1] })).rows[0].n, 2);
}

async function writes(client) {
  await client.query("CREATE TABLE node_pg (id serial PRIMARY KEY, v text)");
  for (let n = 1; n <= 50; n++) {
    const { rows } = await client.query("INSERT INTO node_pg (v) VALUES ($1) RETURNING id", [`v${n}`]);
    assert.equal(rows[0].id, n);
    assert.equal((await client.query("SELECT count(*)::int AS n FROM node_pg")).rows[0].n, n); // sees its own write
  }
  await client.query("BEGIN");
  await client.query("DELETE FROM node_pg");
  await client.query("ROLLBACK");
  assert.equal((await client.query("SELECT count(*)::int AS n FROM node_pg")).rows[0].n, 50);
}

async function many(client) {
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => client.query("SELECT $1::int AS n", [n])));
  answers.forEach((answer, n) => assert.equal(answer.rows[0].n, n));
}

async function pools() {
  const pool = new Pool(where);
  await Promise.all(Array.from({ length: 200 }, async (_, n) => {
    const client = await pool.connect();
    try {
      await client.query("BEGIN");
      await client.query("SELECT set_config('node.number', $1, true)", [String(n)]);
      assert.equal((await client.query("SELECT current_setting('node.number') AS n")).rows[0].n, String(n));
      await client.query("COMMIT");
    } finally {
      client.release();
    }
  }));
  await pool.end();
}

async function notifications(client) {
  const heard = new Promise((resolve) => client.on("notification", resolve));
  await client.query("LISTEN node_pg");
  const other = new Client(where);
  await other.connect();
  await other.query("NOTIFY node_pg, 'hello'");
  await other.end();
  assert.equal((await heard).payload, "hello");
}

async function main() {
  const client = new Client(where);
  await client.connect();
  for (const story of [queries, named, writes, many, pools, notifications]) await story(client);
  await client.query("DROP TABLE node_pg");
  await client.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
