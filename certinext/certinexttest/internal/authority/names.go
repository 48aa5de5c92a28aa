// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/url"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

var (
	// subjectAltName is the extension of RFC 5280, section 4.2.1.6.
	subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	// userPrincipalName is the kind of otherName by which a Windows domain knows
	// its users.
	userPrincipalName = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}
)

// Names are the subject alternative names of a certificate.
type Names struct {
	DNS    []string
	IPs    []net.IP
	Emails []string
	URIs   []*url.URL // misissued only
	Users  []string   // misissued only: principals, as otherName
}

// The tags of a GeneralName.
const (
	tagEmail = 1
	tagDNS   = 2
	tagURI   = 6
	tagIP    = 7
)

// extension is what crypto/x509 makes of n, and the users besides, which it has
// no place for.
func (n Names) extension() pkix.Extension {
	var names []asn1.RawValue
	add := func(tag int, value []byte) {
		names = append(names, asn1.RawValue{
			Class: asn1.ClassContextSpecific, Tag: tag, Bytes: value,
		})
	}
	for _, name := range n.DNS {
		add(tagDNS, []byte(name))
	}
	for _, address := range n.Emails {
		add(tagEmail, []byte(address))
	}
	for _, ip := range n.IPs {
		short := ip.To4()
		if short == nil {
			short = ip
		}
		add(tagIP, short)
	}
	for _, u := range n.URIs {
		add(tagURI, []byte(u.String()))
	}
	for _, user := range n.Users {
		names = append(names, asn1.RawValue{FullBytes: otherName(user)})
	}
	return pkix.Extension{Id: subjectAltName, Value: sure.Must(asn1.Marshal(names))}
}

// otherName is the GeneralName of a user.
func otherName(user string) []byte {
	type other struct {
		Kind  asn1.ObjectIdentifier
		Value string `asn1:"tag:0,explicit,utf8"`
	}
	return sure.Must(asn1.MarshalWithParams(other{userPrincipalName, user}, "tag:0"))
}
