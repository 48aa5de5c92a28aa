// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// succeeded reports whether an answer of version 1 says so.
func succeeded(body []byte) bool {
	var w struct {
		Meta map[string]any `json:"meta"`
	}
	body = bytes.TrimPrefix(bytes.TrimSpace(body), []byte("\ufeff"))
	if json.Unmarshal(body, &w) != nil {
		return false
	}
	for name, value := range w.Meta {
		if strings.EqualFold(name, "status") && strings.TrimSpace(fmt.Sprint(value)) == "1" {
			return true
		}
	}
	return false
}

// FuzzV1 answers every verb of version 1 with the same body.
func FuzzV1(f *testing.F) {
	seed(f, "v1-")
	f.Add([]byte(trackedV1))
	f.Add([]byte(burstV1))
	f.Add([]byte(`{"meta":{"status":"1"},"orderDetails":{"orderNumber":"../1","domainVerification":{"a\u0000b":{"dcvStatus":"\u202e"}}}}`))
	f.Add([]byte(`{"meta":{"status":"0","errorCode":"` + testAccessKey + `","errorMessage":"\u0007` + testAccessKey + `"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, c := newV1Rig(func(n int, _ sent) (*http.Response, error) {
			if n > 200 { // thousands of equal pages are announced
				return response(500, ``), nil
			}
			return response(200, string(body)), nil
		})
		c.Retries = -1
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		fuzzV1Orders(ctx, t, c, body)
		fuzzV1Lists(ctx, t, c)
		if ctx.Err() != nil {
			t.Fatal("endless")
		}
	})
}

func fuzzV1Orders(ctx context.Context, t *testing.T, c *certinext.Client, body []byte) {
	t.Helper()
	if err := c.CancelDraft(ctx, "1", ""); err == nil && !succeeded(body) {
		t.Fatal("a success that nobody announced")
	} else if err != nil {
		judgeV1(t, err)
		if !certinext.MayHaveActed(err) && succeeded(body) {
			t.Fatalf("an announced success counts as nothing: %v", err)
		}
	}
	o, err := c.CreateOrder(ctx, dvOrder())
	judgeV1(t, err)
	if err == nil && (o.ID == "" || !succeeded(body)) {
		t.Fatalf("%+v", o)
	}
	o, err = c.TrackOrder(ctx, certinext.FamilySSL, "1")
	judgeV1(t, err)
	if err == nil {
		usableID(t, o.ID)
		usableID(t, o.RequestID)
		printable(t, string(o.Status), o.Domain, o.OrderState, o.CertificateState, o.Remark)
		if (o.ID != "" && o.ID != "1") || !o.Status.Known() {
			t.Fatalf("%+v", o)
		}
		for _, d := range o.Domains {
			printable(t, d.Domain, d.Status, d.DCVMethod, d.DCVStatus, d.CAAStatus)
		}
	}
	for _, m := range []certinext.DCVMethod{certinext.DCVMethodDNS, certinext.DCVMethodHTTP, certinext.DCVMethodEmail} {
		ch, err := c.DCVChallenge(ctx, "1", "host.example.com", m)
		judgeV1(t, err)
		if err == nil {
			printable(t, append(ch.EmailTo, ch.DNSHost, ch.DNSValue, ch.HTTPContent, ch.HTTPPath)...)
		}
		judgeV1(t, c.VerifyDCV(ctx, "1", "host.example.com", m))
	}
	b, err := c.Certificate(ctx, certinext.FamilySSL, "1")
	judgeV1(t, err)
	if err == nil && (b.OrderID != "1" || !strings.HasPrefix(b.Certificate, "-----BEGIN CERTIFICATE-----\n")) {
		t.Fatalf("%+v", b)
	}
	for _, call := range everyV1 {
		judgeV1(t, call(ctx, c))
	}
}

func fuzzV1Lists(ctx context.Context, t *testing.T, c *certinext.Client) {
	t.Helper()
	n := 0
	for row, err := range c.OrdersReport(ctx, certinext.ReportFilter{}) {
		judgeV1(t, err)
		usableID(t, row.OrderID)
		printable(t, append(row.Tags, row.Domain, row.OrderStatus, row.CertificateStatus)...)
		if n++; n > 300 {
			break
		}
	}
	n = 0
	for _, err := range c.Ledger(ctx, "") {
		judgeV1(t, err)
		if n++; n > 300 {
			break
		}
	}
	for d, err := range c.Domains(ctx, certinext.DomainFilter{}) {
		judgeV1(t, err)
		printable(t, d.Name, d.OrganizationName, d.Status, d.DCVMethod)
	}
	products, err := c.Products(ctx, "")
	judgeV1(t, err)
	for _, p := range products {
		printable(t, p.Code, p.Name)
	}
	_, err = c.CustomFields(ctx, "974")
	judgeV1(t, err)
	_, err = c.Organization(ctx, "1")
	judgeV1(t, err)
	_, err = c.Organizations(ctx)
	judgeV1(t, err)
	_, err = c.Me(ctx)
	judgeV1(t, err)
}

func judgeV1(t *testing.T, err error) {
	t.Helper()
	judge(t, err)
	if err != nil && strings.Contains(err.Error(), testAccessKey) {
		t.Fatalf("a secret is shown: %q", err)
	}
}
