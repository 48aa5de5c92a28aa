// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package stories tests the plugin through the door that Vault uses, HandleRequest, against the
// simulated CERTInext. It holds tests only: nothing imports it, and it exports nothing.
//
// A story is what somebody does and what comes of it: a client that asks again, an operator who
// changes the config, a CA that is away, a storage that fails. The mount, the CA and the clock of
// a story are those of harness_test.go. What needs a real Vault is in package e2e, and what nobody
// has thought of is looked for in package simulation.
package stories
