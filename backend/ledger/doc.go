// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package ledger reads the rows of CERTInext's ledger: which order one is about, and whether it
// charges money or gives some back. No source shows a row of a live account, and two describe rows
// of different members. So what is not certain is said to be unclear, and is neither a charge nor
// none. It is pure: who fetches the rows and what follows from them is not its business.
package ledger
