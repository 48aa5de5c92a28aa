// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package renewal knows how a certificate is succeeded: by another one within the subscription that
// its order has bought, or by a new order, which buys another subscription (ADR 0035). It decides
// that, reads from CERTInext's ledger whether it charged for a reissue, and keeps two kinds of
// entries: which certificate is the newest for a requester's names, and for which roles the
// practice was stopped.
//
// It drives no order, asks CERTInext nothing, and knows no request.
package renewal
