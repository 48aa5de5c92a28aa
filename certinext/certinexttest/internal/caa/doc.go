// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package caa answers whether the DNS lets a CA issue for a name: Certification Authority
// Authorization, RFC 8659. [Check] climbs from the name to its top-level domain and holds the
// records that it finds against the names by which the CA is known in them. What cannot be told
// counts as forbidden; section 3.2.2.8 of the Baseline Requirements allows exceptions, of which
// this package makes none.
//
// It knows no orders and no clock. [Resolver] asks DNS servers; any other [Lookup] will do.
package caa
