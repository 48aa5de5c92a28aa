// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package acceptance decides whether a certificate that CERTInext has issued is what was ordered.
//
// It promises that nothing about a certificate which could harm whoever uses it goes unsaid: what
// is only noteworthy is a remark, and what must not be handed over before a person has looked at it
// is a fault (ADR 0025). The package is pure. It knows nothing of orders as they are stored, and
// asks nobody: what was ordered, and the time, come from its caller.
package acceptance

import (
	"crypto/x509"
	"net"
	"time"
)

// An Ordered is what a certificate has to be.
type Ordered struct {
	// DNSNames and IPs are the names and addresses that were ordered; the names in lower case, as
	// A-labels.
	DNSNames []string
	IPs      []net.IP
	// Subject is set when the certificate is a person's or an organization's, whose common name is
	// CERTInext's to spell, from these names. Then it may hold Mail, and no names of hosts.
	Subject bool
	Called  []string // the person's, the organization's and the certificate's name, and the like
	Mail    string   // empty when none was ordered
	// WWW is set when CERTInext was asked to add the name www. itself.
	WWW bool
	// Public is set for a certificate that browsers are to trust, whose life is limited by public
	// rules. The life of any other one is limited by its subscription, of this many years; 0 when
	// that is not known.
	Public bool
	Years  int
}

// A Delivered is a certificate as CERTInext has delivered it.
type Delivered struct {
	Leaf *x509.Certificate
	// Chain leads upwards from Leaf by signatures that hold, the issuing CA first.
	Chain []*x509.Certificate
	// Rest are the other certificates that were delivered.
	Rest []*x509.Certificate
}

// A Verdict is what was found of a certificate. Its zero value is a certificate that is what was
// ordered.
type Verdict struct {
	// Begins is when the certificate begins to be valid, if that is in the near future; the zero
	// time otherwise. It is to be waited for.
	Begins time.Time
	// Remarks are for whoever is handed the certificate.
	Remarks []string
	// Faults are why it must not be handed over.
	Faults []string
	// ChainFault is one more of them, which is not the certificate's: what was delivered with it is
	// wrong, and another download may be right. It is empty when the chain holds.
	ChainFault string
}

// AllFaults are all the reasons why the certificate must not be handed over as it was delivered.
func (v *Verdict) AllFaults() []string {
	if v.ChainFault == "" {
		return v.Faults
	}
	return append(v.Faults[:len(v.Faults):len(v.Faults)], v.ChainFault)
}

// Judge compares a certificate with what was ordered. now is the later one of the times that this
// server's clock and CERTInext's say it is, so that a clock which is behind holds nothing back.
func Judge(cert Delivered, ordered *Ordered, now time.Time) Verdict {
	var v Verdict
	v.judgeUse(cert.Leaf)
	v.judgeChain(cert, now)
	v.judgeLife(cert.Leaf, ordered, now)
	if ordered.Subject {
		v.judgeSubject(cert.Leaf, ordered)
	} else {
		v.judgeNames(cert.Leaf, ordered)
	}
	return v
}
