// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

// openActions are words of actions that break a promise today, each with what is broken. Histories do without them, so that they
// find what else is. The list is to be empty: the case of each in cases_test.go says when it is mended.
var openActions = map[string]string{
	`How: "cancel"`: "any requester of a role cancels another one's order",
}
