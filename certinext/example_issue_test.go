// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// An issuer drives orders to their certificates. The client fetches the token by itself.
type issuer struct {
	client    *certinext.Client
	agreement certinext.Agreement
	// publish makes a challenge visible at its domain, for instance with package dcv.
	publish func(ctx context.Context, ch *certinext.Challenge) error
	// pause passes between two looks at an order. CERTInext's documentation advises 30 to 60 seconds.
	pause time.Duration
}

// issue places one order and returns its certificate. It ends with ctx, and the order goes on
// without it: a caller that wants to come back stores the order's ID, and before the create the
// marker in r.Tags.
func (i issuer) issue(
	ctx context.Context, r certinext.OrderRequest, csr string,
) (*certinext.Bundle, error) {
	order, err := i.client.CreateOrder(ctx, r)
	if err != nil {
		return nil, err // if certinext.MayHaveActed(err), the order is looked for, not placed again
	}
	for {
		if order.Status == certinext.StatusIssued {
			bundle, err := i.client.Certificate(ctx, r.Family, order.ID)
			if !certinext.IsNotReady(err) {
				return bundle, err // its public key is compared with the CSR's before it is used
			}
		}
		if order.Status.Terminal() {
			return nil, fmt.Errorf("order %s is %s: %s", order.ID, order.Status, order.Remark)
		}
		if err := i.serve(ctx, r, order, csr); err != nil {
			return nil, err
		}
		select {
		case <-time.After(i.pause):
		case <-ctx.Done():
			return nil, fmt.Errorf("order %s is %s: %w", order.ID, order.Status, context.Cause(ctx))
		}
		order, err = i.client.TrackOrder(ctx, r.Family, order.ID)
		if err != nil {
			return nil, err
		}
	}
}

// serve gives an order what its status asks for. A status that asks for nothing waits for CERTInext.
func (i issuer) serve(
	ctx context.Context, r certinext.OrderRequest, order *certinext.Order, csr string,
) error {
	switch order.Status {
	case certinext.StatusPendingDCV:
		return i.validate(ctx, r, order)
	case certinext.StatusPendingCSR:
		return i.client.SubmitCSR(ctx, r.Family, order.ID, csr, r.Attested)
	case certinext.StatusPendingAgreement:
		return i.client.AcceptAgreement(ctx, r.Family, order.ID, i.agreement)
	}
	return nil
}

// validate proves control of each domain of the order that is not verified.
func (i issuer) validate(
	ctx context.Context, r certinext.OrderRequest, order *certinext.Order,
) error {
	for _, domain := range append([]string{r.Domain}, r.AdditionalDomains...) {
		ch, err := i.client.DCVChallenge(ctx, order.ID, domain, certinext.DCVMethodDNS)
		if err != nil {
			return err
		}
		if ch.AlreadyVerified {
			continue
		}
		if err := i.publish(ctx, ch); err != nil {
			return err
		}
		err = i.client.VerifyDCV(ctx, order.ID, domain, certinext.DCVMethodDNS)
		if err != nil && !certinext.IsVerifying(err) {
			return err // IsVerifying is tried again at the next look
		}
	}
	return nil
}

// requestFor returns a CSR for a fresh key. A key that an earlier order had is refused.
func requestFor(name string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return "", err
	}
	block := &pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}
	return string(pem.EncodeToMemory(block)), nil
}

// The whole way of an order: a token, the order, looks at it with a pause between them, and the
// certificate. The server that stands in for CERTInext asks for every stage and takes a moment to
// issue, as CERTInext does.
func Example_issue() {
	srv := &certinexttest.Server{
		IssueDelay: 20 * time.Millisecond,
		PEMLag:     20 * time.Millisecond,
	}
	i := issuer{
		client: &certinext.Client{
			BaseURL: "https://certinext.example",
			Credentials: certinext.OAuth{
				ClientID:     certinexttest.DefaultAccountNumber,
				ClientSecret: certinexttest.DefaultClientSecret,
			},
			HTTPClient: srv.Client(), // a real client needs none
		},
		agreement: certinext.Agreement{
			SignerName: "Platform Team", SignerPlace: "New York", Accepted: true,
		},
		publish: func(_ context.Context, ch *certinext.Challenge) error {
			if ch.DNSValue == "" {
				return errors.New("there is nothing to publish in DNS")
			}
			fmt.Println("publishing a TXT record for", ch.Domain)
			srv.VerifyDomain(ch.Domain) // in place of a look-up of the record
			return nil
		},
		pause: 10 * time.Millisecond,
	}
	csr, err := requestFor("www.example.com")
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	bundle, err := i.issue(ctx, certinext.OrderRequest{
		Family: certinext.FamilySSL, ProductCode: "842", Variant: "dv", Domain: "www.example.com",
		Requestor: certinext.Contact{Name: "Platform Team", Email: "ops@example.com"},
		Tags:      []string{"request:4f1c"},
	}, csr)
	if err != nil {
		log.Fatal(err)
	}
	block, _ := pem.Decode([]byte(bundle.Certificate))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("issued for", cert.Subject.CommonName, "with", len(bundle.Chain), "more certificates")
	// Output:
	// publishing a TXT record for www.example.com
	// issued for www.example.com with 2 more certificates
}
