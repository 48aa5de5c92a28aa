// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0
//
// What each request of the collection must be answered with, from the
// published text. One table per run, since an answer depends on what was done
// before.
import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";

const nonEmpty = (v, what) => assert.ok(typeof v === "string" && v !== "", `${what} is ${JSON.stringify(v)}`);
const rfc3339 = (v) => assert.match(v, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);

// problem is an RFC 7807 answer; code is the EMS code its detail must carry.
const problem = (status, code) => ({
  status,
  check({ status: got, header, json }) {
    assert.match(header("content-type"), /^application\/problem\+json/);
    const p = json();
    assert.match(p.type, /^https:\/\/api\.certinext\.io\/errors\/[a-z-]+$/);
    for (const k of ["title", "detail", "instance", "code"]) nonEmpty(p[k], k);
    assert.equal(p.status, got);
    if (code) assert.ok(p.detail.includes(code), `detail lacks ${code}: ${p.detail}`);
  },
});

const empty = { status: 204, check: ({ text }) => assert.equal(text, "", "204 has a body") };

const ok = (check) => ({
  status: 200,
  check(answer) {
    assert.match(answer.header("content-type"), /^application\/json/);
    check(answer.json(), answer);
  },
});

const token = ok((b) => {
  assert.equal(b.meta.status, "1");
  nonEmpty(b.meta.ts, "meta.ts");
  nonEmpty(b.meta.txn, "meta.txn");
  nonEmpty(b.tokenDetails.accessToken, "accessToken");
  nonEmpty(b.tokenDetails.refreshToken, "refreshToken");
  assert.equal(b.tokenDetails.tokenType, "Bearer");
  assert.equal(b.tokenDetails.expiresIn, 3600);
});

const authentication = { "Get Bearer Token": token, "Refresh Token": token };

const created = (family, rels, extra) => ({
  status: 201,
  check({ json }) {
    const b = json();
    nonEmpty(b.orderId, "orderId");
    nonEmpty(b.requestId, "requestId");
    assert.notEqual(b.orderId, b.requestId);
    const base = `/api/certinext/v2/${family}/${b.orderId}`;
    assert.equal(b._links.self.href, base);
    for (const rel of rels) assert.equal(b._links[rel].href, `${base}/${rel}`);
    for (const [k, v] of Object.entries(extra)) assert.equal(b[k], v, k);
  },
});

const createdSSL = created(
  "ssl-certificates", ["dcv", "csr", "agreement", "certificate", "cancel", "revoke"],
  { status: "pending-dcv", productVariant: "dv", domain: "example.com" },
);

const challenges = ok((b) => {
  const [d] = b.domains;
  assert.equal(d.domain, "example.com");
  assert.match(d.methods["http-url"].path, /^\/\.well-known\/pki-validation\/emudhra-\w+\.txt$/);
  nonEmpty(d.methods["http-url"].expectedContent, "expectedContent");
  assert.equal(d.methods["dns-txt"].host, "_emudhra-challenge.example.com");
  assert.match(d.methods["dns-txt"].expectedValue, /^emudhra-dcv-/);
  assert.ok(d.methods.email.sendTo.includes("admin@example.com"));
});

const track = (status) => ok((b) => {
  nonEmpty(b.orderId, "orderId");
  assert.equal(b.status, status);
  nonEmpty(b._links.self.href, "_links.self.href");
});

const certificate = (name) => ok((b, { key }) => {
  nonEmpty(b.orderId, "orderId");
  assert.match(b.serialNumber, /^[0-9A-F]+$/);
  assert.equal(b.subject, `CN=${name}`);
  assert.match(b.issuer, /^CN=/);
  rfc3339(b.notBefore);
  rfc3339(b.notAfter);
  const cert = new X509Certificate(b.certificatePem);
  assert.ok(cert.checkPrivateKey(createPrivateKey(key)), "certificate is for another key");
  assert.equal(cert.serialNumber, b.serialNumber);
});

const createdPKI = created(
  "private-pki-certificates", ["csr", "certificate", "cancel", "revoke"],
  { status: "pending-csr", variant: "intranet-ssl", hostname: "intranet.example.local" },
);

const createdSigner = (signer) => created(
  "signature-certificates", ["csr", "agreement", "certificate", "cancel", "revoke"],
  { status: "pending-documents", subjectDisplayName: signer },
);

// notWired is a 501 that names the version 1 call to make instead.
const notWired = (fallback) => ({
  ...problem(501),
  check(answer) {
    problem(501).check(answer);
    assert.ok(answer.json().detail.includes(fallback), "names no v1 fallback");
  },
});

// request is a step that the collection does not have.
const request = (name, method, url, body) => ({
  name,
  request: {
    method, url: `{{v2BaseURL}}${url}`, body: { mode: "raw", raw: JSON.stringify(body) },
    header: [{ key: "Authorization", value: "Bearer {{accessToken}}" }, { key: "Content-Type", value: "application/json" }],
  },
});

// without is a request of the collection from whose body a member is left out.
const without = (folder, name, member) => (collection) => {
  const sample = collection.item.find((f) => f.name === folder).item.find((i) => i.name === name);
  const body = JSON.parse(sample.request.body.raw);
  assert.ok(member in body, `${name} has no ${member}`);
  delete body[member];
  return {
    ...sample, name: `${name}, without ${member}`,
    event: sample.event?.filter((e) => e.listen === "prerequest"),
    request: { ...sample.request, body: { mode: "raw", raw: JSON.stringify(body) } },
  };
};

// refusedWithout is a run of a family's create request, once without each of the
// blocks that the published table of create errors has a code for.
const refusedWithout = (folder, name, codes) => ({
  name: `${folder}, without a block`,
  folders: [folder], commonName: "example.com",
  steps: Object.keys(codes).map((member) => without(folder, name, member)),
  expect: {
    ...authentication,
    ...Object.fromEntries(Object.entries(codes).map(
      ([member, code]) => [`${name}, without ${member}`, problem(422, code)],
    )),
  },
});

// runsFor are the runs; signer is the name of whom the collection's sample of
// a document signer is for.
export const runsFor = (signer) => [
  {
    name: "SSL, domain validated by a file",
    folders: ["SSL/TLS Certificates"], commonName: "example.com", publish: true,
    expect: {
      ...authentication,
      "1. Create Order": createdSSL,
      "2. Get DCV Challenges": challenges,
      "3. Verify DCV": empty,
      "4. Submit CSR": empty,
      "5. Accept Agreement": empty,
      "6. Download Certificate": certificate("example.com"),
      "Track Order": track("issued"),
      "7. Cancel Order": problem(422, "EMS-930"),
      "Reject Draft Request": problem([404, 422]),
      "8. Revoke Certificate": empty,
    },
  },
  {
    name: "SSL, domain not validated",
    folders: ["SSL/TLS Certificates"], commonName: "example.com", publish: false,
    expect: {
      ...authentication,
      "1. Create Order": createdSSL,
      "2. Get DCV Challenges": challenges,
      "3. Verify DCV": problem(422, "EMS-1160"),
      "4. Submit CSR": problem(422),
      "5. Accept Agreement": problem(422),
      "6. Download Certificate": problem(422),
      "Track Order": track("pending-dcv"),
      "7. Cancel Order": empty,
      "Reject Draft Request": problem([404, 422]),
      "8. Revoke Certificate": problem(422, "EMS-931"),
    },
  },
  {
    // The collection lists the download last, after the revocation, and a
    // revoked certificate is no longer served.
    name: "Private PKI, as listed",
    folders: ["Private PKI Certificates"], commonName: "intranet.example.local",
    expect: {
      ...authentication,
      "1. Create Order": createdPKI,
      "Track Order": track("pending-csr"),
      "2. Submit CSR": empty,
      "Cancel Order": problem(422, "EMS-930"),
      "Revoke Certificate": empty,
      "3. Download Certificate": problem(422),
    },
  },
  {
    name: "Private PKI, in the order of its workflow",
    folders: ["Private PKI Certificates"], commonName: "intranet.example.local",
    steps: ["1. Create Order", "2. Submit CSR", "Track Order", "3. Download Certificate", "Revoke Certificate"],
    expect: {
      ...authentication,
      "1. Create Order": createdPKI,
      "2. Submit CSR": empty,
      "Track Order": track("issued"),
      "3. Download Certificate": certificate("intranet.example.local"),
      "Revoke Certificate": empty,
    },
  },
  {
    name: "Private PKI, withdrawn",
    folders: ["Private PKI Certificates"], commonName: "intranet.example.local",
    steps: ["1. Create Order", "Revoke Certificate", "Cancel Order", "Track Order", "2. Submit CSR"],
    expect: {
      ...authentication,
      "1. Create Order": createdPKI,
      "Revoke Certificate": problem(422, "EMS-931"),
      "Cancel Order": empty,
      "Track Order": track("cancelled"),
      "2. Submit CSR": problem(422),
    },
  },
  {
    name: "Document signer, as listed",
    folders: ["Document Signer Certificates"], commonName: signer,
    expect: {
      ...authentication,
      "1. Create Order (Natural Person)": createdSigner(signer),
      "Track Order": track("pending-documents"),
      "2. Upload Documents (pending v2 wiring)": notWired("/emSignHub-API/SubmitDocument"),
      "3. Submit CSR": problem(422),
      "4. Accept Agreement": problem(422),
      "Cancel Order": empty,
      "Revoke Certificate": problem(422, "EMS-931"),
      "5. Download Certificate": problem(422),
    },
  },
  {
    // The documents come in and are vetted behind the API.
    name: "Document signer, in the order of its workflow",
    folders: ["Document Signer Certificates"], commonName: signer,
    steps: [
      "1. Create Order (Natural Person)",
      request("Documents arrive", "POST", "/_sandbox/orders/{{orderId}}/documents", { count: 2 }),
      "Track Order",
      request("Documents are vetted", "POST", "/_sandbox/orders/{{orderId}}/approve", {}),
      "3. Submit CSR",
      "4. Accept Agreement",
      "5. Download Certificate",
      "Cancel Order",
      "Revoke Certificate",
    ],
    expect: {
      ...authentication,
      "1. Create Order (Natural Person)": createdSigner(signer),
      "Documents arrive": { status: 204 },
      "Track Order": track("pending-vetting"),
      "Documents are vetted": { status: 204 },
      "3. Submit CSR": empty,
      "4. Accept Agreement": empty,
      "5. Download Certificate": certificate(signer),
      "Cancel Order": problem(422, "EMS-930"),
      "Revoke Certificate": empty,
    },
  },
  refusedWithout("SSL/TLS Certificates", "1. Create Order", {
    requestor: "EMS-916", certificate: "EMS-917", remarks: "EMS-918", subscription: "EMS-919", agreement: "EMS-920",
  }),
  refusedWithout("Document Signer Certificates", "1. Create Order (Natural Person)", {
    requestor: "EMS-916", subject: "EMS-917", subscription: "EMS-919", agreement: "EMS-920",
  }),
  refusedWithout("Private PKI Certificates", "1. Create Order", {
    requestor: "EMS-916", subscription: "EMS-919",
  }),
  {
    // The row for EMS-2028 lists what a token request must have.
    name: "Tokens, without a member",
    folders: ["Accounts"], commonName: "example.com",
    steps: ["ver", "ts", "txn", "accountNumber", "authKey", "grant_type"].map(
      (member) => without("Authentication", "Get Bearer Token", member),
    ),
    expect: {
      ...authentication,
      "Get Bearer Token, without ver": token,
      ...Object.fromEntries(["ts", "txn", "accountNumber", "authKey", "grant_type"].map(
        (member) => [`Get Bearer Token, without ${member}`, {
          status: 400, check: ({ json }) => assert.equal(json().meta.errorCode, "EMS-2028"),
        }],
      )),
    },
  },
  {
    name: "Accounts, catalog and reports",
    folders: ["Accounts", "Catalog", "Reports"], commonName: "example.com",
    expect: {
      ...authentication,
      "Who am I (from token)": ok((b) => {
        assert.equal(b.appCode, "1234567890");
        for (const k of ["accountId", "accountUserId", "authType"]) nonEmpty(b[k], k);
      }),
      "List Groups": ok((b) => nonEmpty(b.groups[0].groupNumber, "groupNumber")),
      "List Organizations": ok((b) => assert.ok(b.organizations.some((o) => o.organizationNumber === "4000001"))),
      "Get Organization": ok((b) => {
        assert.equal(b.organizationNumber, "4000001");
        assert.ok(Array.isArray(b.orgRepresentatives), "representatives");
        assert.ok("domains" in b && "subscriberAgreement" in b, "domains and agreement");
      }),
      "List Domains": ok((b) => assert.ok(Array.isArray(b.content ?? b), "a list")),
      "List Products": ok((b) => {
        const products = b.products.flatMap((c) => c.products);
        for (const code of ["842", "846", "850", "819", "822", "825", "149"]) {
          const p = products.find((q) => q.productCode === code);
          assert.ok(p, `no product ${code}`);
          nonEmpty(p.productType, "productType");
        }
      }),
      "Get Custom Fields for Product": ok((b) => assert.ok(Array.isArray(b.customFields), "customFields")),
      "Orders Report": notWired("/emSignHub-API/GetOrderReport"),
      "Ledger Statement": ok((b) => assert.ok(Array.isArray(b.content), "content")),
    },
  },
];
