// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Proposal is what CERTInext would be asked for: what an approver looks at, and what a request is
// told that asks what it would come to. It holds no secret.
type Proposal struct {
	CommonName string
	Names      []string // DNS names and addresses, the common name first; or a subject's name
	AddedNames []string // that CERTInext adds by itself (auto_secure_www)
	// Subject is the person or organization of a document signer or S/MIME certificate, without
	// the number of an identity document.
	Subject       map[string]string
	ProductCode   string
	Variant       string // of the product, such as dv-ucc
	ValidityYears int    // of the subscription
	KeyType       string // ec or rsa
	// CSRKeySHA256 is the SHA-256 hash of the public key of the requester's CSR, in hexadecimal, of
	// its SubjectPublicKeyInfo; empty when Vault makes the key.
	CSRKeySHA256       string
	GroupNumber        string // that pays; empty for the account's default
	OrganizationNumber string
	CustomFields       map[string]string // by field id
	// AutoRenew has CERTInext renew the order by itself, RenewBeforeDays before it ends.
	AutoRenew       bool
	RenewBeforeDays int
}

// proposalOf describes an order that is to be placed. csr is the requester's, in PEM; empty when
// the key is Vault's own.
func proposalOf(p *placement, csr any) Proposal {
	names := make([]string, 0, len(p.DNSNames))
	for _, name := range p.names() {
		names = append(names, sanitize.Text(name, 255))
	}
	buys := Proposal{
		Names: names, ProductCode: p.ProductCode, Variant: p.Variant,
		ValidityYears: p.ValidityYears, KeyType: p.KeyType, CSRKeySHA256: spkiSum(csr),
		GroupNumber: p.GroupNumber, OrganizationNumber: p.OrganizationNumber,
		CustomFields: p.CustomFields, AddedNames: p.addedNames(), Subject: p.Subject.Public(),
		AutoRenew: p.AutoRenew, RenewBeforeDays: p.RenewBeforeDays,
	}
	if len(names) > 0 {
		buys.CommonName = names[0]
	}
	return buys
}

// addedNames returns the names that CERTInext adds to those that are ordered.
func (p *placement) addedNames() []string {
	if !p.AutoSecureWWW || len(p.DNSNames) == 0 {
		return nil
	}
	name := p.DNSNames[0]
	www := "www." + name
	if strings.HasPrefix(name, "*.") || strings.HasPrefix(name, "www.") ||
		slices.Contains(p.DNSNames, www) {
		return nil
	}
	return []string{sanitize.Text(www, 255)}
}

// handedTo returns the requester that an operator has handed the order over to; empty when none
// has.
func handedTo(o *orderEntry) string {
	if o.Fingerprint != "" {
		return ""
	}
	return sanitize.Short(o.Requester)
}

// spkiSum returns the SHA-256 hash of a public key; empty for nil.
func spkiSum(key any) string {
	if key == nil {
		return ""
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// An Approval is an order that waits for its approval, or has waited for it.
type Approval struct {
	Order     *Order
	Proposal  Proposal
	Digest    string // of the proposal, which an approval repeats
	Promotes  bool   // it is the promotion of a draft
	Requester Person
	// HandedTo is who gets the certificate after a hand-over by an operator, as orders name
	// requesters; empty when it is whoever has asked for it.
	HandedTo string
	// Aliases are how the requester's entity logs in, as Vault knows them now: the kind of auth
	// method and the name there, such as userpass/ann.
	Aliases   []string
	AskedAt   time.Time
	ExpiresAt time.Time
	Waited    time.Duration // until the decision, or until now
	Decision  Decision
	DecidedBy Person
	DecidedAt time.Time // zero before
	Remark    string
	// Purchase is what an approval would buy, for the names of Hosts, and RenewsWithin says whether
	// its certificates are succeeded within its subscription.
	Purchase     Purchase
	Hosts        []string
	RenewsWithin bool
}

// approvalOf describes the wait of an order for its approval; nil when it needed none.
func approvalOf(journal *Journal, o *orderEntry) *Approval {
	a := o.Approval
	if a == nil {
		return nil
	}
	var csrKey any
	if a.ByCSR {
		csrKey, _ = o.publicKey()
	}
	out := &Approval{
		Order: journal.shown(o), Proposal: proposalOf(&o.Placement, csrKey),
		Digest:   proposalDigest(o),
		Promotes: o.Draft || o.PromotionKey != "", Requester: a.AskedBy, AskedAt: a.AskedAt,
		ExpiresAt: a.ExpiresAt, Decision: a.Decision, DecidedBy: a.DecidedBy,
		DecidedAt: a.DecidedAt, Remark: a.Remark, HandedTo: handedTo(o),
		Purchase: purchaseOf(&o.Placement, o.Role, o.Requester), RenewsWithin: o.Names != "",
		Hosts: o.Placement.DNSNames,
	}
	out.Purchase.OrderID = o.ID
	until := journal.Now()
	if !a.DecidedAt.IsZero() {
		until = a.DecidedAt
	}
	out.Waited = max(0, until.Sub(a.AskedAt))
	known, err := identityOf(journal, a.AskedBy.EntityID)
	if err != nil || known == nil {
		return out // as it was known when it was asked for
	}
	if known.Name != "" {
		out.Requester.Name = sanitize.Short(known.Name)
	}
	for _, alias := range known.Aliases {
		out.Aliases = append(out.Aliases, sanitize.Short(alias.MountType+"/"+alias.Name))
	}
	slices.Sort(out.Aliases)
	return out
}

// ApprovalOf returns the approval of a role's order, which may be over; nil when the role has no
// such order, or it needed none.
func ApprovalOf(
	ctx context.Context, journal *Journal, s logical.Storage, role, id string,
) (*Approval, error) {
	o, err := journal.findOrder(ctx, s, role, id)
	if err != nil || o == nil {
		return nil, err
	}
	return approvalOf(journal, o), nil
}

// Approvals returns the orders that wait for their approval, by role and id; of one role, unless
// that is empty. At most limit of them come after the key after, which is role/id; all of them when
// limit is 0.
func Approvals(
	ctx context.Context, journal *Journal, s logical.Storage, role, after string, limit int,
) ([]*Approval, error) {
	if err := journal.registry.load(ctx, s); err != nil {
		return nil, err
	}
	var out []*Approval
	for _, key := range journal.registry.waiting(role) {
		if key <= after {
			continue
		}
		if limit > 0 && len(out) == limit {
			break
		}
		o, err := store.Get[orderEntry](ctx, s, OpenPrefix+key)
		if store.IsFault(err) {
			return nil, err
		}
		if err != nil || o == nil || !o.waitsForApproval() {
			continue // decided on meanwhile, or written by a later version
		}
		out = append(out, approvalOf(journal, o))
	}
	return out, nil
}

// waiting returns the sorted keys, role/id, of the orders that wait for their approval.
func (r *registry) waiting(role string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var keys []string
	for _, t := range r.orders {
		if t.waits && (role == "" || t.role == role) {
			keys = append(keys, t.role+"/"+t.id)
		}
	}
	slices.SortFunc(keys, strings.Compare)
	return keys
}
