// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package readiness says beforehand what will make orders fail: of the config, and of each role. It
// looks at what is stored, asks CERTInext each thing once however many roles depend on it, and
// names the fields of the mount and the command that mends them.
//
// It buys, changes and stores nothing. A question that CERTInext does not answer is a problem by
// itself, and keeps no other from being asked. It does not know orders: what a single request asks
// for is judged when it is made.
package readiness
