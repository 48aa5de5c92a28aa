// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

// A Misissuance is a mistake that a CA makes when it issues a certificate. The
// certificate, or the chain that is delivered with it, is wrong in that one
// respect for good, in every form of a download; the order is issued, and CRL
// and OCSP know its serial number.
type Misissuance int

const (
	// MisissueNone issues what was ordered.
	MisissueNone Misissuance = iota
	// MisissueExtraName adds a DNS name that nobody ordered.
	MisissueExtraName
	// MisissueAddedWWW adds www. before the common name, as many a CA does.
	// Wildcards, names that begin with www., and signers have no such name.
	MisissueAddedWWW
	// MisissueBaseDomain adds the domain below which a wildcard is, as many a CA
	// does. Orders without a wildcard come out right.
	MisissueBaseDomain
	// MisissueMissingName leaves out the last name that was ordered, or IP
	// address if there are any. An order for one name gets another one instead,
	// and a signer another email address.
	MisissueMissingName
	// MisissueOtherCommonName has a subject whose common name nobody ordered. The
	// alternative names are right.
	MisissueOtherCommonName
	// MisissueEmailName adds an email address that nobody ordered.
	MisissueEmailName
	// MisissueURIName adds a URI, which no order has.
	MisissueURIName
	// MisissueOtherName adds an otherName, which no order has: the user principal
	// name by which a Windows domain knows its users.
	MisissueOtherName
	// MisissueCACertificate makes the leaf a CA that may sign certificates.
	MisissueCACertificate
	// MisissueBeginsSoon begins five minutes after it was issued.
	MisissueBeginsSoon
	// MisissueBeginsLate begins a year after it was issued.
	MisissueBeginsLate
	// MisissueTooLong is valid for thirty years.
	MisissueTooLong
	// MisissueAlreadyOver has ended an hour before it was issued. The order shows
	// as issued for as long as the certificate should have lived.
	MisissueAlreadyOver
	// MisissueForeignChain delivers the chain of another hierarchy of the server.
	MisissueForeignChain
	// MisissueLeafIssuer has the leaf issued by an end-entity certificate that is
	// no CA. It is delivered as the issuer, and above it the right chain.
	MisissueLeafIssuer
	// MisissueBrokenChain delivers an intermediate with the subject and the key
	// identifier of the right one but for another key, so that the leaf's
	// signature does not hold. The root has issued both.
	MisissueBrokenChain
	// MisissueNoChain delivers the leaf alone. Unlike [ChainAbsent] this is the
	// certificate's own: others of the server have their chains.
	MisissueNoChain
)

var misissuances = []string{
	MisissueNone: "none", MisissueExtraName: "extra-name", MisissueAddedWWW: "added-www",
	MisissueBaseDomain: "base-domain", MisissueMissingName: "missing-name",
	MisissueOtherCommonName: "other-common-name", MisissueEmailName: "email-name",
	MisissueURIName: "uri-name", MisissueOtherName: "other-name",
	MisissueCACertificate: "ca-certificate", MisissueBeginsSoon: "begins-soon",
	MisissueBeginsLate: "begins-late", MisissueTooLong: "too-long",
	MisissueAlreadyOver: "already-over", MisissueForeignChain: "foreign-chain",
	MisissueLeafIssuer: "leaf-issuer", MisissueBrokenChain: "broken-chain",
	MisissueNoChain: "no-chain",
}

// String returns the name the certinext-sandbox command uses for m.
func (m Misissuance) String() string {
	name, err := m.MarshalText()
	if err != nil {
		return "unknown"
	}
	return string(name)
}

// MarshalText names the mistake.
func (m Misissuance) MarshalText() ([]byte, error) { return nameOf(misissuances, m) }

// UnmarshalText reads one of [MisissuanceKinds].
func (m *Misissuance) UnmarshalText(b []byte) error { return byName(misissuances, b, m) }

// MisissuanceKinds returns the names of all mistakes, and first "none".
func MisissuanceKinds() []string { return append([]string(nil), misissuances...) }
