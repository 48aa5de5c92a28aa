// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// download fetches the certificate and checks that it is ours.
func (d *driver) download(ctx context.Context) (done bool, out outcome) {
	o := d.order
	d.tried.downloaded = true
	bundle, err := d.client.Certificate(ctx, o.Placement.Family, o.CAOrderID)
	if err == nil && len(bundle.Chain) == 0 {
		bundle, err = d.withChain(ctx, bundle)
	}
	switch {
	case certinext.IsNotReady(err):
		o.note(d.journal.Now(), "issued, but the certificate is not there yet")
		return false, outcome{}
	case ctx.Err() != nil:
		return true, outcome{}
	case err != nil:
		d.failed(err)
		return false, outcome{}
	}
	key, err := o.publicKey()
	if err != nil {
		return true, outcome{err: err}
	}
	cert, err := certificates.Assemble(bundle, key)
	if errors.Is(err, certificates.ErrNoLeaf) {
		stored, known := d.journal.Certificates.OfOrder(ctx, d.storage, o.ID)
		switch {
		case known != nil:
			return true, outcome{err: known}
		case stored != nil: // it was handed over by a process that has died, and reissued since
			cert, err = certificates.Assemble(&certinext.Bundle{Certificate: stored.Certificate, Chain: stored.Chain}, key)
		case o.Reissue != nil:
			return d.notReissued(ctx, bundle)
		case d.findNumber(ctx, "the certificate of that one has another key"):
			d.tried.downloaded = false
			return false, outcome{}
		case o.Adopted:
			return true, d.unadopt(ctx)
		}
	}
	if err != nil {
		// Not ours, or unreadable: what is served may still change, and somebody has to see it.
		d.failed(fmt.Errorf("downloading the certificate: %w", err))
		return false, outcome{}
	}
	over, err := d.revokedMeanwhile(ctx)
	if err == nil && over {
		return true, outcome{err: d.end(ctx, StateRevoked)}
	}
	if err = errors.Join(err, d.endPrevious(ctx)); err != nil {
		return true, outcome{err: err}
	}
	return true, outcome{cert: cert}
}

// unadopt takes back that an operator gave the order a number: the certificate of that one carries another key, so it
// is somebody else's order. What became of this one is in doubt again.
func (d *driver) unadopt(ctx context.Context) outcome {
	o := d.order
	o.note(d.journal.Now(), "CERTInext's order %s, which was given by hand, is for another key: it is not this order", sanitize.Short(o.CAOrderID))
	o.CAOrderID, o.CAStatus, o.CAState, o.FinalSeen, o.Adopted = "", "", "", sighting{}, false
	d.remote, d.lastErr = nil, nil
	d.inDoubt()
	return outcome{err: d.save(ctx)}
}

// withChain asks for the PEM form of a certificate whose JSON form came without its chain. Only a refusal settles that there
// is none: a certificate that is stored without its chain stays so, and any other failure passes.
func (d *driver) withChain(ctx context.Context, bundle *certinext.Bundle) (*certinext.Bundle, error) {
	full, err := d.client.CertificatePEM(ctx, d.order.Placement.Family, d.order.CAOrderID)
	switch {
	case err == nil:
		full.Chain = append(full.Chain, full.Certificate)
		full.Certificate = bundle.Certificate
		return full, nil
	case certinext.HasStatus(err, http.StatusBadRequest, http.StatusNotFound, http.StatusNotAcceptable, http.StatusUnprocessableEntity):
		if !certinext.IsRefusal(err) && !d.chainMissedFor(chainPatience) {
			return nil, err
		}
		d.journal.Log.Warn("the certificate came without its chain", "order_id", d.order.ID, "error", err)
		return bundle, nil
	}
	return nil, err
}

// chainMissedFor reports whether the chain has been refused for a while.
func (d *driver) chainMissedFor(patience time.Duration) bool {
	o, now := d.order, d.journal.Now()
	if o.ChainMissedAt.IsZero() || o.ChainMissedAt.After(now) {
		o.ChainMissedAt, o.dirty = now, true
	}
	return now.Sub(o.ChainMissedAt) >= patience
}

// publicKey returns the key that the certificate has to carry.
func (o *orderEntry) publicKey() (any, error) {
	block, _ := pem.Decode([]byte(o.CSR))
	if block == nil {
		return nil, fmt.Errorf("order %s: the stored CSR is not PEM", o.ID)
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("order %s: the stored CSR: %w", o.ID, err)
	}
	return csr.PublicKey, nil
}

// findStored notes which certificate an order has that was answered by a process which has died since: CERTInext does not serve it any more
// once it is revoked.
func (d *driver) findStored(ctx context.Context) {
	if d.order.Serial != "" {
		return
	}
	c, err := d.journal.Certificates.OfOrder(ctx, d.storage, d.order.ID)
	if err != nil {
		d.failed(err)
		return
	}
	if c != nil {
		d.order.Serial, d.order.Delivered, d.order.dirty = c.Serial, c.Delivery != nil, true
	}
}
