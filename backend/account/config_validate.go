// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"crypto/x509"
	"math"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// validate returns an error about the first invalid field of c, if any.
func (c *Config) validate() error {
	checks := []func() error{
		c.validateURL, c.validateCredentials, c.validateContacts, c.validateLimits,
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) validateURL() error {
	if c.BaseURL == "" {
		return fault.BadField("base_url", "is required, e.g. https://us-api.certinext.io")
	}
	u, err := url.Parse(c.BaseURL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fault.BadField("base_url", "must be a plain URL such as https://us-api.certinext.io")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return fault.BadField("base_url", "must be https; http is accepted for loopback hosts only")
	}
	if c.APIVersion != "" && c.APIVersion != apiV1 && c.APIVersion != apiV2 {
		return fault.BadField("api_version", "%q is neither v1 nor v2",
			sanitize.Short(c.APIVersion))
	}
	if c.Ordering != "" && c.Ordering != orderingOn && c.Ordering != orderingPaused {
		return fault.BadField("ordering", "%q is neither on nor paused", sanitize.Short(c.Ordering))
	}
	if c.CACertificate != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CACertificate)) {
		return fault.BadField("ca_certificate", "contains no PEM certificate")
	}
	return nil
}

// The values of [Config.APIVersion].
const (
	apiV1 = "v1"
	apiV2 = "v2"
)

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

func (c *Config) validateCredentials() error {
	oauth := c.ClientID != "" || c.ClientSecret != ""
	key := c.AccountNumber != "" || c.AccessKey != ""
	switch {
	case oauth && key:
		return fault.BadField("client_id", "an account has either client_id with client_secret "+
			"or account_number with access_key, not both")
	case !oauth && !key:
		return fault.BadField("client_id",
			"is required, with client_secret (or account_number with access_key)")
	case oauth && c.ClientID == "":
		return fault.BadField("client_id", "is required next to client_secret")
	case oauth && c.ClientSecret == "":
		return fault.BadField("client_secret", "is required next to client_id")
	case key && c.AccountNumber == "":
		return fault.BadField("account_number", "is required next to access_key")
	case key && c.AccessKey == "":
		return fault.BadField("access_key", "is required next to account_number")
	}
	return nil
}

func (c *Config) validateContacts() error {
	if c.Requestor.Name == "" {
		return fault.BadField("requestor_name",
			"is required: CERTInext refuses an order without a requestor")
	}
	if c.Requestor.Email == "" {
		return fault.BadField("requestor_email",
			"is required: CERTInext refuses an order without a requestor")
	}
	return c.OrderDefaults.Validate()
}

// E164 matches a telephone number in the form of ITU-T E.164, with a leading plus sign.
var E164 = regexp.MustCompile(`^\+[1-9][0-9]{5,14}$`)

// Validate returns an error about a field that is set and malformed. Empty fields are valid.
func (d *OrderDefaults) Validate() error {
	for field, address := range map[string]string{
		"requestor_email":         d.Requestor.Email,
		"technical_contact_email": d.TechnicalContact.Email,
		"delegation_email":        d.Delegation.Email,
	} {
		if address == "" {
			continue
		}
		if a, err := mail.ParseAddress(address); err != nil || a.Address != address {
			return fault.BadField(field, "%q is not an e-mail address", address)
		}
	}
	for field, phone := range map[string]string{
		"requestor_phone":         d.Requestor.Phone,
		"technical_contact_phone": d.TechnicalContact.Phone,
	} {
		if phone != "" && !E164.MatchString(phone) {
			return fault.BadField(field, "%q is not in E.164 form, e.g. +14155550123", phone)
		}
	}
	if (d.Delegation.Name == "") != (d.Delegation.Email == "") {
		return fault.BadField("delegation_email", "goes with delegation_name: set both or neither")
	}
	switch d.AccountingModel {
	case "", certinext.AccountingCash, certinext.AccountingCredit:
	default:
		return fault.BadField("accounting_model", "%q is neither cash nor credit",
			sanitize.Short(string(d.AccountingModel)))
	}
	if d.SignerIP != "" && net.ParseIP(d.SignerIP) == nil {
		return fault.BadField("signer_ip", "%q is not an IP address", d.SignerIP)
	}
	return nil
}

func (c *Config) validateLimits() error {
	switch {
	case c.RequestTimeout < 0:
		return fault.BadField("request_timeout", "must not be negative")
	case c.CreateTimeout < 0:
		return fault.BadField("create_timeout", "must not be negative")
	case c.AbsentAfter < 0 || c.EffectiveAbsentAfter() < c.CreateTimeout+minAbsentMargin:
		return fault.BadField("absent_after", "must be at least %s longer than create_timeout: "+
			"CERTInext may work on an order for minutes", phrase.Duration(minAbsentMargin))
	case c.RequestsPerSecond < 0,
		math.IsNaN(c.RequestsPerSecond),
		math.IsInf(c.RequestsPerSecond, 0):
		return fault.BadField("requests_per_second", "must be a positive number, or 0 for no limit")
	}
	return nil
}

// minAbsentMargin is several times longer than placing an order was ever seen to take.
const minAbsentMargin = 10 * time.Minute
