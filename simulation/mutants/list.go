// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import "slices"

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
var mutants = slices.Concat(ofPurchases, ofOwners)

// ofPurchases are about what is bought, who is handed it, and how it ends.
var ofPurchases = []Mutant{
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
}
