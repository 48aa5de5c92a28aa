// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Demands are what an SSL order needs, where sources differ or accounts do.
type Demands struct {
	// LoneUCC takes an order of a UCC product with a single name. The gateway's documentation has
	// additional domains among what each UCC product requires; what becomes of an order without
	// them was never seen.
	LoneUCC bool
	// FullParticulars has version 1 ask each OV and EV order for the organization's address, and
	// each EV order for its contract signer and approver, too, where a pre-vetted organization is
	// named. The gateway's documentation lists them for every order, the vendor's collection for
	// those whose organization is still to be vetted.
	FullParticulars bool
	// ParkWithout are the parts without which an order is taken and then waits for a person of the
	// CA ("Pending System RA", for tens of hours): organization, technical-contact, group. Which
	// accounts and products it is so for is not known. An OV or EV order that names no organization
	// is refused unless it is parked, and once parked needs one.
	ParkWithout []string
}

// Parts of an order that it can be parked for.
const (
	PartOrganization     = "organization"
	PartTechnicalContact = "technical-contact"
	PartGroup            = "group"
)

var orderParts = []string{PartOrganization, PartTechnicalContact, PartGroup}

// wrong says which of the parts there is not.
func (d *Demands) wrong() string {
	for _, part := range d.ParkWithout {
		if !slices.Contains(orderParts, part) {
			return fmt.Sprintf("has %q, must be of %s", part, strings.Join(orderParts, ", "))
		}
	}
	return ""
}

// parks reports whether an order without a part is taken and waits.
func (d *Demands) parks(part string) bool { return slices.Contains(d.ParkWithout, part) }

// park notes what the order lacks of what its account demands.
func (d *Demands) park(o *order, hasContact bool) {
	has := map[string]bool{
		PartOrganization: o.organization != nil, PartTechnicalContact: hasContact,
		PartGroup: o.group != "",
	}
	for _, part := range orderParts {
		if d.parks(part) && !has[part] {
			o.missing = append(o.missing, part)
		}
	}
}

// lacks reports whether an order waits for a part.
func (o *order) lacks(part string) bool { return slices.Contains(o.missing, part) }

// unnamed reports whether the certificate would name an organization that nobody has named yet.
func (o *order) unnamed() bool { return o.needsOrganization() && o.organization == nil }

// A Supplement is what an order that was parked had lacked. Empty parts are not supplied.
type Supplement struct {
	// Organization is the number of one of the account's organizations, Group that of a group.
	Organization string `json:"organization,omitempty"`
	Group        string `json:"group,omitempty"`
	// TechnicalContact is a name and an e-mail address.
	TechnicalContact *Contact `json:"technicalContact,omitempty"`
}

// A Contact is a person by name and e-mail address.
type Contact struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// Supply gives a parked order what it lacked, as a person does in the portal or the CA's own people
// do; with all of it, the order goes on. It returns [ErrNoOrder] for an unknown id, and an error
// for an order that has ended, that lacks none of it, or that cannot have it.
func (s *Server) Supply(orderID string, what Supplement) error {
	var refused error
	decided := s.decide(orderID, func(o *order, now time.Time) {
		refused = s.supply(o, what, now)
	})
	return errors.Join(decided, refused)
}

func (s *Server) supply(o *order, what Supplement, now time.Time) error {
	parts := what.parts()
	if len(parts) == 0 {
		return fmt.Errorf("nothing is supplied: name %s", strings.Join(orderParts, ", "))
	}
	for _, part := range parts {
		if !o.lacks(part) {
			return fmt.Errorf("order %q does not wait for its %s", o.id, part)
		}
	}
	complete := *o
	if problem := s.complete(&complete, what); problem != nil {
		return fmt.Errorf("order %q: %s", o.id, problem.text())
	}
	*o = complete
	o.missing = slices.DeleteFunc(slices.Clone(o.missing), func(part string) bool {
		return slices.Contains(parts, part)
	})
	o.suppliedAt = now
	return nil
}

// complete fills in what is supplied, by the rules of a create call.
func (s *Server) complete(o *order, what Supplement) *problem {
	if problem := s.checkGroup(what.Group); problem != nil {
		return problem
	}
	o.group = orDefault(what.Group, o.group)
	if c := what.TechnicalContact; c != nil && (!filled(c.Name) || !mailbox(c.Email)) {
		return invalidField("technicalContact", "must have a name and an email address")
	}
	if what.Organization == "" {
		return nil
	}
	o.ownValidation = false // what is validated for the organization counts, as with a create
	return s.v2().checkOrganization(o, &wireOrganizationRef{
		OrganizationNumber: what.Organization, PreVetted: true,
	})
}

// parts are the names of what is supplied.
func (p Supplement) parts() []string {
	var parts []string
	if p.Organization != "" {
		parts = append(parts, PartOrganization)
	}
	if p.TechnicalContact != nil {
		parts = append(parts, PartTechnicalContact)
	}
	if p.Group != "" {
		parts = append(parts, PartGroup)
	}
	return parts
}
