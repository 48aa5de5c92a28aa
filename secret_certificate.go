// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// certificateSecretType is stored with every lease, so it must never change.
const certificateSecretType = "certinext_certificate"

// certificateSecret is the lease of an issued certificate. Renewing and revoking use only the
// lease's internal data, so they do not depend on the form in which the certificate was returned.
func (b *secretsBackend) certificateSecret() *framework.Secret {
	return &framework.Secret{
		Type: certificateSecretType,
		Fields: map[string]*framework.FieldSchema{
			"certificate":   {Type: framework.TypeString, Description: "Certificate."},
			"private_key":   {Type: framework.TypeString, Description: "Private key."},
			"serial_number": {Type: framework.TypeString, Description: "Serial number."},
		},
		Renew:  b.renewCertificateLease,
		Revoke: b.revokeCertificateLease,
	}
}

func (b *secretsBackend) renewCertificateLease(
	ctx context.Context, req *logical.Request, _ *framework.FieldData,
) (*logical.Response, error) {
	serial, lease, err := b.leaseToChange(ctx, req)
	if err != nil {
		return nil, err
	}
	ttl, warning, err := b.engine.Certificates.RenewLease(ctx, req.Storage, backend.Renewal{
		LeaseEnd:  backend.LeaseEnd{Serial: serial, ID: lease},
		Increment: req.Secret.Increment, IssuedAt: req.Secret.IssueTime, MaxTTL: req.Secret.MaxTTL,
	})
	if err != nil {
		return answer(err)
	}
	resp := &logical.Response{Secret: req.Secret}
	resp.Secret.TTL = ttl
	if warning != "" {
		resp.AddWarning(warning)
	}
	return resp, nil
}

func (b *secretsBackend) revokeCertificateLease(
	ctx context.Context, req *logical.Request, _ *framework.FieldData,
) (*logical.Response, error) {
	serial, lease, err := b.leaseToChange(ctx, req)
	if err != nil {
		return nil, err
	}
	if req.Secret.IssueTime.IsZero() && b.engine.Orders.JustAnswered(lease, answeredAt(req)) {
		// Vault sets the issue time of every lease that it has stored. It could not store this one,
		// mostly because the caller had disconnected, and returned an error: the certificate has
		// not been delivered by this answer (ADR 0010).
		return nil, b.engine.Orders.TakeBack(ctx, req.Storage, serial, lease)
	}
	end := backend.LeaseEnd{Serial: serial, ID: lease}
	return nil, b.engine.Certificates.ReleaseLease(ctx, req.Storage, end)
}

// leaseToChange is leaseOf on a node that may write. Vault and OpenBao forward paths by what they
// declare, but not what becomes of a lease: `lease revoke -sync` runs where it was asked for.
func (b *secretsBackend) leaseToChange(
	ctx context.Context, req *logical.Request,
) (serial, lease string, err error) {
	if err := b.engine.Account.MayWrite(ctx, req.Storage); err != nil {
		return "", "", err
	}
	return leaseOf(req)
}

func leaseOf(req *logical.Request) (serial, lease string, err error) {
	if req.Secret == nil {
		return "", "", fmt.Errorf("request %s has no lease", req.ID)
	}
	serial, _ = req.Secret.InternalData["serial"].(string)
	lease, _ = req.Secret.InternalData["lease"].(string)
	if serial == "" || lease == "" {
		return "", "", fmt.Errorf("lease %s names no certificate", req.Secret.LeaseID)
	}
	return serial, lease, nil
}

// answeredAt is the time of the answer that the lease belongs to; the zero time when the lease does
// not contain it.
func answeredAt(req *logical.Request) time.Time {
	text, _ := req.Secret.InternalData["answered_at"].(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at
}
