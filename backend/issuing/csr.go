// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// NewCSR returns a CSR for a plan, signed by key, as PEM. CERTInext compares its common name with
// the order's domain, and takes everything else from the order.
func NewCSR(key crypto.Signer, p *Plan) (string, error) {
	template := &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: p.CommonName()}, DNSNames: p.DNSNames, IPAddresses: p.IPs,
	}
	if p.Subject != nil {
		template.EmailAddresses = NonEmpty(p.Subject["email"])
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return "", fmt.Errorf("making the CSR: %w", err)
	}
	return encodeCSR(der), nil
}

// encodeCSR returns a CSR as PEM.
func encodeCSR(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// A CSR is a requester's CSR that a role admits.
type CSR struct {
	// PEM is the CSR without what stood around it in the request, such as the text that openssl
	// writes before it: CERTInext is sent nothing that was not looked at.
	PEM  string
	Key  crypto.PublicKey
	Spec KeySpec // of Key
	// Names are those of a server's certificate. A person's has none.
	Names Names
}

// AdmitCSR parses a CSR, and checks that the role allows its key, that the key is none whose
// private key is anyone's, and that it holds no name of a kind that nobody looks at. subject is
// that of the plan, and nil for certificates of host names. Whether the role allows the names is
// for [AllowNames]. Its error is a [*fault.FieldError].
func AdmitCSR(role *Role, subject Subject, text string) (*CSR, error) {
	parsed, err := parseCSR(text)
	if err != nil {
		return nil, err
	}
	c := &CSR{PEM: encodeCSR(parsed.Raw), Key: parsed.PublicKey}
	if c.Spec, err = specOf(c.Key); err != nil {
		return nil, err
	}
	if err := role.Key.admits(c.Spec); err != nil {
		return nil, err
	}
	if problem := secretProblem(c.Key); problem != "" {
		return nil, fault.BadField("csr", "%s", problem)
	}
	held, problem := namesIn(parsed, subject != nil)
	if problem != "" {
		return nil, fault.BadField("csr", "%s", problem)
	}
	if subject != nil {
		return c, held.fit(subject, role.Variant)
	}
	names, err := held.ofHosts()
	if err != nil {
		return nil, err
	}
	c.Names = *names
	return c, nil
}

// maxCSR bounds a CSR, in bytes: an RSA key and 250 names of full length are less.
const maxCSR = 96 << 10

// parseCSR parses the PEM of a caller's CSR, and checks its signature. Its errors are
// of type [*fault.FieldError].
func parseCSR(text string) (*x509.CertificateRequest, error) {
	if strings.TrimSpace(text) == "" {
		return nil, fault.BadField("csr", "is required, in PEM: csr=@file sends what is in a file")
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return nil, fault.BadField("csr", "is not PEM: csr=@file sends what is in a file")
	}
	if block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" {
		return nil, fault.BadField("csr", "is a PEM %s, not a CERTIFICATE REQUEST",
			sanitize.Short(block.Type))
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, fault.BadField("csr", "holds more than one PEM block")
	}
	if len(block.Bytes) > maxCSR {
		return nil, fault.BadField("csr", "is longer than %d bytes", maxCSR)
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fault.BadField("csr", "cannot be parsed: it is damaged, or no CSR")
	}
	if problem := parameterProblem(csr.PublicKey); problem != "" {
		return nil, fault.BadField("csr", "%s", problem)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fault.BadField("csr", "its signature does not verify: its key did not sign it")
	}
	return csr, nil
}

// planCSR plans the names of a CSR. It refuses names in the request's fields that the CSR does not
// hold, since CERTInext would not merge the two.
func planCSR(role *Role, r Request, requested *Names) (*Plan, error) {
	csr, err := AdmitCSR(role, nil, r.CSR)
	if err != nil {
		return nil, err
	}
	inCSR, nameless := csr.Names, csr.Names.CommonName == ""
	if nameless {
		inCSR.lead(requested.CommonName)
	}
	if len(inCSR.DNSNames) == 0 {
		return nil, fault.BadField("csr", "holds no host name, which CERTInext's orders are for")
	}
	if requested.CommonName != "" && requested.CommonName != inCSR.CommonName {
		return nil, fault.BadField("csr", "its common name is %q, common_name says %q",
			inCSR.CommonName, requested.CommonName)
	}
	for _, n := range requested.DNSNames {
		if !slices.Contains(inCSR.DNSNames, n) {
			return nil, fault.BadField("csr",
				"does not hold the name %q that the request asks for", n)
		}
	}
	for _, ip := range requested.IPs {
		if !slices.ContainsFunc(inCSR.IPs, ip.Equal) {
			return nil, fault.BadField("csr",
				"does not hold the address %s that the request asks for", ip)
		}
	}
	return &Plan{
		DNSNames: inCSR.DNSNames, IPs: inCSR.IPs, Key: csr.Spec, CSR: csr.PEM, CSRKey: csr.Key,
		namelessCSR: nameless,
	}, nil
}

// lead makes one of the DNS names the common name: the wanted one, if the names hold it, and else
// the first.
func (n *Names) lead(wanted string) {
	if i := slices.Index(n.DNSNames, wanted); i > 0 {
		n.DNSNames = slices.Insert(slices.Delete(n.DNSNames, i, i+1), 0, wanted)
	}
	if len(n.DNSNames) > 0 {
		n.CommonName = n.DNSNames[0]
	}
}
