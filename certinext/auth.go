// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// Credentials are what a Client signs in with: an [OAuth] or an [AccessKey]. There are no others.
type Credentials interface {
	// check returns an InvalidRequestError for the first field that is missing.
	check() error
	// exchange returns the request for a token. It is asked anew for every try. txn is a unique
	// transaction id.
	exchange(now time.Time, txn string) *call
	// secrets returns the texts that are masked in errors.
	secrets() []string
	dialect() dialect
	// hint returns what an operator can do after a refusal with this HTTP status, in plain words.
	hint(status int) string
}

// A dialect is one of the two forms of CERTInext's version 2 (ADR 0008).
type dialect int

const (
	live       dialect = iota // the service as it runs, observed 2026, and the newer documentation
	documented                // the published collection of April 2026
)

// OAuth is a key of the portal's authentication type OAuth, exchanged in the form of RFC 6749,
// section 4.4. This is what the live service takes.
type OAuth struct {
	// ClientID is shown in the portal; in the vendor's examples it is the account number.
	ClientID string
	// ClientSecret is generated in the portal under Integrations, APIs: API type REST,
	// authentication type OAuth.
	ClientSecret Secret
}

func (o OAuth) check() error {
	switch {
	case o.ClientID == "":
		return &InvalidRequestError{Field: "ClientID", Problem: "must be set"}
	case o.ClientSecret == "":
		return &InvalidRequestError{Field: "ClientSecret", Problem: "must be set"}
	}
	return nil
}

func (o OAuth) exchange(time.Time, string) *call {
	form := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {o.ClientID},
		"client_secret": {o.ClientSecret.Reveal()},
	}
	return &call{
		body: []byte(form.Encode()),
		header: http.Header{
			"Accept": {"application/json"}, "Content-Type": {"application/x-www-form-urlencoded"},
		},
	}
}

func (o OAuth) secrets() []string { return []string{o.ClientSecret.Reveal()} }

func (o OAuth) dialect() dialect { return live }

// The meanings of 401 and 403 are documented and were observed in 2026.
func (o OAuth) hint(status int) string {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized:
		return "check the client id and the client secret, and that they belong to this environment"
	case http.StatusForbidden:
		return "the key was not generated for OAuth: in the portal, under Integrations, APIs, " +
			"generate one with API type REST and authentication type OAuth"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "there is no token endpoint at this base URL"
	}
	return ""
}

// AccessKey is an account number with its access key, exchanged as the published collection
// documents it: a hash of the key, the time and a transaction id is sent, never the key. The live
// service refuses the exchange (observed 2026), and takes the same hash in every call of version 1:
// set [Client.Version] to [V1].
type AccessKey struct {
	// AccountNumber is the portal's appCode.
	AccountNumber string
	AccessKey     Secret
}

func (a AccessKey) check() error {
	switch {
	case a.AccountNumber == "":
		return &InvalidRequestError{Field: "AccountNumber", Problem: "must be set"}
	case a.AccessKey == "":
		return &InvalidRequestError{Field: "AccessKey", Problem: "must be set"}
	}
	return nil
}

func (a AccessKey) exchange(now time.Time, txn string) *call {
	ts := timestamp(now)
	key := a.signature(ts, txn)
	body, _ := json.Marshal(wireSignedGrant{ // of strings only
		GrantType: "client_credentials", AccountNumber: a.AccountNumber, AuthKey: key,
		Version: "1.0", TS: ts, Txn: txn,
	})
	return &call{
		body:    body,
		header:  http.Header{"Accept": {"application/json"}, "Content-Type": {"application/json"}},
		secrets: []string{key},
	}
}

// timestamp writes a time as signed requests carry it. Documented: ISO 8601 with the zone; a time
// without one is taken for India's.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05") + "+00:00" }

// signature is the authKey. Documented: "SHA256(accessKey + ts + txn)", a plain concatenation, in
// lower-case hex.
func (a AccessKey) signature(ts, txn string) string {
	sum := sha256.Sum256([]byte(a.AccessKey.Reveal() + ts + txn))
	return hex.EncodeToString(sum[:])
}

func (a AccessKey) secrets() []string { return []string{a.AccessKey.Reveal()} }

func (a AccessKey) dialect() dialect { return documented }

// Documented: 401 is EMS-2006, EMS-2036 or EMS-2037, 403 is EMS-2022, 422 is EMS-2007.
func (a AccessKey) hint(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "the live service takes the client id and secret of an OAuth key and no access key"
	case http.StatusUnauthorized:
		return "check the account number and the access key, that they belong to this " +
			"environment, and this machine's clock"
	case http.StatusForbidden:
		return "tokens are not enabled for this access key: generate an OAuth key in the portal, " +
			"under Integrations, APIs, and use its client id and secret"
	case http.StatusUnprocessableEntity:
		return "the account has no active access key"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "there is no token endpoint at this base URL"
	}
	return ""
}

// A Secret is a string that must never be printed: every formatting verb that is meant for a
// string, most that are not, and every encoder of text shows a placeholder. It must not be the key
// of a map, where encoders take the string itself.
type Secret string

const redacted = "[redacted]"

// String returns a placeholder.
func (s Secret) String() string { return redacted }

// GoString returns a placeholder.
func (s Secret) GoString() string { return redacted }

// Format writes a placeholder. Without it, a verb that does not suit a string, such as %d, would
// print the secret in the text of fmt's error.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns a placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText encodes a placeholder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON encodes the placeholder, so that a Secret inside a logged structure stays secret.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }
