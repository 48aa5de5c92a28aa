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
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// validate returns an error about the first invalid field of c, if any, which has replaced before.
func (c *Config) validate(before *Config) error {
	checks := []func() error{
		c.validateURL, c.validateCredentials,
		func() error { return c.validateContacts(before) }, c.validateLimits,
		c.validatePrices,
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

// validateContacts lets pass what was wrong in before: a config of an earlier version stays open to
// other changes, and config/check tells what is wrong in it.
func (c *Config) validateContacts(before *Config) error {
	if c.Requestor.Name == "" {
		return fault.BadField("requestor_name",
			"is required: CERTInext refuses an order without a requestor")
	}
	if c.Requestor.Email == "" {
		return fault.BadField("requestor_email",
			"is required: CERTInext refuses an order without a requestor")
	}
	brought, _ := c.OrderDefaults.Problems().Since(before.OrderDefaults.Problems())
	return brought.First()
}

// E164 matches a telephone number in the form of ITU-T E.164, with a leading plus sign.
var E164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// Problems returns a [*fault.FieldError] for each field that is set and malformed. Empty fields are
// valid.
func (d *OrderDefaults) Problems() fault.Fields {
	var all fault.Fields
	for _, contact := range []struct {
		field string
		of    certinext.Contact
	}{
		{"requestor", d.Requestor},
		{"technical_contact", d.TechnicalContact},
		{"delegation", d.Delegation},
	} {
		if address := contact.of.Email; address != "" && !isMailAddress(address) {
			all.Bad(contact.field+"_email", "%q is not an e-mail address", sanitize.Short(address))
		}
		if phone := contact.of.Phone; phone != "" && !E164.MatchString(phone) {
			all.Bad(contact.field+"_phone", "%q is not in E.164 form, e.g. +14155550123",
				sanitize.Short(phone))
		}
	}
	if (d.Delegation.Name == "") != (d.Delegation.Email == "") {
		badPart(&all, "delegation", d.Delegation, "set both or neither")
	}
	if d.TechnicalContact != (certinext.Contact{}) {
		badPart(&all, "technical_contact", d.TechnicalContact, "set both or no field of the "+
			"technical contact, since CERTInext refuses an order with a part of it")
	}
	if n := d.OrganizationNumber; strings.Trim(n, "0123456789") != "" {
		all.Bad("organization_number", "%q is no number: vault list -detailed "+
			"<mount>/organizations names those of the account", sanitize.Short(n))
	}
	switch d.AccountingModel {
	case "", certinext.AccountingCash, certinext.AccountingCredit:
	default:
		all.Bad("accounting_model", "%q is neither cash nor credit",
			sanitize.Short(string(d.AccountingModel)))
	}
	if d.SignerIP != "" && net.ParseIP(d.SignerIP) == nil {
		all.Bad("signer_ip", "%q is not an IP address", sanitize.Short(d.SignerIP))
	}
	return all
}

// badPart adds an error about each of name and e-mail address that a contact lacks.
func badPart(all *fault.Fields, contact string, c certinext.Contact, remedy string) {
	if c.Name == "" {
		all.Bad(contact+"_name", "goes with %s_email: %s", contact, remedy)
	}
	if c.Email == "" {
		all.Bad(contact+"_email", "goes with %s_name: %s", contact, remedy)
	}
}

func isMailAddress(text string) bool {
	a, err := mail.ParseAddress(text)
	return err == nil && a.Address == text
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
	case c.PresumeAbsentAfter != 0 &&
		c.PresumeAbsentAfter < max(minPresumedAbsent, c.EffectiveAbsentAfter()):
		return fault.BadField("presume_absent_after", "must be at least %s and no shorter than "+
			"absent_after, or 0 for never: what CERTInext's records show late would be paid twice",
			phrase.Duration(minPresumedAbsent))
	case c.RequestsPerSecond < 0,
		math.IsNaN(c.RequestsPerSecond),
		math.IsInf(c.RequestsPerSecond, 0):
		return fault.BadField("requests_per_second", "must be a positive number, or 0 for no limit")
	case c.SyncInterval != 0 && c.SyncInterval < minSyncInterval:
		return fault.BadField("sync_interval", "must be at least %s, or 0 for no synchronization "+
			"by itself: each one reads the account's whole orders report",
			phrase.Duration(minSyncInterval))
	}
	return nil
}

// minSyncInterval is longer than it takes to read the report of a large account: 30,000 orders are
// 300 pages, of which one takes a fraction of a second.
const minSyncInterval = 5 * time.Minute

// minPresumedAbsent is several times longer than records of the service were seen to lag behind.
const minPresumedAbsent = 24 * time.Hour

// minAbsentMargin is several times longer than placing an order was ever seen to take.
const minAbsentMargin = 10 * time.Minute
