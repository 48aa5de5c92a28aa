// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package backend is the issuing engine behind the Vault paths. It is not a logical.Backend; see the root package
// for that.
//
// An [Engine] holds one CERTInext account, in one mount: its configuration and roles, its orders, its
// certificates and their revocation. It knows requests and orders, not Vault's field data, and every method takes the
// mount's storage, since Vault hands that over with each request.
//
// # Orders
//
// An order costs money, may take days, and cannot be undone by sending it again. So the stored order is a write-ahead
// log: intent is stored before CERTInext hears of it, CERTInext's order number the moment it is known, and whatever
// happens next is decided from CERTInext's status by one pure function, advance. A request that waits for its order
// and the background pass drive orders in the same way; an order that outlives its request is found again by the
// same requester's same request.
//
// # Keys
//
// The private key of an open order rests only in the order's entry, below [SealWrapPrefixes]. It is erased a short
// grace after the certificate was handed over, and at once when the order is cancelled or rejected. Certificate
// entries never hold keys.
//
// # Errors
//
// What a caller can mend is a [*FieldError], an [*Error], a [*NotFoundError] or a [*RefusedError]; any other error is a
// fault of storage or of this program.
package backend
