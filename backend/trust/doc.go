// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package trust decides which clients accept a certificate.
//
// A certificate has several paths upwards where its CA is cross-signed, and every client takes the
// one that it likes. So all of them are tried: a certificate is distrusted when each of its paths
// has a key that clients refuse, and a family of clients accepts it when one path without such a
// key ends at one of the family's roots.
//
// The package is pure. It knows nothing of what is stored, asks nobody, and does not say what is to
// be done with a certificate that is distrusted: that is the role's to say.
package trust
