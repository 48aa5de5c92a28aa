// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

// ofOwners are about whose an order is, who approves it, what is made ahead, and what is kept for how
// long.
var ofOwners = []Mutant{
	// Whose order, whose account, and at what time.
	{
		Name: "whoever uses a role acts on everybody's orders",
		File: "backend/orders/access.go",
		Old:  "case r != nil && r.OrderAccess == issuing.AccessRole:",
		New:  "case r != nil && r.OrderAccess != issuing.AccessRole:",
		Like: "a check that is inverted",
	},
	{
		Name: "an order is asked about in whatever account the config names",
		File: "backend/orders/drive.go",
		Old:  "if !account.SameAccount(d.order.Account, d.config.Account()) {\n\t\td.setNeeds",
		New:  "if d.order.Account == \"\" {\n\t\td.setNeeds",
		Like: "a check that is left out",
	},
	{
		Name: "a certificate is revoked in whatever account the config names",
		File: "backend/certificates/revoke.go",
		Old:  "if err == nil && c.Account != \"\" && !account.SameAccount(c.Account, cfg.Account()) {",
		New:  "if err == nil && c.Account != \"\" && cfg.Account() == \"\" {",
		Like: "a check that is left out",
	},
	{
		Name: "a key is erased only while the config names its account",
		File: "backend/orders/pass_order.go",
		Old:  "h.lookAgain(h.journal.Now().Add(host.PassDelay(1)))\n\terr := h.tendIssuedOnce(ctx, serial)\n",
		New: "h.lookAgain(h.journal.Now().Add(host.PassDelay(1)))\n" +
			"\t_, cfg, err := h.journal.Account.Client(ctx, h.storage)\n" +
			"\tif err != nil || !account.SameAccount(h.entry.Account, cfg.Account()) {\n" +
			"\t\treturn nil\n\t}\n\terr = h.tendIssuedOnce(ctx, serial)\n",
		Like: "an erasure that waits for what it does not need",
	},
	{
		Name: "an account is the spelling of its address",
		File: "backend/account/config.go",
		Old:  "return stored == account || CanonicalAccount(stored) == CanonicalAccount(account)",
		New:  "return stored == account && CanonicalAccount(stored) != \"\"",
		Like: "a name that is compared as text",
	},
	{
		Name: "a synchronization stores anew what the mount knows",
		File: "backend/inventory/rows.go",
		Old:  "if err != nil || stored != nil {\n\t\treturn false, err //",
		New:  "if err != nil || stored == c {\n\t\treturn false, err //",
		Like: "a check that is left out",
	},
	{
		Name: "a synchronization revokes what other mounts have ordered",
		File: "backend/inventory/rows.go",
		Old:  "case known != nil, isVoid(status):\n\t\treturn nil\n",
		New: "case known != nil && known.Imported && known.Revocation == nil:\n" +
			"\t\t_, err := y.client.RevokeOrder(ctx, known.Family, row.OrderID,\n" +
			"\t\t\tcertinext.RevokeRequest{Reason: certificates.DefaultReason})\n\t\treturn err\n" +
			"\tcase known != nil, isVoid(status):\n\t\treturn nil\n",
		Like: "work that is somebody else's",
	},
	{
		Name: "a clock that differs from CERTInext's is certain",
		File: "backend/account/clock.go",
		Old:  "return known && skew.Abs() <= maxClockSkew\n",
		New:  "return known && skew.Abs() <= 1000*maxClockSkew*24\n",
		Like: "a bound that is too wide",
	},
	{
		Name: "a certificate that begins in our future is held",
		File: "backend/orders/judge.go",
		Old:  "return journal.Now().Add(max(0, skew))",
		New:  "return journal.Now().Add(min(0, skew))",
		Like: "a clock that is believed",
	},
	{
		Name: "an entry of a later version is read as one of today's",
		File: "backend/internal/store/store.go",
		Old:  "if err == nil && header.Version > Known {",
		New:  "if err == nil && header.Version > 100*Known {",
		Like: "a check that is left out",
	},
	{
		Name: "an order in doubt is the newest one for its name",
		File: "backend/orders/orders_report.go",
		Old:  "return containsFold(row.Tags, o.marker()) && o.mayBeCalled(row.Domain) &&",
		New:  "return row.Domain != \"\" && o.mayBeCalled(row.Domain) &&",
		Like: "doubt that is taken for certainty",
	},

	// Who has to approve it.
	{
		Name: "an order that another person has to approve is sent at once",
		File: "backend/orders/acquire.go",
		Old:  "asks := p.Role.RequireApproval && !p.Request.Draft",
		New:  "asks := p.Role.RequireApproval && p.Request.Draft",
		Like: "a check that is left out",
	},
	{
		Name: "whoever has asked for an order may approve it",
		File: "backend/orders/approval.go",
		Old:  "case by.EntityID == o.Approval.AskedBy.EntityID, o.Requester == entityPrefix+by.EntityID,",
		New:  "case by.EntityID == o.Approval.AskedBy.DisplayName,",
		Like: "two names that are confused",
	},

	// What is made before it is asked for, and what was spent.
	{
		Name: "a successor is made ahead for whom Vault knows no more",
		File: "backend/orders/ahead_pass.go",
		Old:  "case entity == nil:\n\t\treturn true, errors.New(",
		New:  "case entity == nil:\n\t\treturn false, nil\n\tcase entity.ID == \"\":\n\t\treturn true, errors.New(",
		Like: "a check that is left out",
	},
	{
		Name: "a successor is made ahead for whom Vault has disabled",
		File: "backend/orders/ahead_pass.go",
		Old:  "case entity.Disabled:",
		New:  "case entity.Disabled && entity.ID == \"\":",
		Like: "a check that is left out",
	},
	{
		Name: "our clock alone makes a successor",
		File: "backend/orders/ahead_pass.go",
		Old:  "now, seen := a.earlier(ctx)\n\treturn seen && !now.Before(at)\n",
		New:  "_, _ = a.earlier(ctx)\n\treturn !a.journal.Now().Before(at)\n",
		Like: "doubt that is taken for certainty",
	},
	{
		Name: "our clock alone has a successor be forgotten",
		File: "backend/orders/ahead_pass.go",
		Old:  "now, _ := a.earlier(ctx) // or zero, by which nothing is over\n",
		New:  "now := a.journal.Now()\n",
		Like: "doubt that is taken for certainty",
	},
	{
		Name: "a successor is made ahead of a client that has long been away",
		File: "backend/ahead/decide.go",
		Old:  "case role.RenewAheadFor > 0 && f.Now",
		New:  "case role.RenewAheadFor < 0 && f.Now",
		Like: "a check that is inverted",
	},
	{
		Name: "a successor is made beside an order for the same names",
		File: "backend/orders/ahead_pass.go",
		Old:  "if names != \"\" && registry.pendingFor(names, nil) != \"\" {",
		New:  "if names != \"\" && registry.pendingFor(names, nil) == w.plan.Identity {",
		Like: "a check that is left out",
		Survives: "the same request's order is found by its fingerprint, too; another request for " +
			"the same names, with a key or a request_id of its own, is in no history",
	},
	{
		Name: "no budget counts what is made ahead",
		File: "backend/orders/acquire.go",
		Old:  "if err == nil && !asks {",
		New:  "if err == nil && !asks && instead.ahead == nil {",
		Like: "a check that is left out",
	},
	{
		Name: "what is made ahead needs no approval",
		File: "backend/orders/acquire.go",
		Old:  "asks := p.Role.RequireApproval && !p.Request.Draft //",
		New:  "asks := p.Role.RequireApproval && !p.Request.Draft && instead.ahead == nil //",
		Like: "a check that is left out",
	},
	{
		Name: "the spend report leaves out what was cancelled",
		File: "backend/orders/bought.go",
		Old:  "return !o.costsNothing() && (",
		New:  "return o.State != StateCancelled && !o.costsNothing() && (",
		Like: "orders that are taken for free",
	},
	{
		Name: "the spend report counts a reissue as an order",
		File: "backend/orders/bought.go",
		Old:  "Reissue: o.Reissue != nil, Adopted",
		New:  "Reissue: o.Reissue != nil && o.Draft, Adopted",
		Like: "two things that are confused",
	},
	{
		Name: "the spend report counts a reissue that was never made",
		File: "backend/orders/bought.go",
		Old:  "(o.Reissue == nil || o.State != StateFailed)",
		New:  "(o.Reissue == nil || o.State != StateApproval)",
		Like: "a check that takes too much",
	},
	{
		Name: "the spend report shows what is not known as nothing",
		File: "backend/reconciliation/report.go",
		Old:  "g.Charged.Known = g.charged\n",
		New:  "g.Charged.Known = true\n",
		Like: "doubt that is taken for certainty",
	},
	{
		Name: "the spend report leaves out what was paid back",
		File: "backend/reconciliation/report.go",
		Old:  "g.Refunded.Amount = g.Refunded.Amount.Plus(e.refunded.amount)",
		New:  "g.Refunded.Amount = g.Refunded.Amount.Plus(0)",
		Like: "a sum that lacks something",
	},

	// What is tidied, synchronized, adopted and held.
	{
		Name: "a certificate is erased that may be reissued for what is paid",
		File: "backend/tidy/decide.go",
		Old:  "case !f.Revoked && !f.Superseded && f.SubscriptionEnds.After(d.now):",
		New:  "case f.Queued && !f.Superseded && f.SubscriptionEnds.After(d.now):",
		Like: "a check that is left out",
	},
	{
		Name: "a valid certificate is erased",
		File: "backend/tidy/decide.go",
		Old:  "case f.NotAfter.After(d.now):\n\t\treturn ReasonNotExpired\n\tcase !d.isPast(f.NotAfter, d.request.SafetyBuffer):",
		New:  "case f.NotAfter.After(d.now) && !f.Revoked:\n\t\treturn ReasonNotExpired\n\tcase !d.isPast(f.NotAfter, d.request.SafetyBuffer) && !f.Revoked:",
		Like: "a check that takes too much",
	},
	{
		Name: "the record of an order is erased before its certificate",
		File: "backend/tidy/decide.go",
		Old:  "case f.Certificates:\n\t\treturn ReasonCertificate\n",
		New:  "case f.Certificates && f.Linked:\n\t\treturn ReasonCertificate\n",
		Like: "a check that is left out",
	},
	{
		Name: "our clock alone tidies once it has jumped",
		File: "backend/tidy/run.go",
		Old:  "known && skew < 0 {",
		New:  "known && skew == 0 {",
		Like: "doubt that is taken for certainty",
	},
	{
		Name: "what is known of a number stays when its certificate is erased",
		File: "backend/certificates/erase.go",
		Old:  "if err := removeNumbered(ctx, &keeper.Numbers, s, c); err != nil {",
		New:  "if err := error(nil); err != nil {",
		Like: "an erasure that is skipped",
	},
	{
		Name: "a dry run counts what it does not look at",
		File: "backend/tidy/stages.go",
		Old:  "IsGone: func(serial string) bool { return r.isGone(ctx, d, serial) },",
		New:  "IsGone: func(string) bool { return false },",
		Like: "a question that is not asked",
	},
	{
		Name: "a synchronization never notices a revocation",
		File: "backend/inventory/rows.go",
		Old:  "case known != nil && status == certinext.StatusRevoked:\n\t\treturn y.recordRevoked",
		New:  "case known != nil && status == certinext.StatusRevoked && known.Imported:\n\t\treturn y.recordRevoked",
		Like: "a check that takes too much",
	},
	{
		Name: "no synchronization begins by itself after the first one",
		File: "backend/inventory/status.go",
		Old:  "age >= 0 && age < interval {",
		New:  "age >= 0 && interval > 0 {",
		Like: "work that is left out",
	},
	{
		Name: "what another mount has ordered is adopted like anything else",
		File: "backend/orders/adopted.go",
		Old:  "if c.OtherMount && !a.FromOtherMount {",
		New:  "if c.OtherMount && a.FromOtherMount {",
		Like: "a check that is inverted",
	},
	{
		Name: "an adopted certificate has no order",
		File: "backend/orders/adopted.go",
		Old:  "if err := storeAdoptedOrder(ctx, journal, s, o); err != nil {",
		New:  "if err := error(nil); err != nil {",
		Like: "a write that is dropped",
	},
	{
		Name: "what CERTInext renews by itself is not looked for",
		File: "backend/orders/by_ca.go",
		Old:  "if !isRenewedByCA(p) || asksForAnother(p.Request) {",
		New:  "if isRenewedByCA(p) || asksForAnother(p.Request) {",
		Like: "a check that is inverted",
	},
	{
		Name: "a held mount is not held",
		File: "backend/account/hold.go",
		Old:  "if h.Hold {",
		New:  "if h.Hold && h == nil {",
		Like: "a check that is left out",
	},
	{
		Name: "a held mount synchronizes by itself",
		File: "backend/inventory/status.go",
		Old:  "case held || interval <= 0 || st.State == Running:",
		New:  "case interval <= 0 || st.State == Running:",
		Like: "a check that is left out",
	},
}
