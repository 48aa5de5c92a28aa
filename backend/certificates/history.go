// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/index"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Detail is what a certificate itself says, and what has happened to it.
type Detail struct {
	Requester string // see [sanitize.Subject]
	Owner     string // who answers for it, as the request said
	Origin    index.Origin
	State     string // see [index.StateOf]
	Names     []string
	Subject   string // of the certificate, as RFC 2253 writes it
	Issuer    string // likewise
	KeyType   string // ec or rsa, as Vault has it
	KeyBits   int
	KeyUsage  []string // see [KeyUsage]
	ExtUsage  []string // see [ExtKeyUsage]
	Chain     []ChainLink
	History   []Event // in the order of time
}

// A ChainLink is a CA certificate of a chain.
type ChainLink struct {
	Subject, Serial string // the serial number with colons
	NotAfter        time.Time
}

// An Event is something that has happened to a certificate.
type Event struct {
	At   time.Time
	What string
}

// describe returns what a certificate says of itself, and what has happened to it. successor is
// the certificate that renews it, and queued its revocation in the queue; both may be nil.
func (c *Entry) describe(now time.Time, successor *Entry, queued *Queued) Detail {
	r := rowOf(c)
	d := Detail{
		Requester: r.Requester, Owner: c.Owner, Origin: r.Origin, Names: r.Names,
		State: index.StateOf(*r, now), History: c.history(now, successor, queued),
	}
	if c.Imported {
		d.Requester = ""
	}
	kind, bits, _ := strings.Cut(r.KeyType, "-")
	d.KeyType = kind
	_, _ = fmt.Sscan(bits, &d.KeyBits)
	if leaf, err := Parse([]string{c.Certificate}); err == nil && len(leaf) > 0 {
		d.Subject = sanitize.OneLine(leaf[0].Subject.String())
		d.Issuer = sanitize.OneLine(leaf[0].Issuer.String())
		d.KeyUsage, d.ExtUsage = KeyUsage(leaf[0]), ExtKeyUsage(leaf[0])
	}
	chain, err := Parse(c.Chain)
	if err != nil {
		return d
	}
	for _, up := range chain {
		d.Chain = append(d.Chain, ChainLink{
			Subject:  sanitize.OneLine(up.Subject.String()),
			Serial:   colons(up.SerialNumber.Bytes()),
			NotAfter: up.NotAfter,
		})
	}
	return d
}

func colons(raw []byte) string { return strings.ReplaceAll(fmt.Sprintf("% x", raw), " ", ":") }

// history returns what has happened to the certificate, as far as its entries say when.
func (c *Entry) history(now time.Time, successor *Entry, queued *Queued) []Event {
	var out []Event
	add := func(at time.Time, format string, args ...any) {
		if !at.IsZero() {
			out = append(out, Event{At: at, What: fmt.Sprintf(format, args...)})
		}
	}
	received := "issued: received from CERTInext"
	if c.Imported {
		received = "found in CERTInext's records"
	}
	add(c.ReceivedAt(now), "%s", received)
	add(c.ReleasedAt, "released by an operator although it was not what was ordered")
	if d := c.Delivery; d != nil && !c.Imported {
		add(d.At, "handed over")
		if d.Answers() > 1 {
			add(d.Latest(), "handed over again: %d times in all", d.Answers())
		}
	}
	if successor != nil {
		add(successor.ReceivedAt(now), "renewed by %s", successor.View().Serial)
	}
	if queued != nil && c.Revocation == nil {
		add(queued.QueuedAt, "its revocation was queued")
	}
	add(c.RevocationEnded, "its revocation was given up by an operator")
	if r := c.Revocation; r != nil && r.Reason != "" {
		add(r.At, "revoked: %s", r.Reason)
	} else if r != nil {
		add(r.At, "revoked")
	}
	if !c.NotAfter.After(now) {
		add(c.NotAfter, "expired")
	}
	slices.SortStableFunc(out, func(a, b Event) int { return a.At.Compare(b.At) })
	return out
}

// Describe returns what a stored certificate says of itself, and what has happened to it; nil when
// there is none. It reads what [Keeper.Certificate] does, and the entry of its successor.
func Describe(
	ctx context.Context, keeper *Keeper, s logical.Storage, serial string,
) (*Certificate, *Detail, error) {
	v, c, queued, err := readCertificate(ctx, keeper, s, serial)
	if err != nil || c == nil {
		return nil, nil, err
	}
	var successor *Entry
	if c.RenewedBy != "" {
		if successor, err = Read(ctx, s, c.RenewedBy); err != nil {
			return nil, nil, err
		}
	}
	d := c.describe(keeper.Now(), successor, queued)
	return v, &d, nil
}
