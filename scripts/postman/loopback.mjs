// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0
//
// The two servers a domain's owner would run, on loopback: a DNS server that
// sends every name to 127.0.0.1, and an HTTP server with challenge files.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:http";

const typeA = 1;

// startDNS answers A with 127.0.0.1 and any other type with no records.
export async function startDNS() {
  const socket = createSocket("udp4");
  socket.on("message", (query, from) => socket.send(dnsAnswer(query), from.port, from.address));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { address: `127.0.0.1:${socket.address().port}`, close: () => socket.close() };
}

// dnsAnswer copies the question of a query and adds the record (RFC 1035 §4.1).
function dnsAnswer(query) {
  let end = 12;
  while (query[end] !== 0) end += query[end] + 1;
  end += 5; // root label, type, class
  const isA = query.readUInt16BE(end - 4) === typeA;
  const header = Buffer.alloc(12);
  header.writeUInt16BE(query.readUInt16BE(0), 0);
  header.writeUInt16BE(0x8580, 2); // answer, authoritative, recursion available
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(isA ? 1 : 0, 6);
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
  return Buffer.concat([header, query.subarray(12, end), isA ? record : Buffer.alloc(0)]);
}

// startFiles serves what set has published, and 404 for all else.
export async function startFiles() {
  const files = new Map();
  const server = createServer((req, res) => {
    res.statusCode = files.has(req.url) ? 200 : 404;
    res.end(files.get(req.url) ?? "");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: server.address().port,
    set: (path, content) => files.set(path, content),
    close: () => server.close(),
  };
}
