// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// The fuzz targets feed the body of an answer to a call, as a server could, and check what holds of
// every result: that there is one or an error, that ids fit into paths, that text can be shown, and
// that nothing secret is shown.

// seed adds the bodies of the golden answers whose names begin with a prefix, and some that are
// nobody's.
func seed(f *testing.F, prefix string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "golden", prefix+"*", "response.http"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds %s: %v", prefix, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for answer := range bytes.SplitSeq(b, []byte(separator)) {
			_, body, _ := bytes.Cut(answer, []byte("\n\n"))
			f.Add(body)
		}
	}
	for _, s := range []string{``, `null`, `[]`, `{}`, `""`, `0`, `<html>`, `{"content":[{}]}`, `[{}]`, "\ufeff{}"} {
		f.Add([]byte(s))
	}
}

func fuzzClient(status int, body []byte) *certinext.Client {
	_, c := newRig(always(status, string(body)))
	c.Retries = -1
	return c
}

// judge checks the error of a call.
func judge(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var e *certinext.Error
	if !errors.As(err, &e) {
		t.Fatalf("not an *Error: %v", err)
	}
	if s := err.Error(); strings.Contains(s, testSecret) || strings.Contains(s, "token-1") {
		t.Fatalf("a secret is shown: %q", s)
	}
	printable(t, err.Error(), e.Code, e.Detail)
	if len(e.Fields) > 20 || len(err.Error()) > 32<<10 {
		t.Fatalf("unbounded: %d fields, %d bytes", len(e.Fields), len(err.Error()))
	}
}

func printable(t *testing.T, all ...string) {
	t.Helper()
	for _, s := range all {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
			t.Fatalf("unprintable: %q", s)
		}
	}
}

func usableID(t *testing.T, id string) {
	t.Helper()
	if len(id) > 64 || id == "." || id == ".." || strings.ContainsAny(id, "/\\?#% \x00\r\n") {
		t.Fatalf("id %q", id)
	}
}

func FuzzOrder(f *testing.F) {
	seed(f, "track-")
	seed(f, "create-")
	f.Fuzz(func(t *testing.T, body []byte) {
		ctx := context.Background()
		o, err := fuzzClient(200, body).TrackOrder(ctx, certinext.FamilySSL, "1")
		judge(t, err)
		if err == nil {
			usableID(t, o.ID)
			usableID(t, o.RequestID)
			printable(t, string(o.Status), o.Domain, o.SubjectName, o.OrderState, o.CertificateState, o.Remark, o.ProductCode)
			if (o.ID != "" && o.ID != "1") || o.Status == "" {
				t.Fatalf("%+v", o)
			}
		}
		o, err = fuzzClient(201, body).CreateOrder(ctx, dvOrder())
		judge(t, err)
		switch {
		case err == nil && o.ID == "":
			t.Fatal("an order without an id")
		case err != nil && !certinext.MayHaveActed(err):
			t.Fatalf("a success that cannot be read counts as nothing: %v", err)
		}
	})
}

// publishable checks a challenge, where there is one.
func publishable(t *testing.T, ch *certinext.Challenge, err error, m certinext.DCVMethod) {
	t.Helper()
	if err != nil || ch == nil || ch.AlreadyVerified {
		return
	}
	printable(t, append(ch.EmailTo, ch.DNSHost, ch.DNSValue, ch.HTTPContent, ch.HTTPPath, ch.ExpiresText)...)
	switch {
	case m == certinext.DCVMethodDNS && ch.DNSValue == "", m == certinext.DCVMethodHTTP && ch.HTTPContent == "",
		strings.Contains(ch.HTTPPath, ".."), ch.HTTPPath != "" && ch.HTTPPath[0] != '/':
		t.Fatalf("%+v", ch)
	}
}

func FuzzChallenge(f *testing.F) {
	seed(f, "dcv-")
	f.Add([]byte(`{"token":""}`))
	f.Add([]byte(`{"fileName":"../x","fileToken":"\u0007","dnsHost":"a\nb"}`))
	f.Add([]byte(`[{"domain":"host.example.com","token":"v"}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, m := range []certinext.DCVMethod{certinext.DCVMethodDNS, certinext.DCVMethodHTTP, certinext.DCVMethodEmail} {
			ch, err := fuzzClient(200, body).DCVChallenge(context.Background(), "1", "host.example.com", m)
			judge(t, err)
			publishable(t, ch, err, m)
		}
		judge(t, fuzzClient(200, body).VerifyDCV(context.Background(), "1", "host.example.com", certinext.DCVMethodDNS))
	})
}

func FuzzBundle(f *testing.F) {
	seed(f, "certificate-")
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := fuzzClient(200, body).Certificate(context.Background(), certinext.FamilySSL, "1")
		judge(t, err)
		if err != nil {
			return
		}
		usableID(t, b.OrderID)
		for _, s := range append(b.Chain, b.Certificate) {
			block, rest := pem.Decode([]byte(s))
			if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 || !strings.HasSuffix(s, "\n") {
				t.Fatalf("not one certificate: %q", s)
			}
		}
	})
}

func FuzzError(f *testing.F) {
	for _, prefix := range []string{"create-refused", "track-unknown", "verify-missing", "token-signed-mismatch", "token-oauth-wrong"} {
		seed(f, prefix)
	}
	f.Add([]byte(`{"detail":"` + testSecret + `"}`))
	f.Add([]byte(`{"errors":{"a":"token-1"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, status := range []int{400, 422, 500} {
			_, err := fuzzClient(status, body).CreateOrder(context.Background(), dvOrder())
			if err == nil {
				t.Fatal("no error")
			}
			judge(t, err)
			if !certinext.MayHaveActed(err) && (status == 500 || !certinext.IsRefusal(err, status) || !ownShape(status, body)) {
				t.Fatalf("status %d: %v", status, err)
			}
		}
	})
}

// ownShape reports whether a body has what a refusal of CERTInext's cannot do without, whatever
// else it holds.
func ownShape(status int, body []byte) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(bytes.TrimPrefix(bytes.TrimSpace(body), []byte("\ufeff")), &members) != nil {
		return false
	}
	return regexp.MustCompile(`(EMS|DOMAIN)-`).Match(body) || bytes.Contains(body, []byte(strconv.Itoa(status)))
}

func FuzzReport(f *testing.F) {
	seed(f, "orders-report")
	f.Add([]byte(`{"content":[{"orderNumber":"../1","domainName":"a\u0000\u202eb","tags":["\u0007"]}]}`))
	seed(f, "ledger")
	f.Fuzz(func(t *testing.T, body []byte) {
		if bytes.Contains(body, []byte("totalPages")) && len(body) > 4<<10 {
			t.Skip("thousands of equal pages")
		}
		c := fuzzClient(200, body)
		n := 0
		for row, err := range c.OrdersReport(context.Background(), certinext.ReportFilter{}) {
			judge(t, err)
			usableID(t, row.OrderID)
			usableID(t, row.RequestID)
			printable(t, append(row.Tags, row.Domain, row.OrderStatus, row.Remarks)...)
			if n++; n > 300 {
				break
			}
		}
		n = 0
		for _, err := range c.Ledger(context.Background(), "") {
			judge(t, err)
			if n++; n > 300 {
				break
			}
		}
	})
}

func FuzzDomains(f *testing.F) {
	seed(f, "domains")
	f.Add([]byte(`{"content":[{"domainId":"../1","domainName":"a\u0000b"}],"totalElements":1000000000}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for d, err := range fuzzClient(200, body).Domains(ctx, certinext.DomainFilter{}) {
			judge(t, err)
			usableID(t, d.ID)
			printable(t, d.Name, d.OrganizationName, d.Status)
		}
		if ctx.Err() != nil {
			t.Fatal("endless")
		}
	})
}

func FuzzDomain(f *testing.F) {
	seed(f, "domain-")
	f.Add([]byte(`{"domainId":"../1","domainName":"a\u0000b","organizationId":"\u202e","dcv":{"txtToken":"\u0007"}}`))
	f.Add([]byte(`{"method":"dns-txt","txtToken":null,"fileToken":{},"tokenExpiry":"\u0000"}`))
	f.Add([]byte(`{"fileName":"f..txt","fileToken":"v"}`))
	f.Add([]byte(`{"method":"DNS-TXT","domainName":"evil.example","existingDomainId":"token-1"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		ctx := context.Background()
		show := func(d *certinext.Domain) {
			usableID(t, d.ID)
			printable(t, d.Name, d.OrganizationID, d.OrganizationName, d.Status, d.DCVStatus, d.DCVMethod)
			if d.ID == "" || d.Name == "" {
				t.Fatalf("%+v", d)
			}
		}
		d, ch, err := fuzzClient(201, body).AddDomain(ctx, example())
		judge(t, err)
		switch {
		case err != nil && !certinext.MayHaveActed(err):
			t.Fatalf("a success that cannot be read counts as nothing: %v", err)
		case err == nil:
			show(d)
			if !strings.EqualFold(strings.Trim(d.Name, ". "), "example.com") && d.Name != "*.example.com" {
				t.Fatalf("another domain: %q", d.Name)
			}
		}
		publishable(t, ch, err, certinext.DCVMethodDNS)
		d, err = fuzzClient(200, body).Domain(ctx, testDomainID)
		judge(t, err)
		if err == nil {
			show(d)
		}
		for _, m := range []certinext.DCVMethod{certinext.DCVMethodDNS, certinext.DCVMethodHTTP, certinext.DCVMethodEmail} {
			ch, err := fuzzClient(200, body).DomainChallenge(ctx, testDomainID, "example.com", m)
			judge(t, err)
			publishable(t, ch, err, m)
			ch, err = fuzzClient(200, body).RenewDomainChallenge(ctx, testDomainID, "example.com", m)
			judge(t, err)
			publishable(t, ch, err, m)
			if err != nil && !certinext.MayHaveActed(err) {
				t.Fatalf("a success that cannot be read counts as nothing: %v", err)
			}
		}
		judge(t, fuzzClient(200, body).VerifyDomain(ctx, testDomainID))
		diagnosis, err := fuzzClient(200, body).DomainDiagnosis(ctx, testDomainID)
		judge(t, err)
		if err == nil {
			printable(t, append(diagnosis.NextSteps, diagnosis.Method, diagnosis.FailureClass)...)
		}
		_, _, err = fuzzClient(409, body).AddDomain(ctx, example())
		judge(t, err)
		var e *certinext.Error
		if errors.As(err, &e) {
			usableID(t, e.ExistingDomainID)
			if strings.Contains(e.ExistingDomainID, "token-1") {
				t.Fatalf("a secret for an id: %q", e.ExistingDomainID)
			}
		}
	})
}

func FuzzProducts(f *testing.F) {
	seed(f, "products")
	seed(f, "custom-fields")
	seed(f, "groups")
	seed(f, "organization")
	f.Add([]byte(`{"products":[{"categoryName":"\u0000","products":[{"productName":"\u202e"},{"productCode":"\u0007x"}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		ctx, c := context.Background(), fuzzClient(200, body)
		products, err := c.Products(ctx, "")
		judge(t, err)
		for _, p := range products {
			printable(t, p.Code, p.Name, p.Currency)
			if p.Code == "" {
				t.Fatal("a product without a code")
			}
		}
		fields, err := c.CustomFields(ctx, "1")
		judge(t, err)
		for _, s := range fields {
			printable(t, s.ID, s.Name, s.Section)
		}
		_, err = c.Groups(ctx)
		judge(t, err)
		_, err = c.Organizations(ctx)
		judge(t, err)
		_, err = c.Organization(ctx, "1")
		judge(t, err)
		_, err = c.Me(ctx)
		judge(t, err)
	})
}

func FuzzToken(f *testing.F) {
	seed(f, "token-")
	f.Add([]byte(`{"access_token":"a b"}`))
	f.Add([]byte(`{"access_token":"a\r\nX: 1"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		g, c := newRig(always(200, meBody))
		c.Retries = -1
		g.token = func(int, context.Context) (*http.Response, error) { return response(200, string(body)), nil }
		_, err := c.Me(context.Background())
		judge(t, err)
		if err != nil {
			return
		}
		header := g.sentCalls()[0].header.Get("Authorization")
		if token := strings.TrimPrefix(header, "Bearer "); token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Fatalf("header %q", header)
		}
	})
}

func FuzzParseReason(f *testing.F) {
	for _, s := range []string{"keyCompromise", "key-compromise", "1", "10", "", "-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := certinext.ParseReason(s)
		if err != nil {
			printable(t, err.Error())
			return
		}
		if again, err := certinext.ParseReason(string(r)); err != nil || again != r {
			t.Fatalf("%q, %v", again, err)
		}
	})
}
