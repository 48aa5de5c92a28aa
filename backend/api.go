// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/domains"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/index"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/inventory"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/lineage"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/preview"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/reconciliation"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/spending"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/tidy"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/hashicorp/vault/sdk/logical"
)

// Errors. The paths know the packages below only by the names in this file.
type (
	// A FieldError is a request that the engine refuses because of one field.
	FieldError = fault.FieldError
	// A NotFoundError is a request for something that the mount does not hold.
	NotFoundError = fault.NotFoundError
	// A RefusedError is a call that CERTInext refused, or that did not reach it.
	RefusedError = fault.RefusedError
	// A FutureError is an entry that a later version of the plugin has written.
	FutureError = store.FutureError
)

// ErrNotConfigured is returned by operations that need CERTInext while the mount has no config.
var ErrNotConfigured = fault.ErrNotConfigured

// HoldVariable is [account.HoldVariable].
const HoldVariable = account.HoldVariable

// ErrHeld is [account.ErrHeld].
var ErrHeld = account.ErrHeld

// IsHold is [account.IsHold].
func IsHold(value string) bool { return account.IsHold(value) }

// IsReadOnly reports whether storage has refused a write because this node may not write it.
func IsReadOnly(err error) bool { return store.IsReadOnly(err) }

// Operator is [orders.Operator].
const Operator = orders.Operator

// The account.
type (
	// A DCVMethod is a way to prove control of a domain.
	DCVMethod = certinext.DCVMethod
	// AccountingModel is [account.AccountingModel].
	AccountingModel = account.AccountingModel
	// Config is [account.Config].
	Config = account.Config
	// Domain is [account.Domain].
	Domain = account.Domain
	// DomainFilter is [account.DomainFilter].
	DomainFilter = account.DomainFilter
	// Family is [account.Family].
	Family = account.Family
	// Group is [account.Group].
	Group = account.Group
	// OrderDefaults is [account.OrderDefaults].
	OrderDefaults = account.OrderDefaults
	// Organization is [account.Organization].
	Organization = account.Organization
	// Page is [account.Page].
	Page[T any] = account.Page[T]
	// Product is [account.Product].
	Product = account.Product
	// ProductFilter is [account.ProductFilter].
	ProductFilter = account.ProductFilter
	// Secret is [account.Secret].
	Secret = account.Secret
	// Status is [account.Status].
	Status = account.Status
	// Window is [account.Window].
	Window = account.Window
)

// Requests and roles.
type (
	// DNSValidation is [issuing.DNSValidation].
	DNSValidation = issuing.DNSValidation
	// Request is [issuing.Request].
	Request = issuing.Request
	// Role is [issuing.Role].
	Role = issuing.Role
	// Trust is [issuing.Trust].
	Trust = issuing.Trust
	// RenewBy is [issuing.RenewBy].
	RenewBy = issuing.RenewBy
	// Ahead is [issuing.Ahead].
	Ahead = issuing.Ahead
	// OrderAccess is [issuing.OrderAccess].
	OrderAccess = issuing.OrderAccess
)

// NewRole is [issuing.NewRole].
func NewRole(name string) *Role { return issuing.NewRole(name) }

// SubjectFields is [issuing.SubjectFields].
func SubjectFields() []string { return issuing.SubjectFields() }

// CheckDCVMethod is [issuing.CheckDCVMethod].
func CheckDCVMethod(field string, m DCVMethod) error { return issuing.CheckDCVMethod(field, m) }

// Domain validation.
type (
	// DomainChallenge is [validation.DomainChallenge].
	DomainChallenge = validation.DomainChallenge
	// Solver is [validation.Solver].
	Solver = validation.Solver
	// SolverField is [validation.SolverField].
	SolverField = validation.SolverField
)

// SolverKinds is [validation.SolverKinds].
func SolverKinds() []dcv.Kind { return validation.SolverKinds() }

// Registered domains.
type (
	// Registration is [domains.Registration].
	Registration = domains.Registration
	// DomainState is [domains.State].
	DomainState = domains.State
)

// NewRegistration is [domains.NewRegistration].
func NewRegistration(name string) *Registration { return domains.NewRegistration(name) }

// Certificates, their leases and their revocation.
type (
	// Certificate is [certificates.Certificate].
	Certificate = certificates.Certificate
	// CertificateDetail is [certificates.Detail].
	CertificateDetail = certificates.Detail
	// LeaseEnd is [certificates.LeaseEnd].
	LeaseEnd = certificates.LeaseEnd
	// QueuedRevocation is [certificates.QueuedRevocation].
	QueuedRevocation = certificates.QueuedRevocation
	// Renewal is [certificates.Renewal].
	Renewal = certificates.Renewal
	// Revoked is [certificates.Revoked].
	Revoked = certificates.Revoked
	// RevokeRequest is [certificates.RevokeRequest].
	RevokeRequest = certificates.RevokeRequest
)

// Orders and their documents.
type (
	// Approval is [orders.Approval].
	Approval = orders.Approval
	// Verdict is [orders.Verdict].
	Verdict = orders.Verdict
	// Document is [orders.Document].
	Document = orders.Document
	// Download is [orders.Download].
	Download = orders.Download
	// Issued is [orders.Issued].
	Issued = orders.Issued
	// Order is [orders.Order].
	Order = orders.Order
	// OrderError is [orders.Error].
	OrderError = orders.Error
	// RenewalPractice is [orders.RenewalPractice].
	RenewalPractice = orders.RenewalPractice
	// ReissueRequest is [orders.ReissueRequest].
	ReissueRequest = orders.ReissueRequest
)

// RenewalPracticeOf is [orders.PracticeOf].
func RenewalPracticeOf(
	ctx context.Context, s logical.Storage, role string,
) (*RenewalPractice, error) {
	return orders.PracticeOf(ctx, s, role)
}

// Keep is [orders.Keep].
func Keep(
	ctx context.Context, journal *orders.Journal, s logical.Storage, r RevokeRequest,
) (serial string, err error) {
	return orders.Keep(ctx, journal, s, r)
}

// AllowReissues is [orders.AllowReissues].
func AllowReissues(
	ctx context.Context, s logical.Storage, role string, now time.Time,
) (*RenewalPractice, error) {
	return orders.AllowReissues(ctx, s, role, now)
}

// Budgets.
type (
	// A Budget is [spending.Budget].
	Budget = spending.Budget
	// BudgetUsage is [spending.Usage].
	BudgetUsage = spending.Usage
	// BudgetPer is [spending.Per].
	BudgetPer = spending.Per
	// BudgetPeriod is [spending.Period].
	BudgetPeriod = spending.Period
	// ExhaustedError is [spending.ExhaustedError].
	ExhaustedError = spending.ExhaustedError
)

// NewBudget is [spending.NewBudget].
func NewBudget(name string) *Budget { return spending.NewBudget(name) }

// What a request would come to.
type (
	// PreviewAnswer is [preview.Answer].
	PreviewAnswer = preview.Answer
	// Proposal is [orders.Proposal].
	Proposal = orders.Proposal
	// Forecast is [spending.Forecast].
	Forecast = spending.Forecast
)

// The [preview.Answer] values.
const (
	PreviewJoin    = preview.Join
	PreviewReuse   = preview.Reuse
	PreviewReissue = preview.Reissue
	PreviewDraft   = preview.Draft
	PreviewRefuse  = preview.Refuse
)

// What was spent.
type (
	// SpendRow is [reconciliation.Row].
	SpendRow = reconciliation.Row
	// SpendDifference is [reconciliation.Difference].
	SpendDifference = reconciliation.Difference
	// SpendDimension is [reconciliation.Dimension].
	SpendDimension = reconciliation.Dimension
	// SpendFilter is [reconciliation.Query].
	SpendFilter = reconciliation.Query
)

// What is listed.
type (
	// ListQuery is [inventory.Query].
	ListQuery = inventory.Query
	// LineageWant is [lineage.Want].
	LineageWant = lineage.Want
	// ListSort is [index.Sort].
	ListSort = index.Sort
	// List is [inventory.List].
	List = inventory.List
	// Listed is [inventory.Listed].
	Listed = inventory.Listed
)

// MaxDescribed is [inventory.MaxDescribed].
const MaxDescribed = inventory.MaxDescribed

// Synchronization with the account.
type (
	// AdoptRequest is [inventory.AdoptRequest].
	AdoptRequest = inventory.AdoptRequest
	// SyncRequest is [inventory.Request].
	SyncRequest = inventory.Request
	// SyncStatus is [inventory.Status].
	SyncStatus = inventory.Status
)

// Tidying.
type (
	// TidyRequest is [tidy.Request].
	TidyRequest = tidy.Request
	// TidyConfig is [tidy.Config].
	TidyConfig = tidy.Config
	// TidyStatus is [tidy.Status].
	TidyStatus = tidy.Status
)

// The kinds of entries that are tidied, and the outcomes of a request for it.
const (
	TidyCertificates = tidy.KindCertificate
	TidyRevoked      = tidy.KindRevoked
	TidyOrphans      = tidy.KindOrphan
	TidyOrders       = tidy.KindOrder
	TidyRefused      = tidy.KindRefused
	TidyPersonal     = tidy.KindPersonal
	TidyReuse        = tidy.KindReuse

	TidyAlready = tidy.Already
	TidyNothing = tidy.Nothing
)

// NewTidyRequest is [tidy.NewRequest].
func NewTidyRequest() *TidyRequest { return tidy.NewRequest() }

// NewTidyConfig is [tidy.NewConfig].
func NewTidyConfig() *TidyConfig { return tidy.NewConfig() }

// ReadTidyConfig is [tidy.ReadConfig].
func ReadTidyConfig(ctx context.Context, s logical.Storage) (*TidyConfig, error) {
	return tidy.ReadConfig(ctx, s)
}
