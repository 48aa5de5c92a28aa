// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/domains"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/hashicorp/vault/sdk/logical"
)

// keepValidated has the names of a certificate validated until a time by the role's solver, so that
// the order for its successor, whose key only its requester has, waits for no validation.
func (e *Engine) keepValidated(
	ctx context.Context, s logical.Storage, role *issuing.Role, names []string, until time.Time,
) error {
	switch {
	case !role.Shape().Public():
		return nil
	case role.DNS.Solver == "":
		return fault.BadField("dcv_solver", "is not set in the role: nobody can validate the "+
			"domains ahead of the request (renew_ahead)")
	}
	for _, name := range names {
		err := e.Domains.KeepUntil(ctx, s, domains.Registration{
			Name: name, OrganizationNumber: role.OrganizationNumber, Method: role.DCVMethod,
			DNS: role.DNS,
		}, until)
		if err != nil {
			return err
		}
	}
	return nil
}
