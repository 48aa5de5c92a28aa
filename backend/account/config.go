// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
	"golang.org/x/time/rate"
)

// The client's types that a config and the catalog use, so that the Vault paths need not import the
// client.
type (
	// A Secret is a string that is never printed.
	Secret = certinext.Secret
	// A Family is one of CERTInext's product families.
	Family = certinext.Family
	// An AccountingModel is how a version 1 order is paid for.
	AccountingModel = certinext.AccountingModel
	// A Product is an entry of the account's catalog.
	Product = certinext.Product
)

// Config is the configuration of a mount: its CERTInext account, and defaults for its orders, which
// roles may override.
type Config struct {
	// BaseURL is the address of the API, https except for loopback hosts.
	BaseURL string

	// APIVersion is the version of the API that the account uses, v1 or v2; v2 when empty.
	APIVersion string

	// The credential, which is of one of two kinds: an OAuth client, or an account number with an
	// access key.
	ClientID      string
	ClientSecret  certinext.Secret
	AccountNumber string
	AccessKey     certinext.Secret

	// CACertificate is a PEM bundle of the CAs that may have issued the server's certificate, e.g.
	// that of an inspecting proxy; the system's CAs when empty.
	CACertificate string

	OrderDefaults

	// TrustIdempotencyKey is set when the service is known to answer a repeated Idempotency-Key
	// with the first order. The documented API promises that; the live one does not do it.
	TrustIdempotencyKey bool

	// AbsentAfter applies to an order whose answer was lost and that CERTInext's records do not
	// show. It counts as never placed once the records show another order that was accepted this
	// much later (ADR 0009). An hour when zero.
	AbsentAfter time.Duration

	// Ordering is [OrderingPaused] when no new orders may be placed, and otherwise empty or "on".
	// Open orders continue (ADR 0020).
	Ordering string

	// DefaultProductCode is the product of roles that name none, for clients that write roles in
	// the terms of Vault's PKI engine.
	DefaultProductCode string

	RequestTimeout    time.Duration // for every call but placing an order; 60 s when zero
	CreateTimeout     time.Duration // for placing an order; 180 s when zero
	RequestsPerSecond float64       // no limit when zero
}

// OrderDefaults are the parts of an order that both the config and a role may set. A role's value
// takes precedence: see [OrderDefaults.Or].
type OrderDefaults struct {
	Requestor          certinext.Contact
	TechnicalContact   certinext.Contact
	Delegation         certinext.Contact // a second contact; name and e-mail only
	SignerName         string
	SignerPlace        string
	SignerIP           string
	GroupNumber        string
	OrganizationNumber string
	ConsentToken       certinext.Secret
	EmailNotifications string
	AccountingModel    certinext.AccountingModel // version 1 only
}

// Or returns d with its empty fields taken from fallback. Fields that belong together, such as
// those of a contact or of the signer, are taken together.
func (d OrderDefaults) Or(fallback OrderDefaults) OrderDefaults {
	pick := func(dst *string, v string) {
		if *dst == "" {
			*dst = v
		}
	}
	if d.Requestor == (certinext.Contact{}) {
		d.Requestor = fallback.Requestor
	}
	if d.TechnicalContact == (certinext.Contact{}) {
		d.TechnicalContact = fallback.TechnicalContact
	}
	if d.Delegation == (certinext.Contact{}) {
		d.Delegation = fallback.Delegation
	}
	if d.SignerName == "" && d.SignerPlace == "" && d.SignerIP == "" {
		d.SignerName = fallback.SignerName
		d.SignerPlace = fallback.SignerPlace
		d.SignerIP = fallback.SignerIP
	}
	if d.OrganizationNumber == "" {
		// The token is the organization's, so the two are taken together.
		d.OrganizationNumber = fallback.OrganizationNumber
		if d.ConsentToken == "" {
			d.ConsentToken = fallback.ConsentToken
		}
	}
	pick(&d.GroupNumber, fallback.GroupNumber)
	pick(&d.EmailNotifications, fallback.EmailNotifications)
	if d.AccountingModel == "" {
		d.AccountingModel = fallback.AccountingModel
	}
	return d
}

// credentials returns the credential that c holds.
func (c *Config) credentials() certinext.Credentials {
	if c.ClientID != "" {
		return certinext.OAuth{ClientID: c.ClientID, ClientSecret: c.ClientSecret}
	}
	return certinext.AccessKey{AccountNumber: c.AccountNumber, AccessKey: c.AccessKey}
}

// Version returns the version of the API that the account uses.
func (c *Config) Version() certinext.APIVersion {
	if c.APIVersion == apiV1 {
		return certinext.V1
	}
	return certinext.V2
}

// EffectiveCreateTimeout returns CreateTimeout, or the default when that is zero.
func (c *Config) EffectiveCreateTimeout() time.Duration {
	if c.CreateTimeout == 0 {
		return 3 * time.Minute // the client's default
	}
	return c.CreateTimeout
}

// EffectiveAbsentAfter returns AbsentAfter, or the default when that is zero.
func (c *Config) EffectiveAbsentAfter() time.Duration {
	if c.AbsentAfter == 0 {
		return time.Hour
	}
	return c.AbsentAfter
}

// The values of [Config.Ordering]; orderingOn means the same as an empty one.
const (
	OrderingPaused = "paused"
	orderingOn     = "on"
)

// isPaused reports whether an operator has paused ordering. c is nil when there is no config.
func (c *Config) isPaused() bool { return c != nil && c.Ordering == OrderingPaused }

// MayOrder returns an error about the field ordering while an operator has paused ordering.
func (c *Config) MayOrder() error {
	if !c.isPaused() {
		return nil
	}
	return fault.BadField("ordering", "is paused in config: no new order is placed "+
		"until an operator writes ordering=on there; open orders continue")
}

// MayOrder is [Config.MayOrder] for the mount's config.
func (acct *Account) MayOrder(ctx context.Context, s logical.Storage) error {
	_, cfg, err := acct.Client(ctx, s)
	if err != nil {
		return err
	}
	return cfg.MayOrder()
}

// Account returns a name for the account of c, "address|number", with the address in canonical
// form.
func (c *Config) Account() string { return CanonicalAccount(c.SpelledAccount()) }

// SpelledAccount is Account with the address as the operator wrote it. Entries of earlier versions
// hold this form.
func (c *Config) SpelledAccount() string {
	address := strings.TrimSuffix(strings.TrimRight(c.BaseURL, "/"), "/emSignHub-API")
	return address + "|" + c.ClientID + c.AccountNumber
}

// CanonicalAccount returns an account's name with its address in canonical form: in lower case,
// without a default port and without the path of version 1.
func CanonicalAccount(account string) string {
	address, number, ok := strings.Cut(account, "|")
	u, err := url.Parse(strings.TrimSpace(address))
	if !ok || err != nil || u.Host == "" {
		return account
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	port := u.Port()
	if (u.Scheme == "https" && port == "443") || (u.Scheme == "http" && port == "80") {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	const v1 = "/emsignhub-api"
	if strings.HasSuffix(strings.ToLower(u.Path), v1) {
		u.Path = strings.TrimRight(u.Path[:len(u.Path)-len(v1)], "/")
	}
	return u.Scheme + "://" + u.Host + u.Path + "|" + number
}

// SameAccount reports whether an entry that was stored for one account belongs to the other, in
// whatever form either names it.
func SameAccount(stored, account string) bool {
	return stored == account || CanonicalAccount(stored) == CanonicalAccount(account)
}

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
	if c.Ordering != "" && c.Ordering != orderingOn && c.Ordering != OrderingPaused {
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
			"CERTInext may work on an order for minutes", minAbsentMargin)
	case c.RequestsPerSecond < 0,
		math.IsNaN(c.RequestsPerSecond),
		math.IsInf(c.RequestsPerSecond, 0):
		return fault.BadField("requests_per_second", "must be a positive number, or 0 for no limit")
	}
	return nil
}

// minAbsentMargin is several times longer than placing an order was ever seen to take.
const minAbsentMargin = 10 * time.Minute

// newClient returns a client for the account; base is used when the config names no CA certificate.
// It does not touch the network.
func (c *Config) newClient(
	base *http.Client, now func() time.Time, rand io.Reader,
) (*certinext.Client, error) {
	httpClient := base
	if c.CACertificate != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(c.CACertificate)) {
			return nil, fault.BadField("ca_certificate", "contains no PEM certificate")
		}
		t := http.DefaultTransport.(*http.Transport).Clone()
		// An order that is placed on a connection which the server has closed is in doubt.
		t.IdleConnTimeout = 30 * time.Second
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		httpClient = &http.Client{Transport: t}
	}
	client := &certinext.Client{
		BaseURL:       c.BaseURL,
		Credentials:   c.credentials(),
		Version:       c.Version(),
		HTTPClient:    httpClient,
		UserAgent:     "vault-plugin-secrets-certinext",
		Timeout:       c.RequestTimeout,
		CreateTimeout: c.CreateTimeout,
		Now:           now,
		Rand:          rand,
	}
	if c.RequestsPerSecond > 0 {
		client.Limiter = rate.NewLimiter(rate.Limit(c.RequestsPerSecond),
			int(math.Ceil(c.RequestsPerSecond)))
	}
	return client, nil
}

// connectionConfig returns the part of c that [Config.newClient] uses.
func (c *Config) connectionConfig() Config {
	return Config{
		BaseURL:           c.BaseURL,
		APIVersion:        c.APIVersion,
		ClientID:          c.ClientID,
		ClientSecret:      c.ClientSecret,
		AccountNumber:     c.AccountNumber,
		AccessKey:         c.AccessKey,
		CACertificate:     c.CACertificate,
		RequestTimeout:    c.RequestTimeout,
		CreateTimeout:     c.CreateTimeout,
		RequestsPerSecond: c.RequestsPerSecond,
	}
}

// Config returns the mount's configuration, or nil when there is none.
func (acct *Account) Config(ctx context.Context, s logical.Storage) (*Config, error) {
	stored, err := store.Get[StoredConfig](ctx, s, ConfigKey)
	if err != nil || stored == nil {
		return nil, err
	}
	return stored.Config(), nil
}

// mustConfig is Config, except that a missing one is the error [fault.ErrNotConfigured].
func (acct *Account) mustConfig(ctx context.Context, s logical.Storage) (*Config, error) {
	c, err := acct.Config(ctx, s)
	if err == nil && c == nil {
		return nil, fault.ErrNotConfigured
	}
	return c, err
}

// WriteConfig applies change to the stored configuration (an empty one when there is none),
// validates the outcome and stores it. With verify, it first asks CERTInext whether it accepts the
// credentials; when it does not, its answer is in the error and nothing is stored. No lock is held
// meanwhile, so when another request writes the config in that time, change is applied again to
// what that stored. A write cannot lift a pause of ordering that was written after it began: that
// is an error about the field ordering.
func (acct *Account) WriteConfig(
	ctx context.Context, s logical.Storage, change func(*Config) error, verify bool,
) error {
	pauses := acct.pauses.Load()
	for {
		before, err := acct.Config(ctx, s)
		if err != nil {
			return err
		}
		c, err := changedConfig(before, change)
		if err != nil {
			return err
		}
		if verify {
			if err := acct.verifyConfig(ctx, c); err != nil {
				return err
			}
		}
		if stored, err := acct.replaceConfig(ctx, s, before, c, pauses); err != nil || stored {
			return err
		}
	}
}

// changedConfig returns a validated copy of before with change applied; before is nil when there is
// none. Secrets that change does not set are kept where keepSecrets allows it.
func changedConfig(before *Config, change func(*Config) error) (*Config, error) {
	if before == nil {
		before = new(Config)
	}
	c := *before
	c.ClientSecret = notGiven
	c.AccessKey = notGiven
	c.ConsentToken = notGiven
	if err := change(&c); err != nil {
		return nil, err
	}
	if err := c.keepSecrets(before); err != nil {
		return nil, err
	}
	return &c, c.validate()
}

// verifyConfig asks CERTInext whether it accepts the credentials of c.
func (acct *Account) verifyConfig(ctx context.Context, c *Config) error {
	client, err := acct.connect(c)
	if err != nil {
		return err
	}
	ctx, cancel := WhileAsked(ctx)
	defer cancel()
	if _, err := client.Me(ctx); err != nil {
		return &fault.RefusedError{
			Err: fmt.Errorf("the account could not be verified, so the config is not stored "+
				"(verify_connection=false stores it unverified): %w", err),
		}
	}
	return nil
}

// replaceConfig stores c in place of before. It returns false and stores nothing when before is no
// longer what is stored. pauses is the count of writes that had paused ordering when this one
// began: once an operator has been told that ordering is paused, a write that was already under way
// must not lift the pause.
func (acct *Account) replaceConfig(
	ctx context.Context, s logical.Storage, before, c *Config, pauses int64,
) (bool, error) {
	unlock, err := acct.configWrites.Lock(ctx, ConfigKey)
	if err != nil {
		return false, err
	}
	defer unlock()
	now, err := acct.Config(ctx, s)
	if err != nil || !reflect.DeepEqual(now, before) {
		return false, err
	}
	switch {
	case c.isPaused():
		acct.pauses.Add(1)
	case now.isPaused() && acct.pauses.Load() != pauses:
		return false, fault.BadField("ordering", "was paused while this write was under way, "+
			"so nothing is stored: write it again to lift the pause")
	}
	defer acct.ForgetConnection() // a write that failed may have taken effect
	err = store.Put(ctx, s, ConfigKey, NewStoredConfig(c))
	return err == nil, err
}

// notGiven stands for a secret that a change of the config does not set.
const notGiven Secret = "\x00"

// keepSecrets fills in the stored secrets that were not given again. A secret is never sent to an
// address, or together with a name, for which it was not given: otherwise a client that may write
// the config could read a secret by having it sent to a server of its choice.
func (c *Config) keepSecrets(before *Config) error {
	moved := before.BaseURL != "" && before.BaseURL != c.BaseURL
	for _, secret := range []struct {
		field       string
		now         *Secret
		stored      Secret
		name, named string // the name that the secret belongs to, now and before
	}{
		{"client_secret", &c.ClientSecret, before.ClientSecret, c.ClientID, before.ClientID},
		{"access_key", &c.AccessKey, before.AccessKey, c.AccountNumber, before.AccountNumber},
		{
			"consent_token", &c.ConsentToken, before.ConsentToken,
			c.OrganizationNumber, before.OrganizationNumber,
		},
	} {
		switch {
		case *secret.now != notGiven:
		case secret.stored == "", secret.name != secret.named:
			*secret.now = ""
		case moved:
			return fault.BadField(secret.field, "must be given again when base_url changes")
		default:
			*secret.now = secret.stored
		}
	}
	return nil
}

// DeleteConfig deletes the configuration. Orders and certificates stay.
func (acct *Account) DeleteConfig(ctx context.Context, s logical.Storage) error {
	// Without the lock, a write between its comparison and its store would bring the config back.
	unlock, err := acct.configWrites.Lock(ctx, ConfigKey)
	if err != nil {
		return err
	}
	defer unlock()
	defer acct.disconnect()
	defer acct.ForgetConnection() // a write that failed may have taken effect
	return store.Delete(ctx, s, ConfigKey)
}

// A CheckReport is the result of [Account.CheckConfig].
type CheckReport struct {
	AccountNumber string
	AuthType      string
	Latency       time.Duration // of the identity call, token exchange included
	Products      []certinext.Product
	// Problems are messages for an operator; there are none when all is well.
	Problems []string
}

// CheckConfig asks CERTInext who the account is and what it may order, and uses no cached answer.
// An account that does not work yields a report with problems, not an error.
func (acct *Account) CheckConfig(ctx context.Context, s logical.Storage) (*CheckReport, error) {
	a, err := acct.Session(ctx, s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := WhileAsked(ctx)
	defer cancel()
	r := new(CheckReport)
	start := acct.Now()
	me, err := a.Client.Me(ctx)
	r.Latency = acct.Now().Sub(start)
	if err != nil {
		r.Problems = append(r.Problems, err.Error())
		return r, nil
	}
	r.AccountNumber, r.AuthType = me.Number, me.AuthType
	if problem := acct.clockProblem(); problem != "" {
		r.Problems = append(r.Problems, problem)
	}
	r.Products, _, err = acct.CatalogProducts(ctx, a, a.Config.GroupNumber, true)
	switch {
	case err != nil:
		r.Problems = append(r.Problems, err.Error())
	case len(r.Products) == 0:
		r.Problems = append(r.Problems, "the account's catalog is empty: "+
			"no product can be ordered; some accounts need a group_number")
	}
	return r, nil
}
