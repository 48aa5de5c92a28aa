// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// A role's constraints hold only where every name that a certificate could get from a CSR was
// looked at. Go's parser passes over some: it shows the last of several common names, the kinds of
// alternative names that it knows, and one value of each attribute. Here, whatever CERTInext could
// read as a name is found, and what cannot be compared with the role is refused by its kind.

// heldNames are the names in a CSR.
type heldNames struct {
	commonName string // empty when there is none
	dns        []string
	ips        []net.IP
	mails      []string // in the subject or among the alternative names
}

// strangers are the attributes of a subject that name a host or somebody, and that no role is
// about: RFC 4519 and PKCS #9 define them.
var strangers = map[string]string{
	"0.9.2342.19200300.100.1.25": "a domain component (DC)",
	"0.9.2342.19200300.100.1.1":  "a user id (UID)",
	"1.2.840.113549.1.9.2":       "an unstructured name",
	"1.2.840.113549.1.9.8":       "an unstructured address",
}

var (
	oidCommonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidEmailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidIssuerAltName  = asn1.ObjectIdentifier{2, 5, 29, 18}

	oidExtensionRequest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14}
	// oidMicrosoftExtensions is an older attribute of Microsoft's for the same purpose, which some
	// CAs read, too.
	oidMicrosoftExtensions = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 14}
)

// namesIn returns the names in a CSR. problem says what it holds that nobody can look at; it is
// empty when there is nothing of the kind.
func namesIn(csr *x509.CertificateRequest) (held heldNames, problem string) {
	if problem := held.addSubject(csr); problem != "" {
		return held, problem
	}
	if problem := attributeProblem(csr); problem != "" {
		return held, problem
	}
	for _, e := range csr.Extensions {
		switch {
		case e.Id.Equal(oidIssuerAltName):
			return held, "holds alternative names of its issuer: make a CSR without them"
		case e.Id.Equal(oidSubjectAltName):
			if problem := alternativeProblem(e.Value); problem != "" {
				return held, problem
			}
		}
	}
	held.dns, held.ips = csr.DNSNames, csr.IPAddresses
	held.mails = append(held.mails, csr.EmailAddresses...)
	return held, ""
}

// addSubject adds the names in the subject.
func (h *heldNames) addSubject(csr *x509.CertificateRequest) (problem string) {
	for _, a := range csr.Subject.Names {
		value, isText := a.Value.(string)
		kind := strangers[a.Type.String()]
		switch {
		case kind != "":
			return fmt.Sprintf("its subject holds %s, which CERTInext does not certify: "+
				"make a CSR without it", kind)
		case !a.Type.Equal(oidCommonName) && !a.Type.Equal(oidEmailAddress):
			// What describes an organization is CERTInext's to fill in, from what it has vetted.
		case !isText || value == "":
			return "its subject holds a common name or an e-mail address that is no text"
		case a.Type.Equal(oidEmailAddress):
			h.mails = append(h.mails, value)
		case h.commonName != "":
			return fmt.Sprintf("its subject holds two common names, %q and %q: make a CSR with "+
				"one, and with the other among its alternative names",
				sanitize.Short(h.commonName), sanitize.Short(value))
		default:
			h.commonName = value
		}
	}
	return ""
}

// attributeProblem looks for extensions in a CSR's attributes that Go's parser does not return.
func attributeProblem(csr *x509.CertificateRequest) string {
	const malformed = "its attributes cannot be parsed"
	var tbs struct {
		Version    int
		Subject    asn1.RawValue
		PublicKey  asn1.RawValue
		Attributes []asn1.RawValue `asn1:"tag:0"`
	}
	rest, err := asn1.Unmarshal(csr.RawTBSCertificateRequest, &tbs)
	if err != nil || len(rest) > 0 {
		return malformed
	}
	requests := 0
	for _, raw := range tbs.Attributes {
		var a struct {
			ID     asn1.ObjectIdentifier
			Values []asn1.RawValue `asn1:"set"`
		}
		rest, err := asn1.Unmarshal(raw.FullBytes, &a)
		switch {
		case err != nil || len(rest) > 0:
			return malformed
		case a.ID.Equal(oidMicrosoftExtensions):
			return "asks for extensions in an attribute of Microsoft's " +
				"(1.3.6.1.4.1.311.2.1.14): make a CSR with the one of PKCS #10 (extensionRequest)"
		case a.ID.Equal(oidExtensionRequest):
			requests += len(a.Values)
		}
	}
	if requests > 1 {
		return "asks for extensions more than once (extensionRequest)"
	}
	return ""
}

// alternativeKinds are the kinds of alternative names by their tags: RFC 5280, 4.2.1.6.
var alternativeKinds = map[int]string{
	0: "an otherName", 3: "an X.400 address", 4: "a directory name", 5: "an EDI party name",
	6: "a URI", 8: "a registered id",
}

// Alternative names that are looked at one by one.
const (
	tagMail = 1
	tagDNS  = 2
	tagIP   = 7
)

// alternativeProblem looks for kinds of alternative names that no order has.
func alternativeProblem(extension []byte) string {
	var names []asn1.RawValue
	rest, err := asn1.Unmarshal(extension, &names)
	if err != nil || len(rest) > 0 {
		return "its alternative names cannot be parsed"
	}
	for _, n := range names {
		switch kind := alternativeKinds[n.Tag]; {
		case n.Class != asn1.ClassContextSpecific:
			return "its alternative names cannot be parsed"
		case n.Tag == tagMail, n.Tag == tagDNS, n.Tag == tagIP:
		case kind == "":
			return "holds an alternative name of an unknown kind"
		default:
			return fmt.Sprintf("holds %s among its alternative names, which CERTInext does not "+
				"certify: make a CSR without it", kind)
		}
	}
	return ""
}

// ofHosts returns the names of a server's certificate in the form in which they are ordered. Its
// error is a [*fault.FieldError].
func (h *heldNames) ofHosts() (*Names, error) {
	if len(h.mails) > 0 {
		return nil, fault.BadField("csr", "holds the e-mail address %q, which CERTInext does not "+
			"certify for a server: make a CSR without it", sanitize.Short(h.mails[0]))
	}
	n := &Names{IPs: h.ips}
	all := h.dns
	if h.commonName != "" {
		all = slices.Concat([]string{h.commonName}, h.dns)
	}
	for i, name := range all {
		parsed, err := parseDNSName("csr", name)
		if err != nil {
			return nil, err
		}
		if !strings.EqualFold(parsed, name) {
			return nil, fault.BadField("csr", "holds the name %q, which CERTInext would compare "+
				"with the order's %q letter by letter: make a CSR with the latter",
				sanitize.Short(name), parsed)
		}
		if i == 0 && h.commonName != "" {
			n.CommonName = parsed
		}
		if !slices.Contains(n.DNSNames, parsed) {
			n.DNSNames = append(n.DNSNames, parsed)
		}
	}
	return n, nil
}

// fit returns an error unless the names are those of a person's or an organization's certificate,
// which may also be missing: CERTInext uses nothing of its CSR but the key.
func (h *heldNames) fit(subject Subject, variant string) error {
	if len(h.dns)+len(h.ips) > 0 {
		return fault.BadField("csr", "holds host names, which a %s certificate cannot hold",
			variant)
	}
	for _, mail := range h.mails {
		if !strings.EqualFold(mail, subject["email"]) {
			return fault.BadField("csr", "holds the e-mail address %q, and the certificate is "+
				"for %q", sanitize.Short(mail), subject["email"])
		}
	}
	isCommonName := func(called string) bool { return strings.EqualFold(called, h.commonName) }
	if h.commonName != "" && !slices.ContainsFunc(subject.Called(), isCommonName) {
		return fault.BadField("csr", "its common name is %q, and the certificate is for %q: "+
			"CERTInext composes the common name, which may be left out",
			sanitize.Short(h.commonName), subject.DisplayName(variant))
	}
	return nil
}
