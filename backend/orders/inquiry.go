// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/hashicorp/vault/sdk/logical"
)

// An inquiry is a request and what its plan is made of.
type inquiry struct {
	role    *issuing.Role
	config  *account.Config
	request issuing.Request // completed, if it renews a certificate
	domains []string
	subject issuing.Subject
	renews  *certificates.Entry // the certificate that it renews; nil for any other request
}

// inquire reads what the plan of a request is made of.
func inquire(
	ctx context.Context, journal *Journal, s logical.Storage, r issuing.Request,
) (*inquiry, error) {
	role, err := roles.MustRead(ctx, s, r.Role)
	if err != nil {
		return nil, err
	}
	_, cfg, err := journal.Account.Client(ctx, s)
	if err != nil {
		return nil, err
	}
	q := &inquiry{role: role, config: cfg, request: r}
	if r.Renews != "" {
		if q.request, q.renews, err = journal.renewal(ctx, s, role, r); err != nil {
			return nil, err
		}
	}
	q.subject, err = issuing.FillSubject(role, q.request.Subject,
		func(template string) (string, error) {
			return fillTemplate(journal.Host, template, r.EntityID)
		})
	if err != nil && r.Renews != "" {
		return nil, fault.BadField("serial",
			"its certificate is for a subject that the role does not give this requester: %v", err)
	}
	q.domains = allowedDomains(journal.Host, role, r.EntityID)
	return q, err
}

// isRenewed reports whether the request renews a certificate that has a successor.
func (q *inquiry) isRenewed() bool { return q.renews != nil && q.renews.RenewedBy != "" }

// isDue returns an error when it is too early for the renewal that is asked for.
func (q *inquiry) isDue(ctx context.Context, journal *Journal, s logical.Storage) error {
	if q.renews == nil {
		return nil
	}
	return checkRenewalDue(ctx, s, journal.Account, q.role, q.renews)
}

// requestCaller returns the caller of a request, with the plan that the request comes to under its
// role.
func (journal *Journal) requestCaller(
	ctx context.Context, s logical.Storage, r issuing.Request, p purpose,
) (*caller, error) {
	answers := journal.answers.Load()
	q, err := inquire(ctx, journal, s, r)
	if err != nil {
		return nil, err
	}
	if err := q.isDue(ctx, journal, s); err != nil {
		return nil, err
	}
	w := journal.newCaller(s, q.role, p)
	w.ttl, w.answersBefore = r.TTL, answers
	w.isRenewed = q.isRenewed()
	w.plan, err = issuing.NewPlan(q.role, q.config, q.domains, q.subject, q.request)
	return w, err
}
