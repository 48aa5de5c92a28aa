// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package trust decides which clients accept a certificate.
//
// A certificate has several paths upwards where its CA is cross-signed, and every client takes the
// one that it likes. So all of them are tried: a certificate is distrusted when each of its paths
// has a key that clients refuse, and a family of clients accepts it when one path without such a
// key ends at one of the family's roots.
//
// Which keys and roots clients know is told by an operator, and kept here. Judging waits for nobody
// and asks nobody. What is done with a certificate that is distrusted is the role's to say.
package trust
