// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

func TestAdvance(t *testing.T) {
	no := false
	pending := orderEntry{
		State: StatePending, Role: "web", ID: "id",
		Placement: placement{DNSNames: []string{"www.example.com"}},
	}
	refusedCSR := pending
	refusedCSR.CSRRefused = true
	proved := pending
	proved.Proofs = []validation.Proof{{
		Domain:   "www.example.com",
		DNSNames: []string{"_emudhra-challenge.www.example.com"},
		DNSValue: "token",
	}}
	asked := map[string]bool{"www.example.com": true}
	is := func(status certinext.Status) *certinext.Order { return &certinext.Order{Status: status} }
	withoutCSR := &certinext.Order{Status: certinext.StatusIssued, CSRSubmitted: &no}
	domain := func(status string) *certinext.Order {
		return &certinext.Order{
			Status:  certinext.StatusPendingDCV,
			Domains: []certinext.DomainVerification{{Domain: "www.example.com", DCVStatus: status}},
		}
	}
	for name, c := range map[string]struct {
		order  orderEntry
		remote *certinext.Order
		tried  progress
		want   step
		state  State
		needs  bool
	}{
		"a fresh order is placed": {
			order: orderEntry{State: StatePlacing, fresh: true}, want: stepPlace,
		},
		"an intent that was found in storage is never placed": {
			order: orderEntry{State: StatePlacing}, want: stepReconcile,
		},
		"an unresolved order is looked for": {
			order: orderEntry{State: StateUnresolved}, want: stepReconcile,
		},
		"an order that CERTInext was not asked about is tracked": {
			order: pending, want: stepTrack,
		},
		"issued is downloaded": {
			order: pending, remote: is(certinext.StatusIssued), want: stepDownload,
		},
		"issued without a certificate waits": {
			order: pending, remote: is(certinext.StatusIssued),
			tried: progress{downloaded: true}, want: stepWait,
		},
		"issued without a CSR gets it": {
			order: pending, remote: withoutCSR,
			tried: progress{downloaded: true}, want: stepSubmitCSR,
		},
		"a CSR is submitted": {
			order: pending, remote: is(certinext.StatusPendingCSR), want: stepSubmitCSR,
		},
		"a CSR is submitted once in a drive": {
			order: pending, remote: is(certinext.StatusPendingCSR),
			tried: progress{csrSent: true}, want: stepWait,
		},
		"a refused CSR needs a person": {
			order: refusedCSR, remote: is(certinext.StatusPendingCSR),
			want: stepGiveUp, needs: true,
		},
		"the agreement is accepted": {
			order: pending, remote: is(certinext.StatusPendingAgreement), want: stepAgree,
		},
		"the agreement is accepted once in a drive": {
			order: pending, remote: is(certinext.StatusPendingAgreement),
			tried: progress{agreed: true}, want: stepWait,
		},
		"what to publish for a domain is asked": {
			order: pending, remote: domain("PENDING"), want: stepAskProof,
		},
		"what to publish is asked once in a drive": {
			order: pending, remote: domain("PENDING"),
			tried: progress{asked: asked}, want: stepWait, needs: true,
		},
		"what to publish is known": {
			order: proved, remote: domain("PENDING"), want: stepWait, needs: true,
		},
		"a lagging aggregate needs no person": {
			order: pending, remote: domain("VERIFIED"), want: stepWait,
		},
		"an unvalidated order that lists no domains": {
			order: pending, remote: is(certinext.StatusPendingDCV),
			tried: progress{asked: asked}, want: stepWait, needs: true,
		},
		"an organization is verified by CERTInext": {
			order: pending, remote: is(certinext.StatusPendingOrganization),
			want: stepWait, needs: true,
		},
		"documents are uploaded by a person": {
			order: pending, remote: is(certinext.StatusPendingDocuments),
			want: stepWait, needs: true,
		},
		"approval is given by a person": {
			order: pending, remote: is(certinext.StatusPendingApproval),
			want: stepWait, needs: true,
		},
		"a signer's documents are vetted by a person": {
			order: pending, remote: is(certinext.StatusPendingVetting),
			want: stepWait, needs: true,
		},
		"an unclassified order waits": {
			order: pending, remote: is(certinext.StatusUnknown), want: stepWait,
		},
		"a status of a later version waits": {
			order: pending, remote: is("pending-moon-phase"), want: stepWait,
		},
		"no status at all waits": {
			order: pending, remote: &certinext.Order{}, want: stepWait,
		},
		"rejected is over": {
			order: pending, remote: is(certinext.StatusRejected),
			tried: progress{confirmed: true}, want: stepClose, state: StateRejected,
		},
		"cancelled is over": {
			order: pending, remote: is(certinext.StatusCancelled),
			tried: progress{confirmed: true}, want: stepClose, state: StateCancelled,
		},
		"expired is over": {
			order: pending, remote: is(certinext.StatusExpired),
			tried: progress{confirmed: true}, want: stepClose, state: StateExpired,
		},
		"revoked before it was downloaded is over": {
			order: pending, remote: is(certinext.StatusRevoked),
			tried: progress{confirmed: true}, want: stepClose, state: StateRevoked,
		},
		"rejected, seen once, is not believed": {
			order: pending, remote: is(certinext.StatusRejected), want: stepGiveUp, needs: true,
		},
		"expired, seen once, is not believed": {
			order: pending, remote: is(certinext.StatusExpired), want: stepGiveUp, needs: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := advance(&c.order, c.remote, c.tried)
			require.Equal(t, c.want, got.step)
			require.Equal(t, c.state, got.state)
			require.Equal(t, c.needs, len(got.needs) > 0, "%q", got.needs)
		})
	}
}

func TestAnApproverVetsASigner(t *testing.T) {
	o := &orderEntry{
		State: StatePending, CAStatus: certinext.StatusPendingVetting,
		Needs: []string{"the documents are to be vetted"},
	}
	require.Equal(t, PartyApprover, o.waitsFor())
}
