// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

//go:build race

package simulation

// raceEnabled is set with the race detector: everything takes ten times as long, and goroutines
// start in its own order.
const raceEnabled = true
