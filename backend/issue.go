// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/go-uuid"
	"github.com/hashicorp/vault/sdk/helper/identitytpl"
	"github.com/hashicorp/vault/sdk/logical"
)

// Issued is a certificate as it is handed over.
type Issued struct {
	Certificate *Certificate
	// PrivateKey is PKCS#8 PEM; empty when the caller brought the CSR.
	PrivateKey     string
	PrivateKeyType string // "ec" or "rsa"
	Lease          *Lease // nil when the role generates none
	Warnings       []string
}

// Issue places the order that r comes to, or finds the one it came to before, and waits for its certificate as long as the
// role says. An order that is not finished by then is an [*OrderError].
func (e *Engine) Issue(ctx context.Context, s logical.Storage, r Request) (*Issued, error) {
	r.mayRekey = true
	for begun := e.now(); ; {
		spent := e.now().Sub(begun)
		a, err := e.attend(ctx, s, r)
		if err != nil {
			return nil, err
		}
		a.wait -= spent
		obtain := e.await
		if a.rekey != nil {
			obtain = e.rekey
		}
		issued, err := obtain(ctx, s, a)
		if !wantsNewOrder(err) {
			return issued, err
		}
	}
}

// errSpent is an order that was found again although its certificate was handed over longer ago than its grace. It is closed
// now, so the request is one for a new order.
var errSpent = errors.New("the order's certificate was handed over before")

// wantsNewOrder reports whether the order that a request found again turned out to be over, or never to have been placed.
func wantsNewOrder(err error) bool {
	return errors.Is(err, errSpent) || errors.Is(err, errNeverTaken) || errors.Is(err, errTwinTaken)
}

// PlaceOrder places the order that r comes to, or finds the one it came to before, and returns it without waiting for the
// certificate.
func (e *Engine) PlaceOrder(ctx context.Context, s logical.Storage, r Request) (*Order, error) {
	r.hurried = true
	for {
		a, err := e.attend(ctx, s, r)
		if err != nil {
			var open *OrderError
			errors.As(err, &open)
			return orderOf(open, err) // it may be worked on at this moment
		}
		o, err := e.lookOnce(ctx, s, a)
		if !wantsNewOrder(err) {
			return o, err
		}
	}
}

// lookAt is lookOnce for an order that was not asked for by its request: one that is over is said to be.
func (e *Engine) lookAt(ctx context.Context, s logical.Storage, role *Role, o *orderEntry) (*Order, error) {
	v, err := e.lookOnce(ctx, s, &attendance{role: role, order: o})
	if errors.Is(err, errSpent) {
		return nil, e.notOpen(ctx, s, o.Role, o.ID)
	}
	return v, err
}

// lookOnce does for an order whatever needs no waiting, and lets go of it.
func (e *Engine) lookOnce(ctx context.Context, s logical.Storage, a *attendance) (*Order, error) {
	if a.order.State != StateIssued {
		a.wait, a.unclaimed = 0, true
		_, err := e.await(ctx, s, a)
		var open *OrderError
		if !errors.As(err, &open) || open.Err != nil || open.Order.State != StateIssued {
			return orderOf(open, err)
		}
		// Issued, perhaps long ago: see below.
		if _, ok := e.orders.acquire(a.order.ID); !ok {
			return open.Order, nil
		}
	}
	defer func() { e.orders.release(a.order.ID, e.now().Add(passDelay(0))) }()
	c, err := get[certEntry](ctx, s, certPrefix+a.order.Serial)
	if err != nil {
		return nil, err
	}
	if c != nil && c.spent(a.order, e.now()) {
		if err := e.finish(ctx, s, a.order, c); err != nil {
			return nil, err
		}
		return nil, errSpent
	}
	return a.order.view(), nil
}

// orderOf returns the order of an error that is only that the order is not finished.
func orderOf(open *OrderError, err error) (*Order, error) {
	if open != nil && open.Err == nil {
		return open.Order, nil
	}
	return nil, err
}

// An attendance is an order together with the request that drives it.
type attendance struct {
	role      *Role
	order     *orderEntry
	wait      time.Duration // for the order to be finished
	patience  time.Duration // for the calls that need no waiting, where that is longer
	ttl       time.Duration
	unclaimed bool // the certificate is not for this request
	// rekey is set when the order is for the same names and another key than the request's: its certificate is to be reissued
	// for that.
	rekey *plan
}

// attend finds or makes the order of a request, and makes the request its driver.
func (e *Engine) attend(ctx context.Context, s logical.Storage, r Request) (*attendance, error) {
	role, err := e.mustRole(ctx, s, r.Role)
	if err != nil {
		return nil, err
	}
	_, cfg, err := e.client(ctx, s)
	if err != nil {
		return nil, err
	}
	if r.Renews != "" {
		if r, err = e.renewal(ctx, s, role, r); err != nil {
			return nil, err
		}
	}
	whom, err := fillSubject(role, r.Subject, func(template string) (string, error) { return e.fillTemplate(template, r.EntityID) })
	if err != nil && r.Renews != "" {
		return nil, badField("serial", "its certificate is for a subject that the role does not give this requester: %v", err)
	}
	if err != nil {
		return nil, err
	}
	p, err := makePlan(role, cfg, e.allowedDomains(role, r.EntityID), whom, r)
	if err != nil {
		return nil, err
	}
	if err := e.orders.load(ctx, s); err != nil {
		return nil, err
	}
	a := &attendance{role: role, wait: role.IssueTimeout, ttl: r.TTL}
	if r.hurried {
		a.wait = hangUpPatience
	}
	if r.ID != "" {
		a.order, err = e.attendNamed(ctx, s, a, p)
		return a, err
	}
	if a.order, err = e.findSame(ctx, s, a, p.identity); err != nil || a.order != nil {
		return a, err
	}
	if found, err := e.findTwin(ctx, s, a, p); err != nil || found {
		return a, err
	}
	id, err := e.newID()
	if err != nil {
		return nil, err
	}
	a.order, err = e.begin(ctx, s, p, id)
	return a, err
}

// hangUpPatience is how long a request waits for another one like it to end. A caller that hangs up and asks again at
// once must not pay twice, and the word that it has hung up may come after its next request.
const hangUpPatience = time.Second

// findSame makes the request the driver of the order that the same request came to before, if that is open and nobody waits
// for it. It returns nil when there is none. Two requests in flight at the same time are two orders.
func (e *Engine) findSame(ctx context.Context, s logical.Storage, a *attendance, fingerprint string) (*orderEntry, error) {
	return e.findOpen(ctx, s, a, printed(fingerprint), func(o *orderEntry) bool { return o.Fingerprint == fingerprint })
}

// findOpen is findSame for any order that is wanted; stored says whether its entry is, too.
func (e *Engine) findOpen(ctx context.Context, s logical.Storage, a *attendance, wanted func(*tracked) bool, stored func(*orderEntry) bool) (*orderEntry, error) {
	start := e.now()
	deadline := start.Add(a.wait)
	for {
		m := e.orders.claim(wanted)
		a.wait = deadline.Sub(e.now())
		switch {
		case m.id == "":
			return nil, nil
		case m.busy == nil:
			o, err := e.reopen(ctx, s, a.role.Name, m.id)
			switch {
			case err != nil:
				return nil, err
			case o != nil && !stored(o):
				// A write that failed has parted the registry from storage, which is right.
				e.orders.amend(o)
				e.orders.release(o.ID, e.now())
			case o != nil:
				return o, nil
			}
		case m.attended:
			if e.waitFor(ctx, m.busy, start.Add(hangUpPatience)) != nil {
				return nil, ctx.Err()
			}
		default:
			// Driven by the background pass, or for a request that has left: it is this request's order.
			if err := e.waitFor(ctx, m.busy, deadline); err != nil {
				return nil, e.stillBusy(ctx, s, a.role.Name, m.id, err)
			}
		}
	}
}

// namedOrderID is the id of the order of a request that has a name of its own. It follows from the name, so no index has to be kept,
// and no crash can part the two.
func namedOrderID(role, requester, name string) (string, error) {
	sum := sha256.Sum256([]byte(strings.Join([]string{role, requester, name}, "\x00")))
	return uuid.FormatUUID(sum[:16])
}

// NamedOrder returns the order of a request that has a name of its own, and nil when the requester has made none of that name.
func (e *Engine) NamedOrder(ctx context.Context, s logical.Storage, role, requester, name string) (*Order, error) {
	id, err := namedOrderID(role, requester, name)
	if err != nil {
		return nil, err
	}
	return e.Order(ctx, s, role, id)
}

// attendNamed finds or makes the order of a request that has a name of its own.
func (e *Engine) attendNamed(ctx context.Context, s logical.Storage, a *attendance, p *plan) (*orderEntry, error) {
	r := p.request
	id, err := namedOrderID(r.Role, r.Requester, r.ID)
	if err != nil {
		return nil, err
	}
	deadline := e.now().Add(a.wait)
	for {
		busy, ok := e.orders.acquire(id)
		if busy != nil {
			a.wait = deadline.Sub(e.now())
			if err := e.waitFor(ctx, busy, deadline); err != nil {
				return nil, e.stillBusy(ctx, s, r.Role, id, err)
			}
			continue
		}
		if !ok {
			o, err := e.beginNamed(ctx, s, p, id)
			if errors.Is(err, errTaken) {
				continue // another request of this name was faster
			}
			return o, err
		}
		a.wait = deadline.Sub(e.now())
		o, err := e.reopen(ctx, s, r.Role, id)
		if err != nil {
			return nil, err
		}
		if o == nil {
			continue
		}
		if err := o.answers(p); err != nil {
			e.orders.putBack(id)
			return nil, err
		}
		return o, nil
	}
}

// answers says why an order is not that of a request that has its name. A draft that was promoted is.
func (o *orderEntry) answers(p *plan) error {
	r := p.request
	switch {
	case strings.TrimPrefix(o.Fingerprint, draftPrefix) != strings.TrimPrefix(p.identity, draftPrefix):
		return badField("request_id", "%q already names another request (order %s)", r.ID, o.ID)
	case o.Draft && !r.Draft:
		return badField("request_id", "%q names order %s, which is a draft: writing promote=true to orders/%s/%s places it", r.ID, o.ID, o.Role, o.ID)
	}
	return nil
}

// beginNamed makes the order of a request with a name of its own, unless that name is used up.
func (e *Engine) beginNamed(ctx context.Context, s logical.Storage, p *plan, id string) (*orderEntry, error) {
	r := p.request
	closed, err := get[orderEntry](ctx, s, closedOrderPrefix+r.Role+"/"+id)
	if err != nil {
		return nil, err
	}
	switch {
	case closed == nil:
	case closed.State == StateFailed, closed.CAOrderID == "", !closed.Delivered && strings.HasPrefix(r.ID, renewalID):
		// CERTInext never took it, or had it as a draft only, or nobody got the renewal: the name is free.
		if err := remove(ctx, s, closed.closedKey()); err != nil {
			return nil, err
		}
	default:
		return nil, badField("request_id", "%q names order %s, which is over (%s); its key is gone: use another name", r.ID, id, closed.State)
	}
	return e.begin(ctx, s, p, id)
}

// waitFor waits for another driver of the same order to let go.
func (e *Engine) waitFor(ctx context.Context, busy <-chan struct{}, deadline time.Time) error {
	timer := time.NewTimer(deadline.Sub(e.now()))
	defer timer.Stop()
	select {
	case <-busy:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return context.DeadlineExceeded
	}
}

// stillBusy describes an order that another request drives.
func (e *Engine) stillBusy(ctx context.Context, s logical.Storage, role, id string, cause error) error {
	o, err := e.Order(context.WithoutCancel(ctx), s, role, id)
	if err != nil || o == nil {
		return cause
	}
	return &OrderError{Order: o}
}

// reopen reads an order that the caller has just become the driver of. It returns nil when the order is no longer open.
func (e *Engine) reopen(ctx context.Context, s logical.Storage, role, id string) (*orderEntry, error) {
	o, err := get[orderEntry](ctx, s, openOrderPrefix+role+"/"+id)
	var closed *orderEntry
	if err == nil && o != nil {
		closed, err = get[orderEntry](ctx, s, o.closedKey())
	}
	if err == nil && closed != nil {
		// Closing it was cut short between its two writes.
		o, err = nil, remove(ctx, s, closed.openKey())
	}
	if err != nil {
		e.orders.release(id, e.now())
		return nil, err
	}
	if o == nil {
		e.orders.drop(id)
	}
	return o, nil
}

// errTaken is a new order whose id is that of an open one.
var errTaken = errors.New("an order of this id is open")

// begin stores the intent to order, before CERTInext hears of it, and makes the caller the order's driver.
func (e *Engine) begin(ctx context.Context, s logical.Storage, p *plan, id string) (*orderEntry, error) {
	o, err := e.newOrder(p, id)
	if err != nil {
		return nil, err
	}
	if err := e.insertNew(ctx, s, o); err != nil {
		return nil, err
	}
	return o, nil
}

// insertNew stores an order that CERTInext has certainly not heard of, and makes the caller its driver.
func (e *Engine) insertNew(ctx context.Context, s logical.Storage, o *orderEntry) error {
	if !e.orders.insert(o) {
		return errTaken
	}
	if err := e.saveOrder(ctx, s, o); err != nil {
		// It may have been stored all the same, and must not be taken for an order that was sent.
		if again := remove(context.WithoutCancel(ctx), s, o.openKey()); again != nil {
			err = errors.Join(err, again)
		}
		e.orders.drop(o.ID)
		return err
	}
	o.fresh = true
	return nil
}

func (e *Engine) newOrder(p *plan, id string) (*orderEntry, error) {
	role, cfg, r := p.role, p.config, p.request
	now := e.now()
	key, err := e.newID()
	if err != nil {
		return nil, err
	}
	o := &orderEntry{
		Version: 1, ID: id, Role: role.Name, Requester: r.Requester, RequestID: r.ID, Account: cfg.account(),
		Fingerprint: p.identity, State: StatePlacing, Draft: r.Draft, Renews: r.Renews, CSR: p.csr,
		CreatedAt: now, UpdatedAt: now, Grace: role.DeliveryGrace, Pickup: role.PickupWindow, RevokeUnclaimed: role.RevokeUnclaimed, TTL: r.TTL,
		Placement: newPlacement(role, role.OrderDefaults.or(cfg.OrderDefaults), p, key),
	}
	o.Placement.Keyless = keyless(cfg, o.Placement.Family)
	o.note(now, "requested")
	if p.csr != "" {
		return o, nil
	}
	return o, e.addKey(o, p)
}

// addKey makes the order's key and CSR.
func (e *Engine) addKey(o *orderEntry, p *plan) error {
	key, err := p.key.generate(e.random)
	if err != nil {
		return fmt.Errorf("generating the key: %w", err)
	}
	if o.PrivateKey, err = marshalKey(key); err != nil {
		return err
	}
	o.CSR, err = newCSR(key, p)
	return err
}

// await drives the order until it is issued or the request's time is up.
func (e *Engine) await(ctx context.Context, s logical.Storage, a *attendance) (*Issued, error) {
	o := a.order
	if o.State == StateIssued {
		return e.deliverStored(ctx, s, a)
	}
	d, err := e.newDriver(ctx, s, o, e.now().Add(a.wait))
	if err != nil {
		return nil, errors.Join(err, e.abandon(ctx, s, o))
	}
	d.quick = a.wait <= 0
	e.orders.attend(o.ID, true)
	done, left := make(chan outcome), make(chan struct{})
	defer close(left)
	e.work.Add(1)
	driveCtx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(e.alive, cancel)
	go func() {
		defer e.work.Done()
		defer cancel()
		defer stop()
		out := d.run(driveCtx)
		select {
		case done <- out:
		case <-left:
			e.leave(ctx, s, a, out)
		}
	}()
	timer := time.NewTimer(max(a.wait, a.patience) + time.Second)
	defer timer.Stop()
	if a.unclaimed {
		timer.Stop() // nothing is waited for but the answer to the placing
	}
	select {
	case out := <-done:
		return e.answer(ctx, s, a, out)
	case <-ctx.Done():
	case <-timer.C:
	}
	e.orders.attend(o.ID, false)
	return nil, &OrderError{Order: d.latest.Load()}
}

// abandon lets go of an order that could not be driven. One that CERTInext has certainly not heard of is closed.
func (e *Engine) abandon(ctx context.Context, s logical.Storage, o *orderEntry) error {
	if !o.fresh {
		e.orders.release(o.ID, e.now())
		return nil
	}
	if o.promoting() {
		e.setDraft(o, true)
		o.note(e.now(), "still a draft: given up before CERTInext was told")
		defer func() { e.orders.release(o.ID, e.now()) }()
		return e.saveOrder(ctx, s, o)
	}
	o.State = StateFailed
	o.note(e.now(), "given up before CERTInext was told")
	return e.closeOrder(ctx, s, o)
}

// answer ends a request whose driver has come back in time.
func (e *Engine) answer(ctx context.Context, s logical.Storage, a *attendance, out outcome) (*Issued, error) {
	o := a.order
	if out.cert != nil && !a.unclaimed && ctx.Err() == nil {
		return e.deliverNew(ctx, s, a, out.cert)
	}
	e.leave(ctx, s, a, out)
	var refusal *RefusedError
	if out.err != nil && !errors.As(out.err, &refusal) {
		return nil, out.err
	}
	return nil, &OrderError{Order: o.view(), Err: out.err}
}

// leave lets go of an order that nobody waits for any more. A certificate that has come is stored for the next request.
func (e *Engine) leave(ctx context.Context, s logical.Storage, a *attendance, out outcome) {
	e.settle(ctx, s, a.order, out)
	if a.wait <= 0 && a.order.Solver != "" && a.order.awaitsValidation() {
		e.validateBehind(ctx, s, a.order)
		return
	}
	e.orders.release(a.order.ID, e.now().Add(passDelay(0)))
}

// validateBehind lets go of an order whose solver has work to do, and has that begin behind the request that does not wait for it,
// unless the order had its turn a moment ago. A client that asks often must not keep the order from the background work.
func (e *Engine) validateBehind(ctx context.Context, s logical.Storage, o *orderEntry) {
	t, _ := e.orders.status(o.ID)
	e.orders.putBack(o.ID)
	if t.next.After(e.now()) || e.guard.now().inDoubt() || e.paused() || !e.active() || e.alive.Err() != nil {
		return
	}
	select {
	case e.behind <- struct{}{}:
	default:
		return // enough goes on; the background pass comes to it
	}
	ctx, stop := e.outlive(ctx)
	e.work.Go(func() {
		defer func() { <-e.behind }()
		defer stop()
		if err := e.passOrder(ctx, s, t); err != nil && e.alive.Err() == nil {
			e.log.Warn("a solver's work behind a request met an error; the background pass tries again", "order_id", t.id, "error", err)
		}
	})
}

// settle stores and logs what a drive has come to.
func (e *Engine) settle(ctx context.Context, s logical.Storage, o *orderEntry, out outcome) {
	if out.cert != nil {
		if err := e.keepUnclaimed(context.WithoutCancel(ctx), s, o, out.cert); err != nil {
			e.log.Error("storing a certificate failed; the background pass tries again", "order_id", o.ID, "error", err)
		}
	}
	if out.err != nil {
		e.log.Warn("an order ended with an error", "order_id", o.ID, "error", out.err)
	}
}

// allowedDomains fills in the role's templated domains. A template that does not apply to the requester allows nothing.
func (e *Engine) allowedDomains(role *Role, entityID string) []string {
	if !role.AllowedDomainsTemplate {
		return role.AllowedDomains
	}
	var out []string
	for _, d := range role.AllowedDomains {
		if !strings.Contains(d, "{{") {
			out = append(out, d)
			continue
		}
		if filled, err := e.fillTemplate(d, entityID); err == nil && filled != "" {
			out = append(out, filled)
		}
	}
	return out
}

func (e *Engine) fillTemplate(template, entityID string) (string, error) {
	if e.system == nil || entityID == "" {
		return "", fmt.Errorf("the requester has no identity entity")
	}
	entity, err := e.system().EntityInfo(entityID)
	if err != nil {
		return "", err
	}
	groups, err := e.system().GroupsForEntity(entityID)
	if err != nil {
		return "", err
	}
	_, out, err := identitytpl.PopulateString(identitytpl.PopulateStringInput{
		Mode: identitytpl.ACLTemplating, String: template, Entity: entity, Groups: groups,
		NamespaceID: entity.GetNamespaceID(),
	})
	return out, err
}
