// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// A storedCert is the part of a stored certificate that the books need.
type storedCert struct {
	Serial    string `json:"serial"`
	Role      string `json:"role"`
	Requester string `json:"requester"`
	OrderID   string `json:"order_id"`
	CAOrderID string `json:"ca_order_id"`
	Imported  bool   `json:"imported"`

	Held []string `json:"held"`

	NotBefore    time.Time `json:"not_before"`
	NotAfter     time.Time `json:"not_after"`
	RenewedBy    string    `json:"renewed_by"`
	ReissuedAs   string    `json:"reissued_as"`
	LeaseEnded   bool      `json:"lease_ended"`
	AheadRefused string    `json:"ahead_refused"`
	RenewalOf    string    `json:"renewal_of"`
	Replaces     string    `json:"replaces"`
	Subscription struct {
		EndsAt time.Time `json:"ends_at"`
	} `json:"subscription"`

	Leases   map[string]time.Time `json:"leases"`
	Delivery *struct {
		At    time.Time `json:"at"`
		Last  time.Time `json:"last"`
		Times int       `json:"times"`
	} `json:"delivery"`
	Revocation *struct {
		At time.Time `json:"at"`
	} `json:"revocation"`
}

// A storedOrder is the part of a stored order that the books need.
type storedOrder struct {
	ID         string `json:"id"`
	Role       string `json:"role"`
	Requester  string `json:"requester"`
	Account    string `json:"account"`
	State      string `json:"state"`
	CAOrderID  string `json:"ca_order_id"`
	PrivateKey string `json:"private_key"`
	Delivered  bool   `json:"delivered"`
	Held       bool   `json:"held"`
	Placement  struct {
		Remarks string `json:"remarks"`
	} `json:"placement"`
	LastError string `json:"last_error"`
	Approval  struct {
		Decision  string    `json:"decision"`
		ExpiresAt time.Time `json:"expires_at"`
	} `json:"approval"`
	Reissue *struct { // not nil when it is a reissue
		Serial string `json:"serial"`
	} `json:"reissue"`

	RequestID  string    `json:"request_id"`
	Serial     string    `json:"serial"`
	CreatedAt  time.Time `json:"created_at"`
	PromotedAt time.Time `json:"promoted_at"`
	UpdatedAt  time.Time `json:"updated_at"`
	AdoptedAt  time.Time `json:"adopted_at"`

	CommonName string `json:"common_name"`
	Ahead      bool   `json:"ahead"`
	Renews     string `json:"renews"`

	open bool
}

// key returns what the order's record is called, whether it is open or closed.
func (o *storedOrder) key() string { return o.Role + "/" + o.ID + " " + o.marker() }

// delivered returns when an answer first held a certificate; zero when none has.
func (c *storedCert) delivered() time.Time {
	if c.Delivery == nil {
		return time.Time{}
	}
	return c.Delivery.At
}

func (o *storedOrder) marker() string { return markerText.FindString(o.Placement.Remarks) }

// storedOrders reads all orders. An order that is still among the open ones although it was also
// stored as closed is closed.
func (w *world) storedOrders() []*storedOrder {
	var out []*storedOrder
	known := make(map[string]bool)
	for _, folder := range []string{"order/closed/", "order/open/"} {
		for _, key := range w.disk.under(folder) {
			o := new(storedOrder)
			if err := json.Unmarshal(w.disk.entries[key], o); err != nil {
				w.violate("record/unreadable", "%s: %v", key, err)
				continue
			}
			o.open = folder == "order/open/"
			if !known[o.ID] {
				out = append(out, o)
			}
			known[o.ID] = true
		}
	}
	return out
}

// storedOrder reads an order; nil if there is none.
func (w *world) storedOrder(id string) *storedOrder {
	all := w.storedOrders()
	if i := slices.IndexFunc(all, func(o *storedOrder) bool { return o.ID == id }); i >= 0 {
		return all[i]
	}
	return nil
}

// storedCert reads a certificate; nil if there is none.
func (w *world) storedCert(serial string) *storedCert {
	c := new(storedCert)
	if json.Unmarshal(w.disk.entries["cert/"+strings.ReplaceAll(serial, ":", "-")], c) != nil {
		return nil
	}
	return c
}

func (w *world) storedCerts() []*storedCert {
	var out []*storedCert
	for _, key := range w.disk.under("cert/") {
		c := new(storedCert)
		if err := json.Unmarshal(w.disk.entries[key], c); err != nil {
			w.violate("record/unreadable", "%s: %v", key, err)
			continue
		}
		out = append(out, c)
	}
	return out
}
