// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package inventory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/lineage"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/hashicorp/vault/sdk/logical"
)

// Bounds of one request to adopt certificates, whose answer has to come before Vault's clients give
// up.
const (
	// MaxAdopted is how many certificates one request adopts, or finds that it cannot, at most.
	MaxAdopted = 1000
	// adoptTime is how long it works at most. Each certificate costs a call.
	adoptTime = 40 * time.Second
)

// An AdoptRequest asks for certificates to be adopted into a role, either those of Serials or those
// of Domain.
type AdoptRequest struct {
	orders.Adoption          // its Serial is not used
	Serials         []string // in any form
	// Domain selects the synchronized certificates all of whose names are this one or below it, and
	// that are valid and nobody's.
	Domain string
	// After is the Next of an earlier answer about the same domain, and Limit how many certificates
	// are adopted, or found that they cannot be, at most.
	After string
	Limit int
}

// An AdoptResult says what came of a request to adopt certificates.
type AdoptResult struct {
	Adopted []*orders.Adopted
	Refused []RefusedAdoption
	// Warnings say of the adopted ones which of them clients refuse.
	Warnings []string
	// Next is what a further request continues after; empty when all were looked at.
	Next string
}

// A RefusedAdoption is a certificate that was not adopted.
type RefusedAdoption struct {
	Serial string // with colons
	Why    string
}

// Adopt has a role adopt certificates. That one of several is refused does not keep the others from
// being adopted; of a request for a single one, the refusal is the error. What was adopted before
// any other error stays adopted, and the same request goes on with the others.
func (inv *Inventory) Adopt(
	ctx context.Context, s logical.Storage, r AdoptRequest,
) (*AdoptResult, error) {
	if r.Limit < 1 || r.Limit > MaxAdopted {
		return nil, fault.BadField("limit", "must be between 1 and %d", MaxAdopted)
	}
	wanted, one, err := inv.toAdopt(ctx, s, &r)
	if err != nil {
		return nil, err
	}
	out, err := inv.adoptAll(ctx, s, &r, wanted, one)
	if err == nil && len(out.Adopted) > 0 {
		out.Warnings = inv.warnAdopted(ctx, s, out.Adopted)
	}
	return out, err
}

// warnAdopted says which of the adopted certificates clients refuse. Somebody has them already, so
// none is held for that.
func (inv *Inventory) warnAdopted(
	ctx context.Context, s logical.Storage, adopted []*orders.Adopted,
) (warnings []string) {
	keys := make([]string, 0, len(adopted))
	for _, a := range adopted {
		keys = append(keys, strings.ReplaceAll(a.Certificate.Serial, ":", "-"))
	}
	lineage.Await(ctx, inv.Lineage, s)
	verdicts, err := lineage.Of(ctx, inv.Lineage, s, keys)
	unknown := 0
	for _, key := range keys {
		v, known := verdicts[key]
		if !known {
			unknown++
		}
		warnings = append(warnings, lineage.Tell(Colons(key), &v)...)
	}
	if unknown > 0 {
		inv.Log.Debug("which clients accept adopted certificates is not known", "error", err)
		warnings = append(warnings, fmt.Sprintf("trust: of %d adopted certificates it is not "+
			"known yet whether clients accept them: vault read <mount>/inventory/certs says it "+
			"in a minute", unknown))
	}
	return warnings
}

// adoptAll is the work of Adopt. one is set when the request names a single certificate.
func (inv *Inventory) adoptAll(
	ctx context.Context, s logical.Storage, r *AdoptRequest, wanted []string, one bool,
) (*AdoptResult, error) {
	until, out := inv.Steady().Add(adoptTime), new(AdoptResult)
	for i, serial := range wanted {
		done := len(out.Adopted) + len(out.Refused)
		if done == r.Limit || (i > 0 && !inv.Steady().Before(until)) {
			return out, nil
		}
		if r.Domain != "" {
			fits, err := fitsDomain(ctx, s, serial, r.Domain, inv.Now())
			if err != nil {
				return nil, err
			}
			if !fits {
				out.Next = serial
				continue
			}
		}
		a := r.Adoption
		a.Serial = serial
		switch adopted, err := orders.Adopt(ctx, inv.orders, s, a); {
		case err == nil:
			out.Adopted = append(out.Adopted, adopted)
		case one || !isAboutCertificate(err):
			return nil, err
		default:
			out.Refused = append(out.Refused, RefusedAdoption{
				Serial: strings.ReplaceAll(serial, "-", ":"), Why: sanitize.Error(err),
			})
		}
		out.Next = serial
	}
	out.Next = ""
	return out, nil
}

// isAboutCertificate reports whether an error is about the certificate that was to be adopted, and
// not about the whole request.
func isAboutCertificate(err error) bool {
	var field *fault.FieldError
	return errors.As(err, &field) &&
		(field.Field == "serial_number" || field.Field == "product_code")
}

// toAdopt returns the serial numbers, with dashes and sorted, of the certificates that may be
// meant. one is set when the request names a single one.
func (inv *Inventory) toAdopt(
	ctx context.Context, s logical.Storage, r *AdoptRequest,
) (wanted []string, one bool, err error) {
	if (len(r.Serials) == 0) == (r.Domain == "") {
		return nil, false, fault.BadField("serial_number",
			"write either serial_number, of one or several certificates, or domain")
	}
	if r.Domain != "" {
		names, err := issuing.SplitDNSNames("domain", []string{r.Domain})
		if err != nil {
			return nil, false, err
		}
		if len(names) != 1 || strings.HasPrefix(names[0], "*.") {
			return nil, false, fault.BadField("domain", "is a domain such as example.com: names "+
				"below it are selected, too")
		}
		r.Domain = names[0]
		wanted, err = store.List(ctx, s, certificates.Prefix)
		if err != nil {
			return nil, false, err
		}
	}
	for _, text := range r.Serials {
		serial, err := serials.Parse("serial_number", text)
		if err != nil {
			return nil, false, err
		}
		wanted = append(wanted, serial)
	}
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	if r.After != "" {
		after, err := serials.Parse("after", r.After)
		if err != nil {
			return nil, false, err
		}
		from, found := slices.BinarySearch(wanted, after)
		if found {
			from++
		}
		wanted = wanted[from:]
	}
	return wanted, len(r.Serials) == 1, nil
}

// fitsDomain reports whether a certificate is nobody's, valid, and for nothing but a domain and
// names below it.
func fitsDomain(
	ctx context.Context, s logical.Storage, serial, domain string, now time.Time,
) (bool, error) {
	c, err := certificates.Read(ctx, s, serial)
	if err != nil || c == nil || !c.Imported || c.Role != "" || c.Revocation != nil ||
		!c.NotAfter.After(now) || c.ReissuedAs != "" {
		return false, err
	}
	certs, err := certificates.Parse([]string{c.Certificate})
	if err != nil || len(certs) == 0 {
		return false, err
	}
	names := certs[0].DNSNames
	if len(certs[0].IPAddresses) > 0 || len(names) == 0 {
		return false, nil
	}
	outside := func(name string) bool {
		name = strings.ToLower(name)
		return name != domain && !strings.HasSuffix(name, "."+domain)
	}
	return !slices.ContainsFunc(names, outside), nil
}

// Unadopt undoes the adoption of a certificate by a role: see [orders.Unadopt].
func (inv *Inventory) Unadopt(ctx context.Context, s logical.Storage, role, serial string) error {
	key, err := serials.Parse("serial", serial)
	if err != nil {
		return err
	}
	return orders.Unadopt(ctx, inv.orders, s, role, key)
}
