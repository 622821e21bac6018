// The admin endpoint's page as a browser has it: node page.js URL.  Runs its script on its document until it has
// drawn twice, and prints what then stands there as JSON.  Ends with 0 if nothing was thrown.
"use strict";
const assert = require("node:assert/strict");
const { parseHTML } = require("linkedom");

const url = process.argv[2];
const text = (document, id) => document.getElementById(id).textContent;

async function main() {
  const { document, Node } = parseHTML(await (await fetch(url)).text());
  let drawn = 0, marked;
  const second = new Promise((resolve, reject) => {
    const refreshed = (again) => {
      if (text(document, "lost")) reject(new Error(text(document, "lost")));
      marked ??= document.querySelector("#pools h2");
      if (++drawn === 2) resolve();
      else setImmediate(again); // not a second later
    };
    const script = document.querySelector("script").textContent;
    new Function("document", "Node", "fetch", "setTimeout", script)(
      document, Node, (path, options) => fetch(new URL(path, url), options), refreshed);
  });
  await second;
  assert.equal(document.querySelector("#pools h2"), marked, "a refresh touches only what changed");
  const drawings = [...document.querySelectorAll("svg")].map((svg) => svg.outerHTML).join("");
  assert.doesNotMatch(drawings + document.body.textContent, /NaN|undefined|Infinity|\[object/);
  console.log(JSON.stringify({ title: document.title, about: text(document, "about"), trouble: text(document, "trouble"),
    pools: text(document, "pools"), slow: text(document, "slow"), bars: document.querySelectorAll("#pools rect").length }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
