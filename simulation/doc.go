// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package simulation searches for histories that break the engine's promises. It is a test program:
// nothing imports it, and it exports nothing.
//
// One process runs the engine behind the interface that Vault uses, a simulated CERTInext
// (certinexttest) and an in-memory storage, all under a virtual clock (testing/synctest). Every
// call of storage and every request to CERTInext stops where it begins. When nothing else can
// proceed, the seed decides which of them continues, which of them fails, and when time passes
// instead. A seed therefore determines a history: some forty calls by several clients, with
// everything that goes wrong in between. The same seed gives the same history, operation by
// operation.
//
// A calm follows the storm: faults stop, clients ask until they are answered, an operator
// truthfully settles what is in doubt, and time passes. Then CERTInext's own books are compared
// with what clients were told and with what is stored. oracle.go names and checks each promise.
//
// Besides, half of the histories have trials (trials.go): strangers meddle with orders, a
// synchronization is under way, the account changes, a snapshot is restored, the clock is two
// months off, a second mount uses the account. What is not to be done then is checked when it is
// about to happen: at the wire before CERTInext hears of it, and at storage when it changes.
//
// In a quarter of the histories, certificates are renewed before they are asked for (ahead.go):
// clients come back when they are due, late, or never, since Vault knows them no more, and
// something fails while the successor is made. After the calm, each that is still there comes back
// once more, and finds it. What was ordered and paid is compared with what reports/spend says of it
// (spend.go), at the end of every storm.
//
// In a third of the histories, operators take care of a mount that has been there for long
// (upkeep.go): it is tidied, looks at the account's records by itself, adopts what was ordered in
// the portal, or is held. What is erased is compared with what still needs it at that moment, by
// the true time (tidy_judge.go); what happens in the portal has to be known within an interval.
//
// # Reading a failing seed
//
// A failure prints the promise that was broken, the command that repeats the history, and the
// shortest history that still breaks the promise: the actions that remain after leaving out each
// one in turn. That list is Go: pasted into the table of cases_test.go with a name, it becomes a
// test. With SIM_TRACE=1 the command prints every operation in the order that the seed gave them:
//
//	SIM_SEEDS=42 SIM_TRACE=1 go test -run '^TestSeeds$' -v ./simulation/
//
// `make simulate SEEDS=1-1000` plays many seeds.
//
// # What it notices
//
// `make mutants` breaks the program in some eighty ways, one after the other, and plays 500
// histories against each. mutants/list*.go have the changes, and why some of them may go
// unnoticed; RECORD.md has the results. A change to the code that makes decisions has to update
// that list.
package simulation
