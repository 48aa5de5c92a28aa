// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package keys says which public keys a CA must not certify: sections 6.1.1.3, 6.1.5 and 6.1.6 of
// the Baseline Requirements (version 2.2.6), within what CERTInext was seen to take. It is pure and
// remembers no key: which ones are known to be compromised is its caller's to know.
//
// Debian's keys of 2008 are the one thing of that section that it does not find: no Go package has
// their lists.
package keys
