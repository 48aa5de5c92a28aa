// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"fmt"
	"slices"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// A step is the next thing to do for an order.
type step int

const (
	stepPlace     step = iota // send the create, which CERTInext has certainly not had yet
	stepReconcile             // find out whether CERTInext has the order
	stepTrack                 // ask for the status
	stepSubmitCSR
	stepAskProof // ask what to publish for a domain
	stepValidate // have the solver take every step of validation that needs no waiting
	stepAgree    // accept the subscriber agreement
	stepDownload // fetch the certificate
	stepWait     // until something changes at CERTInext
	stepGiveUp   // nothing will change by waiting, but the order is still open
	stepClose    // the order has ended without a certificate
)

// An action is a step with what belongs to it.
type action struct {
	step   step
	state  State    // for stepClose: how the order ended
	needs  []string // for stepWait and stepGiveUp: what has to happen, and who has to do it
	domain string   // for stepAskProof
}

// progress is what has been tried in the current drive, so that no step is repeated for ever while
// the status stays the same. Its zero value is the start of a drive.
type progress struct {
	csrSent    bool
	agreed     bool
	downloaded bool            // a download was tried and was not ready
	lookedUp   bool            // whether the records prove a number that was given by hand
	confirmed  bool            // the final status was seen before, long enough ago (ADR 0021)
	asked      map[string]bool // domains that CERTInext was asked about
	// solving is set when a solver validates the order's domains; otherwise people do. validated is
	// set once it has worked on them since the status was asked for. Then needs and stuck say what
	// they wait for.
	solving, validated bool
	needs              []string
	stuck              bool // the solver cannot go on without help
}

// advance decides what to do next for an order. remote is the order as CERTInext last described it
// in this drive; nil when it has not done so yet. advance decides from the status alone, since
// CERTInext skips and repeats stages and reports them in any order (ADR 0002). An unknown status
// means waiting.
func advance(o *orderEntry, remote *certinext.Order, p progress) action {
	switch {
	case o.State.Final():
		return action{step: stepClose, state: o.State} // a fault of storage cut the closing short
	case o.State == StateApproval:
		return action{step: stepGiveUp, needs: approvalNeeds(o)}
	case o.State == StatePlacing && o.fresh:
		return action{step: stepPlace}
	case o.State == StatePlacing, o.State == StateUnresolved:
		return action{step: stepReconcile}
	case o.State == StateDraft:
		return action{step: stepGiveUp, needs: draftNeeds(o)}
	case remote == nil:
		return action{step: stepTrack}
	}
	if isFinal(remote.Status) {
		return advanceFinal(remote, p)
	}
	return withCAA(advanceOpen(o, remote, p), remote)
}

// advanceOpen decides for an order that CERTInext has and has not ended.
func advanceOpen(o *orderEntry, remote *certinext.Order, p progress) action {
	switch remote.Status {
	case certinext.StatusIssued:
		return advanceIssued(o, remote, p)
	case certinext.StatusPendingCSR:
		return advanceCSR(o, p)
	case certinext.StatusPendingAgreement:
		if !p.agreed {
			return action{step: stepAgree}
		}
		return action{step: stepWait}
	case certinext.StatusPendingDCV:
		if p.solving {
			return advanceSolver(o, remote, p)
		}
		if domain := o.unproved(remote, p.asked); domain != "" {
			return action{step: stepAskProof, domain: domain}
		}
		return action{step: stepWait, needs: o.dcvNeeds(remote)}
	case certinext.StatusPendingOrganization:
		return action{step: stepWait, needs: []string{organizationNeed(remote)}}
	case certinext.StatusPendingDocuments:
		return action{step: stepWait, needs: documentNeeds(o)}
	case certinext.StatusPendingApproval, certinext.StatusPendingVetting:
		return action{step: stepWait, needs: []string{o.approvalNeed(remote)}}
	}
	return action{step: stepWait}
}

// finalStates maps the statuses of orders that CERTInext has ended to the orders' states here.
var finalStates = map[certinext.Status]State{
	certinext.StatusRejected:  StateRejected,
	certinext.StatusCancelled: StateCancelled,
	certinext.StatusExpired:   StateExpired,
	certinext.StatusRevoked:   StateRevoked,
}

// advanceFinal handles an order that CERTInext says it has ended. The order is closed only when
// that was seen twice (ADR 0021).
func advanceFinal(remote *certinext.Order, p progress) action {
	if p.confirmed {
		return action{step: stepClose, state: finalStates[remote.Status]}
	}
	why := ""
	if remote.Remark != "" {
		why = " (" + sanitize.Short(remote.Remark) + ")"
	}
	need := fmt.Sprintf("CERTInext says that the order is %s%s: "+
		"nothing follows from that until a second look, at least %s later, confirms it",
		remote.Status, why, phrase.Duration(patienceForEnd(remote)))
	return action{step: stepGiveUp, needs: []string{need}}
}

// advanceIssued handles an order that is issued, which does not mean that its certificate can be
// downloaded: that may be seconds away, and CERTInext calls an order without a CSR issued, too
// (observed on the live service).
func advanceIssued(o *orderEntry, remote *certinext.Order, p progress) action {
	switch {
	case !p.downloaded:
		return action{step: stepDownload}
	case remote.CSRSubmitted != nil && !*remote.CSRSubmitted && !p.csrSent && !o.CSRRefused:
		return action{step: stepSubmitCSR}
	}
	return action{step: stepWait, needs: otherKeyNeeds(o)}
}

// advanceCSR handles an order that waits for its CSR.
func advanceCSR(o *orderEntry, p progress) action {
	switch {
	case o.CSRRefused:
		need := "CERTInext refused the CSR: cancel this order"
		return action{step: stepGiveUp, needs: []string{need}}
	case !p.csrSent:
		return action{step: stepSubmitCSR}
	}
	return action{step: stepWait}
}

// advanceSolver handles an order whose domains are validated by a solver.
func advanceSolver(o *orderEntry, remote *certinext.Order, p progress) action {
	switch {
	case len(o.openDomains(remote)) == 0:
		return action{step: stepWait} // the aggregate lags behind the domains
	case !p.validated:
		return action{step: stepValidate}
	}
	needs := slices.Clone(p.needs)
	if p.stuck {
		needs = append(needs, fmt.Sprintf(
			"the solver tries again; vault read <mount>/orders/%s/%s/dcv shows what to publish "+
				"by hand", o.Role, o.ID))
	}
	return action{step: stepWait, needs: needs}
}
