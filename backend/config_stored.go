// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// storedConfig is the entry under config.
type storedConfig struct {
	Version           int            `json:"version"`
	BaseURL           string         `json:"base_url"`
	APIVersion        string         `json:"api_version,omitempty"`
	ClientID          string         `json:"client_id,omitempty"`
	ClientSecret      string         `json:"client_secret,omitempty"`
	AccountNumber     string         `json:"account_number,omitempty"`
	AccessKey         string         `json:"access_key,omitempty"`
	CACertificate     string         `json:"ca_certificate,omitempty"`
	Defaults          storedDefaults `json:"defaults"`
	TrustKey          bool           `json:"trust_idempotency_key,omitempty"`
	AbsentAfter       time.Duration  `json:"absent_after,omitempty"` // nanoseconds
	Ordering          string         `json:"ordering,omitempty"`
	DefaultProduct    string         `json:"default_product,omitempty"`
	RequestTimeout    time.Duration  `json:"request_timeout,omitempty"` // nanoseconds
	CreateTimeout     time.Duration  `json:"create_timeout,omitempty"`  // nanoseconds
	RequestsPerSecond float64        `json:"requests_per_second,omitempty"`
}

type storedContact struct {
	Name        string `json:"name,omitempty"`
	Email       string `json:"email,omitempty"`
	Phone       string `json:"phone,omitempty"`
	Designation string `json:"designation,omitempty"`
}

type storedDefaults struct {
	Requestor          storedContact `json:"requestor,omitzero"`
	TechnicalContact   storedContact `json:"technical_contact,omitzero"`
	Delegation         storedContact `json:"delegation,omitzero"`
	SignerName         string        `json:"signer_name,omitempty"`
	SignerPlace        string        `json:"signer_place,omitempty"`
	SignerIP           string        `json:"signer_ip,omitempty"`
	GroupNumber        string        `json:"group_number,omitempty"`
	OrganizationNumber string        `json:"organization_number,omitempty"`
	ConsentToken       string        `json:"consent_token,omitempty"`
	EmailNotifications string        `json:"email_notifications,omitempty"`

	AccountingModel AccountingModel `json:"accounting_model,omitempty"`
}

func newStoredDefaults(d OrderDefaults) storedDefaults {
	return storedDefaults{
		Requestor: storedContact(d.Requestor), TechnicalContact: storedContact(d.TechnicalContact), Delegation: storedContact(d.Delegation),
		SignerName: d.SignerName, SignerPlace: d.SignerPlace, SignerIP: d.SignerIP,
		GroupNumber: d.GroupNumber, OrganizationNumber: d.OrganizationNumber,
		ConsentToken: d.ConsentToken.Reveal(), EmailNotifications: d.EmailNotifications, AccountingModel: d.AccountingModel,
	}
}

func (d storedDefaults) defaults() OrderDefaults {
	return OrderDefaults{
		Requestor: certinext.Contact(d.Requestor), TechnicalContact: certinext.Contact(d.TechnicalContact), Delegation: certinext.Contact(d.Delegation),
		SignerName: d.SignerName, SignerPlace: d.SignerPlace, SignerIP: d.SignerIP,
		GroupNumber: d.GroupNumber, OrganizationNumber: d.OrganizationNumber,
		ConsentToken: certinext.Secret(d.ConsentToken), EmailNotifications: d.EmailNotifications, AccountingModel: d.AccountingModel,
	}
}

func newStoredConfig(c *Config) *storedConfig {
	return &storedConfig{
		Version: 1, BaseURL: c.BaseURL, APIVersion: c.APIVersion, ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(),
		AccountNumber: c.AccountNumber, AccessKey: c.AccessKey.Reveal(), CACertificate: c.CACertificate,
		Defaults: newStoredDefaults(c.OrderDefaults), RequestTimeout: c.RequestTimeout,
		CreateTimeout: c.CreateTimeout, RequestsPerSecond: c.RequestsPerSecond, TrustKey: c.TrustIdempotencyKey, AbsentAfter: c.AbsentAfter, Ordering: c.Ordering, DefaultProduct: c.DefaultProductCode,
	}
}

func (s *storedConfig) config() *Config {
	return &Config{
		BaseURL: s.BaseURL, APIVersion: s.APIVersion, ClientID: s.ClientID, ClientSecret: certinext.Secret(s.ClientSecret),
		AccountNumber: s.AccountNumber, AccessKey: certinext.Secret(s.AccessKey), CACertificate: s.CACertificate,
		OrderDefaults: s.Defaults.defaults(), RequestTimeout: s.RequestTimeout,
		CreateTimeout: s.CreateTimeout, RequestsPerSecond: s.RequestsPerSecond, TrustIdempotencyKey: s.TrustKey, AbsentAfter: s.AbsentAfter, Ordering: s.Ordering, DefaultProductCode: s.DefaultProduct,
	}
}
