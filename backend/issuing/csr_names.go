// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"cmp"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net"
	"slices"
	"strings"
	"unicode"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
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

// described are the attributes of a subject that describe an organization or its place. CERTInext
// fills them in itself, from what it has vetted, so they may stand in a CSR. Any other attribute
// names a host or somebody, or may do so: RFC 4519 and PKCS #9 have many that do.
var described = []string{
	"2.5.4.5", "2.5.4.6", "2.5.4.7", "2.5.4.8", "2.5.4.9", "2.5.4.10", "2.5.4.11",
	"2.5.4.13", "2.5.4.15", "2.5.4.16", "2.5.4.17", "2.5.4.20",
	"2.5.4.97",                                             // organizationIdentifier
	"1.3.6.1.4.1.311.60.2.1.1", "1.3.6.1.4.1.311.60.2.1.2", // of the jurisdiction
	"1.3.6.1.4.1.311.60.2.1.3",
}

// personal are further ones that may stand in the CSR of a person: surname, title, given name,
// initials, generation, pseudonym.
var personal = []string{
	"2.5.4.4", "2.5.4.12", "2.5.4.42", "2.5.4.43", "2.5.4.44", "2.5.4.65",
}

// strangers are the words for the attributes of a subject that are refused most.
var strangers = map[string]string{
	"0.9.2342.19200300.100.1.25": "a domain component (DC)",
	"0.9.2342.19200300.100.1.1":  "a user id (UID)",
	"1.2.840.113549.1.9.2":       "an unstructured name",
	"1.2.840.113549.1.9.8":       "an unstructured address",
}

// harmless are the attributes of a CSR beside extensionRequest: a challenge password, what openssl
// asks for as the optional company name, and what Microsoft's certreq says of itself.
var harmless = []string{
	"1.2.840.113549.1.9.7", "1.2.840.113549.1.9.2", "1.3.6.1.4.1.311.13.2.2",
	"1.3.6.1.4.1.311.13.2.3", "1.3.6.1.4.1.311.21.20",
}

// nameless are the extensions that hold no name, beside the alternative names, which are looked at.
var nameless = []string{
	"2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.32", "2.5.29.35", "2.5.29.37",
	"1.3.6.1.5.5.7.1.24",                           // TLS feature
	"1.2.840.113549.1.9.15",                        // S/MIME capabilities
	"1.3.6.1.4.1.311.20.2", "1.3.6.1.4.1.311.21.7", // Microsoft's templates
	"1.3.6.1.4.1.311.21.10",                           // and its application policies
	"2.16.840.1.113730.1.1", "2.16.840.1.113730.1.13", // Netscape's type and comment
}

var (
	oidCommonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidEmailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

	oidExtensionRequest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14}
	// oidMicrosoftExtensions is an older attribute of Microsoft's for the same purpose, which some
	// CAs read, too.
	oidMicrosoftExtensions = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 14}
)

// namesIn returns the names in a CSR. problem says what it holds that nobody can look at; it is
// empty when there is nothing of the kind.
func namesIn(
	csr *x509.CertificateRequest, ofPerson bool,
) (held heldNames, problem string) {
	if problem := held.addSubject(csr, ofPerson); problem != "" {
		return held, problem
	}
	if problem := attributeProblem(csr); problem != "" {
		return held, problem
	}
	for _, e := range csr.Extensions {
		if !slices.Contains(nameless, e.Id.String()) {
			return held, fmt.Sprintf("asks for an extension that CERTInext does not certify (%s): "+
				"make a CSR without it", e.Id)
		}
		if e.Id.Equal(oidSubjectAltName) {
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
func (h *heldNames) addSubject(csr *x509.CertificateRequest, ofPerson bool) (problem string) {
	if !isExactName(csr.RawSubject) {
		return "its subject cannot be parsed"
	}
	for _, a := range csr.Subject.Names {
		value, isText := a.Value.(string)
		id := a.Type.String()
		switch {
		case slices.Contains(described, id), ofPerson && slices.Contains(personal, id):
		case !a.Type.Equal(oidCommonName) && !a.Type.Equal(oidEmailAddress):
			return fmt.Sprintf("its subject holds %s, which CERTInext does not certify: "+
				"make a CSR without it", cmp.Or(strangers[id], "the attribute "+id))
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

// isExactName reports whether a subject holds attributes of one value each and nothing else: Go's
// parser passes over what follows a value.
func isExactName(raw []byte) bool {
	name := cryptobyte.String(raw)
	var rdns, set, attribute, value cryptobyte.String
	var id asn1.ObjectIdentifier
	var tag tags.Tag
	if !name.ReadASN1(&rdns, tags.SEQUENCE) || !name.Empty() {
		return false
	}
	for !rdns.Empty() {
		if !rdns.ReadASN1(&set, tags.SET) {
			return false
		}
		for !set.Empty() {
			if !set.ReadASN1(&attribute, tags.SEQUENCE) ||
				!attribute.ReadASN1ObjectIdentifier(&id) ||
				!attribute.ReadAnyASN1(&value, &tag) || !attribute.Empty() {
				return false
			}
		}
	}
	return true
}

// isExactExtensions reports whether a value of extensionRequest holds extensions and nothing else.
func isExactExtensions(value cryptobyte.String) bool {
	var extensions, extension, content cryptobyte.String
	var id asn1.ObjectIdentifier
	if !value.ReadASN1(&extensions, tags.SEQUENCE) || !value.Empty() {
		return false
	}
	for !extensions.Empty() {
		if !extensions.ReadASN1(&extension, tags.SEQUENCE) ||
			!extension.ReadASN1ObjectIdentifier(&id) ||
			!extension.SkipOptionalASN1(tags.BOOLEAN) ||
			!extension.ReadASN1(&content, tags.OCTET_STRING) || !extension.Empty() {
			return false
		}
	}
	return true
}

// attributeProblem looks for what Go's parser passes over in a CSR's attributes: extensions that it
// does not return, and attributes of other kinds that could name somebody.
func attributeProblem(csr *x509.CertificateRequest) string {
	const malformed = "its attributes cannot be parsed"
	var tbs, attributes, attribute, values cryptobyte.String
	var skipped cryptobyte.String
	var version int64
	raw := cryptobyte.String(csr.RawTBSCertificateRequest)
	if !raw.ReadASN1(&tbs, tags.SEQUENCE) || !raw.Empty() || !tbs.ReadASN1Integer(&version) ||
		!tbs.ReadASN1Element(&skipped, tags.SEQUENCE) ||
		!tbs.ReadASN1Element(&skipped, tags.SEQUENCE) ||
		!tbs.ReadOptionalASN1(&attributes, nil, tags.Tag(0).ContextSpecific().Constructed()) ||
		!tbs.Empty() {
		return malformed
	}
	requests := 0
	for !attributes.Empty() {
		var id asn1.ObjectIdentifier
		if !attributes.ReadASN1(&attribute, tags.SEQUENCE) ||
			!attribute.ReadASN1ObjectIdentifier(&id) ||
			!attribute.ReadASN1(&values, tags.SET) || !attribute.Empty() {
			return malformed
		}
		switch {
		case id.Equal(oidExtensionRequest):
			if requests++; requests > 1 {
				return "asks for extensions more than once (extensionRequest)"
			}
			if !isExactExtensions(values) {
				return "its extensions cannot be parsed, or are asked for more than once"
			}
		case id.Equal(oidMicrosoftExtensions):
			return "asks for extensions in an attribute of Microsoft's " +
				"(1.3.6.1.4.1.311.2.1.14): make a CSR with the one of PKCS #10 (extensionRequest)"
		case !slices.Contains(harmless, id.String()):
			return fmt.Sprintf("has an attribute that nobody looks at (%s): make a CSR without it",
				id)
		}
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
		case n.Class != asn1.ClassContextSpecific,
			n.IsCompound && (n.Tag == tagMail || n.Tag == tagDNS || n.Tag == tagIP):
			// Go passes over such a name, and OpenSSL reads it.
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
		if !isASCII(name) || !strings.EqualFold(parsed, name) {
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

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
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
