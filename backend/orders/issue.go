// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/hashicorp/vault/sdk/helper/identitytpl"
	"github.com/hashicorp/vault/sdk/logical"
)

// Issued is a certificate as it is handed over.
type Issued struct {
	Certificate *certificates.Certificate
	// PrivateKey is PKCS#8 PEM; empty when the request brought a CSR.
	PrivateKey     string
	PrivateKeyType string              // "ec" or "rsa"
	Lease          *certificates.Lease // nil when the role generates none
	// Reused is set when an earlier answer held the certificate, too: nothing was bought for this
	// one.
	Reused   bool
	Warnings []string // for the user who reads the answer
}

// Issue places the order that r comes to, or finds the one it came to before, and waits for its
// certificate for the role's issue timeout. The same request is one purchase while its order is in
// flight, and afterwards for the role's reuse window (ADR 0020). When the order is not finished by
// then, or its certificate cannot be handed over, the error is an [*Error].
func (journal *Journal) Issue(
	ctx context.Context, s logical.Storage, r issuing.Request,
) (*Issued, error) {
	w, err := journal.requestCaller(ctx, s, r, forCertificate)
	if err != nil {
		return nil, err
	}
	// Unlike the deadline, this one goes by a clock that does not jump.
	ctx, cancel := context.WithTimeout(ctx, w.role.IssueTimeout+issueMargin)
	defer cancel()
	for {
		issued, err := w.issueOnce(ctx)
		if !w.setAside(err) {
			return issued, err
		}
	}
}

// issueMargin is by how much a request may outlast the issue timeout of its role.
const issueMargin = 5 * time.Second

func (w *caller) issueOnce(ctx context.Context) (*Issued, error) {
	h, rekey, err := w.acquireOrder(ctx)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	if rekey {
		return w.rekey(ctx, h)
	}
	within := h.within()
	issued, err := w.pursue(ctx, h)
	return issued, w.orderInstead(ctx, within, err)
}

// PlaceOrder places the order that r comes to, or finds the one it came to before, and returns it
// without waiting for the certificate.
func (journal *Journal) PlaceOrder(
	ctx context.Context, s logical.Storage, r issuing.Request,
) (*Order, error) {
	w, err := journal.requestCaller(ctx, s, r, forPlacement)
	if err != nil {
		return nil, err
	}
	for {
		o, err := w.placeOnce(ctx)
		if !w.setAside(err) {
			return o, err
		}
	}
}

func (w *caller) placeOnce(ctx context.Context) (*Order, error) {
	h, _, err := w.acquireOrder(ctx)
	if err != nil {
		return unfinished(err) // another request, or the background pass, works on it
	}
	defer h.Release()
	within := h.within()
	o, err := w.refresh(ctx, h)
	return o, w.orderInstead(ctx, within, err)
}

// A placeAnewError is an order that does not serve the request that has found it, so that the
// request looks for another one, or places one.
type placeAnewError struct {
	id    string // of the order
	cause string
	// never is set when CERTInext certainly never took the order (ADR 0009). Then even the request
	// that it was placed for places another one.
	never bool
}

// Error names the order, and why it does not serve the request.
func (e *placeAnewError) Error() string { return "order " + e.id + ": " + e.cause }

// setAside sets aside the order that err is about, and reports whether the request begins anew: the
// order that it found does not serve it, or CERTInext certainly never took the one that was placed
// for it. Whatever else becomes of an order that was placed for a request is the request's answer
// (ADR 0020).
func (w *caller) setAside(err error) bool {
	var elsewhere *placeAnewError
	if !errors.As(err, &elsewhere) {
		return false
	}
	if elsewhere.never && w.purpose.waits() && !w.journal.Now().Before(w.deadline) {
		return false // no time is left for another order
	}
	w.passed[elsewhere.id] = true
	w.bought = false
	return true
}

// refresh takes every step for an order that needs no waiting, and returns the order as it is then.
func (w *caller) refresh(ctx context.Context, h *heldOrder) (*Order, error) {
	_, err := w.pursue(ctx, h)
	return unfinished(err)
}

// refreshOrder is refresh for an order that the caller names by its id. When the order is over, the
// error says so.
func (w *caller) refreshOrder(ctx context.Context, h *heldOrder) (*Order, error) {
	role, id := h.role, h.id
	v, err := w.refresh(ctx, h)
	var elsewhere *placeAnewError
	if errors.As(err, &elsewhere) && !elsewhere.never {
		return nil, w.journal.notOpen(ctx, w.storage, role, id)
	}
	return v, err
}

// unfinished returns the order of an [*Error] that says only that the order is not finished. Any
// other error is returned as it is.
func unfinished(err error) (*Order, error) {
	var open *Error
	if errors.As(err, &open) && open.Err == nil {
		return open.Order, nil
	}
	return nil, err
}

// allowedDomains returns the role's allowed domains for the requester's identity entity, see
// [issuing.Role.AllowedNames].
func allowedDomains(on *host.Host, role *issuing.Role, entityID string) []string {
	return role.AllowedNames(func(template string) (string, error) {
		return fillTemplate(on, template, entityID)
	})
}

// fillTemplate fills in a template of Vault's identities for an entity and its groups.
func fillTemplate(on *host.Host, template, entityID string) (string, error) {
	if on.System == nil || entityID == "" {
		return "", fmt.Errorf("the requester has no identity entity")
	}
	entity, err := on.System().EntityInfo(entityID)
	if err != nil {
		return "", err
	}
	groups, err := on.System().GroupsForEntity(entityID)
	if err != nil {
		return "", err
	}
	_, out, err := identitytpl.PopulateString(identitytpl.PopulateStringInput{
		Mode: identitytpl.ACLTemplating, String: template, Entity: entity, Groups: groups,
		NamespaceID: entity.GetNamespaceID(),
	})
	return out, err
}
