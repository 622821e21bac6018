// postgres.js with its default settings, which prepare and pipeline: node node_postgres.js PORT.
"use strict";
const assert = require("node:assert/strict");
const postgres = require("postgres");

const where = { host: "127.0.0.1", port: Number(process.argv[2]), user: "app", password: "secret", database: "app", onnotice: () => {} };

async function queries(sql) {
  assert.deepEqual([...(await sql`SELECT ${20}::int + ${22}::int AS sum, ${null}::text AS none`)], [{ sum: 42, none: null }]);
  for (let n = 0; n < 20; n++) assert.equal((await sql`SELECT ${n}::int + 1 AS n`)[0].n, n + 1);
  await assert.rejects(sql`SELECT * FROM nosuch`, { code: "42P01" });
  await assert.rejects(sql`SELECT ${"x"}::int`, { code: "22P02" });
  assert.equal((await sql.unsafe("SELECT 1; SELECT 2 AS b"))[1][0].b, 2);
  assert.deepEqual((await sql`SELECT ${[1, 2, 3]}::int[] AS a`)[0].a, [1, 2, 3]);
  assert.deepEqual((await sql`SELECT ${sql.json({ a: [1] })} AS j`)[0].j, { a: [1] });
}

async function writes(sql) {
  await sql`CREATE TABLE postgres_js (id serial PRIMARY KEY, v text)`;
  for (let n = 1; n <= 50; n++) {
    assert.equal((await sql`INSERT INTO postgres_js ${sql({ v: `v${n}` })} RETURNING id`)[0].id, n);
    assert.equal((await sql`SELECT count(*)::int AS n FROM postgres_js`)[0].n, n); // sees its own write
  }
  await sql`INSERT INTO postgres_js ${sql(Array.from({ length: 500 }, (_, n) => ({ v: `many ${n}` })))}`;
  assert.equal((await sql`SELECT count(*)::int AS n FROM postgres_js`)[0].n, 550);
}

async function transactions(sql) {
  await assert.rejects(sql.begin(async (tx) => {
    await tx`DELETE FROM postgres_js`;
    throw new Error("mind changed");
  }), /mind changed/);
  await sql.begin(async (tx) => {
    await tx.savepoint(async (inner) => {
      await inner`DELETE FROM postgres_js`;
      throw new Error("inner");
    }).catch(() => {});
    const answers = await Promise.all([1, 2, 3].map((n) => tx`SELECT ${n}::int AS n`)); // a pipeline
    assert.deepEqual(answers.map((each) => each[0].n), [1, 2, 3]);
  });
  await sql.begin("read only", async (tx) => {
    assert.equal((await tx`SELECT count(*)::int AS n FROM postgres_js`)[0].n, 550);
  });
}

async function cursors(sql) {
  let seen = 0;
  await sql`SELECT g FROM generate_series(1, 1000) g`.cursor(100, (rows) => {
    seen += rows.length;
  });
  assert.equal(seen, 1000);
  seen = 0;
  await sql`SELECT g FROM generate_series(1, 1000) g`.forEach(() => {
    seen += 1;
  });
  assert.equal(seen, 1000);
}

async function copies(sql) {
  const { pipeline } = require("node:stream/promises");
  const { Readable } = require("node:stream");
  await sql`CREATE TABLE postgres_js_copy (a int, b text)`;
  const lines = Array.from({ length: 1000 }, (_, n) => `${n}\tline ${n}\n`);
  await pipeline(Readable.from(lines), await sql`COPY postgres_js_copy FROM STDIN`.writable());
  assert.equal((await sql`SELECT count(*)::int AS n FROM postgres_js_copy`)[0].n, 1000);
  let size = 0;
  for await (const chunk of await sql`COPY postgres_js_copy TO STDOUT`.readable()) size += chunk.length;
  assert.equal(size, lines.join("").length);
  await sql`DROP TABLE postgres_js_copy`;
}

async function many(sql) {
  const answers = await Promise.all(Array.from({ length: 500 }, (_, n) => sql`SELECT ${n}::int AS n`));
  answers.forEach((answer, n) => assert.equal(answer[0].n, n));
}

async function notifications(sql) {
  let heard;
  const payload = new Promise((resolve) => {
    heard = resolve;
  });
  const { unlisten } = await sql.listen("postgres_js", heard);
  await sql.notify("postgres_js", "hello");
  assert.equal(await payload, "hello");
  await unlisten();
}

async function main() {
  const sql = postgres(where);
  for (const story of [queries, writes, transactions, cursors, copies, many, notifications]) await story(sql);
  await sql`DROP TABLE postgres_js`;
  await sql.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
