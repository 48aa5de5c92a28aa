// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// These are the flows in which people take part: one asks, another approves, and what is bought is counted for them.

// person logs in as somebody who has an identity, which a token of root's has not.
func (r *crashRig) person(name string) *api.Client {
	r.t.Helper()
	login := "auth/approle/role/" + name
	r.v.write(login, map[string]any{"token_policies": "crash", "token_ttl": "24h"})
	secret := text(r.t, r.v.write(login+"/secret-id", nil).Data["secret_id"])
	r.v.keep("a secret id", secret)
	resp := r.v.write("auth/approle/login", map[string]any{"role_id": r.v.read(login + "/role-id")["role_id"], "secret_id": secret})
	return r.v.as(resp.Auth.ClientToken).api
}

// admitPeople makes those who take part.
func (r *crashRig) admitPeople() {
	r.t.Helper()
	r.v.write("sys/auth/approle", map[string]any{"type": "approle"})
	require.NoError(r.t, r.v.api.Sys().PutPolicyWithContext(r.t.Context(), "crash",
		`path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }`))
	r.requester, r.approver = r.person("requester"), r.person("approver")
}

// requestApproval asks for what somebody has to approve.
func (p *point) requestApproval() error {
	resp, err := p.post("orders/"+p.label, p.request())
	if err != nil {
		return err
	}
	p.order, _ = resp.Data["order_id"].(string)
	if state := resp.Data["state"]; state != "approval" {
		return fmt.Errorf("order %s does not wait for an approval: %s", p.order, state)
	}
	return nil
}

// decide is the approver, who has to be asked once more where CERTInext never got the order.
func (p *point) decide() error {
	_, err := p.postAs(p.rig.approver, "approvals/"+p.label+"/"+p.order, map[string]any{"decision": "approve"})
	if err == nil || !isRefusal(err) {
		return err
	}
	// The approval is used up, and nothing goes on by itself before the requester asks again, who may have to be approved anew.
	resp, asked := p.post("orders/"+p.label, p.request())
	if asked != nil {
		return asked
	}
	p.order, _ = resp.Data["order_id"].(string)
	switch resp.Data["state"] {
	case "pending", "issued":
		return nil
	case "unresolved":
		if failed := p.settle(p.order); failed != nil {
			return failed
		}
	}
	return errors.Join(errAgain, err)
}

// reject is the approver who does not want it. A process that has not stored the order itself first makes sure that nobody has
// placed it before a snapshot was restored, by what the CA's records show when it has run for absent_after.
func (p *point) reject() error {
	_, err := p.postAs(p.rig.approver, "approvals/"+p.label+"/"+p.order,
		map[string]any{"decision": "reject", "remark": "not before the move"})
	if !isRefusal(err) {
		return err
	}
	order, failed := p.get("orders/" + p.label + "/" + p.order)
	if failed != nil || order["state"] == "rejected" {
		return failed
	}
	return errors.Join(errAgain, err, p.cell.forward(20*time.Minute), p.hearTheClock())
}

// due lets the day before the certificate's renewal come, by when a role that begins a tenth of its life ahead makes the successor,
// and has CERTInext tell that it has.
func (p *point) due() error {
	again := time.Unix(number(p.rig.t, p.heard[0].Data["renew_after"]), 0)
	return errors.Join(p.cell.forward(again.Add(-24*time.Hour).Sub(p.cell.now())), p.hearTheClock())
}

// hearTheClock has the mount hear CERTInext's clock: one that has jumped is in doubt until then.
func (p *point) hearTheClock() error {
	_, err := p.get("config/check")
	return err
}

// passUntilSucceeded is the background pass that makes the successor.
func (p *point) passUntilSucceeded() error {
	if err := p.pass(); err != nil {
		return err
	}
	cert, err := p.get("cert/" + p.heard[0].Data["serial_number"].(string))
	if err != nil || cert["renewed_by"] == nil || cert["renewed_by"] == "" {
		return errors.Join(err, p.cell.forward(6*time.Hour), p.hearTheClock(), errAgain)
	}
	return nil
}

// compareBudget wants what is paid for counted, and nothing else.
func (p *point) compareBudget() {
	if p.flow.budget == nil {
		return
	}
	budget, err := p.get("budgets/" + p.label)
	require.NoError(p.rig.t, err)
	counted, open := 0, 0
	usage, _ := budget["usage"].([]any)
	for _, row := range usage {
		subject := row.(map[string]any)
		counted += int(number(p.rig.t, subject["orders"]))
		open += int(number(p.rig.t, subject["open_orders"]))
	}
	paid := p.flow.paid(p.spots)
	p.rig.tally.add("budgets", "orders counted", counted)
	p.rig.tally.add("budgets", "orders counted too many", max(0, counted-paid))
	if counted != paid || open != 0 {
		p.rig.t.Errorf("%s: the budget counts %d orders, %d of them open, and %d are paid", p, counted, open, paid)
	}
}
