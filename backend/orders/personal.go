// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
)

// An order of a signer or for S/MIME is about a person. Once it is over, its record needs nothing
// of that person: what it cost, who has asked by which entity, and what became of it are told
// without.

// personalErased is the line of the history that tells of the erasure.
const personalErased = "personal data erased (tidy_personal_data)"

// hasPersonal reports whether an order is about a person, and its record still says about whom.
func hasPersonal(o *orderEntry) bool {
	return account.Shapes[o.Placement.Variant].Personal() && !o.told(personalErased)
}

// erasePersonal erases what an order's record says of persons: the subject, the contacts, the CSR,
// names and remarks of who has asked and decided, and whatever repeats them. When it has ended
// stays as it was.
func erasePersonal(o *orderEntry, now time.Time) {
	words := personalWords(o)
	o.Timeline = slices.DeleteFunc(slices.Clone(o.Timeline), func(e Event) bool {
		return strings.Contains(e.What, "documents") || containsAny(e.What, words)
	})
	p := &o.Placement
	o.CSR, o.PrivateKey, o.LastError = "", "", ""
	o.Needs, o.Proofs = nil, nil
	p.Subject, p.DNSNames, p.IPs = nil, nil, nil
	p.CustomFields, p.Tags, p.Remarks, p.RecipientEmails = nil, nil, "", nil
	p.Requestor, p.TechnicalContact = account.StoredContact{}, account.StoredContact{}
	p.Delegation = account.StoredContact{}
	p.SignerName, p.SignerPlace, p.SignerIP = "", "", ""
	if o.Asked != nil {
		kept := asking{By: Person{EntityID: o.Asked.By.EntityID}, VaultID: o.Asked.VaultID}
		o.Asked = &kept
	}
	o.Again = nil // what may be asked for again, which is over
	if o.Approval != nil {
		a := *o.Approval
		a.AskedBy = Person{EntityID: a.AskedBy.EntityID}
		a.DecidedBy = Person{EntityID: a.DecidedBy.EntityID}
		a.Remark = ""
		o.Approval = &a
	}
	ended := o.UpdatedAt
	o.note(now, personalErased)
	o.UpdatedAt = ended
}

// personalWords returns what an order's record must not say any more.
func personalWords(o *orderEntry) []string {
	p := &o.Placement
	words := slices.Clone(p.RecipientEmails)
	for _, v := range p.Subject {
		words = append(words, v)
	}
	for _, c := range []account.StoredContact{p.Requestor, p.TechnicalContact, p.Delegation} {
		words = append(words, c.Name, c.Email, c.Phone, c.Designation)
	}
	if o.Asked != nil {
		words = append(words, o.Asked.By.Name, o.Asked.By.DisplayName, o.Asked.Owner)
	}
	if a := o.Approval; a != nil {
		words = append(words, a.AskedBy.Name, a.AskedBy.DisplayName, a.DecidedBy.Name,
			a.DecidedBy.DisplayName, a.Remark)
	}
	return issuing.NonEmpty(append(words, p.SignerName, p.SignerPlace, p.SignerIP)...)
}

// containsAny reports whether a text contains one of some words, in any case. Words of one or two
// letters, such as a country's, name nobody.
func containsAny(text string, words []string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(words, func(w string) bool {
		return len(w) > 2 && strings.Contains(text, strings.ToLower(w))
	})
}
