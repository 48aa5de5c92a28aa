// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// humanPatience is how long a waiting request watches an order whose next step is taken by a
// person, who has to read the request's answer first.
const humanPatience = 5 * time.Second

// A driver takes an order through its next steps, for a request or for the background pass. It
// works only while it holds the order.
type driver struct {
	journal *Journal
	storage logical.Storage
	client  *certinext.Client
	config  *account.Config
	role    *issuing.Role // as it is stored now; nil when it was deleted
	held    *heldOrder
	order   *orderEntry // the entry of held
	purpose purpose     // what the caller wants of the order

	// until is when the driver stops waiting. Steps that do not wait are taken even after it.
	until time.Time

	latest  atomic.Pointer[Order] // the order as of the last step, for a caller that leaves early
	remote  *certinext.Order      // CERTInext's last answer; nil when it has to be asked (again)
	tried   progress
	solver  *validation.Run // validates the order's domains; nil when people do
	retry   bool            // a step has failed that may be taken again after a wait
	polls   int
	lastErr error // of the latest call to CERTInext; nil when it succeeded
	started time.Time
	tracked bool          // CERTInext has answered with the order's status in this drive
	placed  bool          // this drive has placed the order
	asking  time.Duration // spent on asking which records to publish
}

// An outcome is how a drive ended.
type outcome struct {
	cert *certificates.Downloaded // nil when there is none yet
	err  error                    // a storage fault, or CERTInext's refusal
}

// newDriver returns a driver of a held order whose entry was read. It fails when storage does, when
// the mount has no usable config, or while the mount is held: any step may change something at
// CERTInext, and a refusal of ours must not count as CERTInext's.
func (h *heldOrder) newDriver(ctx context.Context, p purpose, until time.Time) (*driver, error) {
	if err := h.journal.Account.MayChange(); err != nil {
		return nil, err
	}
	client, cfg, err := h.journal.Account.Client(ctx, h.storage)
	if err != nil {
		return nil, err
	}
	o := h.entry
	role, err := roles.Read(ctx, h.storage, o.Role)
	if err != nil {
		return nil, err
	}
	d := &driver{
		journal: h.journal,
		storage: h.storage,
		client:  client,
		config:  cfg,
		role:    role,
		held:    h,
		order:   o,
		purpose: p,
		until:   until,
		started: h.journal.Now(),
	}
	o.Proofs = validation.Fresh(o.Proofs, d.method(), h.journal.Now())
	d.solver = d.chooseSolver()
	d.latest.Store(o.view())
	return d, nil
}

// run drives the order until it is issued, has ended, or time is up. An order that is left without
// a certificate is stored as it is then.
func (d *driver) run(ctx context.Context) outcome {
	out := d.steps(ctx)
	d.withdraw(ctx)
	if out.cert == nil && d.order.dirty && !d.order.State.Final() {
		if err := d.save(ctx); err != nil && out.err == nil {
			out.err = err
		}
	}
	return out
}

// steps takes one step after the other until one of them ends the drive.
func (d *driver) steps(ctx context.Context) outcome {
	if !account.SameAccount(d.order.Account, d.config.Account()) {
		d.setNeeds(foreignNeeds)
		return outcome{}
	}
	bound := d.purpose == forPlacement || d.purpose == forStatus
	for {
		d.tried.solving = d.solver != nil
		if d.tried.solving {
			d.tried.needs, d.tried.stuck = d.solver.Needs()
		}
		next := advance(d.order, d.remote, d.tried)
		if bound && next.step != stepPlace {
			// The answer to a create is waited for. The steps after it must not delay the caller.
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, placementPatience)
			defer cancel()
			bound = false
		}
		done, out := d.act(ctx, next)
		d.latest.Store(d.order.view())
		if done {
			return out
		}
	}
}

// act carries out one action. It reports whether the drive is over.
func (d *driver) act(ctx context.Context, a action) (done bool, out outcome) {
	switch a.step {
	case stepPlace:
		return d.place(ctx)
	case stepReconcile:
		return d.reconcile(ctx)
	case stepTrack:
		return d.track(ctx), outcome{}
	case stepSubmitCSR:
		d.submitCSR(ctx)
		return d.track(ctx), outcome{}
	case stepAskProof:
		d.askProof(ctx, a.domain)
		return ctx.Err() != nil, outcome{}
	case stepValidate:
		return d.validate(ctx), outcome{}
	case stepAgree:
		d.agree(ctx)
		return d.track(ctx), outcome{}
	case stepDownload:
		return d.download(ctx)
	case stepWait:
		// Otherwise validate has set the needs.
		if !d.leavesToSolver() || len(d.order.CAAForbids) > 0 {
			d.setNeeds(a.needs)
		}
		return d.wait(ctx, a), outcome{}
	case stepGiveUp:
		d.setNeeds(a.needs)
		return true, outcome{}
	case stepClose:
		if a.state == StateRevoked {
			return true, outcome{err: d.endRevoked(ctx)}
		}
		return true, outcome{err: d.end(ctx, a.state)}
	}
	return true, outcome{err: fmt.Errorf("internal error: unknown step %d", a.step)}
}

// place sends the order to CERTInext. The call goes on when the waiting request is cancelled: a
// create may take minutes, and cutting it off leaves an order behind whose number is unknown.
func (d *driver) place(ctx context.Context) (done bool, out outcome) {
	o := d.order
	// Config may have been written since the intent was stored.
	if now := keyless(d.config, o.Placement.Family); now != o.Placement.Keyless || o.dirty {
		o.Placement.Keyless = now
		if err := d.save(ctx); err != nil {
			return true, outcome{err: err} // still unsent
		}
	}
	o.fresh = false
	d.placed = true
	remote, err := d.create(ctx)
	now := d.journal.Now()
	if err != nil {
		return true, d.notPlaced(ctx, now, err)
	}
	if o.Draft && remote.ID == "" {
		d.held.keepAsDraft(remote.RequestID)
		return true, outcome{err: d.save(ctx)}
	}
	// A draft that is answered with a number has become an order, or the number is another order's:
	// asking for its status tells which.
	if err := d.held.takeNumber(ctx, remote.ID, numberAnswered); err != nil {
		o.LastError = sanitize.Short(err.Error())
		o.note(now, "CERTInext answered with the number of another order: %s", o.LastError)
		d.inDoubt()
		return true, outcome{err: d.save(ctx)}
	}
	if o.Reissue != nil {
		o.Reissue.Taken = true
	}
	o.note(now, "CERTInext took the order as %s", sanitize.Short(remote.ID))
	o.observe(now, remote)
	if o.observeCAA(now, remote) {
		d.warnOfCAA()
	}
	d.remote = remote
	if remote.Status == certinext.StatusUnknown {
		d.remote = nil // version 1 answers with nothing but the number
	}
	// The row of a promoted draft may be as old as the draft, and a reissue has no row of its own:
	// neither of them proves that an earlier order is absent (ADR 0009).
	if o.PromotedAt.IsZero() && o.Reissue == nil {
		later := laterOrderOf(o, d.journal.registry.lastAsked(o.ID))
		later.answered = d.journal.Steady()
		d.journal.laterOrders.add(later)
	}
	if err := errors.Join(d.save(ctx), d.recordPreviousRevoked(ctx)); err != nil {
		return true, outcome{err: err}
	}
	return ctx.Err() != nil, outcome{}
}

// create sends the order, or the reissue, to CERTInext. Cancelling ctx does not cut off the call.
func (d *driver) create(ctx context.Context) (*certinext.Order, error) {
	ctx, cancel := d.journal.Detached(ctx)
	defer cancel()
	d.journal.registry.markSent(d.order.ID, d.journal.Steady())
	if d.order.Reissue != nil {
		return d.client.ReissueOrder(ctx, d.order.Placement.Family, d.order.CAOrderID,
			d.order.reissueRequest())
	}
	return d.client.CreateOrder(ctx, d.order.orderRequest(d.consent(), d.config.Version()))
}

// consent returns the consent token of the order's organization. It is empty when role and config
// now name another organization, or when the role's token was written for another account.
func (d *driver) consent() account.Secret {
	defaults := d.defaults()
	number := defaults.OrganizationNumber
	if number != d.order.Placement.OrganizationNumber {
		return ""
	}
	if r := d.role; r != nil && r.ConsentToken != "" &&
		(!r.HasConsentFor(d.config) || cmp.Or(r.ConsentOrganization, number) != number) {
		return ""
	}
	return defaults.ConsentToken
}

// defaults returns the order defaults of the role, filled up with those of config.
func (d *driver) defaults() account.OrderDefaults {
	if d.role == nil {
		return d.config.OrderDefaults
	}
	return d.role.OrderDefaults.Or(d.config.OrderDefaults)
}

// notPlaced handles a failed create: CERTInext has certainly refused it, or may have taken it.
func (d *driver) notPlaced(ctx context.Context, now time.Time, err error) outcome {
	o := d.order
	o.LastError = sanitize.Short(err.Error())
	if certinext.MayHaveActed(err) || o.keyWasSeen(err) {
		if o.NotBefore.IsZero() && o.PromotionKey == "" { // nor was it asked before this drive
			asked := d.journal.registry.lastAsked(o.ID)
			o.NotBefore = caTime(d.journal.Host, d.journal.Account, asked)
		}
		o.State = StateUnresolved
		o.note(now, "CERTInext may have taken the order: %s", sanitize.Short(err.Error()))
		d.setNeeds(append(unresolvedNeeds(o), presumedNeed(d)...))
		return outcome{err: d.save(ctx)}
	}
	if o.promoting() {
		return d.stillDraft(ctx, err)
	}
	if o.isApproved() && !fault.IsPermanent(err) {
		return approvedInVain(ctx, d.held, err) // the cause will pass
	}
	o.note(now, "CERTInext did not take the order: %s", sanitize.Short(err.Error()))
	if storageErr := d.end(ctx, StateFailed); storageErr != nil {
		return outcome{err: storageErr}
	}
	if storageErr := d.journal.forgetRefusedBefore(ctx, d.storage, o); storageErr != nil {
		d.journal.Log.Warn("the record of an order that CERTInext refused before was not removed",
			"order_id", o.ID, "error", storageErr)
	}
	return outcome{err: fault.Refused(withRemedy(err))}
}

// withRemedy adds what a requester can do about a refusal whose own words do not say it.
func withRemedy(err error) error {
	if !certinext.HasCode(err, codeKeyUsed) {
		return err
	}
	return fmt.Errorf("%w: the key of csr was in an earlier order; make a new key for each order "+
		"(cert-manager: rotationPolicy: Always)", err)
}

// codeKeyUsed refuses a CSR whose key CERTInext has seen in an order before (observed in version
// 1).
const codeKeyUsed = "EMS-1099"

// keyWasSeen reports whether CERTInext refused a create because it knows the key, although the
// engine has just made that key. Then the create was sent twice on its way, and CERTInext took the
// first copy.
func (o *orderEntry) keyWasSeen(err error) bool {
	return certinext.HasCode(err, codeKeyUsed) && o.PrivateKey != ""
}

// track asks CERTInext for the order's status. It reports whether the drive is over because the
// status could not be read in time.
func (d *driver) track(ctx context.Context) (done bool) {
	remote, err := track(ctx, d.client, d.order, d.order.CAOrderID)
	switch {
	case ctx.Err() != nil:
		return true
	case certinext.IsRefusal(err, http.StatusNotFound) &&
		d.correctNumber(ctx, "CERTInext does not know that number"):
		return false
	case err == nil && !d.order.mayBeCalled(remote.Domain):
		if d.correctNumber(ctx, "that order is for "+sanitize.Short(remote.Domain)) {
			return false
		}
		err = fmt.Errorf("CERTInext's order %s is for %s: it cannot be this order",
			sanitize.Short(d.order.CAOrderID), sanitize.Short(remote.Domain))
		fallthrough
	case err != nil:
		d.failed(err)
		return d.wait(ctx, action{step: stepWait})
	case d.disprovesAdoption(ctx):
		return false
	}
	d.remote = remote
	d.lastErr = nil
	d.tracked = true
	if !d.leavesToSolver() || !d.order.Stuck {
		d.order.LastError = ""
	}
	if remote.CSRSubmitted != nil && *remote.CSRSubmitted {
		d.order.CSRRefused = false
	}
	d.order.observe(d.journal.Now(), remote)
	if d.order.observeCAA(d.journal.Now(), remote) {
		d.warnOfCAA()
	}
	before := d.order.FinalSeen
	d.tried.confirmed = d.order.observeFinal(d.journal.Now(), remote)
	if remote.Status == certinext.StatusRevoked && !d.tried.confirmed {
		d.findStored(ctx)
	}
	if d.tried.confirmed && d.confirmEnd(ctx) {
		return false
	}
	if before != (sighting{}) && d.order.FinalSeen == (sighting{}) {
		// The first sighting was wrong. It must not stay stored: a process that takes over would
		// take the next sighting for the second one.
		if err := d.save(ctx); err != nil {
			d.failed(err)
		}
	}
	return false
}

func (d *driver) submitCSR(ctx context.Context) {
	d.tried.csrSent = true
	o := d.order
	err := d.client.SubmitCSR(ctx, o.Placement.Family, o.CAOrderID, o.CSR, o.Placement.Attested)
	if err == nil {
		o.note(d.journal.Now(), "CSR submitted")
		return
	}
	refused := certinext.IsRefusal(err,
		http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity)
	if ctx.Err() == nil && refused {
		// It may also mean that the CSR is already there: the status decides what happens next.
		o.CSRRefused = true
	} else {
		d.retry = true
	}
	d.failed(err)
}

func (d *driver) agree(ctx context.Context) {
	d.tried.agreed = true
	o := d.order
	err := d.client.AcceptAgreement(ctx, o.Placement.Family, o.CAOrderID, *o.Placement.agreement())
	if err != nil {
		d.retry = true
		d.failed(err)
		return
	}
	o.note(d.journal.Now(), "subscriber agreement accepted")
}

// chainPatience is how long the chain has to be refused before it counts as missing. CERTInext's
// own refusals of a chain could not be told from a gateway's, which pass.
const chainPatience = 10 * time.Minute

// wait sleeps until the next look is due. It reports whether the drive is over instead: time is up,
// or the context has ended.
func (d *driver) wait(ctx context.Context, a action) (done bool) {
	now := d.journal.Now()
	until := d.until
	byHand := d.solver == nil && d.remote != nil &&
		d.remote.Status == certinext.StatusPendingDCV
	if len(a.needs) > 0 && (byHand || len(d.order.CAAForbids) > 0) {
		if patience := d.started.Add(humanPatience); patience.Before(until) {
			until = patience
		}
	}
	delay := host.PollDelay(d.polls)
	d.polls++
	var refusal *certinext.Error
	if errors.As(d.lastErr, &refusal) {
		delay = max(delay, refusal.RetryAfter)
	}
	if now.Add(delay).After(until) {
		return true
	}
	if host.Sleep(ctx, delay) {
		return true
	}
	if d.remote == nil || d.remote.Status != certinext.StatusIssued ||
		d.remote.CSRSubmitted == nil {
		// Only an issued order that has its CSR keeps its status: just its certificate is missing.
		d.remote = nil
	}
	d.tried.downloaded, d.tried.validated = false, false
	if d.retry {
		d.tried = progress{}
		d.retry = false
	}
	return false
}

// failed records a call that did not succeed. The order stays open.
func (d *driver) failed(err error) {
	d.lastErr = err
	d.order.LastError = sanitize.Short(err.Error())
	d.order.dirty = true
	d.journal.Log.Warn("a call for an order failed",
		"order_id", d.order.ID, "ca_order_id", d.order.CAOrderID, "error", err)
}

// setNeeds records what has to happen next.
func (d *driver) setNeeds(needs []string) {
	if !slices.Equal(needs, d.order.Needs) {
		d.order.Needs, d.order.dirty = needs, true
	}
}
