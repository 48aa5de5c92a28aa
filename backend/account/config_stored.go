// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"maps"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A storedConfig is the entry under [ConfigKey].
type storedConfig struct {
	Version        int            `json:"version"`
	BaseURL        string         `json:"base_url"`
	APIVersion     string         `json:"api_version,omitempty"`
	ClientID       string         `json:"client_id,omitempty"`
	ClientSecret   string         `json:"client_secret,omitempty"`
	AccountNumber  string         `json:"account_number,omitempty"`
	AccessKey      string         `json:"access_key,omitempty"`
	Number         string         `json:"number,omitempty"`
	Name           string         `json:"name,omitempty"`
	CACertificate  string         `json:"ca_certificate,omitempty"`
	Defaults       StoredDefaults `json:"defaults"`
	TrustKey       bool           `json:"trust_idempotency_key,omitempty"`
	AbsentAfter    time.Duration  `json:"absent_after,omitempty"`         // nanoseconds
	PresumeAbsent  time.Duration  `json:"presume_absent_after,omitempty"` // nanoseconds
	Ordering       string         `json:"ordering,omitempty"`
	DefaultProduct string         `json:"default_product,omitempty"`
	NamelessCSR    bool           `json:"csr_without_common_name,omitempty"`

	ProductPrices   map[string]string `json:"product_prices,omitempty"`
	AllowedProducts []string          `json:"allowed_products,omitempty"`

	RequestTimeout    time.Duration `json:"request_timeout,omitempty"` // nanoseconds
	CreateTimeout     time.Duration `json:"create_timeout,omitempty"`  // nanoseconds
	RequestsPerSecond float64       `json:"requests_per_second,omitempty"`

	SyncInterval time.Duration `json:"sync_interval,omitempty"` // nanoseconds
}

// StoredContact is the stored form of a contact, in the entries of the config and of orders.
type StoredContact struct {
	Name        string `json:"name,omitempty"`
	Email       string `json:"email,omitempty"`
	Phone       string `json:"phone,omitempty"`
	Designation string `json:"designation,omitempty"`
}

// StoredDefaults is the stored form of [OrderDefaults].
type StoredDefaults struct {
	Requestor          StoredContact `json:"requestor,omitzero"`
	TechnicalContact   StoredContact `json:"technical_contact,omitzero"`
	Delegation         StoredContact `json:"delegation,omitzero"`
	SignerName         string        `json:"signer_name,omitempty"`
	SignerPlace        string        `json:"signer_place,omitempty"`
	SignerIP           string        `json:"signer_ip,omitempty"`
	GroupNumber        string        `json:"group_number,omitempty"`
	OrganizationNumber string        `json:"organization_number,omitempty"`
	ConsentToken       string        `json:"consent_token,omitempty"`
	EmailNotifications string        `json:"email_notifications,omitempty"`

	AccountingModel AccountingModel `json:"accounting_model,omitempty"`
}

// NewStoredDefaults returns the stored form of d.
func NewStoredDefaults(d OrderDefaults) StoredDefaults {
	return StoredDefaults{
		Requestor:          StoredContact(d.Requestor),
		TechnicalContact:   StoredContact(d.TechnicalContact),
		Delegation:         StoredContact(d.Delegation),
		SignerName:         d.SignerName,
		SignerPlace:        d.SignerPlace,
		SignerIP:           d.SignerIP,
		GroupNumber:        d.GroupNumber,
		OrganizationNumber: d.OrganizationNumber,
		ConsentToken:       d.ConsentToken.Reveal(),
		EmailNotifications: d.EmailNotifications,
		AccountingModel:    d.AccountingModel,
	}
}

// Defaults returns the order defaults that d stores.
func (d StoredDefaults) Defaults() OrderDefaults {
	return OrderDefaults{
		Requestor:          certinext.Contact(d.Requestor),
		TechnicalContact:   certinext.Contact(d.TechnicalContact),
		Delegation:         certinext.Contact(d.Delegation),
		SignerName:         d.SignerName,
		SignerPlace:        d.SignerPlace,
		SignerIP:           d.SignerIP,
		GroupNumber:        d.GroupNumber,
		OrganizationNumber: d.OrganizationNumber,
		ConsentToken:       certinext.Secret(d.ConsentToken),
		EmailNotifications: d.EmailNotifications,
		AccountingModel:    d.AccountingModel,
	}
}

// newStoredConfig returns the stored form of c.
func newStoredConfig(c *Config) *storedConfig {
	return &storedConfig{
		Version:           1,
		BaseURL:           c.BaseURL,
		APIVersion:        c.APIVersion,
		ClientID:          c.ClientID,
		ClientSecret:      c.ClientSecret.Reveal(),
		AccountNumber:     c.AccountNumber,
		AccessKey:         c.AccessKey.Reveal(),
		Number:            c.Number,
		Name:              c.Name,
		CACertificate:     c.CACertificate,
		Defaults:          NewStoredDefaults(c.OrderDefaults),
		TrustKey:          c.TrustIdempotencyKey,
		AbsentAfter:       c.AbsentAfter,
		PresumeAbsent:     c.PresumeAbsentAfter,
		Ordering:          c.Ordering,
		DefaultProduct:    c.DefaultProductCode,
		NamelessCSR:       c.CSRWithoutCommonName,
		ProductPrices:     maps.Clone(c.ProductPrices),
		AllowedProducts:   c.AllowedProducts,
		RequestTimeout:    c.RequestTimeout,
		CreateTimeout:     c.CreateTimeout,
		RequestsPerSecond: c.RequestsPerSecond,
		SyncInterval:      c.SyncInterval,
	}
}

// config returns the config that s stores; nil when s is.
func (s *storedConfig) config() *Config {
	if s == nil {
		return nil
	}
	return &Config{
		BaseURL:             s.BaseURL,
		APIVersion:          s.APIVersion,
		ClientID:            s.ClientID,
		ClientSecret:        certinext.Secret(s.ClientSecret),
		AccountNumber:       s.AccountNumber,
		AccessKey:           certinext.Secret(s.AccessKey),
		Number:              s.Number,
		Name:                s.Name,
		CACertificate:       s.CACertificate,
		OrderDefaults:       s.Defaults.Defaults(),
		TrustIdempotencyKey: s.TrustKey,
		AbsentAfter:         s.AbsentAfter,
		PresumeAbsentAfter:  s.PresumeAbsent,
		Ordering:            s.Ordering,
		DefaultProductCode:  s.DefaultProduct,

		CSRWithoutCommonName: s.NamelessCSR,
		ProductPrices:        s.ProductPrices,
		AllowedProducts:      s.AllowedProducts,

		RequestTimeout:    s.RequestTimeout,
		CreateTimeout:     s.CreateTimeout,
		RequestsPerSecond: s.RequestsPerSecond,
		SyncInterval:      s.SyncInterval,
	}
}

// ConfigKey is the storage key of the config.
const ConfigKey = "config"
