// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"fmt"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A step is the next thing to do for an order.
type step int

const (
	stepPlace     step = iota // tell CERTInext, which certainly has not heard of the order
	stepReconcile             // find out whether CERTInext has the order
	stepTrack                 // ask for the status
	stepSubmitCSR
	stepAgree    // accept the subscriber agreement
	stepDownload // fetch the certificate
	stepWait     // until something changes at CERTInext
	stepGiveUp   // nothing will change by waiting, but the order is still open
	stepClose    // the order has ended without a certificate
)

// An action is a step with its consequence.
type action struct {
	step  step
	state State    // for stepClose: how the order ended
	needs []string // for stepWait and stepGiveUp: what has to happen, and who has to do it
	soon  bool     // for stepWait: nobody has to act, so it should not take long
}

// progress is what has been tried in the current drive, so that no step is repeated for ever on an unchanged status.
type progress struct {
	csrSent    bool
	agreed     bool
	downloaded bool // a download was tried and was not ready
}

// advance decides what to do next for an order. remote is CERTInext's last word in this drive, nil when there is none yet.
// It decides from status alone: stages are skipped, repeated and come in any order, and an unknown one means waiting.
func advance(o *orderEntry, remote *certinext.Order, p progress) action {
	switch {
	case o.State.Final():
		return action{step: stepClose, state: o.State} // what was begun before a fault of storage is finished
	case o.State == StatePlacing && o.fresh:
		return action{step: stepPlace}
	case o.State == StatePlacing, o.State == StateUnresolved:
		return action{step: stepReconcile}
	case o.State == StateDraft:
		return action{step: stepGiveUp, needs: draftNeeds(o)}
	case remote == nil:
		return action{step: stepTrack}
	}
	switch remote.Status {
	case certinext.StatusIssued:
		return advanceIssued(o, remote, p)
	case certinext.StatusPendingCSR:
		return advanceCSR(o, p)
	case certinext.StatusPendingAgreement:
		if !p.agreed {
			return action{step: stepAgree}
		}
		return action{step: stepWait, soon: true}
	case certinext.StatusPendingDCV:
		return action{step: stepWait, needs: dcvNeeds(o, remote)}
	case certinext.StatusPendingOrganization:
		return action{step: stepWait, needs: []string{organizationNeed(remote)}}
	case certinext.StatusPendingDocuments:
		return action{step: stepWait, needs: []string{"CERTInext waits for documents: upload them in its portal"}}
	case certinext.StatusPendingApproval:
		return action{step: stepWait, needs: []string{"an approver of the CERTInext account, or CERTInext itself, has to approve the order"}}
	case certinext.StatusRejected:
		return action{step: stepClose, state: StateRejected}
	case certinext.StatusCancelled:
		return action{step: stepClose, state: StateCancelled}
	case certinext.StatusExpired:
		return action{step: stepClose, state: StateExpired}
	case certinext.StatusRevoked:
		return action{step: stepClose, state: StateRevoked}
	}
	return action{step: stepWait, soon: true}
}

// advanceIssued handles issued, which alone is not done: the certificate may be seconds away, and an order without a CSR
// is called issued too (observed on the live service).
func advanceIssued(o *orderEntry, remote *certinext.Order, p progress) action {
	switch {
	case !p.downloaded:
		return action{step: stepDownload}
	case remote.CSRSubmitted != nil && !*remote.CSRSubmitted && !p.csrSent && !o.CSRRefused:
		return action{step: stepSubmitCSR}
	}
	return action{step: stepWait, soon: true}
}

func advanceCSR(o *orderEntry, p progress) action {
	switch {
	case o.CSRRefused:
		return action{step: stepGiveUp, needs: []string{"CERTInext refused the CSR: cancel this order"}}
	case !p.csrSent:
		return action{step: stepSubmitCSR}
	}
	return action{step: stepWait, soon: true}
}

func dcvNeeds(o *orderEntry, remote *certinext.Order) []string {
	var open []string
	for _, d := range remote.Domains {
		if !d.Verified() {
			open = append(open, printable(d.Domain))
		}
	}
	if len(remote.Domains) > 0 && len(open) == 0 {
		return nil // the aggregate lags behind the domains
	}
	if len(open) == 0 {
		open = o.Placement.DNSNames
	}
	return []string{fmt.Sprintf(
		"control of %s has to be validated: orders/%s/%s/dcv shows what to publish, and verifies it when written to",
		strings.Join(open, ", "), o.Role, o.ID)}
}

func organizationNeed(remote *certinext.Order) string {
	if remote.Organization == nil {
		return "CERTInext verifies the organization, or waits for its consent"
	}
	need := "CERTInext verifies the organization"
	if remote.Organization.Name != "" {
		need += " " + printable(remote.Organization.Name)
	}
	if remote.Organization.ConsentStatus == "0" && remote.Organization.ConsentSentTo != "" {
		need += ", whose consent was asked of " + printable(remote.Organization.ConsentSentTo)
	}
	return need
}
