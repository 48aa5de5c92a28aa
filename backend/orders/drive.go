// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
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

// humanPatience is how long a waiting request watches an order whose next move is a person's who reads our answer.
const humanPatience = 5 * time.Second

// A driver moves one order on, for a request that waits or for the background pass.
type driver struct {
	journal *Journal
	storage logical.Storage
	client  *certinext.Client
	config  *account.Config
	role    *issuing.Role // today's; nil when it is gone
	held    *heldOrder
	order   *orderEntry // of held
	purpose purpose     // of whoever the order is moved on for

	// until is when the driver stops waiting. Steps that need no waiting are done even when it has passed.
	until time.Time

	latest  atomic.Pointer[Order] // the order as of the last step, for whoever waits
	remote  *certinext.Order
	tried   progress
	solver  *validation.Run // that validates the order's domains; nil when people do
	again   bool            // what was tried failed, and may be tried again after a wait
	polls   int
	lastErr error // of the latest call to CERTInext; nil when it succeeded
	started time.Time
	told    bool          // CERTInext has told the order's status
	placed  bool          // it was this drive that placed the order
	asking  time.Duration // spent on asking what to publish
}

// An outcome is where a driver left its order.
type outcome struct {
	cert *certificates.Downloaded // nil when there is none yet
	err  error                    // a storage fault, or CERTInext's refusal
}

func (h *heldOrder) newDriver(ctx context.Context, p purpose, until time.Time) (*driver, error) {
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
		journal: h.journal, storage: h.storage, client: client, config: cfg, role: role, held: h, order: o, purpose: p, until: until, started: h.journal.Now(),
	}
	o.Proofs = validation.Fresh(o.Proofs, d.method(), h.journal.Now())
	d.solver = d.chooseSolver()
	d.latest.Store(o.view())
	return d, nil
}

// run drives the order until it is issued, ended, or time is up. On return everything that storage has to know of an
// order without a certificate is stored.
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
		if bound && next.step != stepPlace { // the answer to a create is waited for; whatever follows is a courtesy
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
		if !d.leavesToSolver() { // which says itself what it waits for
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

// place tells CERTInext. The call runs on when the request that waits for it is cancelled: a create may take minutes, and
// one that is cut off leaves an order behind whose number nobody knows.
func (d *driver) place(ctx context.Context) (done bool, out outcome) {
	o := d.order
	if now := keyless(d.config, o.Placement.Family); now != o.Placement.Keyless || o.dirty { // the config has changed a moment ago
		o.Placement.Keyless = now
		if err := d.save(ctx); err != nil {
			return true, outcome{err: err} // still unsent
		}
	}
	o.fresh, d.placed = false, true
	asked := d.journal.Now()
	remote, err := d.create(ctx)
	now := d.journal.Now()
	if err != nil {
		return true, d.notPlaced(ctx, now, err)
	}
	if o.Draft && remote.ID == "" {
		d.held.keepAsDraft(remote.RequestID)
		return true, outcome{err: d.save(ctx)}
	}
	if o.Reissue == nil && d.journal.registry.hasNumber(o.ID, remote.ID) {
		o.note(now, "CERTInext answered with the number %s, which another order has", sanitize.Short(remote.ID))
		d.inDoubt()
		return true, outcome{err: d.save(ctx)}
	}
	o.NotDraft = o.Draft // it is an order all the same, or the number is somebody else's: that shows when it is asked about
	d.held.setDraft(false)
	o.State, o.CAOrderID = StatePending, remote.ID
	if o.Reissue != nil {
		o.Reissue.Taken = true
	}
	o.note(now, "CERTInext took the order as %s", sanitize.Short(remote.ID))
	o.observe(now, remote)
	if d.remote = remote; remote.Status == certinext.StatusUnknown {
		d.remote = nil // version 1 tells no more than the number
	}
	if o.PromotedAt.IsZero() && o.Reissue == nil { // the row of a promoted draft may be as old as the draft, a reissue has none
		d.journal.laterOrders.add(laterOrderOf(o, asked))
	}
	if err := errors.Join(d.save(ctx), d.endPrevious(ctx)); err != nil {
		return true, outcome{err: err}
	}
	return ctx.Err() != nil, outcome{}
}

// create sends the order to CERTInext.
func (d *driver) create(ctx context.Context) (*certinext.Order, error) {
	ctx, cancel := d.journal.Outlive(ctx)
	defer cancel()
	if d.order.Reissue != nil {
		return d.client.ReissueOrder(ctx, d.order.Placement.Family, d.order.CAOrderID, d.order.reissueRequest())
	}
	return d.client.CreateOrder(ctx, d.order.orderRequest(d.consent(), d.config.Version()))
}

// consent is the token of the order's organization, if it was written for the address that it would be sent to.
func (d *driver) consent() account.Secret {
	defaults := d.defaults()
	ownToken := d.role != nil && d.role.ConsentToken != ""
	if defaults.OrganizationNumber != d.order.Placement.OrganizationNumber || ownToken && d.role.ConsentFor != d.config.BaseURL {
		return ""
	}
	return defaults.ConsentToken
}

// defaults are what role and config say of every order.
func (d *driver) defaults() account.OrderDefaults {
	if d.role == nil {
		return d.config.OrderDefaults
	}
	return d.role.OrderDefaults.Or(d.config.OrderDefaults)
}

// notPlaced handles a create that failed: refused for certain, or in doubt.
func (d *driver) notPlaced(ctx context.Context, now time.Time, err error) outcome {
	o := d.order
	o.LastError = sanitize.Short(err.Error())
	if certinext.MayHaveActed(err) || o.keyWasSeen(err) {
		o.State = StateUnresolved
		o.note(now, "CERTInext may have taken the order: %s", sanitize.Short(err.Error()))
		d.setNeeds(unresolvedNeeds(o))
		return outcome{err: d.save(ctx)}
	}
	if o.promoting() {
		return d.stillDraft(ctx, err)
	}
	o.note(now, "CERTInext did not take the order: %s", sanitize.Short(err.Error()))
	if storageErr := d.end(ctx, StateFailed); storageErr != nil {
		return outcome{err: storageErr}
	}
	return outcome{err: fault.Refused(err)}
}

// codeKeyUsed refuses a CSR whose key CERTInext has seen in an order before (observed in version 1).
const codeKeyUsed = "EMS-1099"

// keyWasSeen reports whether CERTInext refused the order since it has seen its key before, although the engine has just made it: then somebody
// in between has sent the create twice, and the first one was taken.
func (o *orderEntry) keyWasSeen(err error) bool {
	return certinext.HasCode(err, codeKeyUsed) && o.PrivateKey != ""
}

// track asks for the status. It reports whether the drive is over because it cannot be had in time.
func (d *driver) track(ctx context.Context) (done bool) {
	remote, err := d.client.TrackOrder(ctx, d.order.Placement.Family, d.order.CAOrderID)
	switch {
	case ctx.Err() != nil:
		return true
	case certinext.IsRefusal(err, http.StatusNotFound) && d.findNumber(ctx, "CERTInext does not know that number"):
		return false
	case err == nil && !d.order.mayBeCalled(remote.Domain):
		if d.findNumber(ctx, "that one is for "+sanitize.Short(remote.Domain)) {
			return false
		}
		err = fmt.Errorf("CERTInext's order %s is for %s: it cannot be this order", sanitize.Short(d.order.CAOrderID), sanitize.Short(remote.Domain))
		fallthrough
	case err != nil:
		d.failed(err)
		return d.wait(ctx, action{step: stepWait, soon: true})
	}
	d.remote, d.lastErr, d.told = remote, nil, true
	if !d.leavesToSolver() || !d.order.Stuck {
		d.order.LastError = ""
	}
	if remote.CSRSubmitted != nil && *remote.CSRSubmitted {
		d.order.CSRRefused = false
	}
	d.order.observe(d.journal.Now(), remote)
	before := d.order.FinalSeen
	if d.tried.confirmed = d.order.observeFinal(d.journal.Now(), remote, d.client.Version); remote.Status == certinext.StatusRevoked && !d.tried.confirmed {
		d.findStored(ctx)
	}
	if d.tried.confirmed && d.confirmEnd(ctx) {
		return false
	}
	if before != (sighting{}) && d.order.FinalSeen == (sighting{}) {
		// It was a lie. A process that takes over must not take the next one for the second look.
		if err := d.save(ctx); err != nil {
			d.failed(err)
		}
	}
	return false
}

// findNumber looks for the order when the number that CERTInext gave for it turns out to be wrong, and reports whether it has another one.
func (d *driver) findNumber(ctx context.Context, why string) bool {
	if d.order.Reissue != nil {
		return false // it has the number of the order that it reissues
	}
	found, err := d.locate(ctx)
	return err == nil && d.takeNumber(ctx, found, why)
}

// confirmEnd looks into CERTInext's records before an order that nobody has got a certificate of is closed, since it is over by the number that
// it has: that may be another order's, and the records may know better. It reports whether the order has another number. While the records
// cannot be read, or show a certificate that is valid, the order stays open.
func (d *driver) confirmEnd(ctx context.Context) (moved bool) {
	o := d.order
	if o.Serial != "" || o.Reissue != nil {
		return false
	}
	found, err := d.locatePlaced(ctx)
	switch {
	case hasNoRecords(err):
		return false
	case err == nil && found.orderID == o.CAOrderID && found.validTill.After(d.journal.Now()):
		err = fmt.Errorf("CERTInext says that the order is %s, and its records show a certificate that is valid until %s",
			d.remote.Status, found.validTill.UTC().Format(time.RFC3339))
	}
	if err != nil {
		d.tried.confirmed = false
		d.failed(err)
		return false
	}
	return d.takeNumber(ctx, found, "that one is over")
}

// takeNumber gives the order the number that CERTInext's records show it by, and reports whether that is another one.
func (d *driver) takeNumber(ctx context.Context, found remoteID, why string) bool {
	o := d.order
	if o.NotDraft && found.orderID == "" && found.requestID != "" {
		d.draftAfterAll(ctx, found.requestID, why)
		return true
	}
	if found.orderID == "" || found.orderID == o.CAOrderID {
		return false
	}
	o.note(d.journal.Now(), "CERTInext has the order as %s, and not as %s: %s", sanitize.Short(found.orderID), sanitize.Short(o.CAOrderID), why)
	o.CAOrderID, o.CAStatus, o.CAState, o.FinalSeen, o.Adopted, o.LastError = found.orderID, "", "", sighting{}, false, ""
	d.remote, d.lastErr = nil, nil
	if err := d.save(ctx); err != nil {
		d.failed(err) // kept in memory until storage takes it
	}
	return true
}

// draftAfterAll takes back that a draft has become an order, when the number that CERTInext gave for it turns out to be wrong and its records
// show it as a draft.
func (d *driver) draftAfterAll(ctx context.Context, requestID, why string) {
	o := d.order
	o.note(d.journal.Now(), "CERTInext does not have the order as %s: %s", sanitize.Short(o.CAOrderID), why)
	o.CAOrderID, o.CAState, o.FinalSeen, o.NotDraft = "", "", sighting{}, false
	d.remote, d.lastErr = nil, nil
	d.held.keepAsDraft(requestID)
	if err := d.save(ctx); err != nil {
		d.failed(err) // kept in memory until storage takes it
	}
}

func (d *driver) submitCSR(ctx context.Context) {
	d.tried.csrSent = true
	err := d.client.SubmitCSR(ctx, d.order.Placement.Family, d.order.CAOrderID, d.order.CSR, d.order.Placement.Attested)
	if err == nil {
		d.order.note(d.journal.Now(), "CSR submitted")
		return
	}
	if ctx.Err() == nil && certinext.IsRefusal(err, http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity) {
		// It may also mean that the CSR is already there: the status decides what happens next.
		d.order.CSRRefused = true
	} else {
		d.again = true
	}
	d.failed(err)
}

func (d *driver) agree(ctx context.Context) {
	d.tried.agreed = true
	agreement := *d.order.Placement.agreement()
	if err := d.client.AcceptAgreement(ctx, d.order.Placement.Family, d.order.CAOrderID, agreement); err != nil {
		d.again = true
		d.failed(err)
		return
	}
	d.order.note(d.journal.Now(), "subscriber agreement accepted")
}

// chainPatience is how long a refusal of the chain has to last that may be a middleman's: CERTInext was seen to refuse in no shape of its own.
const chainPatience = 10 * time.Minute

// wait sleeps until the next look is due. It reports whether the drive is over instead, since time is up or nobody waits.
func (d *driver) wait(ctx context.Context, a action) (done bool) {
	now := d.journal.Now()
	until := d.until
	if len(a.needs) > 0 && d.solver == nil && d.remote != nil && d.remote.Status == certinext.StatusPendingDCV {
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
	if d.remote == nil || d.remote.Status != certinext.StatusIssued || d.remote.CSRSubmitted == nil {
		d.remote = nil // an issued order that has its CSR need not be asked about again, only for its certificate
	}
	d.tried.downloaded, d.tried.validated = false, false
	if d.again {
		d.tried, d.again = progress{}, false
	}
	return false
}

// failed remembers a call that did not work. The order goes on.
func (d *driver) failed(err error) {
	d.lastErr = err
	d.order.LastError = sanitize.Short(err.Error())
	d.order.dirty = true
	d.journal.Log.Warn("a call for an order failed", "order_id", d.order.ID, "ca_order_id", d.order.CAOrderID, "error", err)
}

func (d *driver) setNeeds(needs []string) {
	if !slices.Equal(needs, d.order.Needs) {
		d.order.Needs, d.order.dirty = needs, true
	}
}
