// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"iter"
)

// A protocol is a version of the API (ADR 0011): it has the addresses and spellings of its calls,
// and returns the types of this package. Checks that are the same for both versions are made before
// it is called. Both versions send with [Client.do], which repeats calls, masks secrets, and
// decides whether a failed call may have acted.
type protocol interface {
	create(ctx context.Context, s *session, operation string, r OrderRequest) (*Order, error)
	track(ctx context.Context, operation string, f Family, id string) (*Order, error)
	submitCSR(ctx context.Context, operation string, f Family, id, csr string, attested bool) error
	accept(ctx context.Context, operation string, f Family, id string, a Agreement) error
	cancel(ctx context.Context, operation string, f Family, id, reason string) error
	cancelDraft(ctx context.Context, operation, requestID, reason string) error
	challenge(
		ctx context.Context, operation, orderID, domain string, m DCVMethod,
	) (*Challenge, error)
	verify(ctx context.Context, operation, orderID, domain string, m DCVMethod) error
	// reasons returns those that a certificate of the family can be revoked with.
	reasons(f Family) []Reason
	revoke(ctx context.Context, operation string, f Family, id string, r RevokeRequest) error
	certificate(ctx context.Context, operation string, f Family, id string) (*Bundle, error)
	certificatePEM(ctx context.Context, operation string, f Family, id string) (*Bundle, error)

	me(ctx context.Context, operation string) (*Account, error)
	groups(ctx context.Context, operation string) ([]Group, error)
	organizations(ctx context.Context, operation string) ([]Organization, error)
	organization(ctx context.Context, operation, number string) (*Organization, error)
	products(ctx context.Context, operation, groupNumber string) ([]Product, error)
	customFields(ctx context.Context, operation, productCode string) ([]CustomFieldSpec, error)
	domains(ctx context.Context, operation string, f DomainFilter) iter.Seq2[Domain, error]
	ordersReport(ctx context.Context, operation string, f ReportFilter) iter.Seq2[ReportRow, error]
	// firstPage is the number of the first page of the orders report.
	firstPage() int
	reportPage(
		ctx context.Context, operation string, f ReportFilter, number int,
	) (page[wireReportRow], error)
	ledger(ctx context.Context, operation, groupNumber string) iter.Seq2[LedgerRow, error]
}

// v2 is the REST API below /api/certinext/v2.
type v2 struct{ *Client }

// protocol returns the version that the Client speaks.
func (c *Client) protocol() protocol {
	if c.Version == V1 {
		return v1{c}
	}
	return v2{c}
}

// protocolFor returns the version that serves orders of a family. Version 2 has no path for S/MIME.
func (c *Client) protocolFor(f Family) protocol {
	if f == FamilySMIME {
		return v1{c}
	}
	return c.protocol()
}
