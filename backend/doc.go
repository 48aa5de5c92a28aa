// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package backend is the issuing engine behind the Vault paths. It is not a logical.Backend; the
// root package is.
//
// An [Engine] serves one mount, which has one CERTInext account: its configuration and roles,
// orders, certificates and their revocation. Most of that is in the packages below, which the
// engine assembles; api.go gives their types the names by which the paths know them. The engine
// knows nothing of Vault's field data. Its methods take the mount's storage, since Vault passes it
// with each request.
//
// # Orders
//
// An order costs money, may take days, and sending it twice buys twice. So the stored order is a
// write-ahead log (ADR 0002): the intent is stored before CERTInext is asked, and CERTInext's order
// number as soon as it is known. From then on, one pure function, advance in package orders,
// decides the next step from CERTInext's status. A request that waits for its order and the
// background pass drive orders in the same way. The same request of the same requester finds an
// order again that has outlived its first request (ADR 0020).
//
// # Keys
//
// A private key that the engine has made is stored only in the entry of its open order, below
// [SealWrapPrefixes]. It is erased a short time after the certificate was delivered, and when the
// order is cancelled or rejected (ADR 0003). Entries of certificates never hold keys.
//
// # Errors
//
// Errors that a caller can act on are of type [*FieldError], [*OrderError], [*NotFoundError] or
// [*RefusedError], or [ErrNotConfigured]. Any other error is a fault of storage or of this program.
package backend
