// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package simulation looks for histories that break the engine's promises. It is a test program: nothing imports it, and it
// exports nothing.
//
// One process holds the engine behind the door that Vault uses, a CERTInext that is simulated (certinexttest), and a storage
// in memory. All of it runs under a virtual clock (testing/synctest). Every call of storage and every request to CERTInext
// stops where it begins; when nothing else can move, the seed says which of them goes on, which of them fails, and when time
// passes instead. A seed therefore is a history: some forty calls of several clients, with whatever goes wrong in between,
// and the same seed is the same history, operation by operation.
//
// After the storm comes a calm: nothing fails any more, clients ask until they are answered, an operator settles truthfully
// what is in doubt, and time passes. Then CERTInext's own books are held against what clients were told and against what is
// stored (see oracle.go for each promise and its name).
//
// # Reading a failing seed
//
// A failure prints the promise that was broken, the command that repeats the history, and the shortest history that still
// breaks the same promise: the actions that were left when every action had been left out in turn. That list is Go; pasted
// into the table of cases_test.go with a name, it is a test from then on. With SIM_TRACE=1 the command prints every
// operation in the order in which the seed had them go on:
//
//	SIM_SEEDS=42 SIM_TRACE=1 go test -run '^TestSeeds$' -v ./simulation/
//
// What runs many seeds is `make simulate SEEDS=1-1000`.
//
// # What it notices
//
// `make mutants` breaks the program in forty ways, one after the other, and plays 500 histories against each: mutants/list.go has
// the changes, and why some of them may go unnoticed; RECORD.md has what was measured. Whoever changes the code that decides takes the list along.
package simulation
