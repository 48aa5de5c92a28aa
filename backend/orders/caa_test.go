// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

func TestWhatCAAForbidsComesFirst(t *testing.T) {
	remote := func(status certinext.Status, caa ...string) *certinext.Order {
		o := &certinext.Order{Status: status}
		for i, c := range caa {
			domain := []string{"a.example.com", "b.example.com"}[i]
			o.Domains = append(o.Domains, certinext.DomainVerification{
				Domain: domain, DCVStatus: "PENDING", CAAStatus: c,
			})
		}
		return o
	}
	asked := progress{asked: map[string]bool{"a.example.com": true, "b.example.com": true}}
	solving := progress{solving: true, validated: true, needs: []string{"the solver waits"}}
	for name, c := range map[string]struct {
		remote *certinext.Order
		tried  progress
		want   step
		waits  Party
		needs  []string // what each need begins with
	}{
		"an approval is not asked for in vain": {
			remote: remote(certinext.StatusPendingApproval, "FAILED"),
			want:   stepWait, waits: PartyDomainOwner, needs: []string{"CERTInext may not issue"},
		},
		"in whatever case it is spelt": {
			remote: remote(certinext.StatusPendingVetting, "failed"),
			want:   stepWait, waits: PartyDomainOwner, needs: []string{"CERTInext may not issue"},
		},
		"beside what has to be published": {
			remote: remote(certinext.StatusPendingDCV, "SKIPPED", "FAILED"), tried: asked,
			want: stepWait, waits: PartyDomainOwner, needs: []string{
				"CERTInext may not issue for b.example.com",
				"control of a.example.com, b.example.com has to be validated", "then have CERTInext",
			},
		},
		"before what a solver waits for": {
			remote: remote(certinext.StatusPendingDCV, "FAILED"), tried: solving,
			want: stepWait, waits: PartyDomainOwner,
			needs: []string{"CERTInext may not issue", "the solver waits"},
		},
		"whatever the status means": {
			remote: remote("pending-moon-phase", "FAILED"),
			want:   stepWait, waits: PartyDomainOwner, needs: []string{"CERTInext may not issue"},
		},
		"what needs no person is done nevertheless": {
			remote: remote(certinext.StatusPendingCSR, "FAILED"), want: stepSubmitCSR,
			waits: PartyCA,
		},
		"an issued order is issued": {
			remote: remote(certinext.StatusIssued, "FAILED"), want: stepDownload, waits: PartyCA,
		},
		"a look that was not taken forbids nothing": {
			remote: remote(certinext.StatusPendingApproval, "SKIPPED", ""),
			want:   stepWait, waits: PartyApprover, needs: []string{"an approver"},
		},
		"nor does a word of a later version": {
			remote: remote(certinext.StatusPendingApproval, "PASSED", "PERMITTED"),
			want:   stepWait, waits: PartyApprover, needs: []string{"an approver"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := &orderEntry{State: StatePending, Role: "web", ID: "id", Placement: placement{
				DNSNames: []string{"a.example.com", "b.example.com"},
			}}
			o.observe(time.Now(), c.remote)
			o.observeCAA(time.Now(), c.remote)
			got := advance(o, c.remote, c.tried)
			require.Equal(t, c.want, got.step)
			require.Len(t, got.needs, len(c.needs))
			for i, begin := range c.needs {
				require.Contains(t, got.needs[i], begin)
			}
			o.Needs = got.needs
			require.Equal(t, c.waits, o.waitsFor())
		})
	}
}
