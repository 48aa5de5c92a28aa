// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package caa says beforehand whether the DNS lets CERTInext's CA issue for a name: Certification
// Authority Authorization (RFC 8659). [Look] climbs from the name towards its top-level domain, and
// [Verdict] holds the records that it finds against the name by which the CA is known in them.
//
// It promises to forbid nothing: CERTInext looks for itself when it issues, and what is said here
// is for people. It stores nothing, knows no orders, and asks the DNS only through the [Lookup]
// that it is given.
package caa
