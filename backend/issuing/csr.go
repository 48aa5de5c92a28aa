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
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// ParseCSR parses the PEM of a caller's CSR, and checks its signature. Its errors are
// of type [*fault.FieldError].
func ParseCSR(text string) (*x509.CertificateRequest, error) {
	if strings.TrimSpace(text) == "" {
		return nil, fault.BadField("csr", "is required")
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return nil, fault.BadField("csr", "is not PEM")
	}
	if block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" {
		return nil, fault.BadField("csr", "is a PEM %s, not a CERTIFICATE REQUEST",
			sanitize.Short(block.Type))
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, fault.BadField("csr", "holds more than one PEM block")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fault.BadField("csr", "cannot be parsed: %v", err)
	}
	if problem := parameterProblem(csr.PublicKey); problem != "" {
		return nil, fault.BadField("csr", "%s", problem)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fault.BadField("csr", "its signature does not verify: %v", err)
	}
	return csr, nil
}

// AdmitCSR parses a CSR, and checks that the role allows its key, whose spec it returns, and that
// the key is none whose private key is anyone's. Its error is a [*fault.FieldError].
func AdmitCSR(role *Role, text string) (*x509.CertificateRequest, KeySpec, error) {
	csr, err := ParseCSR(text)
	if err != nil {
		return nil, KeySpec{}, err
	}
	key, err := specOf(csr.PublicKey)
	if err != nil {
		return nil, KeySpec{}, err
	}
	if err := role.Key.admits(key); err != nil {
		return nil, KeySpec{}, err
	}
	if problem := secretProblem(csr.PublicKey); problem != "" {
		return nil, KeySpec{}, fault.BadField("csr", "%s", problem)
	}
	return csr, key, nil
}

// planCSR plans the names of a CSR. It refuses names in the request's fields that the CSR does not
// hold, since CERTInext would not merge the two.
func planCSR(role *Role, r Request, requested *Names) (*Plan, error) {
	csr, key, err := AdmitCSR(role, r.CSR)
	if err != nil {
		return nil, err
	}
	inCSR, err := CSRNames(csr)
	if err != nil {
		return nil, err
	}
	if inCSR.CommonName == "" { // refused even without require_cn: the engine cannot add one
		return nil, fault.BadField("csr", "has no common name: CERTInext refuses a CSR whose "+
			"common name is not the order's domain")
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
		DNSNames: inCSR.DNSNames, IPs: inCSR.IPs, Key: key, CSR: r.CSR, CSRKey: csr.PublicKey,
	}, nil
}

// CSRNames parses the names in a CSR. It refuses other names than DNS names and IP addresses. Its
// error is a [*fault.FieldError].
func CSRNames(csr *x509.CertificateRequest) (*Names, error) {
	if len(csr.EmailAddresses) > 0 || len(csr.URIs) > 0 {
		return nil, fault.BadField("csr",
			"holds e-mail or URI names, which CERTInext does not certify")
	}
	n := &Names{IPs: csr.IPAddresses}
	var err error
	if cn := csr.Subject.CommonName; cn != "" {
		if n.CommonName, err = parseDNSName("csr", cn); err != nil {
			return nil, err
		}
		n.DNSNames = []string{n.CommonName}
	}
	sans, err := SplitDNSNames("csr", csr.DNSNames)
	if err != nil {
		return nil, err
	}
	for _, s := range sans {
		if !slices.Contains(n.DNSNames, s) {
			n.DNSNames = append(n.DNSNames, s)
		}
	}
	return n, nil
}
