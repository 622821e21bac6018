// What memjs, which speaks the binary protocol, does with a pool; with "user:password@" by SASL.
const assert = require("assert");
const memjs = require("memjs");

async function main() {
  const client = memjs.Client.create(process.argv[2], { timeout: 10, conntimeout: 10, retries: 0 });
  const text = async (key) => {
    const { value } = await client.get(key);
    return value === null ? null : value.toString();
  };
  assert.equal(await client.set("hello", "world", { expires: 600 }), true);
  assert.equal(await text("hello"), "world");
  assert.equal(await text("none"), null);
  const names = [...Array(40).keys()].map((n) => `memjs ${n}`); // blanks: no text command could say them
  await Promise.all(names.map((name) => client.set(name, name.toUpperCase(), {})));
  assert.deepEqual(await Promise.all(names.map(text)), names.map((name) => name.toUpperCase()));
  assert.equal(await client.add("hello", "again", {}), false);
  assert.equal(await client.replace("none", "x", {}), false);
  assert.equal(await client.append("hello", "!"), true);
  assert.equal(await text("hello"), "world!");
  await client.delete("memjs:n");
  assert.equal((await client.increment("memjs:n", 3, { initial: 10 })).value, 10);
  assert.equal((await client.increment("memjs:n", 3, {})).value, 13);
  assert.equal((await client.decrement("memjs:n", 20, {})).value, 0);
  assert.equal(await client.touch("hello", 100), true);
  const large = "x".repeat(900000);
  assert.equal(await client.set("large", large, {}), true);
  assert.equal(await text("large"), large);
  assert.equal(await client.delete("hello"), true);
  assert.equal(await client.delete("hello"), false);
  client.close();
  console.log("memjs is content");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
