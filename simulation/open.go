// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

// openActions are words of actions that break a promise today, each with what is broken. Histories do without them, so that they
// find what else is. The list is to be empty: the case of each in cases_test.go says when it is mended.
var openActions = map[string]string{
	`How: "spelling"`:                     "an account is taken for another one when it is spelt in another way",
	`How: "forged"`:                       "a certificate is looked at for its serial number only",
	`How: "cancel"`:                       "any requester of a role cancels another one's order",
	`At: "< `:                             "an answer of somebody in between counts as CERTInext's",
	`Bad: "other-order"`:                  "the number in an answer is not compared with the one that was asked for",
	`{Do: "sync"`:                         "a synchronization and a placement wait for each other for ever",
	`Bad: "latency"`:                      "cancelling an order answers a fault, or nothing for minutes, when CERTInext is slow",
	`Bad: "slow-reply"`:                   "the same",
	`{Do: "clock", For: 1440 * time.Hour`: "our clock alone decides what cannot be undone",
}
