// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// Re-keying is for a request with a CSR, for the names of an order whose CSR has another key. A client such as cert-manager takes an
// order that is not finished in time for a failure, throws its key away, and comes back an hour later with another one. Where the
// role allows it, the order that is paid for is reissued for the new key.
// twin names what an order is for, apart from its key: two orders of the same twin are one requester's for the same names. It is empty
// for an order that cannot be re-keyed: the engine has its key, or its request has a name.
func (o *orderEntry) twin() string {
	if o.PrivateKey != "" || o.CSR == "" || o.RequestID != "" || o.Draft || o.Placement.Family != certinext.FamilySSL || len(o.Placement.DNSNames) == 0 {
		return ""
	}
	return twinOf(o.Role, o.Account, o.Requester, o.Placement.ProductCode, o.Placement.Variant, o.Placement.DNSNames)
}

func twinOf(role, account, requester, product, variant string, names []string) string {
	alts := slices.Sorted(slices.Values(names[1:]))
	text, err := json.Marshal([]any{"twin", role, account, requester, product, variant, names[0], alts})
	if err != nil {
		panic("internal error: strings do not marshal: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// findTwin makes the request the driver of an open order of the same requester for the same names and another key, if the role
// allows that to be re-keyed, and nobody has got its certificate or waits for it.
func (e *Engine) findTwin(ctx context.Context, s logical.Storage, a *attendance, p *plan) (found bool, err error) {
	cfg, r := p.config, p.request
	if !a.role.RekeyOrders || !r.mayRekey || p.csr == "" || p.subject != nil || len(p.dns) == 0 || r.Draft || r.Renews != "" || cfg.version() == certinext.V1 {
		return false, nil
	}
	twin := twinOf(a.role.Name, cfg.account(), r.Requester, a.role.ProductCode, a.role.Variant, p.dns)
	taken := map[string]bool{} // those whose certificates are somebody's, or were reissued
	for {
		o, err := e.findOpen(ctx, s, a, func(t *tracked) bool { return t.twin == twin && !taken[t.id] }, func(o *orderEntry) bool { return o.twin() == twin })
		if err != nil || o == nil {
			return false, err
		}
		free := o.State != StateIssued
		if !free {
			free, err = e.unclaimed(ctx, s, o.Serial)
		}
		if err != nil || !free {
			e.orders.release(o.ID, e.now().Add(passDelay(0)))
			if taken[o.ID] = true; err != nil {
				return false, err
			}
			continue
		}
		if own, err := o.publicKey(); err == nil && samePublicKey(own, p.csrKey) {
			a.order = o // there is nothing to reissue it for
			return true, nil
		}
		a.order, a.unclaimed = o, true
		a.rekey = p
		return true, nil
	}
}

// errTwinTaken is an order whose certificate somebody has got by now, so that the request is one for a new order.
var errTwinTaken = errors.New("the order's certificate was handed over meanwhile")

// unclaimed reports whether nobody has got a certificate, and it can be reissued.
func (e *Engine) unclaimed(ctx context.Context, s logical.Storage, serial string) (bool, error) {
	c, err := get[certEntry](ctx, s, certPrefix+serial)
	return err == nil && c != nil && c.Delivery == nil && c.Revocation == nil && c.ReissuedBy == "" && c.ReissuedAs == "" && c.NotAfter.After(e.now()), err
}

// rekey waits for the order that is to be re-keyed. When it is issued, its certificate is reissued for the request's key, and handed over;
// until then the request is told what that order waits for.
func (e *Engine) rekey(ctx context.Context, s logical.Storage, a *attendance) (*Issued, error) {
	deadline := e.now().Add(a.wait)
	if a.order.State == StateIssued {
		e.orders.release(a.order.ID, e.now().Add(passDelay(0)))
	} else {
		_, err := e.await(ctx, s, a)
		var open *OrderError
		if !errors.As(err, &open) || open.Err != nil || open.Order.State != StateIssued {
			return nil, err
		}
	}
	o, err := e.reissueFor(ctx, s, a)
	if err != nil {
		return nil, err
	}
	issued, err := e.await(ctx, s, &attendance{role: a.role, order: o, wait: deadline.Sub(e.now()), ttl: a.ttl})
	var refusal *RefusedError
	if errors.As(err, &refusal) {
		e.log.Warn("CERTInext does not reissue an order's certificate for another key; a new order is placed", "order_id", o.Reissue.Of, "error", err)
		return nil, errTwinTaken // its certificate names the reissue, so it is not tried again
	}
	return issued, err
}

// reissueFor makes the order of the certificate with the request's key, and makes the request its driver.
func (e *Engine) reissueFor(ctx context.Context, s logical.Storage, a *attendance) (*orderEntry, error) {
	parent, err := e.issuedParent(ctx, s, a.role.Name, a.order.ID)
	if err == nil && parent == nil {
		err = errTwinTaken
	}
	if err != nil {
		return nil, err
	}
	if free, err := e.unclaimed(ctx, s, parent.Serial); err != nil || !free {
		return nil, errors.Join(err, errTwinTaken)
	}
	r := a.rekey.request
	o, err := e.newReissue(ctx, s, a.role, parent, a.rekey, ReissueRequest{
		Role: a.role.Name, ID: parent.ID, Requester: r.Requester, CSR: r.CSR, Reason: "another key for the same names",
	})
	if err != nil {
		return nil, err
	}
	o.Fingerprint, o.TTL = a.rekey.identity, r.TTL
	return o, e.beginReissue(ctx, s, parent, o, func(c *certEntry) error {
		if c.Delivery != nil {
			return errTwinTaken // while CERTInext was asked
		}
		return nil
	})
}
