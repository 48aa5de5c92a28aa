// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Command bench measures the engine beside Vault's own PKI engine, for whoever wants figures instead
// of adjectives: one Vault server on raft storage, both engines mounted in it, the same clients, and
// blocks of calls that take turns. The CA simulator is a process of its own beside them, so that
// what it costs is counted apart.
//
// It prints what each call took, what the processes spent, and which targets are met, and writes the
// same into docs/performance.md with a chart. It asserts nothing: a machine that is busy is slow.
//
// Everything listens on loopback, in a folder of its own that is removed, and ends by itself.
package main
