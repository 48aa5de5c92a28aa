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
// An order costs money, may take days, and sending it twice buys twice: how one request buys at
// most one certificate is in package orders (ADR 0002, ADR 0020). A private key that the engine has
// made is stored only in the entry of its open order, below [SealWrapPrefixes]. It is erased a
// short time after the certificate was delivered, and when the order ends without one (ADR 0003).
//
// Errors that a caller can act on are of type [*FieldError], [*OrderError], [*NotFoundError] or
// [*RefusedError], or [ErrNotConfigured]. Any other error is a fault of storage or of this program.
package backend
