// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// judgeNames compares the names of a server's certificate with those that were ordered.
func (v *Verdict) judgeNames(leaf *x509.Certificate, ordered *Ordered) {
	for _, n := range ordered.DNSNames {
		if !slices.ContainsFunc(leaf.DNSNames, sameName(n)) {
			v.lacks(n)
		}
	}
	for _, ip := range ordered.IPs {
		if !slices.ContainsFunc(leaf.IPAddresses, ip.Equal) {
			v.lacks(ip.String())
		}
	}
	for _, n := range leaf.DNSNames {
		v.judgeName(n, ordered)
	}
	for _, ip := range leaf.IPAddresses {
		if !slices.ContainsFunc(ordered.IPs, ip.Equal) {
			v.holds("the address " + ip.String())
		}
	}
	for _, mail := range leaf.EmailAddresses {
		v.holds("the mail address " + sanitize.Short(mail))
	}
	v.judgeOtherNames(leaf)
	v.judgeCommonName(leaf, ordered)
}

// judgeSubject looks for names in the certificate of a person or an organization that are somebody
// else's, and for names of hosts.
func (v *Verdict) judgeSubject(leaf *x509.Certificate, ordered *Ordered) {
	for _, n := range leaf.DNSNames {
		v.holds("the name " + sanitize.Short(n))
	}
	for _, ip := range leaf.IPAddresses {
		v.holds("the address " + ip.String())
	}
	for _, mail := range append(leaf.EmailAddresses, inSubject(leaf, emailAddress)...) {
		if !strings.EqualFold(mail, ordered.Mail) {
			v.holds("the mail address " + sanitize.Short(mail))
		}
	}
	v.judgeOtherNames(leaf)
	for _, cn := range inSubject(leaf, commonName) {
		if !slices.ContainsFunc(ordered.Called, isIn(cn)) {
			v.holds("the common name " + sanitize.Short(cn))
		}
	}
}

// isIn reports whether a common name holds all words of a name, in whatever order and case.
func isIn(cn string) func(name string) bool {
	words := strings.Fields(strings.ToLower(cn))
	return func(name string) bool {
		for word := range strings.FieldsSeq(strings.ToLower(name)) {
			if !slices.Contains(words, word) {
				return false
			}
		}
		return true
	}
}

// judgeName looks at one of the certificate's names. A few that CAs add by themselves are no more
// than worth a remark: whoever controls the ordered name controls them, too.
func (v *Verdict) judgeName(n string, ordered *Ordered) {
	isOrdered := func(n string) bool { return slices.ContainsFunc(ordered.DNSNames, sameName(n)) }
	host, isWWW := cutPrefixFold(n, "www.")
	isWWW = isWWW && !strings.HasPrefix(host, "*.")
	switch {
	case isOrdered(n), isWWW && ordered.WWW && isOrdered(host):
	case isWWW && isOrdered(host), isOrdered("*." + n):
		v.Remarks = append(v.Remarks, fmt.Sprintf(
			"the certificate also holds %s, which was not ordered", sanitize.Short(n)))
	default:
		v.holds("the name " + sanitize.Short(n))
	}
}

// judgeOtherNames looks for alternative names of any other kind, which nobody can order.
func (v *Verdict) judgeOtherNames(leaf *x509.Certificate) {
	for _, uri := range leaf.URIs {
		v.holds("the URI " + sanitize.Short(uri.String()))
	}
	known := len(leaf.DNSNames) + len(leaf.IPAddresses) + len(leaf.EmailAddresses) + len(leaf.URIs)
	if countNames(leaf) > known {
		v.holds("an alternative name that is no host name, address, mail address or URI")
	}
}

// judgeCommonName looks for common names that are none of the ordered names, and for mail addresses
// beside them.
func (v *Verdict) judgeCommonName(leaf *x509.Certificate, ordered *Ordered) {
	for _, cn := range inSubject(leaf, commonName) {
		ip := net.ParseIP(cn)
		switch {
		case slices.ContainsFunc(ordered.DNSNames, sameName(cn)),
			slices.ContainsFunc(leaf.DNSNames, sameName(cn)), // which was looked at by itself
			ip != nil && slices.ContainsFunc(ordered.IPs, ip.Equal):
		default:
			v.holds("the common name " + sanitize.Short(cn))
		}
	}
	for _, mail := range inSubject(leaf, emailAddress) {
		v.holds("the mail address " + sanitize.Short(mail))
	}
}

// The attributes of a subject that can name somebody: RFC 5280, 4.1.2.6, and PKCS #9.
var (
	commonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	emailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
)

// inSubject returns all values of an attribute in the certificate's subject: it may have several,
// and Go's parser shows the last one only.
func inSubject(leaf *x509.Certificate, attribute asn1.ObjectIdentifier) []string {
	var values []string
	for _, a := range leaf.Subject.Names {
		if text, isText := a.Value.(string); isText && a.Type.Equal(attribute) {
			values = append(values, text)
		}
	}
	return values
}

func (v *Verdict) lacks(what string) {
	v.Faults = append(v.Faults, "it lacks "+what)
}

func (v *Verdict) holds(what string) {
	v.Faults = append(v.Faults, "it holds "+what+", which was not ordered")
}

// sameName reports whether a name is n.
func sameName(n string) func(string) bool {
	return func(other string) bool { return strings.EqualFold(n, other) }
}

func cutPrefixFold(s, prefix string) (rest string, found bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// countNames returns how many alternative names the certificate has of any kind. Go's parser passes
// over the kinds that it does not know.
func countNames(leaf *x509.Certificate) int {
	n := 0
	for _, e := range leaf.Extensions {
		var names []asn1.RawValue
		if !e.Id.Equal(subjectAltName) {
			continue
		}
		if _, err := asn1.Unmarshal(e.Value, &names); err == nil {
			n += len(names)
		}
	}
	return n
}
