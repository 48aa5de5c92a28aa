// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

// signs is a role that signs any key.
var signs = &Role{Key: KeySpec{Type: "any"}}

func FuzzAdmitCSR(f *testing.F) {
	key, err := KeySpec{Type: "ec", Bits: 256}.Generate()
	require.NoError(f, err)
	good, err := NewCSR(key, &Plan{DNSNames: []string{"www.example.com"}})
	require.NoError(f, err)
	f.Add(good)
	f.Add("-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		csr, err := AdmitCSR(signs, nil, text)
		if err != nil {
			var field *fault.FieldError
			require.ErrorAs(t, err, &field)
			return
		}
		again, err := AdmitCSR(signs, nil, csr.PEM)
		require.NoError(t, err)
		require.Equal(t, csr, again)
	})
}

// An attribute of a CSR, with its values in DER.
type attribute struct {
	ID     asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// handmade returns a CSR with attributes that Go makes none of.
func handmade(t *testing.T, attributes ...[]byte) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	tbs := struct {
		Version    int
		Subject    pkix.RDNSequence
		PublicKey  asn1.RawValue
		Attributes []asn1.RawValue `asn1:"tag:0"`
	}{
		Subject:   pkix.Name{CommonName: "www.example.com"}.ToRDNSequence(),
		PublicKey: asn1.RawValue{FullBytes: spki},
	}
	for _, a := range attributes {
		tbs.Attributes = append(tbs.Attributes, asn1.RawValue{FullBytes: a})
	}
	content := marshal(t, tbs)
	sum := sha256.Sum256(content)
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	require.NoError(t, err)
	return encodeCSR(marshal(t, struct {
		Content   asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{
		asn1.RawValue{FullBytes: content},
		pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}},
		asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	}))
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	require.NoError(t, err)
	return der
}

// namesOf are extensions that ask for one alternative name of a kind.
func namesOf(t *testing.T, tag int, content string) asn1.RawValue {
	t.Helper()
	name := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(content)}
	return asn1.RawValue{FullBytes: marshal(t, []pkix.Extension{{
		Id: oidSubjectAltName, Value: marshal(t, []asn1.RawValue{name}),
	}})}
}

// signed returns a CSR that Go makes of a template.
func signed(t *testing.T, template x509.CertificateRequest) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	if template.Subject.CommonName == "" && template.RawSubject == nil {
		template.Subject.CommonName = "www.example.com"
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	require.NoError(t, err)
	return encodeCSR(der)
}

// subjectOf is a subject with attributes of one kind after its common name.
func subjectOf(id asn1.ObjectIdentifier, values ...any) x509.CertificateRequest {
	name := pkix.Name{CommonName: "www.example.com"}.ToRDNSequence()
	for _, v := range values {
		name = append(name, pkix.RelativeDistinguishedNameSET{{Type: id, Value: v}})
	}
	der, err := asn1.Marshal(name)
	if err != nil {
		panic(err)
	}
	return x509.CertificateRequest{RawSubject: der}
}

// moreThanAValue is a subject whose common name has another one behind its value.
func moreThanAValue(t *testing.T) []byte {
	t.Helper()
	type attribute struct {
		ID          asn1.ObjectIdentifier
		Value, More string
	}
	set := asn1.RawValue{
		Tag: asn1.TagSet, IsCompound: true,
		Bytes: marshal(t, attribute{oidCommonName, "www.example.com", "evil.example.org"}),
	}
	return marshal(t, []asn1.RawValue{set})
}

// constructed asks for a name that OpenSSL reads and Go does not: its tag is one of several parts.
func constructed(t *testing.T) asn1.RawValue {
	t.Helper()
	part := marshal(t, asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte("evil.example.org")})
	name := asn1.RawValue{
		Class: asn1.ClassContextSpecific, Tag: tagDNS, IsCompound: true, Bytes: part,
	}
	return asn1.RawValue{FullBytes: marshal(t, []pkix.Extension{{
		Id: oidSubjectAltName, Value: marshal(t, []asn1.RawValue{name}),
	}})}
}

func TestACSRHoldsNoNameThatNobodyLooksAt(t *testing.T) {
	extension := func(id asn1.ObjectIdentifier, value []byte) x509.CertificateRequest {
		return x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{Id: id, Value: value}}}
	}
	alternative := func(tag int, content string) string {
		return handmade(t, marshal(t, attribute{
			oidExtensionRequest, []asn1.RawValue{namesOf(t, tag, content)},
		}))
	}
	evil, _ := url.Parse("spiffe://evil.example.org/")
	other := string(marshal(t, asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}))
	unicode := x509.CertificateRequest{Subject: pkix.Name{CommonName: "bücher.example.com"}}
	for text, problem := range map[string]string{
		signed(t, subjectOf(oidCommonName, "evil.example.org")):                  "two common names",
		signed(t, subjectOf(oidCommonName, "www.example.com")):                   "two common names",
		signed(t, subjectOf(oidEmailAddress, "a@example.com")):                   `e-mail address "a@example.com"`,
		signed(t, subjectOf(oidCommonName, 5)):                                   "no text",
		signed(t, subjectOf([]int{0, 9, 2342, 19200300, 100, 1, 25}, "example")): "(DC)",
		signed(t, subjectOf([]int{0, 9, 2342, 19200300, 100, 1, 1}, "root")):     "(UID)",
		signed(t, subjectOf([]int{1, 2, 840, 113549, 1, 9, 2}, "evil")):          "unstructured name",
		signed(t, subjectOf([]int{1, 2, 840, 113549, 1, 9, 8}, "evil")):          "unstructured address",
		signed(t, unicode): `"xn--bcher-kva.example.com" letter by letter`,

		signed(t, x509.CertificateRequest{URIs: []*url.URL{evil}}):                                  "a URI",
		signed(t, x509.CertificateRequest{EmailAddresses: []string{"a@example.com"}}):               "e-mail",
		signed(t, x509.CertificateRequest{DNSNames: []string{" www.example.com"}}):                  "is not a DNS host name",
		signed(t, x509.CertificateRequest{DNSNames: []string{""}}):                                  "is not a DNS host name",
		signed(t, extension([]int{2, 5, 29, 18}, []byte{0x30, 0})):                                  "an extension that CERTInext",
		signed(t, extension([]int{2, 5, 29, 9}, []byte{0x30, 0})):                                   "an extension that CERTInext",
		signed(t, subjectOf([]int{0, 9, 2342, 19200300, 100, 1, 3}, "a@example.org")):               "the attribute 0.9.2342",
		signed(t, subjectOf([]int{2, 5, 4, 42}, "Ann")):                                             "the attribute 2.5.4.42",
		signed(t, x509.CertificateRequest{Subject: pkix.Name{CommonName: "\u017fhop.example.com"}}): "letter by letter",
		signed(t, x509.CertificateRequest{RawSubject: moreThanAValue(t)}):                           "its subject cannot be parsed",

		alternative(0, other):  "an otherName",
		alternative(3, ""):     "an X.400 address",
		alternative(4, ""):     "a directory name",
		alternative(5, ""):     "an EDI party name",
		alternative(8, "\x2a"): "a registered id",
		alternative(9, ""):     "an unknown kind",
		signed(t, extension(oidSubjectAltName, []byte{0x30, 2, 5, 0})): "cannot be parsed",

		handmade(t, marshal(t, attribute{oidMicrosoftExtensions, []asn1.RawValue{
			namesOf(t, tagDNS, "evil.example.org"),
		}})): "an attribute of Microsoft's",
		handmade(t, marshal(t, attribute{oidExtensionRequest, []asn1.RawValue{
			namesOf(t, tagDNS, "www.example.com"), namesOf(t, tagDNS, "evil.example.org"),
		}})): "more than once",
		handmade(t, marshal(t, asn1.NullRawValue)): "its attributes cannot be parsed",
		handmade(t, marshal(t, attribute{oidCommonName, []asn1.RawValue{
			{FullBytes: marshal(t, "evil.example.org")},
		}})): "an attribute that nobody looks at (2.5.4.3)",
		handmade(t, marshal(t, attribute{oidExtensionRequest, []asn1.RawValue{constructed(t)}})): "cannot be parsed",
	} {
		_, err := AdmitCSR(signs, nil, text)
		require.Error(t, err, problem)
		requireField(t, err, "csr", problem)
	}
}

// What an organization is called, and where it sits, CERTInext fills in itself. The rest is common.
func TestWhatCommonCSRsHoldIsNoObstacle(t *testing.T) {
	for name, text := range map[string]string{
		"an organization": signed(t, x509.CertificateRequest{Subject: pkix.Name{
			CommonName: "WWW.Example.com", Organization: []string{"Example"}, Country: []string{"IN"},
			SerialNumber: "7",
		}}),
		"a challenge password": handmade(t, marshal(t, attribute{
			asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7},
			[]asn1.RawValue{{FullBytes: marshal(t, "a challenge")}},
		})),
		"a usage": signed(t, x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{
			Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Value: []byte{3, 2, 5, 0xa0},
		}}}),
		"its name once more": signed(t, x509.CertificateRequest{DNSNames: []string{"www.example.com"}}),
		"an address": signed(t, x509.CertificateRequest{
			DNSNames: []string{"www.example.com"}, IPAddresses: []net.IP{{192, 0, 2, 1}},
		}),
	} {
		csr, err := AdmitCSR(signs, nil, text)
		require.NoError(t, err, name)
		require.Equal(t, "www.example.com", csr.Names.CommonName, name)
		require.Equal(t, []string{"www.example.com"}, csr.Names.DNSNames, name)
	}
}

func TestACSRIsEncodedAnew(t *testing.T) {
	text := signed(t, x509.CertificateRequest{})
	preamble := "Certificate Request:\n    Data:\n        Version: 1 (0x0)\n"
	for name, sent := range map[string]string{
		"as openssl req -text prints it": preamble + text,
		"with CRLF":                      strings.ReplaceAll(text, "\n", "\r\n"),
		"by its older label":             strings.ReplaceAll(text, "CERTIFICATE", "NEW CERTIFICATE"),
		"on lines of another length":     strings.Replace(text, "\n", "\n\n", 1),
		"with headers": strings.Replace(text, "-----\n",
			"-----\nComment: evil.example.org\n\n", 1),
	} {
		csr, err := AdmitCSR(signs, nil, sent)
		require.NoError(t, err, name)
		require.Equal(t, text, csr.PEM, name)
	}
	_, err := AdmitCSR(signs, nil, signed(t, x509.CertificateRequest{
		ExtraExtensions: []pkix.Extension{{
			Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, maxCSR),
		}},
	}))
	requireField(t, err, "csr", "is longer than")
}

func TestTheCSROfAPerson(t *testing.T) {
	role := &Role{Variant: "natural-person", Key: KeySpec{Type: "any"}}
	require.Equal(t, certinext.FamilySignature, account.Shapes[role.Variant].Family)
	ann := Subject{"first_name": "Ann", "last_name": "Body", "email": "ann@example.com"}
	bare := x509.CertificateRequest{RawSubject: []byte{0x30, 0}}
	mail := func(address string) x509.CertificateRequest {
		return x509.CertificateRequest{RawSubject: []byte{0x30, 0}, EmailAddresses: []string{address}}
	}
	called := func(cn string) x509.CertificateRequest {
		return x509.CertificateRequest{Subject: pkix.Name{CommonName: cn}}
	}
	for _, own := range []x509.CertificateRequest{
		bare, mail("Ann@example.com"), called("ann body"), called("ann@example.com"),
	} {
		_, err := AdmitCSR(role, ann, signed(t, own))
		require.NoError(t, err)
	}
	for problem, foreign := range map[string]x509.CertificateRequest{
		"bob@example.com":   mail("bob@example.com"),
		`"Bob Body"`:        called("Bob Body"),
		"holds host names,": {DNSNames: []string{"www.example.com"}},
	} {
		_, err := AdmitCSR(role, ann, signed(t, foreign))
		requireField(t, err, "csr", problem)
	}
}
