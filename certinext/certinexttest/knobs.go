// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"net/http"
	"time"
)

// duration is a time.Duration that JSON spells "1m30s".
type duration time.Duration

// MarshalText writes the duration as time.Duration does.
func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = duration(v)
	return err
}

// knobs are the settings that can be changed while the server runs.
type knobs struct {
	IssueDelay          *duration    `json:"issueDelay,omitempty"`
	PEMLag              *duration    `json:"pemLag,omitempty"`
	CertificateLifetime *duration    `json:"certificateLifetime,omitempty"`
	ApprovalDelay       *duration    `json:"approvalDelay,omitempty"`
	ReportDelay         *duration    `json:"reportDelay,omitempty"`
	PropagationDelay    *duration    `json:"propagationDelay,omitempty"`
	DomainValidity      *duration    `json:"domainValidity,omitempty"`
	RevocationLag       *duration    `json:"revocationLag,omitempty"`
	DCVSlotDelay        *duration    `json:"dcvSlotDelay,omitempty"`
	DCVChallengeDelay   *duration    `json:"dcvChallengeDelay,omitempty"`
	DCVResultDelay      *duration    `json:"dcvResultDelay,omitempty"`
	TokenTTL            *duration    `json:"tokenTTL,omitempty"`
	RateLimit           *float64     `json:"rateLimit,omitempty"`
	CreateBurst         *int         `json:"createBurst,omitempty"`
	ReportPageSize      *int         `json:"reportPageSize,omitempty"`
	HoldForApproval     *bool        `json:"holdForApproval,omitempty"`
	IssuedBeforeCSR     *bool        `json:"issuedBeforeCsr,omitempty"`
	NamelessCSR         *bool        `json:"namelessCsr,omitempty"`
	NewKeysOnly         *bool        `json:"newKeysOnly,omitempty"`
	CAAForbids          *[]string    `json:"caaForbids,omitempty"`
	ChainOrder          *ChainOrder  `json:"chainOrder,omitempty"`
	ReportOrder         *ReportOrder `json:"reportOrder,omitempty"`
	DCVShape            *DCVShape    `json:"dcvShape,omitempty"`
	Misissue            *Misissuance `json:"misissue,omitempty"`
}

func (s administration) readKnobs() knobs {
	s.mu.Lock()
	defer s.mu.Unlock()
	span := func(d time.Duration) *duration { return (*duration)(&d) }
	hold, early, chain, shape := s.HoldForApproval, s.IssuedBeforeCSR, s.ChainOrder, s.dcvShape()
	limit, burst, mistake := s.RateLimit, s.CreateBurst, s.Misissue
	forbidden := append([]string{}, s.CAAForbids...)
	rows, size := s.ReportOrder, s.ReportPageSize
	nameless, newKeys := s.NamelessCSR, s.NewKeysOnly
	return knobs{
		IssueDelay: span(s.IssueDelay), PEMLag: span(s.PEMLag),
		CertificateLifetime: span(s.certificateLifetime()), ApprovalDelay: span(s.ApprovalDelay),
		ReportDelay: span(s.ReportDelay), PropagationDelay: span(s.PropagationDelay),
		RevocationLag: span(s.RevocationLag), TokenTTL: span(s.tokenTTL()),
		DCVSlotDelay: span(s.DCVSlotDelay), DomainValidity: span(s.domainValidity()),
		DCVChallengeDelay: span(s.DCVChallengeDelay), DCVResultDelay: span(s.DCVResultDelay),
		RateLimit: &limit, CreateBurst: &burst, HoldForApproval: &hold, IssuedBeforeCSR: &early,
		ReportOrder: &rows, ReportPageSize: &size, ChainOrder: &chain, DCVShape: &shape,
		Misissue: &mistake, CAAForbids: &forbidden, NamelessCSR: &nameless,
		NewKeysOnly: &newKeys,
	}
}

func (s administration) knobs(r *http.Request) (any, error) {
	var k knobs
	if err := adminBody(r, &k); err != nil {
		return nil, err
	}
	s.Configure(func(s *Server) {
		for field, value := range map[*time.Duration]*duration{
			&s.IssueDelay: k.IssueDelay, &s.PEMLag: k.PEMLag,
			&s.CertificateLifetime: k.CertificateLifetime, &s.ApprovalDelay: k.ApprovalDelay,
			&s.ReportDelay: k.ReportDelay, &s.PropagationDelay: k.PropagationDelay,
			&s.RevocationLag: k.RevocationLag, &s.TokenTTL: k.TokenTTL,
			&s.DCVSlotDelay: k.DCVSlotDelay, &s.DCVChallengeDelay: k.DCVChallengeDelay,
			&s.DCVResultDelay: k.DCVResultDelay,
			&s.DomainValidity: k.DomainValidity,
		} {
			set(field, (*time.Duration)(value))
		}
		set(&s.RateLimit, k.RateLimit)
		set(&s.CreateBurst, k.CreateBurst)
		set(&s.HoldForApproval, k.HoldForApproval)
		set(&s.IssuedBeforeCSR, k.IssuedBeforeCSR)
		set(&s.NamelessCSR, k.NamelessCSR)
		set(&s.NewKeysOnly, k.NewKeysOnly)
		set(&s.CAAForbids, k.CAAForbids)
		set(&s.ChainOrder, k.ChainOrder)
		set(&s.ReportOrder, k.ReportOrder)
		set(&s.ReportPageSize, k.ReportPageSize)
		set(&s.DCVShape, k.DCVShape)
		set(&s.Misissue, k.Misissue)
	})
	return s.readKnobs(), nil
}

// set stores value where there is one.
func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// MarshalText names the chain order.
func (o ChainOrder) MarshalText() ([]byte, error) { return nameOf(chainOrders, o) }

// UnmarshalText reads good, root-first or absent.
func (o *ChainOrder) UnmarshalText(b []byte) error { return byName(chainOrders, b, o) }

var chainOrders = []string{ChainGood: "good", ChainRootFirst: "root-first", ChainAbsent: "absent"}

// MarshalText names the shape.
func (d DCVShape) MarshalText() ([]byte, error) { return nameOf(dcvShapes, d) }

// UnmarshalText reads by-dialect, live, doc1, doc2 or doc2-prose.
func (d *DCVShape) UnmarshalText(b []byte) error { return byName(dcvShapes, b, d) }

var dcvShapes = []string{
	DCVByDialect: "by-dialect", DCVLive: "live", DCVDoc1: "doc1", DCVDoc2: "doc2",
	DCVDoc2Prose: "doc2-prose",
}
