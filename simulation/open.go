// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

// openActions maps words of actions that break a promise today to what is broken. Histories leave
// these actions out, so that they find other faults. The list should be empty: the case of each
// entry in cases_test.go shows when the fault is fixed.
var openActions = map[string]string{}

// openPromises maps promises that are broken today to how. Histories do not report them; the cases
// in cases_test.go do. It should be empty, too.
var openPromises = map[string]string{}
