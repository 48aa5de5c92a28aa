// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package sure has the simulator's operations that cannot fail: those on values of its own making,
// and reading randomness, for which crypto/rand ends the program before it returns an error.
package sure

import "crypto/rand"

// Must unwraps the result of an operation on values of the server's own making. It panics if there
// is an error after all.
func Must[T any](v T, err error) T {
	if err != nil {
		panic("certinexttest: internal error: " + err.Error())
	}
	return v
}

// RandomBytes are n bytes that nobody can guess.
func RandomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
