// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"context"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// portalTrials have people order, reissue and revoke in CERTInext's portal, while the mount looks
// at the account's records by itself (ADR 0044), is killed meanwhile, and cannot read them.
var portalTrials = []trial{
	{"portal", 4, func(d *dice) []Action {
		bought := d.fresh(pick(d, "web", "bare", "rekey"))
		r := d.fresh(pick(d, "web", "bare", "rekey", "once", "shared", "hasty"))
		every := pick(d, 5*time.Minute, 20*time.Minute, time.Hour)
		out := []Action{{Do: "sync-every", For: every}}
		if d.IntN(4) == 0 {
			out = nil // somebody asks for it
		}
		for range 5 + d.IntN(6) {
			out = append(out, pick(d,
				Action{Do: "portal", How: "order", Request: bought},
				Action{Do: "portal", How: "order", Request: d.fresh("web")},
				Action{Do: "portal", How: pick(d, "revoke", "revoke", "reissue"), Request: bought},
				Action{Do: "portal", How: "revoke", Request: r},
				Action{Do: pick(d, "issue", "order"), Request: r},
				Action{Do: "issue", Request: r},
				Action{Do: pick(d, "revoke", "cancel"), How: "serial", Request: r},
				Action{Do: "lease-end", Request: r},
				Action{Do: "reissue", Request: r},
				Action{Do: pick(d, "restart", "standby", "failover", "pass", "sync")},
				Action{Do: "clock", For: pick(d, 0, twoMonths, -twoMonths)},
				Action{Do: "config", How: pick(d, "paused", "write", "number", "delete")},
				Action{Do: pick(d, "snapshot", "rollback")},
				syncFault(d), syncFault(d),
				Action{Do: "time", For: pick(d, 20*time.Second, 6*time.Minute, time.Hour)},
				Action{Do: "time", For: pick(d, 6*time.Minute, time.Hour, 16*aDay)}))
		}
		return append(out, Action{Do: "sync-every", For: every})
	}},
}

// syncFault has something fail in a synchronization.
func syncFault(d *dice) Action {
	if d.IntN(2) == 0 {
		return Action{
			Do: "wire", Skip: d.IntN(2), Times: pick(d, 1, 2, 4), For: 40 * time.Second,
			At:  pick(d, "> orders-report", "< orders-report", "< certificate", "< track"),
			Bad: pick(d, "slow", "before", "crash", "html-503", "denied-200"),
		}
	}
	return Action{
		Do: "disk", Skip: d.IntN(2), Times: pick(d, 1, 1, 3), For: 10 * time.Second,
		At: pick(d, "put cert/", "put sync", "put sync", "put number/", "put revoked/",
			"get cert/", "put chain/", "put order/closed/"),
		Bad: pick(d, "before", "after", "crash", "crash", "slow"),
	}
}

// A portal is what was ordered in the account without any mount.
type portal struct {
	numbers map[string]Request // what was ordered, by CERTInext's number, and for whom
	client  *certinext.Client
}

// portalOf returns the portal of the usual account, which begins to be used when it is first
// needed. Nothing fails there, and what is done there happens between two steps.
func portalOf(w *world) *portal {
	p := &w.upkeep.portal
	if p.client != nil {
		return p
	}
	p.numbers = make(map[string]Request)
	p.client = &certinext.Client{
		BaseURL: caURL, HTTPClient: w.ca.Client(),
		Credentials: certinext.OAuth{
			ClientID:     certinexttest.DefaultAccountNumber,
			ClientSecret: certinext.Secret(certinexttest.DefaultClientSecret),
		},
	}
	if w.manners.Dialect != certinexttest.Live {
		p.client.Credentials = certinext.AccessKey{
			AccountNumber: certinexttest.DefaultAccountNumber,
			AccessKey:     certinexttest.DefaultAccessKey,
		}
	}
	if w.manners.Dialect == certinexttest.V1 {
		p.client.Version = certinext.V1
	}
	return p
}

// has reports whether an order was placed in the portal, or by CERTInext itself to renew one that
// was.
func (p *portal) has(o *certinexttest.OrderRecord) bool {
	_, there := p.numbers[o.ID]
	return there
}

// isForeign reports whether an order was not placed by the mount.
func isForeign(w *world, o *certinexttest.OrderRecord) bool {
	return w.neighbour.has(o) || w.upkeep.portal.has(o)
}

// boughtFor returns the newest order for a request that was placed in the portal; nil when there is
// none.
func (p *portal) boughtFor(w *world, r Request) *certinexttest.OrderRecord {
	all := w.ca.Orders()
	slices.Reverse(all)
	for i := range all {
		if p.has(&all[i]) && p.numbers[all[i].ID] == r {
			return &all[i]
		}
	}
	return nil
}

// doPortal has somebody do something in the portal: order, or revoke or reissue what was ordered
// there for a request. "revoke" ends what the mount has ordered for it when nothing was.
func doPortal(w *world, a Action) {
	p := portalOf(w)
	w.note("the portal: %s", a.How)
	defer excuseStopped(w, time.Now())
	ctx := context.Background()
	if a.How == "order" {
		orderInPortal(ctx, w, p, a.Request)
		return
	}
	o := p.boughtFor(w, a.Request)
	if o == nil && a.How == "revoke" {
		o = ownFor(w, a.Request)
	}
	if o == nil || o.Status != "issued" {
		return
	}
	if a.How == "reissue" {
		_, csr := newCSR(a.commonName())
		_, _ = p.client.ReissueOrder(ctx, certinext.FamilySSL, o.ID,
			certinext.ReissueRequest{CSR: csr, Reason: "rotation"})
		return
	}
	w.books.ask(o.Serials...)
	_, _ = p.client.RevokeOrder(ctx, certinext.FamilySSL, o.ID,
		certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
}

// ownFor returns the newest order that the mount has placed for a request; nil when there is none.
func ownFor(w *world, r Request) *certinexttest.OrderRecord {
	all := w.ca.Orders()
	slices.Reverse(all)
	for i := range all {
		p := w.books.purchases[markerIn(all[i])]
		if p != nil && p.call != nil && p.call.request != nil && *p.call.request == r &&
			all[i].Family == certinexttest.FamilySSL {
			return &all[i]
		}
	}
	return nil
}

// orderInPortal orders as somebody does who knows of no mount.
func orderInPortal(ctx context.Context, w *world, p *portal, r Request) {
	_, csr := newCSR(r.commonName())
	agreement := certinext.Agreement{
		SignerName: "Web Team", SignerPlace: "Bengaluru", SignerIP: "203.0.113.7", Accepted: true,
	}
	order := certinext.OrderRequest{
		Family: certinext.FamilySSL, ProductCode: "842", Variant: "dv", Domain: r.commonName(),
		CSR: csr, Requestor: certinext.Contact{Name: "Web Team", Email: "web@example.com"},
		Agreement: &agreement,
	}
	if w.manners.Dialect == certinexttest.V1 {
		order.Organization = &certinext.OrganizationRef{Number: certinexttest.DefaultOrganization}
	}
	before := len(w.ca.Orders())
	o, err := p.client.CreateOrder(ctx, order)
	for _, placed := range w.ca.Orders()[before:] { // whatever the answer was
		p.numbers[placed.ID] = r
	}
	if err == nil && w.manners.Dialect == certinexttest.Documented {
		_ = p.client.AcceptAgreement(ctx, certinext.FamilySSL, o.ID, agreement)
	}
}

// doSyncEvery has an operator write into config how often the account's records are looked at.
func doSyncEvery(w *world, a Action) {
	w.upkeep.syncs, w.upkeep.interval = true, a.For
	doConfig(w, Action{Do: "config", How: "write"})
}
