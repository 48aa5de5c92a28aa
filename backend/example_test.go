// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
)

// An engine is one mount's: it is told of the account and of roles, and then issues. Without Vault it
// needs no more than a storage.
func Example() {
	ctx, storage := context.Background(), new(logical.InmemStorage)
	ca := &certinexttest.Server{VerifiedDomains: []string{"example.com"}} // stands in for CERTInext
	e := backend.New(backend.Options{HTTPClient: ca.Client()})
	defer e.Close()

	_, err := e.WriteConfig(ctx, storage, func(c *backend.Config) error {
		c.BaseURL = "https://certinext.example"
		c.ClientID = certinexttest.DefaultAccountNumber
		c.ClientSecret = certinexttest.DefaultClientSecret
		c.Requestor.Name, c.Requestor.Email = "Platform Team", "platform@example.com"
		c.Requestor.Phone = "+14155550123"
		c.SignerName, c.SignerPlace, c.SignerIP = "Platform Team", "Bengaluru", "203.0.113.7"
		return nil
	}, backend.ConfigWrite{Verify: true}) // CERTInext is asked whether the credentials are right
	if err != nil {
		log.Fatal(err)
	}
	_, err = e.WriteRole(ctx, storage, "web", false, func(r *backend.Role) error {
		r.ProductCode, r.AllowedDomains, r.AllowSubdomains = "842", []string{"example.com"}, true
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}

	request := backend.Request{Role: "web", Requester: "entity:web-1", CommonName: "www.example.com"}
	issued, err := e.Orders.Issue(ctx, storage, request)
	if err != nil {
		log.Fatal(err)
	}
	block, _ := pem.Decode([]byte(issued.Certificate.PEM))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		log.Fatal(err)
	}
	again, err := e.Orders.Issue(ctx, storage, request) // the same request is one purchase
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(leaf.Subject.CommonName, again.Reused, len(ca.Orders()))
	// Output: www.example.com true 1
}
