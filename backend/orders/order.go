// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"encoding/base32"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/go-uuid"
)

// Where orders are stored, below their role and id. The entry of an open one may hold a private key, that of a closed one never does; they are apart so
// that finding the open ones never costs a walk over the finished ones.
const (
	OpenPrefix        = "order/open/"
	closedOrderPrefix = "order/closed/"
)

// A State is where an order stands, as the engine sees it.
type State string

// The states of an order. CERTInext's own status is kept beside them, see [Order].
const (
	StatePlacing    State = "placing"    // intent is stored; CERTInext may or may not have been told
	StateDraft      State = "draft"      // CERTInext keeps the order and does not carry it out until it is promoted
	StateUnresolved State = "unresolved" // whether CERTInext holds the order could not be found out yet
	StatePending    State = "pending"    // CERTInext holds the order and has not issued yet
	StateIssued     State = "issued"     // the certificate is stored
	StateCancelled  State = "cancelled"
	StateRejected   State = "rejected"
	StateExpired    State = "expired"
	StateRevoked    State = "revoked" // before it could be downloaded
	StateFailed     State = "failed"  // CERTInext refused to take the order
)

// Final reports whether the order ended without a certificate.
func (s State) Final() bool {
	switch s {
	case StateCancelled, StateRejected, StateExpired, StateRevoked, StateFailed:
		return true
	}
	return false
}

// An Event is a line in an order's history.
type Event struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

// An Order is what may be told about an order: everything but its key.
type Order struct {
	ID          string
	Role        string
	State       State
	RequestID   string
	CommonName  string
	Names       []string // DNS names and addresses, the common name first
	ProductCode string
	Variant     string
	CAOrderID   string // CERTInext's order number; empty until it is known
	CARequestID string // CERTInext's request number, by which its portal knows a draft
	CAStatus    certinext.Status
	CAState     string // CERTInext's display words for order and certificate
	ReissueOf   string // the order whose certificate this one reissues; empty for most
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Serial      string // of the certificate, with colons; empty until it is issued
	Delivered   bool   // the certificate was handed over
	// WaitsFor is who has to act next, and Needs what has to happen; empty when only time has to pass.
	WaitsFor  Party
	Needs     []string
	LastError string
	Timeline  []Event
}

// describe says in a few words what the order waits for.
func (o *Order) describe() string {
	switch {
	case o.State == StatePlacing:
		return "CERTInext has not answered yet whether it took the order"
	case o.State == StateUnresolved:
		return "it is not known yet whether CERTInext took the order"
	case o.State == StateDraft:
		return fmt.Sprintf("CERTInext keeps it as draft %s", o.CARequestID)
	case o.CAStatus != "" && o.CAState != "":
		return fmt.Sprintf("CERTInext says %s (%s)", o.CAStatus, o.CAState)
	case o.CAStatus != "":
		return fmt.Sprintf("CERTInext says %s", o.CAStatus)
	}
	return "CERTInext has not answered yet"
}

// orderEntry is a stored order, the write-ahead log of one purchase.
type orderEntry struct {
	Version     int    `json:"version"`
	ID          string `json:"id"`
	Role        string `json:"role"`
	Requester   string `json:"requester"`
	RequestID   string `json:"request_id,omitempty"`
	Fingerprint string `json:"fingerprint"`
	State       State  `json:"state"`
	Draft       bool   `json:"draft,omitempty"` // CERTInext keeps it, or is to keep it, without carrying it out

	// Account is where the order was placed. It is never driven with another one's credentials.
	Account string `json:"account"`
	// Placement is the exact order, so that what was sent can be told, compared and, where that is safe, repeated.
	Placement placement `json:"placement"`

	CSR        string `json:"csr"`
	PrivateKey string `json:"private_key,omitempty"` // PKCS#8 PEM; only while the order is open

	CAOrderID   string           `json:"ca_order_id,omitempty"`
	CARequestID string           `json:"ca_request_id,omitempty"`
	CAStatus    certinext.Status `json:"ca_status,omitempty"`
	CAState     string           `json:"ca_state,omitempty"`
	CSRRefused  bool             `json:"csr_refused,omitempty"`
	// PromotionKey is the Idempotency-Key of the create that promotes a draft, which has other words than the draft's.
	PromotionKey string    `json:"promotion_key,omitempty"`
	PromotedAt   time.Time `json:"promoted_at,omitzero"`
	// ChainMissedAt is when CERTInext, or somebody in between, first refused the chain of the certificate.
	ChainMissedAt time.Time `json:"chain_missed_at,omitzero"`
	// AskedAgainAt is when CERTInext was asked again by the same Idempotency-Key.
	AskedAgainAt time.Time `json:"asked_again_at,omitzero"`
	// Adopted is set while the number is only an operator's word, which the certificate has yet to prove.
	Adopted bool `json:"adopted,omitempty"`
	// NotDraft is set when CERTInext was asked for a draft, and answered with the number of an order.
	NotDraft bool `json:"not_draft,omitempty"`
	// Discarding is set when CERTInext did not answer whether it has discarded the draft.
	Discarding bool `json:"discarding,omitempty"`

	CreatedAt time.Time          `json:"created_at"`
	UpdatedAt time.Time          `json:"updated_at"`
	Serial    string             `json:"serial,omitempty"`
	Delivered bool               `json:"delivered,omitempty"`
	Needs     []string           `json:"needs,omitempty"`
	Proofs    []validation.Proof `json:"proofs,omitempty"` // while domains have to be validated
	Solver    string             `json:"solver,omitempty"` // that validates them; empty when people do
	Stuck     bool               `json:"stuck,omitempty"`  // somebody has to help the solver
	LastError string             `json:"last_error,omitempty"`
	Timeline  []Event            `json:"timeline,omitempty"`

	// grace is the role's delivery grace when the order was made.
	Grace time.Duration `json:"grace"` // nanoseconds
	// TTL is what the request wants of its lease; the role's when 0. It counts when the certificate is collected.
	TTL time.Duration `json:"ttl,omitempty"`
	// Reuse is the role's reuse window, too; in entries of earlier versions, which have none, the grace is.
	Reuse *time.Duration `json:"reuse,omitempty"` // nanoseconds
	// FinalSeen is the first of two sightings that it takes to believe that CERTInext has ended the order.
	FinalSeen sighting `json:"final_seen,omitzero"`
	// Pickup and RevokeUnclaimed are the role's, too.
	Pickup          time.Duration `json:"pickup"` // nanoseconds
	RevokeUnclaimed bool          `json:"revoke_unclaimed,omitempty"`
	// Renews is the serial number, with dashes, of the certificate that this one is to succeed.
	Renews string `json:"renews,omitempty"`
	// Reissue is set for another certificate within an order that CERTInext has issued.
	Reissue *reissue `json:"reissue,omitempty"`

	fresh bool // CERTInext has certainly not been told: this process has just stored the intent
	dirty bool // changed since it was stored
	owed  bool // storage has refused a write of it
	// closing is set when the order is over and its key erased, and storage has not taken that yet.
	closing bool
}

// placement is what CERTInext is asked for. It holds no secret.
type placement struct {
	Family             certinext.Family        `json:"family"`
	ProductCode        string                  `json:"product_code"`
	Variant            string                  `json:"variant"`
	DNSNames           []string                `json:"dns_names,omitempty"`
	IPs                []net.IP                `json:"ips,omitempty"`
	Subject            issuing.Subject         `json:"subject,omitempty"`
	Attested           bool                    `json:"attested,omitempty"`
	KeyType            string                  `json:"key_type"`
	GroupNumber        string                  `json:"group_number,omitempty"`
	OrganizationNumber string                  `json:"organization_number,omitempty"`
	ValidityYears      int                     `json:"validity_years"`
	AutoRenew          bool                    `json:"auto_renew,omitempty"`
	AutoSecureWWW      bool                    `json:"auto_secure_www,omitempty"`
	RenewBeforeDays    int                     `json:"renew_before_days,omitempty"`
	CustomFields       map[string]string       `json:"custom_fields,omitempty"`
	Tags               []string                `json:"tags,omitempty"`
	Remarks            string                  `json:"remarks"`
	RecipientEmails    []string                `json:"recipient_emails,omitempty"`
	CAProfileID        string                  `json:"ca_profile_id,omitempty"`
	MasterProductID    string                  `json:"master_product_id,omitempty"`
	Requestor          account.StoredContact   `json:"requestor"`
	TechnicalContact   account.StoredContact   `json:"technical_contact,omitzero"`
	Delegation         account.StoredContact   `json:"delegation,omitzero"`
	SignerName         string                  `json:"signer_name,omitempty"`
	SignerPlace        string                  `json:"signer_place,omitempty"`
	SignerIP           string                  `json:"signer_ip,omitempty"`
	EmailNotifications string                  `json:"email_notifications,omitempty"`
	AccountingModel    account.AccountingModel `json:"accounting_model,omitempty"`
	IdempotencyKey     string                  `json:"idempotency_key"`
	// Keyless is set once the order is sent through version 1 of the API, which knows no Idempotency-Key.
	Keyless bool `json:"keyless,omitempty"`
}

// names are what the certificate is for, the common name first. There is at least one.
func (p *placement) names() []string {
	if p.Subject != nil {
		return []string{p.Subject.DisplayName(p.Variant)}
	}
	out := append([]string(nil), p.DNSNames...)
	for _, ip := range p.IPs {
		out = append(out, ip.String())
	}
	return out
}

func (o *orderEntry) openKey() string { return OpenPrefix + o.Role + "/" + o.ID }

func (o *orderEntry) closedKey() string { return closedOrderPrefix + o.Role + "/" + o.ID }

// marker is what the order is found by in CERTInext's own records, as a name:value tag. It is random, since two mounts may
// share an account, and the id of an order whose request has a name is the same in both.
func (o *orderEntry) marker() string { return markerOf(o.Placement.IdempotencyKey) }

// markerOf makes a marker of an order's random key. The value of a tag may have 30 characters (documented for version 1), and a UUID
// has 36, so its 16 bytes are spelt in base 32, in one case: what a report does to a tag's case is not known.
func markerOf(key string) string {
	if id, err := uuid.ParseUUID(key); err == nil {
		key = strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(id))
	}
	return account.MarkerPrefix + key
}

// askedAt is when CERTInext was asked for the order at the earliest.
func (o *orderEntry) askedAt() time.Time {
	if o.PromotedAt.IsZero() {
		return o.CreatedAt
	}
	return o.PromotedAt
}

// lastAskedAt is when CERTInext was asked for the order last.
func (o *orderEntry) lastAskedAt() time.Time {
	if o.AskedAgainAt.After(o.askedAt()) {
		return o.AskedAgainAt
	}
	return o.askedAt()
}

const maxTimeline = 50

// note adds a line to the history. Repetitions are dropped, and of a long history the middle.
func (o *orderEntry) note(now time.Time, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if n := len(o.Timeline); n > 0 && o.Timeline[n-1].What == what {
		return
	}
	o.UpdatedAt, o.dirty = now, true
	o.Timeline = append(o.Timeline, Event{At: now, What: what})
	if len(o.Timeline) > maxTimeline {
		o.Timeline = append(o.Timeline[:maxTimeline/2], o.Timeline[len(o.Timeline)-maxTimeline/2:]...)
	}
}

// told reports whether the history has a line.
func (o *orderEntry) told(what string) bool {
	return slices.ContainsFunc(o.Timeline, func(e Event) bool { return e.What == what })
}

// observe takes over what CERTInext says of the order.
func (o *orderEntry) observe(now time.Time, remote *certinext.Order) {
	if remote.RequestID != "" {
		o.CARequestID = remote.RequestID
	}
	words := sanitize.Short(strings.Join(issuing.NonEmpty(remote.OrderState, remote.CertificateState), ", "))
	if remote.Status != o.CAStatus || words != o.CAState {
		o.CAStatus, o.CAState, o.Needs = remote.Status, words, nil
		if remote.Status != certinext.StatusPendingDCV {
			o.Proofs = nil
		}
		o.note(now, "CERTInext: %s", strings.Join(issuing.NonEmpty(sanitize.Short(string(remote.Status)), words), ", "))
	}
	if remote.Status != "" && !remote.Status.Known() {
		o.note(now, "warning: this version does not know the status %q; waiting", sanitize.Short(string(remote.Status)))
	}
}

// A sighting is a status that CERTInext was seen to give to the order.
type sighting struct {
	Status certinext.Status `json:"status"`
	At     time.Time        `json:"at"`
}

// finalPatience is how far apart CERTInext has to be seen twice to say that an order has ended. One answer may be a middleman's, and what
// follows from it cannot be undone: the key goes, and the same request buys again.
const finalPatience = 20 * time.Second

// namelessPatience is finalPatience for answers of version 1 that do not say which order they are about: the documentation has none that do,
// but for the transaction id that its samples repeat. A middleman does not say the same for a day.
const namelessPatience = 24 * time.Hour

// observeFinal takes note of a status after which nothing follows, and reports whether it is believed: it was given twice, some time apart, by
// answers that name the order.
func (o *orderEntry) observeFinal(now time.Time, remote *certinext.Order, version certinext.APIVersion) bool {
	patience := finalPatience
	if remote.ID == "" {
		patience = namelessPatience
	}
	if !isFinal(remote.Status) || !account.IsAbout(remote, o.CAOrderID, version) {
		if o.FinalSeen != (sighting{}) {
			o.FinalSeen, o.dirty = sighting{}, true
		}
		return false
	}
	if o.FinalSeen.Status != remote.Status || o.FinalSeen.At.After(now) {
		o.FinalSeen, o.dirty = sighting{Status: remote.Status, At: now}, true
		return false
	}
	return !now.Before(o.FinalSeen.At.Add(patience))
}

// isFinal reports whether an order of this status ends without a certificate that could still be had.
func isFinal(s certinext.Status) bool {
	switch s {
	case certinext.StatusRejected, certinext.StatusCancelled, certinext.StatusExpired, certinext.StatusRevoked:
		return true
	}
	return false
}

// view is what may be told of the order.
func (o *orderEntry) view() *Order {
	names := o.Placement.names()
	cn := ""
	if len(names) > 0 {
		cn = names[0]
	}
	of := ""
	if o.Reissue != nil {
		of = o.Reissue.Of
	}
	return &Order{
		ReissueOf: of,
		ID:        o.ID, Role: o.Role, State: o.State, RequestID: o.RequestID, CommonName: cn, Names: names,
		ProductCode: o.Placement.ProductCode, Variant: o.Placement.Variant, CAOrderID: o.CAOrderID, CARequestID: sanitize.Short(o.CARequestID),
		CAStatus: o.CAStatus, CAState: o.CAState, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt, Serial: strings.ReplaceAll(o.Serial, "-", ":"),
		Delivered: o.Delivered, WaitsFor: o.waitsFor(), Needs: append([]string(nil), o.Needs...), LastError: o.LastError,
		Timeline: append([]Event(nil), o.Timeline...),
	}
}

// newPlacement is what a plan comes to under a role and the account's defaults d.
func newPlacement(role *issuing.Role, d account.OrderDefaults, p *issuing.Plan, key string) placement {
	signer := d.SignerName
	if signer == "" {
		signer = d.Requestor.Name
	}
	return placement{
		Family: role.Shape().Family, ProductCode: role.ProductCode, Variant: role.Variant, DNSNames: p.DNSNames, IPs: p.IPs,
		Subject: p.Subject, Attested: role.Attested,
		KeyType: p.Key.Type, GroupNumber: d.GroupNumber, OrganizationNumber: d.OrganizationNumber,
		ValidityYears: role.ValidityYears, AutoRenew: role.AutoRenew, AutoSecureWWW: role.AutoSecureWWW, RenewBeforeDays: role.RenewBeforeDays,
		CustomFields: role.CustomFields, Tags: role.Tags, Remarks: remarks(role, key), RecipientEmails: role.RecipientEmails,
		CAProfileID: role.CAProfileID, MasterProductID: role.MasterProductID,
		Requestor: account.StoredContact(d.Requestor), TechnicalContact: account.StoredContact(d.TechnicalContact), Delegation: account.StoredContact(d.Delegation),
		SignerName: signer, SignerPlace: d.SignerPlace, SignerIP: d.SignerIP, EmailNotifications: d.EmailNotifications, AccountingModel: d.AccountingModel,
		IdempotencyKey: key,
	}
}

// remarks are what CERTInext's portal shows of the order. A semicolon is refused there in other notes, so it is kept out.
func remarks(role *issuing.Role, key string) string {
	if role.Remarks == "" {
		return markerOf(key)
	}
	return strings.ReplaceAll(role.Remarks, ";", ",") + " " + markerOf(key)
}

// orderRequest is the order in the client's terms. It is the same however often it is asked for, but for the consent token,
// which an order may not store.
func (o *orderEntry) orderRequest(consent account.Secret, version certinext.APIVersion) certinext.OrderRequest {
	p := o.Placement
	r := certinext.OrderRequest{
		Family: p.Family, ProductCode: p.ProductCode, Variant: account.Shapes[p.Variant].Base, Subject: p.Subject.Client(), Attested: p.Attested,
		Requestor: certinext.Contact(p.Requestor), GroupNumber: p.GroupNumber,
		ValidityYears: p.ValidityYears, AutoRenew: p.AutoRenew, RenewBeforeDays: p.RenewBeforeDays, AutoSecureWWW: p.AutoSecureWWW,
		EmailNotifications: p.EmailNotifications, AccountingModel: p.AccountingModel, RecipientEmails: p.RecipientEmails, CustomFields: p.customFields(),
		Tags: append([]string{o.marker()}, p.Tags...), Remarks: p.Remarks,
		CAProfileID: p.CAProfileID, MasterProductID: p.MasterProductID, IdempotencyKey: p.IdempotencyKey,
	}
	if p.TechnicalContact != (account.StoredContact{}) {
		tc := certinext.Contact(p.TechnicalContact)
		r.TechnicalContact = &tc
	}
	if p.Delegation != (account.StoredContact{}) {
		second := certinext.Contact(p.Delegation)
		r.Delegation = &second
	}
	if p.Subject == nil {
		names := p.names()
		r.Domain, r.AdditionalDomains = names[0], names[1:]
	}
	if p.Family != certinext.FamilySignature {
		r.CSR = o.CSR // a signer's is submitted once its documents are there: only then can it be said to be attested
	}
	if p.Family != certinext.FamilyPrivatePKI {
		r.Agreement = p.agreement()
	}
	// What it was asked for it stays, whatever number CERTInext gave for it: with another one, asking again would buy.
	if r.SaveAsDraft = o.Draft || o.NotDraft; o.promoting() || !r.SaveAsDraft && o.PromotionKey != "" {
		r.RequestID, r.IdempotencyKey = o.CARequestID, o.PromotionKey
	}
	switch {
	case account.Shapes[p.Variant].Vetted(), p.Subject["organization_name"] != "" && p.OrganizationNumber != "":
		r.Organization = &certinext.OrganizationRef{Number: p.OrganizationNumber, ConsentToken: consent}
	case version == certinext.V1 && p.Family == certinext.FamilySSL && p.OrganizationNumber != "":
		// What makes the organization's validated domains count for a DV order (documented for version 1). Nobody has to
		// consent to that.
		r.Organization = &certinext.OrganizationRef{Number: p.OrganizationNumber}
	}
	return r
}

// agreement accepts the subscriber agreement in the name of the signer.
func (p *placement) agreement() *certinext.Agreement {
	return &certinext.Agreement{SignerName: p.SignerName, SignerPlace: p.SignerPlace, SignerIP: p.SignerIP, Accepted: true}
}

func (p *placement) customFields() []certinext.CustomField {
	var out []certinext.CustomField
	for _, id := range slices.Sorted(maps.Keys(p.CustomFields)) {
		out = append(out, certinext.CustomField{FieldID: id, Value: p.CustomFields[id]})
	}
	return out
}
