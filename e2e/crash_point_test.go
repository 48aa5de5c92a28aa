// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"
)

// A point is a client that walks through a flow and is struck at its spots.
type point struct {
	rig   *crashRig
	flow  *crashFlow
	label string // its role, and the first part of its domain
	cell  *cell
	spots []spot // where it is struck, in this order

	step   string // that it is at; with a prime for every crash in it
	struck int
	done   chan struct{}
	failed error

	order string // the engine's id
	// answers counts those that Vault has given since the point was armed.
	answers atomic.Int64
	hearing sync.Mutex
	heard   []*api.Secret // answers with a certificate that have reached the client
	key     crypto.Signer // the client's own, for sign
	csr     string
	byHand  string // the CA's number of an order that an operator has placed
	settles int    // orders in doubt that an operator has settled
}

func (p *point) String() string {
	places := make([]string, len(p.spots))
	for i, s := range p.spots {
		places[i] = s.String()
	}
	return fmt.Sprintf("%s (%s) killed at [%s]", p.label, p.flow.name, strings.Join(places, "; then "))
}

func (p *point) domain() string {
	return p.label + "." + cmp.Or(p.flow.zone, "example.com")
}

// errAgain is a step that has not come to its end yet.
var errAgain = errors.New("not yet")

// stepPatience is how long a step may go on being put off.
const stepPatience = 90 * time.Second

// walk goes through the flow. A crash makes the client repeat the step that it interrupted.
func (p *point) walk() {
	defer close(p.done)
	for _, s := range p.flow.steps {
		if err := p.take(s); err != nil {
			p.failed = fmt.Errorf("%s: %w", s.name, err)
			return
		}
	}
}

func (p *point) take(s crashStep) error {
	deadline := time.Now().Add(stepPatience)
	if err := p.begin(s.name); err != nil {
		return err
	}
	for {
		crashes, justBack := p.rig.awaitServer(), p.rig.justBack()
		err := s.do(p)
		switch {
		case err == nil:
			return nil
		case p.rig.crashes() != crashes: // the connection broke, or the answer was lost
			deadline = time.Now().Add(stepPatience)
			continue
		case justBack && isServerFault(err):
			// Vault asks a plugin first whether what a write names exists, and does not start one that is dead for that: the first
			// request after its death may be answered 500. Vault's own client sends it again.
		case !isRefusal(err) && !errors.Is(err, errAgain):
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("not within %s: %w", stepPatience, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// isServerFault reports whether err is a 5xx.
func isServerFault(err error) bool {
	var answer *api.ResponseError
	return errors.As(err, &answer) && answer.StatusCode >= http.StatusInternalServerError
}

// begin notes that a step begins, and arms the point if it is to be stopped there.
func (p *point) begin(step string) error {
	p.step = step
	p.answers.Store(0)
	p.rig.desk.note(p.label, stepMark+step)
	if p.struck < len(p.spots) && p.spots[p.struck].step == step {
		return p.rig.desk.arm(p.label, p.spots[p.struck])
	}
	return nil
}

// errUnheard is an answer that the client did not get because it was killed.
var errUnheard = errors.New("the answer was lost")

// misses waits until it is killed, if the client is to miss the answer that Vault has just given.
func (p *point) misses() bool {
	return p.rig.desk.stop(p.label, spot{after: true, event: theAnswer, nth: int(p.answers.Add(1))}.place())
}

// post writes below the mount, as the client.
func (p *point) post(path string, data map[string]any) (*api.Secret, error) {
	client := p.rig.v.api
	if p.flow.person {
		client = p.rig.requester
	}
	return p.postAs(client, path, data)
}

// postAs writes below the mount as somebody.
func (p *point) postAs(client *api.Client, path string, data map[string]any) (*api.Secret, error) {
	resp, err := client.Logical().WriteWithContext(p.rig.t.Context(), p.cell.mount+"/"+path, data)
	if p.misses() {
		return nil, errUnheard
	}
	return resp, err
}

func (p *point) delete(path string) error {
	_, err := p.rig.v.api.Logical().DeleteWithContext(p.rig.t.Context(), p.cell.mount+"/"+path)
	if p.misses() {
		return errUnheard
	}
	return err
}

func (p *point) endLease(of *api.Secret) error {
	err := p.rig.v.api.Sys().RevokeWithOptionsWithContext(p.rig.t.Context(), &api.RevokeOptions{LeaseID: of.LeaseID, Sync: true})
	if p.misses() {
		return errUnheard
	}
	return err
}

// pass is the background pass, which Vault otherwise calls every minute.
func (p *point) pass() error {
	_, err := p.rig.write(p.cell.mount+"/crash/pass", nil)
	return err
}

func (p *point) get(path string) (map[string]any, error) {
	resp, err := p.rig.v.api.Logical().ReadWithContext(p.rig.t.Context(), p.cell.mount+"/"+path)
	if err != nil || resp == nil {
		return nil, err
	}
	return resp.Data, nil
}

// keys lists what the mount has stored in a folder.
func (p *point) keys(folder string) ([]string, error) {
	resp, err := p.rig.v.api.Logical().ListWithContext(p.rig.t.Context(), p.cell.raw+folder)
	if err != nil || resp == nil {
		return nil, err
	}
	return texts(resp.Data["keys"]), nil
}

func (p *point) issuePath() string {
	if p.csr != "" {
		return "sign/" + p.label
	}
	return "issue/" + p.label
}

func (p *point) request() map[string]any {
	data := map[string]any{"common_name": p.domain()}
	maps.Copy(data, p.flow.request)
	if p.csr != "" {
		data["csr"] = p.csr
	}
	return data
}

// hear remembers an answer with a certificate. Its key is a secret that the logs are searched for.
func (p *point) hear(resp *api.Secret) {
	p.hearing.Lock()
	defer p.hearing.Unlock()
	p.heard = append(p.heard, resp)
	if key, _ := resp.Data["private_key"].(string); key != "" && p.rig.searched.Add(1) <= maxSearched {
		p.rig.v.keep("a private key", key)
	}
}

// maxSearched bounds the keys that the logs are searched for, which takes longer than all crashes.
const maxSearched = 30

// inDoubt reports whether an answer says that an order may or may not have been placed.
func inDoubt(err error) bool {
	return isRefusal(err) && strings.Contains(err.Error(), "not known yet whether")
}

// settled is the operator who settles an order in doubt.
func (p *point) settled(err error) error {
	if !inDoubt(err) {
		return err
	}
	if err := p.settle(orderID.FindString(err.Error())); err != nil {
		return err
	}
	return errAgain
}

// settle declares an order never placed, after a look into the CA's books. Only where the CA cannot have heard of it may that
// be needed.
func (p *point) settle(id string) error {
	had := make(map[any]bool) // what was bought before
	for _, resp := range p.heard {
		had[resp.Data["serial_number"]] = true
	}
	if paid := len(p.cell.ca.ordersFor(p.domain())); paid != len(had) {
		// The operator leaves that to the engine, which has not come to it.
		return fmt.Errorf("%w: order %s is in doubt, and the CA holds %d orders, of which the client has %d", errAgain, id, paid, len(had))
	}
	_, err := p.rig.write(p.cell.mount+"/operator/orders/"+p.label+"/"+id, map[string]any{"never_placed": true})
	if err == nil {
		p.settles++
	}
	return p.tooSoon(err)
}

// tooSoon lets time pass when the operator is told that the CA may still be working on the order.
func (p *point) tooSoon(err error) error {
	if isRefusal(err) && strings.Contains(err.Error(), "may still be working on order") {
		return errors.Join(err, p.cell.waitForCreates(p.rig.crashes()))
	}
	return err
}
