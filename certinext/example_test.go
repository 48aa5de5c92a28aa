// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// exampleServer stands in for CERTInext; a real client needs no HTTPClient.
func exampleServer() *certinexttest.Server {
	return &certinexttest.Server{VerifiedDomains: []string{"example.com"}}
}

func exampleClient(srv *certinexttest.Server) *certinext.Client {
	return &certinext.Client{
		BaseURL: "https://certinext.example",
		Credentials: certinext.OAuth{
			ClientID: certinexttest.DefaultAccountNumber, ClientSecret: certinexttest.DefaultClientSecret,
		},
		HTTPClient: srv.Client(),
	}
}

func Example() {
	ctx := context.Background()
	c := exampleClient(exampleServer())
	me, err := c.Me(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(me.Number, me.AuthType)
	// Output: 1234567890 oauth2
}

// An order is driven by its status, whatever comes: stages are skipped, repeated, and new ones may
// appear.
func ExampleClient_CreateOrder() {
	ctx := context.Background()
	c := exampleClient(exampleServer())
	order, err := c.CreateOrder(ctx, certinext.OrderRequest{
		Family: certinext.FamilySSL, ProductCode: "842", Variant: "dv", Domain: "www.example.com",
		Requestor: certinext.Contact{Name: "Platform Team", Email: "ops@example.com"},
		Tags:      []string{"request:4f1c"}, // stored before this call, to find the order again
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(order.Status)
	switch order.Status {
	case certinext.StatusPendingDCV: // publish c.DCVChallenge, then c.VerifyDCV
	case certinext.StatusPendingCSR: // c.SubmitCSR
	case certinext.StatusPendingAgreement: // c.AcceptAgreement
	case certinext.StatusIssued: // c.Certificate, until it is there
	default: // wait, and track again
	}
	// Output: pending-csr
}

// A key that is not in OAuth mode is good for version 1. There, a create says nothing of the order
// but its id.
func Example_version1() {
	ctx := context.Background()
	srv := &certinexttest.Server{Dialect: certinexttest.V1, VerifiedDomains: []string{"example.com"}}
	c := &certinext.Client{
		BaseURL: "https://certinext.example",
		Version: certinext.V1,
		Credentials: certinext.AccessKey{
			AccountNumber: certinexttest.DefaultAccountNumber, AccessKey: certinexttest.DefaultAccessKey,
		},
		HTTPClient: srv.Client(),
	}
	order, err := c.CreateOrder(ctx, certinext.OrderRequest{
		Family: certinext.FamilySSL, ProductCode: "842", Variant: "dv", Domain: "www.example.com",
		Requestor:    certinext.Contact{Name: "Platform Team", Email: "ops@example.com"},
		Organization: &certinext.OrganizationRef{Number: certinexttest.DefaultOrganization}, // whose domains are validated
		Agreement: &certinext.Agreement{
			SignerName: "Platform Team", SignerPlace: "New York", SignerIP: "203.0.113.7", Accepted: true,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(order.Status)
	order, err = c.TrackOrder(ctx, certinext.FamilySSL, order.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(order.Status)
	// Output:
	// unknown
	// pending-csr
}

// A create that failed ambiguously is looked for and not repeated.
func ExampleClient_OrdersReport() {
	ctx := context.Background()
	srv := exampleServer()
	c := exampleClient(srv)
	srv.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})

	_, err := c.CreateOrder(ctx, certinext.OrderRequest{
		Family: certinext.FamilySSL, ProductCode: "842", Variant: "dv", Domain: "www.example.com",
		Requestor: certinext.Contact{Name: "Platform Team", Email: "ops@example.com"},
		Tags:      []string{"request:4f1c"},
	})
	if !certinext.MayHaveActed(err) {
		log.Fatal("it can simply be placed again")
	}
	day := 24 * time.Hour
	window := certinext.ReportFilter{From: time.Now().Add(-3 * day), To: time.Now().Add(3 * day)}
	for row, err := range c.OrdersReport(ctx, window) {
		if err != nil {
			log.Fatal(err)
		}
		if slices.Contains(row.Tags, "request:4f1c") {
			fmt.Println("found an order for", row.Domain)
		}
	}
	// Output: found an order for www.example.com
}

// A reason that the CA cannot express is refused by name; what to do then is the caller's choice.
func ExampleClient_RevokeOrder() {
	c := exampleClient(exampleServer())
	_, err := c.RevokeOrder(context.Background(), certinext.FamilySSL, "1000000001", certinext.RevokeRequest{
		Reason: certinext.ReasonUnspecified,
	})
	var unsupported *certinext.UnsupportedReasonError
	if errors.As(err, &unsupported) {
		fmt.Println(unsupported.Supported)
	}
	// Output: [key-compromise affiliation-changed superseded cessation-of-operation privilege-withdrawn]
}

func ExampleIsNotReady() {
	srv := exampleServer()
	c := exampleClient(srv)
	_, err := c.Certificate(context.Background(), certinext.FamilySSL, "1000000001")
	fmt.Println(certinext.IsNotReady(err))
	// Output: true
}

func ExampleParseReason() {
	for _, s := range []string{"key-compromise", "keyCompromise", "key_compromise", "1"} {
		r, err := certinext.ParseReason(s)
		fmt.Println(r, err)
	}
	// Output:
	// key-compromise <nil>
	// key-compromise <nil>
	// key-compromise <nil>
	// key-compromise <nil>
}
