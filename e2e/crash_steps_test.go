// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// A crashStep is one thing that a client does, as often as it takes. Its error says why it has to do it again.
type crashStep struct {
	name string
	do   func(*point) error
}

// The steps.
var (
	askStep     = crashStep{"ask", (*point).ask}
	againStep   = crashStep{"again", (*point).ask}
	fleetStep   = crashStep{"ask", (*point).askTogether}
	fleetAgain  = crashStep{"again", (*point).askTogether}
	unreadStep  = crashStep{"unread", (*point).askUnread}
	forceStep   = crashStep{"force", (*point).force}
	keptPass    = crashStep{"kept", (*point).pass}
	leftStep    = crashStep{"ask", (*point).askInVain}
	doubtStep   = crashStep{"ask", (*point).askInDoubt}
	refusedStep = crashStep{"ask", (*point).askRefused}
	placeStep   = crashStep{"place", (*point).place}
	approveStep = crashStep{"approve", (*point).approve}
	collectStep = crashStep{"collect", (*point).collect}
	cancelStep  = crashStep{"cancel", (*point).cancel}
	endStep     = crashStep{"end", func(p *point) error { return p.endLease(p.heard[0]) }}
	endOther    = crashStep{"end other", func(p *point) error { return p.endLease(p.heard[1]) }}
	revokeStep  = crashStep{"revoke", (*point).revoke}
	downStep    = crashStep{"down", func(p *point) error { p.rig.setDown(p.label, true); return nil }}
	upStep      = crashStep{"up", func(p *point) error { p.rig.setDown(p.label, false); return nil }}
	soonStep    = crashStep{"soon", func(p *point) error { return p.cell.forward(time.Minute) }}
	laterStep   = crashStep{"later", func(p *point) error { return p.cell.forward(20 * time.Minute) }}
	waitedStep  = crashStep{"waited", func(p *point) error { return p.cell.waitForCreates(p.rig.crashes()) }}
	storedStep  = crashStep{"stored", (*point).passUntilIssued}
	passStep    = crashStep{"pass", (*point).passUntilIssued}
	erasePass   = crashStep{"pass", (*point).passUntilErased}
	neverStep   = crashStep{"never placed", (*point).neverPlaced}
	byHandStep  = crashStep{"by hand", (*point).placeByHand}
	adoptStep   = crashStep{"adopt", (*point).adopt}
	requestStep = crashStep{"request", (*point).requestApproval}
	decideStep  = crashStep{"decide", (*point).decide}
	rejectStep  = crashStep{"reject", (*point).reject}
	dueStep     = crashStep{"due", (*point).due}
	aheadPass   = crashStep{"ahead", (*point).passUntilSucceeded}
)

// ask asks for the certificate until it is there.
func (p *point) ask() error {
	resp, err := p.post(p.issuePath(), p.request())
	if err != nil {
		return p.settled(err)
	}
	p.hear(resp)
	return nil
}

// fleetSize is how many ask at the same instant.
const fleetSize = 3

// askTogether asks as a fleet does whose copies were all started at the same instant.
func (p *point) askTogether() error {
	errs := make([]error, fleetSize)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = p.ask() })
	}
	all.Wait()
	return errors.Join(errs...)
}

// askUnread asks for an answer that is wrapped, and that nobody ever looks into.
func (p *point) askUnread() error {
	wrapping, err := p.rig.v.api.Clone()
	if err != nil {
		return err
	}
	wrapping.SetToken(p.rig.v.api.Token())
	wrapping.SetWrappingLookupFunc(func(string, string) string { return "5m" })
	_, err = wrapping.Logical().WriteWithContext(p.rig.t.Context(), p.cell.mount+"/"+p.issuePath(), p.request())
	if p.misses() {
		return errUnheard
	}
	return p.settled(err)
}

// force asks for another certificate than those that were handed over.
func (p *point) force() error {
	data := p.request()
	data["force_new"] = true
	resp, err := p.post(p.issuePath(), data)
	if err != nil {
		return p.settled(err)
	}
	p.hear(resp)
	return nil
}

// askInVain asks for a certificate that does not come in time, until the CA has the order.
func (p *point) askInVain() error {
	_, err := p.post(p.issuePath(), p.request())
	if isRefusal(err) && strings.Contains(err.Error(), "is not finished") && strings.Contains(err.Error(), "(CERTInext order ") {
		return nil
	}
	return p.settled(err)
}

// askInDoubt asks for what a crash has left in doubt, and remembers the order.
func (p *point) askInDoubt() error {
	_, err := p.post(p.issuePath(), p.request())
	if inDoubt(err) {
		p.order = orderID.FindString(err.Error())
		return nil
	}
	return err
}

// askRefused asks for what the CA refuses.
func (p *point) askRefused() error {
	_, err := p.post(p.issuePath(), p.request())
	if isRefusal(err) && strings.Contains(err.Error(), "not entitled to this account") {
		return nil
	}
	return p.settled(err)
}

func (p *point) place() error {
	resp, err := p.post("orders/"+p.label, p.request())
	if err != nil {
		return err
	}
	p.order, _ = resp.Data["order_id"].(string)
	switch resp.Data["state"] {
	case "unresolved":
		if err := p.settle(p.order); err != nil {
			return err
		}
		return errAgain
	case "placing":
		return errAgain
	}
	return nil
}

// approve is the approver's doing.
func (p *point) approve() error {
	placed := p.cell.ca.ordersFor(p.domain())
	if len(placed) != 1 {
		return fmt.Errorf("there are %d orders to approve", len(placed))
	}
	return p.cell.ca.Approve(placed[0].ID)
}

func (p *point) collect() error {
	resp, err := p.post("orders/"+p.label+"/"+p.order+"/collect", nil)
	if err != nil {
		return err
	}
	p.hear(resp)
	return nil
}

// cancel cancels the order. When the CA will not hear of it, the next background pass finds out why.
func (p *point) cancel() error {
	err := p.delete("orders/" + p.label + "/" + p.order)
	switch {
	case err == nil, isRefusal(err) && strings.Contains(err.Error(), "is over: cancelled"):
		return nil
	case isRefusal(err):
		return errors.Join(p.pass(), errAgain)
	}
	return err
}

func (p *point) revoke() error {
	_, err := p.post("revoke/"+p.label, map[string]any{"serial_number": p.heard[0].Data["serial_number"]})
	return err
}

// passUntilIssued is the background pass that finds the certificate.
func (p *point) passUntilIssued() error {
	if err := p.pass(); err != nil {
		return err
	}
	if order, err := p.get("orders/" + p.label + "/" + p.order); err != nil || order["state"] != "issued" {
		return errors.Join(err, p.cell.forward(time.Minute), errAgain)
	}
	return nil
}

// passUntilErased is the background pass that erases the key and revokes what nobody has fetched.
func (p *point) passUntilErased() error {
	if err := p.pass(); err != nil {
		return err
	}
	open, err := p.keys("order/open/" + p.label + "/")
	queued, again := p.keys("revocation/")
	if err = errors.Join(err, again); err != nil || len(open)+len(queued) > 0 {
		return errors.Join(err, p.cell.forward(time.Minute), errAgain)
	}
	return nil
}

// neverPlaced is an operator who is certain that the CA does not have the order.
func (p *point) neverPlaced() error {
	_, err := p.post("operator/orders/"+p.label+"/"+p.order, map[string]any{"never_placed": true})
	if isRefusal(err) && strings.Contains(err.Error(), "is over: failed") {
		return nil
	}
	return p.tooSoon(err)
}

// placeByHand is an operator who orders in the CA's portal, where neither CSR nor agreement are given.
func (p *point) placeByHand() error {
	ca := p.cell.ca
	client := &certinext.Client{BaseURL: ca.url, Credentials: certinext.OAuth{
		ClientID: certinexttest.DefaultAccountNumber, ClientSecret: certinexttest.DefaultClientSecret,
	}}
	o, err := client.CreateOrder(p.rig.t.Context(), certinext.OrderRequest{
		Family: certinext.FamilySSL, ProductCode: "842", Variant: "dv", Domain: p.domain(), ValidityYears: 1,
		Requestor: certinext.Contact{Name: "Platform Team", Email: "platform@example.com", Phone: "+14155550123"},
	})
	if err != nil {
		return err
	}
	p.byHand = o.ID
	return nil
}

// adopt is the operator telling the engine which order it is.
func (p *point) adopt() error {
	_, err := p.post("operator/orders/"+p.label+"/"+p.order, map[string]any{"ca_order_id": p.byHand})
	if isRefusal(err) && strings.Contains(err.Error(), "there is nothing to resolve") {
		return nil
	}
	return err
}
