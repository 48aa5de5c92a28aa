// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
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

	// Number is the account's number as CERTInext names it; empty while it has not. Name is the
	// name under which entries of the account are stored, when the credential alone would give it
	// another one: see Config.Account.
	Number string
	Name   string

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

	// PresumeAbsentAfter has such an order count as never placed once CERTInext's records, read
	// whole, have not shown it for that long, without the proof of a later order: the operator's
	// consent, in advance, to what may be paid twice (ADR 0051). Never when zero.
	PresumeAbsentAfter time.Duration

	// Ordering is [orderingPaused] when no new orders may be placed, and otherwise empty or "on".
	// Open orders continue (ADR 0020).
	Ordering string

	// DefaultProductCode is the product of roles that name none, for clients that write roles in
	// the terms of Vault's PKI engine.
	DefaultProductCode string

	// ProductPrices says what orders of a product cost, by its code, as 25.00 for each year of the
	// subscription; by code and years, as 842/2, for an order of that length. It is used instead of
	// the catalog's.
	ProductPrices map[string]string

	// AllowedProducts are the codes of the products that may be ordered; all when empty.
	AllowedProducts []string

	// CSRWithoutCommonName is set when the account takes CSRs without a common name, whose order is
	// for the first of the alternative names. A customer reports that CERTInext does so since June
	// 2026; which editions do is not known.
	CSRWithoutCommonName bool

	RequestTimeout    time.Duration // for every call but placing an order; 60 s when zero
	CreateTimeout     time.Duration // for placing an order; 180 s when zero
	RequestsPerSecond float64       // no limit when zero

	// SyncInterval is how old the last synchronization has to be for the background pass to begin
	// another one; it begins none when zero.
	SyncInterval time.Duration
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
	orderingPaused = "paused"
	orderingOn     = "on"
)

// IsPaused reports whether an operator has paused ordering. c is nil when there is no config.
func (c *Config) IsPaused() bool { return c != nil && c.Ordering == orderingPaused }

// MayOrder returns an error about the field ordering while an operator has paused ordering.
func (c *Config) MayOrder() error {
	if !c.IsPaused() {
		return nil
	}
	return fault.BadField("ordering", "is paused in config: no new order is placed "+
		"until an operator writes ordering=on there; open orders continue")
}

// MayOrder is [Config.MayOrder] for the mount's config, and [ErrHeld] while the mount is held.
func (acct *Account) MayOrder(ctx context.Context, s logical.Storage) error {
	if err := acct.MayChange(); err != nil {
		return err
	}
	_, cfg, err := acct.Client(ctx, s)
	if err != nil {
		return err
	}
	return cfg.MayOrder()
}

// Account returns a name for the account of c, "address|number", with the address in canonical
// form. The name is that of the credential by which the account was first configured.
func (c *Config) Account() string {
	return cmp.Or(c.Name, CanonicalAccount(c.SpelledAccount()))
}

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

// Describe names an account in words. name is as [Config.Account] returns it.
func Describe(name string) string {
	address, number, ok := strings.Cut(name, "|")
	if !ok || number == "" {
		return "an account that is not on record"
	}
	return "account " + sanitize.Short(number) + " at " + sanitize.Short(address)
}

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
