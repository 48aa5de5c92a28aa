// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0
//
// Runs folders of the collection with newman, each against a sandbox of its
// own, publishes domain challenges on loopback, and compares every answer with
// expect.mjs. See ../postman.sh.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { runsFor } from "./expect.mjs";
import { startDNS, startFiles } from "./loopback.mjs";

const [cache, shared] = process.argv.slice(2).map((p) => resolve(p));
const newman = createRequire(join(cache, "node_modules", "newman", "package.json"))("newman");
const collection = JSON.parse(readFileSync(join(shared, "certinext-v2.postman_collection.json")));
const environment = JSON.parse(readFileSync(join(shared, "sandbox.postman_environment.json")));

// csrFor makes a key and a CSR for one common name.
function csrFor(commonName) {
  const key = join(cache, "key.pem");
  const csr = execFileSync("openssl", [
    "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
    "-keyout", key, "-subj", `/CN=${commonName}`,
  ], { stdio: ["ignore", "pipe", "ignore"] });
  return { csr: csr.toString(), key: readFileSync(key) };
}

// startSandbox resolves once the server has said where it listens.
async function startSandbox(resolver, httpPort) {
  const child = spawn(join(cache, "certinext-sandbox"), [
    "-listen", "127.0.0.1:0", "-dialect", "documented", "-resolver", resolver, "-http-port", String(httpPort),
  ], { stdio: ["ignore", "pipe", "inherit"] });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill); // should this script fail
  child.once("exit", () => process.off("exit", kill));
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /^listening on (http:\/\/\S+)$/.exec(line)?.[1];
    if (url) {
      child.stdout.resume();
      return { url, stop: () => stop(child) };
    }
  }
  throw new Error("the sandbox ended before it listened");
}

async function stop(child) {
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const [code] = await ended;
  if (code !== 0) throw new Error(`the sandbox ended with ${code}`);
}

// environmentFor fills in what differs from run to run.
function environmentFor(url, csr) {
  const values = environment.values.map((v) => ({ ...v }));
  const set = (key, value) => { values.find((v) => v.key === key).value = value; };
  set("v2BaseURL", url);
  set("csrPem", csr.replaceAll("\n", "\\n"));
  return { ...environment, values };
}

// signerName is whom the collection orders a document signer for.
function signerName() {
  const folder = collection.item.find((f) => f.name === "Document Signer Certificates");
  const create = folder.item.find((i) => i.name === "1. Create Order (Natural Person)");
  const { givenName, surname } = JSON.parse(create.request.body.raw).subject;
  return `${givenName} ${surname}`;
}

// collectionFor keeps the folders of a run and, where the run lists steps,
// those requests in that sequence. A step that is no name is a request of the
// run's own, or a function that makes one of the collection.
function collectionFor(run) {
  const folders = [];
  for (const name of ["Authentication", ...run.folders]) {
    const folder = collection.item.find((f) => f.name === name);
    if (!folder) throw new Error(`the collection has no folder ${name}`);
    const steps = name === "Authentication" ? undefined : run.steps;
    const item = steps ? steps.map((s) => stepOf(s, folder)) : folder.item;
    folders.push({ ...folder, item });
  }
  return { ...collection, item: folders };
}

function stepOf(step, folder) {
  if (typeof step === "function") return step(collection);
  return typeof step === "string" ? folder.item.find((i) => i.name === step) : step;
}

// publish puts the file of a challenge where the CA will look for it. An
// answer of another shape publishes nothing; the table has a row for it.
function publish(files, response) {
  let file;
  try {
    file = JSON.parse(response.stream.toString()).domains[0].methods["http-url"];
  } catch {
    return;
  }
  files.set(file.path, file.expectedContent);
}

async function execute(run) {
  const { csr, key } = csrFor(run.commonName);
  const dns = await startDNS();
  const files = await startFiles();
  const sandbox = await startSandbox(dns.address, files.port);
  const report = join(cache, `${run.name.replaceAll(/\W+/g, "-")}.json`);
  try {
    const emitter = newman.run({
      collection: collectionFor(run), environment: environmentFor(sandbox.url, csr),
      reporters: ["json"], reporter: { json: { export: report } }, timeoutRequest: 15000,
    });
    emitter.on("request", (err, { item, response }) => {
      if (!err && run.publish && item.name === "2. Get DCV Challenges") publish(files, response);
    });
    await once(emitter, "done");
  } finally {
    await sandbox.stop();
    files.close();
    dns.close();
  }
  return judge(run, JSON.parse(readFileSync(report)).run, key);
}

// judge compares the reported executions with the table.
function judge(run, result, key) {
  const rows = [];
  const seen = new Set();
  for (const { item, response, assertions = [] } of result.executions) {
    const expected = run.expect[item.name];
    seen.add(item.name);
    rows.push({ request: item.name, status: response?.code, faults: faultsOf(expected, response, assertions, key) });
  }
  for (const name of Object.keys(run.expect)) {
    if (!seen.has(name)) rows.push({ request: name, status: "-", faults: ["was not sent"] });
  }
  return rows;
}

function faultsOf(expected, response, assertions, key) {
  if (!expected) return ["has no row in the table"];
  if (!response) return ["got no answer"];
  const faults = assertions.filter((a) => a.error).map((a) => `collection: ${a.error.message}`);
  if (![expected.status].flat().includes(response.code)) faults.push(`status, want ${expected.status}`);
  const header = (name) => response.header.find((h) => h.key.toLowerCase() === name)?.value ?? "";
  const text = Buffer.from(response.stream.data).toString();
  try {
    expected.check?.({ text, header, status: response.code, json: () => JSON.parse(text), key });
  } catch (err) {
    faults.push(err.message.split("\n")[0]);
  }
  return faults;
}

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

let bad = 0;
const table = [];
for (const run of runsFor(signerName())) {
  console.log(`\n${run.name}`);
  for (const { request, status, faults } of await execute(run)) {
    bad += faults.length;
    table.push({ run: run.name, request, status, faults });
    console.log(`  ${faults.length ? "FAIL" : "ok  "}  ${String(status).padEnd(4)} ${request}${faults.map((f) => `\n          ${f}`).join("")}`);
  }
}
writeFileSync(join(cache, "table.json"), JSON.stringify(table, null, 1));
console.log(`\n${table.length} answers, ${bad} faults`);
process.exit(bad ? 1 : 0);
