// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A State is where an order stands, as the engine sees it.
type State string

// The states of an order. CERTInext's own status is kept beside them, see [Order].
const (
	StatePlacing    State = "placing"    // intent is stored; CERTInext may or may not have been told
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
	CAStatus    certinext.Status
	CAState     string // CERTInext's display words for order and certificate
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Serial      string // of the certificate, with colons; empty until it is issued
	Delivered   bool   // the certificate was handed over
	// Needs says what has to happen next and who has to do it; empty when only time has to pass.
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

	// Placement is the exact order, so that it can be compared with what CERTInext lists.
	Placement placement `json:"placement"`

	CSR        string `json:"csr"`
	PrivateKey string `json:"private_key,omitempty"` // PKCS#8 PEM; only while the order is open

	CAOrderID   string           `json:"ca_order_id,omitempty"`
	CARequestID string           `json:"ca_request_id,omitempty"`
	CAStatus    certinext.Status `json:"ca_status,omitempty"`
	CAState     string           `json:"ca_state,omitempty"`
	CSRRefused  bool             `json:"csr_refused,omitempty"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Attempts  int       `json:"attempts,omitempty"` // of the background pass since the last change
	Serial    string    `json:"serial,omitempty"`
	Delivered bool      `json:"delivered,omitempty"`
	Needs     []string  `json:"needs,omitempty"`
	LastError string    `json:"last_error,omitempty"`
	Timeline  []Event   `json:"timeline,omitempty"`

	// grace is the role's delivery grace when the order was made.
	Grace time.Duration `json:"grace"` // nanoseconds

	fresh bool // CERTInext has certainly not been told: this process has just stored the intent
	dirty bool // changed since it was stored
}

// placement is what CERTInext is asked for. It holds no secret.
type placement struct {
	Family             certinext.Family  `json:"family"`
	ProductCode        string            `json:"product_code"`
	Variant            string            `json:"variant"`
	DNSNames           []string          `json:"dns_names,omitempty"`
	IPs                []net.IP          `json:"ips,omitempty"`
	KeyType            string            `json:"key_type"`
	GroupNumber        string            `json:"group_number,omitempty"`
	OrganizationNumber string            `json:"organization_number,omitempty"`
	ValidityYears      int               `json:"validity_years"`
	AutoRenew          bool              `json:"auto_renew,omitempty"`
	RenewBeforeDays    int               `json:"renew_before_days,omitempty"`
	CustomFields       map[string]string `json:"custom_fields,omitempty"`
	Tags               []string          `json:"tags,omitempty"`
	Remarks            string            `json:"remarks"`
	IdempotencyKey     string            `json:"idempotency_key"`
}

func (p *placement) names() []string {
	out := append([]string(nil), p.DNSNames...)
	for _, ip := range p.IPs {
		out = append(out, ip.String())
	}
	return out
}

func (o *orderEntry) openKey() string   { return openOrderPrefix + o.Role + "/" + o.ID }
func (o *orderEntry) closedKey() string { return closedOrderPrefix + o.Role + "/" + o.ID }

// marker is what the order is found by in CERTInext's own records, as a name:value tag.
func (o *orderEntry) marker() string { return "vault-order:" + o.ID }

const maxTimeline = 50

// note adds a line to the history. Repetitions are dropped, and of a long history the middle.
func (o *orderEntry) note(now time.Time, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	o.dirty = true
	o.UpdatedAt = now
	if n := len(o.Timeline); n > 0 && o.Timeline[n-1].What == what {
		return
	}
	o.Timeline = append(o.Timeline, Event{At: now, What: what})
	if len(o.Timeline) > maxTimeline {
		o.Timeline = append(o.Timeline[:maxTimeline/2], o.Timeline[len(o.Timeline)-maxTimeline/2:]...)
	}
}

// observe takes over what CERTInext says of the order.
func (o *orderEntry) observe(now time.Time, remote *certinext.Order) {
	if remote.RequestID != "" {
		o.CARequestID = remote.RequestID
	}
	words := printable(strings.Join(nonEmpty(remote.OrderState, remote.CertificateState), ", "))
	if remote.Status != o.CAStatus || words != o.CAState {
		o.CAStatus, o.CAState = remote.Status, words
		o.Attempts = 0
		o.note(now, "CERTInext: %s", strings.Join(nonEmpty(printable(string(remote.Status)), words), ", "))
	}
	if remote.Status != "" && !remote.Status.Known() {
		o.note(now, "warning: this version does not know the status %q; waiting", printable(string(remote.Status)))
	}
}

func nonEmpty(texts ...string) []string {
	var out []string
	for _, t := range texts {
		if t != "" {
			out = append(out, t)
		}
	}
	return out
}

// view is what may be told of the order.
func (o *orderEntry) view() *Order {
	names := o.Placement.names()
	cn := ""
	if len(names) > 0 {
		cn = names[0]
	}
	return &Order{
		ID: o.ID, Role: o.Role, State: o.State, RequestID: o.RequestID, CommonName: cn, Names: names,
		ProductCode: o.Placement.ProductCode, Variant: o.Placement.Variant, CAOrderID: o.CAOrderID,
		CAStatus: o.CAStatus, CAState: o.CAState, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt, Serial: strings.ReplaceAll(o.Serial, "-", ":"),
		Delivered: o.Delivered, Needs: append([]string(nil), o.Needs...), LastError: o.LastError,
		Timeline: append([]Event(nil), o.Timeline...),
	}
}

// orderRequest is the order in the client's terms. What an order may not store, it takes from today's role and config.
func (o *orderEntry) orderRequest(d OrderDefaults, role *Role) certinext.OrderRequest {
	p := o.Placement
	names := p.names()
	r := certinext.OrderRequest{
		Family: p.Family, ProductCode: p.ProductCode, Variant: shapes[p.Variant].base,
		Domain: names[0], AdditionalDomains: names[1:], CSR: o.CSR,
		Requestor: d.Requestor, GroupNumber: p.GroupNumber,
		ValidityYears: p.ValidityYears, AutoRenew: p.AutoRenew, RenewBeforeDays: p.RenewBeforeDays,
		EmailNotifications: d.EmailNotifications, Tags: append([]string{o.marker()}, p.Tags...), Remarks: p.Remarks,
		IdempotencyKey: p.IdempotencyKey,
	}
	if role != nil {
		r.RecipientEmails, r.CustomFields = role.RecipientEmails, role.customFields()
		r.CAProfileID, r.MasterProductID = role.CAProfileID, role.MasterProductID
	}
	if d.TechnicalContact != (certinext.Contact{}) {
		tc := d.TechnicalContact
		r.TechnicalContact = &tc
	}
	if p.Family == certinext.FamilySSL {
		r.Agreement = d.agreement()
	}
	if shapes[p.Variant].vetted() {
		r.Organization = &certinext.OrganizationRef{Number: p.OrganizationNumber, ConsentToken: d.ConsentToken}
	}
	return r
}

// agreement accepts the subscriber agreement in the name of the configured signer, or of the requestor.
func (d OrderDefaults) agreement() *certinext.Agreement {
	a := &certinext.Agreement{SignerName: d.SignerName, SignerPlace: d.SignerPlace, SignerIP: d.SignerIP, Accepted: true}
	if a.SignerName == "" {
		a.SignerName = d.Requestor.Name
	}
	return a
}
