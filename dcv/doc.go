// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package dcv publishes the TXT records by which a CA sees who controls a domain, watches until
// they can be seen, and removes them again. It knows DNS and DNS hosts, and neither CERTInext nor
// Vault.
//
// A [Kind] is a DNS host that there is a [Provider] for; [Open] makes one ready, and a [Solver]
// publishes by it. It asks the host for the records of one name, and depends on no other. A
// [Resolver] finds where a record has to be written, since the name that a CA asks for may be
// delegated elsewhere by a CNAME, and asks the servers that are authoritative for it what they
// answer. A record that a resolver has cached proves nothing, so no resolver is asked for one.
//
// The hazard: what was published has to be removed even if the program dies in between. This
// package remembers nothing; write a [Record] down before it is published.
package dcv
