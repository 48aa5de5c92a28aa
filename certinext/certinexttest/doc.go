// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package certinexttest is an in-memory stand-in for the CERTInext API, for
// tests and demonstrations. It takes orders, validates domains over DNS and
// HTTP, waits for a document signer's documents (see [Server.AddDocuments]), and
// signs real X.509 certificates under roots it invents at start-up.
//
// For most tests the zero value is enough:
//
//	srv := new(certinexttest.Server)
//	client := srv.Client() // an *http.Client without sockets
//
// [Server] is an [http.Handler], so httptest.NewServer or http.Serve put it on
// a port; the certinext-sandbox command does just that. [Server.Client] opens
// no socket and works inside a testing/synctest bubble, where a day of waiting
// for an approver costs nothing.
//
// # Three dialects
//
// What the vendor published and what the service was seen to answer differ.
// [Live], the zero value, answers as observed; [Documented] answers as the
// published v2 collection promises; [V1] is a live account whose key is not in
// OAuth mode, so that it gets no token and only version 1 serves it. A client
// that is to survive all three is tested against all three.
//
// # Two versions
//
// Every dialect serves version 1, below /emSignHub-API, beside version 2. Both
// work on the same orders, domains and organizations: what one places, the
// other tracks and revokes, and an operation has one name for faults, hooks and
// counts whichever version it is called through. Version 1 is where a body is
// signed, a failure is HTTP 200, and the result of a call may only show in the
// next. It alone takes S/MIME orders, which version 2 does not know, and
// documents. Its codes are those of the vendor's published list, except where
// another was observed.
//
// # Temperament
//
// The server is strict where a real one may be lenient: a misspelt field, an
// unknown query parameter, a stale timestamp or a missing header is refused
// with the error that names it. Faults (see [Server.Inject]) make it
// unpleasant: replies are lost after the order was accepted, tokens die,
// chains arrive in the wrong order. [Server.Misissue] makes the CA err: names
// nobody ordered, lives too long or over, chains that do not hold. What the CA
// believes happened is read with [Server.Orders] and [Server.Calls]; an order's
// status is always derived from those facts, never scripted.
//
// # Money and time
//
// With prices in its catalog ([Product.Years]) the account pays for what it
// orders, as [Billing] has it, and [Server.Ledger] is what the CA's books say. An
// order buys a subscription of some years; what becomes of the certificates in
// it is said by [Subscriptions]. The CA's own deeds are derived from the clock,
// too: a renewal that was due a month ago is there when somebody looks.
//
// # It is not a CA
//
// Nothing here protects a key or refuses a caller for good reason. Public TLS certificates carry
// timestamps of logs (see [Server.Logs]) that have no entries to show. CAA
// records are looked up where [Server.Resolver] says at which DNS server, and
// [Server.CAAForbids] has others besides. Every root is new at each start, is named
// "NOT A REAL CA", and must not be added to a trust store outside a test.
package certinexttest
