// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

//go:build !race

package simulation

// raceEnabled is not set without the race detector.
const raceEnabled = false
