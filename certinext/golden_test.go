// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

var update = flag.Bool("update", false, "rewrite the golden requests and results from what the client does")

// TestGolden makes every call once, against the answers in testdata/golden/<case>/response.http,
// and compares the requests as they were sent and the result with the files beside it. The answers
// are written by hand, in the shapes that were documented or observed, with invented values. A line
// ### separates several, and several requests.
//
// Cases that begin with v1- speak version 1, and are listed in golden_v1_test.go.
func TestGolden(t *testing.T) {
	type client = *certinext.Client
	ctx := context.Background()
	const ssl, pki, id = certinext.FamilySSL, certinext.FamilyPrivatePKI, "1000000001"
	csr := readFile(t, "leaf.csr")
	agreement := certinext.Agreement{SignerName: "Platform Team", SignerPlace: "New York", Accepted: true}
	void := func(err error) (any, error) { return nil, err }

	dv := dvOrder()
	dv.IdempotencyKey = "6f1b2c9e-0000-4000-8000-000000000001"
	documented := dv
	documented.Agreement = &certinext.Agreement{
		SignerName: "Platform Team", SignerPlace: "New York", SignerIP: "203.0.113.7", Accepted: true,
	}
	draft := dv
	draft.SaveAsDraft = true
	everything := certinext.OrderRequest{
		Family: ssl, ProductCode: "846", Variant: "ov", Domain: "host.example.com",
		AdditionalDomains: []string{"a.example.com", "*.example.com"}, CSR: csr,
		Requestor: certinext.Contact{
			Name: "Platform Team", Email: "ops@example.com", Phone: "+14155550123", Designation: "PKI Manager",
		},
		Delegation:       &certinext.Contact{Name: "Second Team", Email: "second@example.com"},
		TechnicalContact: &certinext.Contact{Name: "Technical Team", Email: "tech@example.com", Phone: "+14155550199"},
		Organization:     &certinext.OrganizationRef{Number: "4000001", ConsentToken: "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e"},
		Agreement:        &agreement, GroupNumber: "3000000001", ValidityYears: 3, AutoRenew: true, RenewBeforeDays: 60,
		AutoSecureWWW: true, EmailNotifications: "0", RecipientEmails: []string{"ops@example.com"},
		Tags: []string{"department:IT", "vault:4f1c"}, Remarks: "for the shop; vault 4f1c",
		CustomFields: []certinext.CustomField{{FieldID: "456", Value: "x"}}, RequestID: "2000000001",
		Extra:          map[string]any{"contractSigner": map[string]any{"name": "Platform Team"}, "remarks": "loses"},
		IdempotencyKey: "6f1b2c9e-0000-4000-8000-000000000002",
	}
	private := certinext.OrderRequest{
		Family: pki, ProductCode: "149", Variant: "intranet-ssl", Domain: "intranet.example.local",
		AdditionalDomains: []string{"portal.example.local", "10.0.0.5"}, CAProfileID: "1", MasterProductID: "7", CSR: csr,
		Requestor: dv.Requestor, Agreement: &agreement, Organization: everything.Organization, Delegation: everything.Delegation,
		IdempotencyKey: "6f1b2c9e-0000-4000-8000-000000000003",
	}
	signer := certinext.OrderRequest{
		Family: certinext.FamilySignature, ProductCode: "819", Variant: "natural-person", Requestor: dv.Requestor,
		Agreement:      &agreement,
		Subject:        &certinext.Subject{FirstName: "Platform", LastName: "Team", Email: "platform@example.com", CountryCode: "IN"},
		IdempotencyKey: "6f1b2c9e-0000-4000-8000-000000000004",
	}
	entity := signer
	entity.ProductCode, entity.Variant, entity.Organization = "825", "legal-entity", everything.Organization
	entity.Subject = &certinext.Subject{
		FirstName: "Platform", LastName: "Team", Email: "seal@example.com", Phone: "+14155550123", Designation: "Registrar",
		IdentityDocumentType: "passport", IdentificationNumber: "X1234567", StreetAddress1: "1 Main Street",
		StreetAddress2: "Floor 2", Locality: "New York", State: "New York", PostalCode: "10001", CountryCode: "US",
		OrganizationName: "Example Corporation", OrganizationUnit: "Records",
		OrganizationIdentificationNumber: "US-12-3456789", BusinessCategory: "Private Organization",
	}
	igtf := certinext.OrderRequest{
		Family: pki, ProductCode: "104", Variant: "igtf-host", Domain: "grid.example.edu",
		AdditionalDomains: []string{"storage.example.edu", "2001:db8::5"}, Requestor: dv.Requestor,
		IdempotencyKey: "6f1b2c9e-0000-4000-8000-000000000006",
	}
	create := func(r certinext.OrderRequest) func(client) (any, error) {
		return func(c client) (any, error) { return c.CreateOrder(ctx, r) }
	}
	track := func(f certinext.Family, id string) func(client) (any, error) {
		return func(c client) (any, error) { return c.TrackOrder(ctx, f, id) }
	}
	challenge := func(m certinext.DCVMethod) func(client) (any, error) {
		return func(c client) (any, error) { return c.DCVChallenge(ctx, id, "host.example.com", m) }
	}
	verify := func(c client) (any, error) {
		return void(c.VerifyDCV(ctx, id, "host.example.com", certinext.DCVMethodDNS))
	}
	download := func(c client) (any, error) { return c.Certificate(ctx, ssl, id) }
	revoke := func(c client) (any, error) {
		return c.RevokeOrder(ctx, ssl, id, certinext.RevokeRequest{
			Reason: certinext.ReasonKeyCompromise, Note: "leaked; replaced", IdempotencyKey: "6f1b2c9e-0000-4000-8000-000000000005",
		})
	}
	reissue := func(r certinext.ReissueRequest) func(client) (any, error) {
		r.CSR = csr
		return func(c client) (any, error) { return c.ReissueOrder(ctx, ssl, id, r) }
	}
	me := func(c client) (any, error) { return c.Me(ctx) }

	domainChallenge := func(m certinext.DCVMethod) func(client) (any, error) {
		return func(c client) (any, error) { return c.DomainChallenge(ctx, testDomainID, "example.com", m) }
	}
	addDomain := func(renew bool) func(client) (any, error) {
		r := example()
		r.Renew = renew
		return func(c client) (any, error) {
			d, ch, err := c.AddDomain(ctx, r)
			return struct {
				Domain    *certinext.Domain
				Challenge *certinext.Challenge
			}{d, ch}, err
		}
	}
	renewDomain := func(c client) (any, error) {
		return c.RenewDomainChallenge(ctx, testDomainID, "example.com", certinext.DCVMethodDNS)
	}
	verifyDomain := func(c client) (any, error) { return void(c.VerifyDomain(ctx, testDomainID)) }

	cases := map[string]func(client) (any, error){
		"domain-add":                   addDomain(false),
		"domain-add-exists":            addDomain(false),
		"domain-add-renew":             addDomain(true),
		"domain-read":                  func(c client) (any, error) { return c.Domain(ctx, testDomainID) },
		"domain-challenge":             domainChallenge(certinext.DCVMethodDNS),
		"domain-challenge-file":        domainChallenge(certinext.DCVMethodHTTP),
		"domain-challenge-expired":     domainChallenge(certinext.DCVMethodDNS),
		"domain-challenge-verified":    domainChallenge(certinext.DCVMethodDNS),
		"domain-renew-challenge":       renewDomain,
		"domain-renew-challenge-empty": renewDomain,
		"domain-verify":                verifyDomain,
		"domain-verify-missing":        verifyDomain,
		"domain-diagnosis":             func(c client) (any, error) { return c.DomainDiagnosis(ctx, testDomainID) },
		"reissue-rekey":                reissue(certinext.ReissueRequest{Reason: "key rotation; planned"}),
		"reissue-names": reissue(certinext.ReissueRequest{
			UpdateNames: true, AdditionalDomains: []string{"b.example.com"}, Reason: "another host", RevokePrevious: true,
		}),
		"create-ssl-dv":             create(dv),
		"create-ssl-documented":     create(documented),
		"create-ssl-ov-every-field": create(everything),
		"create-draft":              create(draft),
		"create-private-pki":        create(private),
		"create-private-pki-igtf":   create(igtf),
		"create-signature":          create(signer),
		"create-signature-every":    create(entity),
		"create-signer-documented":  create(signer),
		"create-refused":            create(dv),
		"track-issued":              track(ssl, id),
		"track-pending-dcv":         track(ssl, id),
		"track-revoked":             track(ssl, "1234567890R007"),
		"track-private-pki":         track(pki, "1000000003"),
		"track-signature":           track(certinext.FamilySignature, "1000000004"),
		"track-unknown-order":       track(ssl, "2000000001"),
		"dcv-live":                  challenge(certinext.DCVMethodDNS),
		"dcv-documented-dns":        challenge(certinext.DCVMethodDNS),
		"dcv-newer-documentation":   challenge(certinext.DCVMethodDNS),
		"dcv-http-file":             challenge(certinext.DCVMethodHTTP),
		"dcv-already-verified":      challenge(certinext.DCVMethodDNS),
		"verify-no-content":         verify,
		"verify-verified":           verify,
		"verify-missing":            verify,
		"submit-csr":                func(c client) (any, error) { return void(c.SubmitCSR(ctx, ssl, id, csr, false)) },
		"accept-agreement":          func(c client) (any, error) { return void(c.AcceptAgreement(ctx, ssl, id, agreement)) },
		"cancel":                    func(c client) (any, error) { return void(c.CancelOrder(ctx, ssl, id, "mistake; sorry")) },
		"cancel-draft":              func(c client) (any, error) { return void(c.CancelDraft(ctx, "2000000009", "")) },
		"revoke-live":               revoke,
		"revoke-documented":         revoke,
		"certificate-live":          download,
		"certificate-documented":    func(c client) (any, error) { return c.Certificate(ctx, ssl, "ord_abc123") },
		"certificate-not-ready":     download,
		"certificate-pem":           func(c client) (any, error) { return c.CertificatePEM(ctx, ssl, id) },
		"me-live":                   me,
		"me-documented":             me,
		"groups":                    func(c client) (any, error) { return c.Groups(ctx) },
		"organizations":             func(c client) (any, error) { return c.Organizations(ctx) },
		"organization":              func(c client) (any, error) { return c.Organization(ctx, "4000001") },
		"products":                  func(c client) (any, error) { return c.Products(ctx, "3000000001") },
		"custom-fields":             func(c client) (any, error) { return c.CustomFields(ctx, "974") },
		"custom-fields-none":        func(c client) (any, error) { return c.CustomFields(ctx, "974") },
		"domains": func(c client) (any, error) {
			return collect(c.Domains(ctx, certinext.DomainFilter{
				Search: "example.com", Exact: true, Status: "active", DCVStatus: "verified", OrganizationID: "4000001",
			}))
		},
		"orders-report": func(c client) (any, error) {
			return collect(c.OrdersReport(ctx, certinext.ReportFilter{
				From: time.Date(2026, 6, 8, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 6, 14, 23, 0, 0, 0, time.UTC),
				Status: certinext.StatusIssued, GroupNumber: "3000000001",
			}))
		},
		"orders-report-documented": func(c client) (any, error) {
			return collect(c.OrdersReport(ctx, certinext.ReportFilter{}))
		},
		"ledger":                        func(c client) (any, error) { return collect(c.Ledger(ctx, "3000000001")) },
		"token-oauth":                   me,
		"token-signed":                  me,
		"token-oauth-wrong-secret":      me,
		"token-oauth-not-oauth-key":     me,
		"token-signed-mismatch":         me,
		"token-signed-refused-with-200": me,
	}
	maps.Copy(cases, v1Cases(t))
	for name, do := range cases {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("testdata", "golden", name)
			answers, err := os.ReadFile(filepath.Join(dir, "response.http"))
			require.NoError(t, err)
			answer := &player{t: t, answers: bytes.Split(answers, []byte(separator)), token: strings.HasPrefix(name, "token-")}
			c := &certinext.Client{
				BaseURL: testBase, Credentials: certinext.OAuth{ClientID: "1234567890", ClientSecret: testSecret},
				HTTPClient: &http.Client{Transport: answer}, Rand: new(counter), Retries: -1,
				Now: func() time.Time { return time.Date(2026, 4, 24, 10, 0, 0, 0, time.UTC) },
			}
			documented := strings.Contains(name, "documented") && !strings.HasPrefix(name, "me-")
			if documented || strings.Contains(name, "signed") {
				c.Credentials = certinext.AccessKey{AccountNumber: "1234567890", AccessKey: "access-key"}
			}
			if strings.HasPrefix(name, "v1-") {
				c.Version = certinext.V1
				if !strings.HasSuffix(name, "-oauth") {
					c.Credentials = certinext.AccessKey{AccountNumber: "1234567890", AccessKey: "access-key"}
				}
			}
			result, err := do(c)
			assert.Empty(t, answer.answers, "answers that nobody asked for")
			compare(t, filepath.Join(dir, "request.http"), bytes.Join(answer.sent, []byte(separator)))
			compare(t, filepath.Join(dir, "result.json"), encodeResult(result, err))
		})
	}
}

// TestGoldenHasNoStrays keeps testdata/golden and TestGolden the same size.
func TestGoldenHasNoStrays(t *testing.T) {
	cases, err := filepath.Glob("testdata/golden/*")
	require.NoError(t, err)
	for _, dir := range cases {
		files, err := filepath.Glob(dir + "/*")
		require.NoError(t, err)
		assert.Len(t, files, 3, "%s: response.http by hand, request.http and result.json by go test -run TestGolden -update", dir)
	}
}

const separator = "\n###\n"

// A player gives its answers in turn and writes down the requests that it answers: those of the
// call, or of the token.
type player struct {
	t       *testing.T
	answers [][]byte
	token   bool
	sent    [][]byte
}

func (p *player) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	if isToken := r.URL.Path == "/oauth/token"; isToken != p.token {
		if isToken {
			return response(200, `{"access_token":"opaque-token","expires_in":3600}`), nil
		}
		return response(200, `{}`), nil
	}
	require.NotEmpty(p.t, p.answers, "one more request: %s %s", r.Method, r.URL)
	p.sent = append(p.sent, writeRequest(r, body))
	b := p.answers[0]
	p.answers = p.answers[1:]
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), r)
	require.NoError(p.t, err)
	return res, nil
}

func writeRequest(r *http.Request, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL.RequestURI())
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(r.Header[name], ", "))
	}
	b.WriteByte('\n')
	if json.Indent(&b, body, "", "  ") != nil {
		b.Write(body)
	}
	if len(body) > 0 {
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// encodeResult writes what a caller sees: the value, or the error with its text.
func encodeResult(v any, err error) []byte {
	var e *certinext.Error
	if errors.As(err, &e) {
		shown := *e
		shown.Err = nil
		v = struct {
			Text  string
			Error certinext.Error
		}{err.Error(), shown}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return []byte(err.Error())
	}
	return b.Bytes()
}

func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "%s; rewrite with -update if the change is meant", file)
}

func collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for v, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

// A counter is a reader of 0, 1, 2, ...
type counter byte

func (c *counter) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(*c)
		*c++
	}
	return len(b), nil
}
