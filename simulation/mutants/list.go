// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

// A Mutant is a change of the program that breaks a promise, made by hand.
type Mutant struct {
	Name string // in words: what the program does now
	File string
	Old  string // is in the file once
	New  string
	Like string // what it stands for
	// Survives is why no history notices it; empty for one that is to be killed.
	Survives string
}

// leastKilled is how many of the mutants 500 histories have to kill.
const leastKilled = 36

// mutants are some eighty changes of the code that decides what is bought, who gets it, and what is
// revoked. One whose text is not found any more is to be written anew for the code as it is then,
// and not to be left out.
var mutants = []Mutant{
	// Who shares an order.
	{
		Name: "the intent is stored only after CERTInext was told",
		File: "backend/orders/acquire.go",
		Old:  "o.fresh, o.dirty = true, true\n\th.entry = o\n\terr := h.journal.saveOrder(ctx, h.storage, o)\n",
		New:  "o.fresh, o.dirty = true, false\n\th.entry = o\n\tvar err error\n",
		Like: "a write that is moved",
	},
	{
		Name: "the requester is left out of what makes two requests the same",
		File: "backend/issuing/fingerprint.go",
		Old:  `"v1", role.Name, account, requester, role.ProductCode`,
		New:  `"v1", role.Name, account, role.ProductCode`,
		Like: "a field that is left out of a fingerprint",
	},
	{
		Name: "the role is left out of what makes two requests the same",
		File: "backend/issuing/fingerprint.go",
		Old:  `"v1", role.Name, account, requester, role.ProductCode`,
		New:  `"v1", account, requester, role.ProductCode`,
		Like: "a field that is left out of a fingerprint",
	},
	{
		Name: "the same request_id of two requesters is one order",
		File: "backend/orders/acquire.go",
		Old:  `strings.Join([]string{role, requester, name}, "\x00")`,
		New:  `strings.Join([]string{role, "", name}, "\x00")`,
		Like: "a field that is left out of a name",
	},
	{
		Name: "the name of an order that is over is free again",
		File: "backend/orders/acquire.go",
		Old:  `return o.State == StateFailed || o.CAOrderID == ""`,
		New:  `return o.State.Final() || o.Delivered || o.CAOrderID == ""`,
		Like: "a check that takes too much for free",
	},
	{
		Name: "whoever works on an order does not let it go",
		File: "backend/orders/registry.go",
		Old:  "close(t.busy)\n\tt.busy = nil\n",
		New:  "",
		Like: "a lock that is not given back",
	},
	{
		Name: "ordering=paused refuses nothing",
		File: "backend/orders/acquire.go",
		Old:  "if err := h.journal.Account.MayOrder(ctx, h.storage); err != nil {",
		New:  "if err := h.journal.Account.MayOrder(ctx, h.storage); err != nil && p.Request.Draft {",
		Like: "a check that is skipped",
	},

	// Who is handed what.
	{
		Name: "a certificate that is to be revoked is handed over",
		File: "backend/orders/deliverable.go",
		Old:  "case ends == endDue:\n",
		New:  "case ends == endDue && w == nil:\n",
		Like: "reuse that ignores a revocation",
	},
	{
		Name: "a request that was answered buys again",
		File: "backend/orders/deliverable.go",
		Old:  "return !w.forced() && window > 0 && (at.inDoubt",
		New:  "return !w.forced() && window < 0 && (at.inDoubt",
		Like: "a check that is inverted",
	},
	{
		Name: "a request that waited for the order does not share it",
		File: "backend/orders/deliverable.go",
		Old:  "return d.FirstAnswer() > w.answersBefore",
		New:  "return d.FirstAnswer() < w.answersBefore",
		Like: "a check that is inverted",
	},
	{
		Name: "force_new hands over what was handed over before",
		File: "backend/orders/deliverable.go",
		Old:  "return !w.forced() && window > 0",
		New:  "return window > 0",
		Like: "a check that is left out",
	},
	{
		Name: "a caller that has hung up counts as answered",
		File: "backend/orders/deliver.go",
		Old:  "if ctx.Err() != nil {\n\t\th.undoDelivery(ctx, r)\n",
		New:  "if ctx.Err() != nil {\n",
		Like: "a write that is dropped",
	},
	{
		Name: "an answer whose lease Vault could not store is not taken back",
		File: "backend/orders/lease.go",
		Old:  "if _, ok := c.Leases[leaseID]; !ok {\n\t\treturn nil\n",
		New:  "if _, ok := c.Leases[leaseID]; ok {\n\t\treturn nil\n",
		Like: "a write that is dropped",
	},
	{
		Name: "a certificate is handed over without its lock",
		File: "backend/orders/deliver.go",
		Old:  "unlock, err := h.journal.Certificates.Lock(ctx, h.entry.Serial)\n",
		New:  "unlock, err := func() {}, error(nil)\n",
		Like: "a lock that is left out",
	},
	{
		Name: "anybody collects the certificate of an order",
		File: "backend/orders/orders.go",
		Old:  "if h.entry.Requester != requester {",
		New:  "if requester == \"\" {",
		Like: "a check that is left out",
	},
	{
		Name: "a downloaded certificate may have any key",
		File: "backend/orders/drive_certificate.go",
		Old:  "cert, err := certificates.Assemble(bundle, key)\n",
		New:  "cert, err := certificates.AssembleAny(bundle)\n",
		Like: "a check that is left out",
	},

	// What is bought, and when it is not known whether it was.
	{
		Name: "a create is sent again after a 503",
		File: "certinext/retry.go",
		Old:  "if how == repeatNever || e.SigningIn",
		New:  "if how == repeatNever && e.Status != http.StatusServiceUnavailable || e.SigningIn",
		Like: "a call that is repeated",
	},
	{
		Name: "a create that was not answered counts as refused",
		File: "backend/orders/drive.go",
		Old:  "if certinext.MayHaveActed(err) || o.keyWasSeen(err) {",
		New:  "if !certinext.MayHaveActed(err) && o.keyWasSeen(err) {",
		Like: "doubt that is taken for certainty",
	},
	{
		Name: "a gateway's refusal of a create counts as CERTInext's",
		File: "certinext/wire_error.go",
		Old:  "e.Acted = r.repeat != repeatFreely && !e.certain()",
		New:  "e.Acted = r.repeat != repeatFreely && e.Status >= http.StatusInternalServerError",
		Like: "a status that is misread",
	},
	{
		Name: "a create is sent again after a gateway's 401",
		File: "certinext/transport.go",
		Old:  "&& (r.repeat != repeatNever || e.certain())",
		New:  "",
		Like: "a call that is repeated",
	},
	{
		Name: "version 1's own failures count as refusals",
		File: "certinext/v1_verdict.go",
		Old:  "e.Acted = r.repeat != repeatFreely && !e.certain()",
		New:  "e.Acted = false",
		Like: "a status that is misread",
	},
	{
		Name: "the number of an order is not stored when CERTInext gives it",
		File: "backend/orders/drive.go",
		Old:  "if err := errors.Join(d.save(ctx), d.recordPreviousRevoked(ctx)); err != nil {",
		New:  "if err := errors.Join(d.recordPreviousRevoked(ctx)); err != nil {",
		Like: "a write that is dropped",
	},
	{
		Name: "an order in doubt is sent again where nobody honours its key",
		File: "backend/orders/reconcile.go",
		Old:  "return d.config.TrustIdempotencyKey && d.sendsKey()",
		New:  "return d.sendsKey()",
		Like: "a check that is left out",
	},
	{
		Name: "an order that the records do not show was never taken",
		File: "backend/orders/reconcile.go",
		Old:  "case shown == \"\":\n\t\treturn remoteID{}, nil\n",
		New:  "case shown == \"never\":\n\t\treturn remoteID{}, nil\n",
		Like: "doubt that is taken for certainty: no later order is waited for",
	},
	{
		Name: "the background places the order of a request that has failed",
		File: "backend/orders/pass_order.go",
		Old:  "case o.fresh:\n\t\treturn h.giveUpUnsent(ctx)\n",
		New:  "case o.fresh && o.Draft:\n\t\treturn h.giveUpUnsent(ctx)\n",
		Like: "a check that is left out",
	},
	{
		Name: "never_placed is believed without a look",
		File: "backend/orders/resolve.go",
		Old:  "if o.State != StatePending {\n\t\tif err := h.checkAbsent",
		New:  "if o.State == StatePending {\n\t\tif err := h.checkAbsent",
		Like: "a check that is inverted",
	},
	{
		Name: "an operator's number is adopted although it is another order's",
		File: "backend/orders/resolve.go",
		Old:  "case row != nil && o.marksAnother(*row):",
		New:  "case row != nil && row.OrderID == \"\":",
		Like: "a check that is left out",
	},
	{
		Name: "a promotion is stored only after CERTInext was told",
		File: "backend/orders/draft.go",
		Old:  "o.note(h.journal.Now(), \"to be promoted\")\n\tif err := h.journal.saveOrder(ctx, h.storage, o); err != nil {",
		New:  "o.note(h.journal.Now(), \"to be promoted\")\n\to.dirty = false\n\tif err := error(nil); err != nil {",
		Like: "a write that is moved",
	},

	// When an order has ended.
	{
		Name: "a final status is believed at first sight",
		File: "backend/orders/order.go",
		Old:  "o.FinalSeen = sighting{Status: remote.Status, At: now}\n\t\to.dirty = true\n\t\treturn false\n",
		New:  "o.FinalSeen = sighting{Status: remote.Status, At: now}\n\t\to.dirty = true\n\t\treturn true\n",
		Like: "a status that is believed",
	},
	{
		Name: "a cancellation is believed unseen",
		File: "backend/orders/cancel.go",
		Old:  "case cause == nil:\n\t\treturn false, unconfirmed(o, remote, err, certinext.StatusCancelled)\n",
		New:  "case cause == nil:\n\t\treturn false, nil\n",
		Like: "a status that is believed",
	},
	{
		Name: "the key stays when an order is closed",
		File: "backend/orders/drive_end.go",
		Old:  "o.PrivateKey = \"\"\n",
		New:  "",
		Like: "an erasure that is skipped",
	},
	{
		Name: "a certificate that is not what was ordered is handed over",
		File: "backend/orders/deliverable.go",
		Old:  "case len(c.Held) > 0:",
		New:  "case len(c.Held) > 1000:",
		Like: "a check that is left out",
	},
	{
		Name: "a stored certificate is not found by its order",
		File: "backend/certificates/certificate.go",
		Old:  "if !c.stored || c.storedOrder != c.OrderID {",
		New:  "if c.stored && c.storedOrder != c.OrderID {",
		Like: "a write that is left out",
	},
	{
		Name: "a stored certificate refers to a chain that is not",
		File: "backend/certificates/stored_chain.go",
		Old:  "err = store.Put(ctx, s, key, chain)",
		New:  "_ = key",
		Like: "a write that is left out",
	},
	{
		Name: "an order whose certificate was handed over is never closed",
		File: "backend/orders/pass_order.go",
		Old:  "ends, at); verdict.isOver() {",
		New:  "ends, at); verdict.isOver() && c.Delivery == nil {",
		Like: "an erasure that is skipped",
	},

	// Leases and revocations.
	{
		Name: "a lease ends without the certificate's lock",
		File: "backend/certificates/lease.go",
		Old:  "unlock, err := keeper.Lock(ctx, l.Serial)\n",
		New:  "unlock, err := func() {}, error(nil)\n",
		Like: "a lock that is left out",
	},
	{
		Name: "the queue ignores that the last lease was renewed",
		File: "backend/certificates/revocation_queue.go",
		Old:  "if last := c.LastLease(now); !last.IsZero() {",
		New:  "if last := c.LastLease(now); last.Before(q.QueuedAt) && !last.IsZero() {",
		Like: "a check that is left out",
	},
	{
		Name: "a lease on a revoked certificate is renewed",
		File: "backend/certificates/lease.go",
		Old:  "case c.Revocation != nil:\n\t\treturn nil, fault.BadField(\"lease\"",
		New:  "case c.Revocation != nil && c.Delivery == nil:\n\t\treturn nil, fault.BadField(\"lease\"",
		Like: "a check that is left out",
	},
	{
		Name: "the end of the last lease queues nothing",
		File: "backend/certificates/lease.go",
		Old:  "if q != nil {\n\t\tif err := keeper.enqueue(",
		New:  "if q != nil && !q.Due {\n\t\tif err := keeper.enqueue(",
		Like: "a write that is left out",
	},
	{
		Name: "a revocation is believed unseen",
		File: "backend/certificates/revoke.go",
		Old:  "return keeper.confirm(ctx, client, c, q, sent)\n",
		New:  "return caAnswer{reason: sent}\n",
		Like: "a status that is believed",
	},
	{
		Name: "a lease that Vault has never stored does not end",
		File: "backend/pass.go",
		Old:  "\t\te.Certificates.EndOverdue(ctx, s),\n",
		New:  "",
		Like: "work that is left out",
	},
	{
		Name: "a synchronization stores what it takes in without a lock",
		File: "backend/inventory/rows.go",
		Old:  "unlock, err := y.inv.Certificates.Lock(ctx, c.Serial)\n",
		New:  "unlock, err := func() {}, error(nil)\n",
		Like: "a lock that is left out",
	},
	{
		Name: "the end of a lease takes a reissued certificate along",
		File: "backend/certificates/revoke.go",
		Old:  "if kept, err := keeper.settleReissued(ctx, s, c, v.q, out); kept || err != nil {\n\t\treturn out, err\n\t}\n",
		New:  "",
		Like: "a check that is left out",
	},

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
