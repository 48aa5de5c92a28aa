// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// reading are the operations of the simulator that change nothing.
var reading = []string{
	certinexttest.OpToken, certinexttest.OpTrack, certinexttest.OpDCV, certinexttest.OpCertificate,
	certinexttest.OpMe, certinexttest.OpGroups, certinexttest.OpOrganizations,
	certinexttest.OpOrganization, certinexttest.OpProducts, certinexttest.OpCustomFields,
	certinexttest.OpDomains, certinexttest.OpDomain, certinexttest.OpDomainDCV,
	certinexttest.OpDomainAttempts, certinexttest.OpOrdersReport, certinexttest.OpLedger,
}

// calls has every method of the client that calls CERTInext, and whether it changes something. id is
// CERTInext's number of an order: version 1 looks at the order before it changes it.
var calls = map[string]struct {
	changes bool
	do      func(ctx context.Context, c *certinext.Client, id string) error
}{
	"Me": {do: func(ctx context.Context, c *certinext.Client, _ string) error {
		_, err := c.Me(ctx)
		return err
	}},
	"Groups": {do: func(ctx context.Context, c *certinext.Client, _ string) error {
		_, err := c.Groups(ctx)
		return err
	}},
	"Organizations": {do: func(ctx context.Context, c *certinext.Client, _ string) error {
		_, err := c.Organizations(ctx)
		return err
	}},
	"Organization": {do: func(ctx context.Context, c *certinext.Client, _ string) error {
		_, err := c.Organization(ctx, certinexttest.DefaultOrganization)
		return err
	}},
	"Products": {do: func(ctx context.Context, c *certinext.Client, _ string) error {
		_, err := c.Products(ctx, "")
		return err
	}},
	"CustomFields": {do: func(ctx context.Context, c *certinext.Client, _ string) error {
		_, err := c.CustomFields(ctx, "842")
		return err
	}},
	"Certificate": {do: func(ctx context.Context, c *certinext.Client, id string) error {
		_, err := c.Certificate(ctx, certinext.FamilySSL, id)
		return err
	}},
	"CertificatePEM": {do: func(ctx context.Context, c *certinext.Client, id string) error {
		_, err := c.CertificatePEM(ctx, certinext.FamilySSL, id)
		return err
	}},
	"CreateOrder": {changes: true, do: func(ctx context.Context, c *certinext.Client, _ string) error {
		_, err := c.CreateOrder(ctx, dvOrder())
		return err
	}},
	"DCVChallenge": {do: func(ctx context.Context, c *certinext.Client, id string) error {
		_, err := c.DCVChallenge(ctx, id, "example.com", certinext.DCVMethodDNS)
		return err
	}},
	"VerifyDCV": {changes: true, do: func(ctx context.Context, c *certinext.Client, id string) error {
		return c.VerifyDCV(ctx, id, "example.com", certinext.DCVMethodDNS)
	}},
	"SubmitDocuments": {changes: true, do: func(ctx context.Context, c *certinext.Client, id string) error {
		return c.SubmitDocuments(ctx, certinext.FamilySignature, id, []certinext.Document{
			{FileName: "a.pdf", Description: "passport", Content: []byte("%PDF-1.7\n%%EOF")},
		})
	}},
	"Domains": {do: func(ctx context.Context, c *certinext.Client, _ string) error {
		for _, err := range c.Domains(ctx, certinext.DomainFilter{}) {
			return err
		}
		return nil
	}},
	"AddDomain": {changes: true, do: func(ctx context.Context, c *certinext.Client, _ string) error {
		_, _, err := c.AddDomain(ctx, certinext.DomainRequest{
			Name: "example.net", OrganizationID: certinexttest.DefaultOrganization, Method: certinext.DCVMethodDNS,
		})
		return err
	}},
	"Domain": {do: func(ctx context.Context, c *certinext.Client, _ string) error {
		_, err := c.Domain(ctx, "1")
		return err
	}},
	"DomainChallenge": {do: func(ctx context.Context, c *certinext.Client, _ string) error {
		_, err := c.DomainChallenge(ctx, "1", "example.net", certinext.DCVMethodDNS)
		return err
	}},
	"RenewDomainChallenge": {changes: true, do: func(ctx context.Context, c *certinext.Client, _ string) error {
		_, err := c.RenewDomainChallenge(ctx, "1", "example.net", certinext.DCVMethodDNS)
		return err
	}},
	"VerifyDomain": {changes: true, do: func(ctx context.Context, c *certinext.Client, _ string) error {
		return c.VerifyDomain(ctx, "1")
	}},
	"DomainDiagnosis": {do: func(ctx context.Context, c *certinext.Client, _ string) error {
		_, err := c.DomainDiagnosis(ctx, "1")
		return err
	}},
	"TrackOrder": {do: func(ctx context.Context, c *certinext.Client, id string) error {
		_, err := c.TrackOrder(ctx, certinext.FamilySSL, id)
		return err
	}},
	"SubmitCSR": {changes: true, do: func(ctx context.Context, c *certinext.Client, id string) error {
		return c.SubmitCSR(ctx, certinext.FamilySSL, id, "csr", false)
	}},
	"AcceptAgreement": {changes: true, do: func(ctx context.Context, c *certinext.Client, id string) error {
		return c.AcceptAgreement(ctx, certinext.FamilySSL, id, certinext.Agreement{
			SignerName: "Platform Team", SignerPlace: "New York", SignerIP: "203.0.113.7", Accepted: true,
		})
	}},
	"CancelOrder": {changes: true, do: func(ctx context.Context, c *certinext.Client, id string) error {
		return c.CancelOrder(ctx, certinext.FamilySSL, id, "not needed")
	}},
	"CancelDraft": {changes: true, do: func(ctx context.Context, c *certinext.Client, _ string) error {
		return c.CancelDraft(ctx, "2000000001", "not needed")
	}},
	"ReissueOrder": {changes: true, do: func(ctx context.Context, c *certinext.Client, id string) error {
		_, err := c.ReissueOrder(ctx, certinext.FamilySSL, id, certinext.ReissueRequest{
			CSR: "csr", Reason: "the key has to change",
		})
		return err
	}},
	"OrdersReport": {do: func(ctx context.Context, c *certinext.Client, _ string) error {
		for _, err := range c.OrdersReport(ctx, certinext.ReportFilter{}) {
			return err
		}
		return nil
	}},
	"ReportPages": {do: func(ctx context.Context, c *certinext.Client, _ string) error {
		_, err := c.ReportPages().Read(ctx, 1)
		return err
	}},
	"Ledger": {do: func(ctx context.Context, c *certinext.Client, _ string) error {
		for _, err := range c.Ledger(ctx, "") {
			return err
		}
		return nil
	}},
	"RevokeOrder": {changes: true, do: func(ctx context.Context, c *certinext.Client, id string) error {
		_, err := c.RevokeOrder(ctx, certinext.FamilySSL, id, certinext.RevokeRequest{
			Reason: certinext.ReasonSuperseded,
		})
		return err
	}},
}

// silent are the methods of a client that call nobody.
var silent = []string{"Format", "ClockSkew", "CloseIdleConnections"}

func TestEveryCallOfTheClientIsKnownToChangeOrNot(t *testing.T) {
	methods := reflect.TypeOf(new(certinext.Client))
	for i := range methods.NumMethod() {
		name := methods.Method(i).Name
		if !slices.Contains(silent, name) {
			require.Contains(t, calls, name, "say whether it changes something at CERTInext")
		}
	}
}

func TestBeforeChangeEndsEveryChangeAndNoRead(t *testing.T) {
	errHeld := errors.New("held")
	for name, version := range map[string]struct {
		dialect certinexttest.Dialect
		version certinext.APIVersion
	}{
		"live": {certinexttest.Live, certinext.V2}, "documented": {certinexttest.Documented, certinext.V2},
		"version 1": {certinexttest.V1, certinext.V1},
	} {
		for method, call := range calls {
			t.Run(name+"/"+method, func(t *testing.T) {
				var mu sync.Mutex
				var sentOps []string
				ca := &certinexttest.Server{Dialect: version.dialect}
				order := dvOrder()
				order.Agreement = &certinext.Agreement{SignerName: "Platform Team", SignerPlace: "New York", SignerIP: "203.0.113.7", Accepted: true}
				order.TechnicalContact = &certinext.Contact{Name: "Platform Team", Email: "ops@example.com", Phone: "+14155550123"}
				order.Requestor.Phone = "+14155550123"
				placed, err := newClient(ca, version.version, nil).CreateOrder(t.Context(), order)
				require.NoError(t, err)
				ca.Configure(func(ca *certinexttest.Server) {
					ca.BeforeCall = func(op string, _ *http.Request) {
						mu.Lock()
						defer mu.Unlock()
						sentOps = append(sentOps, op)
					}
				})
				asked := ""
				err = call.do(t.Context(), newClient(ca, version.version, func(operation string) error {
					asked = operation
					return errHeld
				}), placed.ID)
				for _, op := range sentOps {
					require.Contains(t, reading, op, "%v", err)
				}
				var invalid *certinext.InvalidRequestError
				switch {
				case errors.As(err, &invalid): // this version has no such call
					require.Empty(t, asked)
					require.NotEqual(t, "live", name, "the call is not valid: %v", err)
				case call.changes:
					require.ErrorIs(t, err, errHeld)
					require.NotEmpty(t, asked)
					require.False(t, certinext.MayHaveActed(err))
				default:
					require.NotErrorIs(t, err, errHeld)
					require.NotEmpty(t, sentOps)
					require.Empty(t, asked)
				}
			})
		}
	}
}

func newClient(ca *certinexttest.Server, v certinext.APIVersion, before func(string) error) *certinext.Client {
	c := &certinext.Client{
		BaseURL: "https://sandbox.certinext.test", Version: v, HTTPClient: ca.Client(), Retries: -1, BeforeChange: before,
		Credentials: certinext.AccessKey{AccountNumber: certinexttest.DefaultAccountNumber, AccessKey: certinexttest.DefaultAccessKey},
	}
	if ca.Dialect == certinexttest.Live {
		c.Credentials = certinext.OAuth{ClientID: certinexttest.DefaultAccountNumber, ClientSecret: certinexttest.DefaultClientSecret}
	}
	return c
}
