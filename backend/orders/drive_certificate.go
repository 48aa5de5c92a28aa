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

	"github.com/certinext/vault-plugin-secrets-certinext/backend/acceptance"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// download fetches the certificate and checks that it carries the order's key.
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
		stored, readErr := d.journal.Certificates.Numbers.OfOrder(ctx, d.storage, o.CAOrderID, o.ID)
		switch {
		case readErr != nil:
			return true, outcome{err: readErr}
		case stored != nil:
			// A process handed it over and died before it closed the order, whose certificate was
			// reissued since: CERTInext delivers the newer one.
			if err := d.journal.Certificates.Chains.Load(ctx, d.storage, stored); err != nil {
				return true, outcome{err: err}
			}
			own := &certinext.Bundle{Certificate: stored.Certificate, Chain: stored.Chain}
			cert, err = certificates.Assemble(own, key)
		case o.Reissue != nil:
			return d.notReissued(ctx, bundle)
		case d.correctNumber(ctx, "the certificate of that order has another key"):
			d.tried.downloaded = false
			return false, outcome{}
		case o.Adopted:
			return true, outcome{err: d.dropNumber(ctx, "its certificate is for another key")}
		case deliversOtherKey(ctx, d):
			return true, endReplaced(ctx, d)
		}
	}
	if err == nil && isRenewedBy(o, cert) {
		return d.notReissued(ctx, bundle)
	}
	if err != nil {
		// Unreadable, or for another key: CERTInext may still serve another one, and an operator
		// has to see what is wrong.
		d.failed(fmt.Errorf("downloading the certificate: %w", err))
		return false, outcome{}
	}
	if !d.isUsable(o.judge(cert, d.journal.latestNow())) {
		return false, outcome{}
	}
	revoked, err := d.revokedMeanwhile(ctx)
	if err == nil && revoked {
		return true, outcome{err: d.end(ctx, StateRevoked)}
	}
	err = errors.Join(err, d.recordPreviousRevoked(ctx), linkSuccessor(ctx, d, cert))
	if err != nil {
		return true, outcome{err: err}
	}
	learnCharge(ctx, d)
	return true, outcome{cert: cert}
}

// isUsable reports whether a downloaded certificate is taken as it is, be it to hold it. Otherwise
// it is downloaded again: it begins soon, or came with a chain that may have been cut off or mixed
// up on the way, for as long as a chain is waited for.
func (d *driver) isUsable(v acceptance.Verdict) bool {
	if !v.Begins.IsZero() {
		d.order.note(d.journal.Now(), "issued, and waited for: the certificate begins at %s",
			v.Begins.UTC().Format(time.RFC3339))
		return false
	}
	if v.ChainFault != "" && !d.noteChainMissed(chainPatience) {
		d.failed(fmt.Errorf("downloading the certificate: %s", v.ChainFault))
		return false
	}
	return true
}

// withChain asks for the PEM form of a certificate whose JSON form came without its chain. The
// certificate is stored without a chain for good, so only a refusal settles that there is none; any
// other failure is tried again.
func (d *driver) withChain(
	ctx context.Context, bundle *certinext.Bundle,
) (*certinext.Bundle, error) {
	full, err := d.client.CertificatePEM(ctx, d.order.Placement.Family, d.order.CAOrderID)
	switch {
	case err == nil:
		full.Chain = append(full.Chain, full.Certificate)
		full.Certificate = bundle.Certificate
		return full, nil
	case certinext.HasStatus(err, http.StatusBadRequest, http.StatusNotFound,
		http.StatusNotAcceptable, http.StatusUnprocessableEntity):
		// A refusal that is not in CERTInext's own shape may come from a proxy.
		if !certinext.IsRefusal(err) && !d.noteChainMissed(chainPatience) {
			return nil, err
		}
		d.journal.Log.Warn("the certificate came without its chain",
			"order_id", d.order.ID, "error", err)
		return bundle, nil
	}
	return nil, err
}

// noteChainMissed records that the chain was refused, and reports whether the first refusal is at
// least patience ago.
func (d *driver) noteChainMissed(patience time.Duration) bool {
	o, now := d.order, d.journal.Now()
	if o.ChainMissedAt.IsZero() || o.ChainMissedAt.After(now) {
		o.ChainMissedAt, o.dirty = now, true
	}
	return now.Sub(o.ChainMissedAt) >= patience
}

// publicKey returns the public key of the order's CSR, which its certificate has to carry.
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

// findStored gives the order the certificate that is stored for it. A process that handed the
// certificate over and died may not have recorded it in the order's entry, and CERTInext does not
// serve a revoked certificate any more.
func (d *driver) findStored(ctx context.Context) {
	if d.order.Serial != "" {
		return
	}
	c, err := d.journal.Certificates.Numbers.OfOrder(ctx, d.storage, d.order.CAOrderID, d.order.ID)
	if err != nil {
		d.failed(err)
		return
	}
	if c != nil {
		d.order.Serial = c.Serial
		d.order.Delivered = c.Delivery != nil
		d.order.dirty = true
	}
}
