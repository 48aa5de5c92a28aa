// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package readiness

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// signInFailed reports whether CERTInext does not accept the credentials, so that every other
// question would fail alike. A refusal of one call, as a 403 is, says nothing of the others.
func signInFailed(err error) bool {
	var e *certinext.Error
	return errors.As(err, &e) && e.SigningIn && certinext.HasStatus(err, http.StatusUnauthorized)
}

// isForbidden reports whether the account may not ask a question, which it may not need for orders.
func isForbidden(err error) bool { return certinext.HasStatus(err, http.StatusForbidden) }

// explain says why a question has no answer, and what to do about it.
func explain(err error, cfg *account.Config) string {
	text := sanitize.Error(err)
	var rate *certinext.RateError
	if errors.As(err, &rate) {
		text = rate.Error() // alike for all calls
	}
	if remedy := remedyOf(err, cfg); remedy != "" {
		return text + ": " + remedy
	}
	return text
}

// remedyOf says what to do about a question that has no answer; empty when that is not known.
func remedyOf(err error, cfg *account.Config) string {
	var (
		e         *certinext.Error
		rate      *certinext.RateError
		authority x509.UnknownAuthorityError
		name      *net.DNSError
		dial      *net.OpError
	)
	const onTheWay = "look at base_url, and at the proxy in the environment of the plugin's " +
		"process (HTTPS_PROXY, NO_PROXY)"
	switch {
	case errors.As(err, &rate):
		return "let more calls through, or all: vault write <mount>/config requests_per_second=0"
	case errors.As(err, &authority):
		return "no CA that this server knows has issued the certificate of that address; when a " +
			"proxy inspects the traffic, name its CA: vault write <mount>/config " +
			"ca_certificate=@ca.pem"
	case errors.As(err, &dial) && dial.Op == "proxyconnect":
		return "the proxy does not let the call through: " + onTheWay
	case errors.As(err, &name):
		return "the name of base_url cannot be looked up: " + onTheWay
	case signInFailed(err) && cfg.ClientID != "":
		return "vault write <mount>/config client_id='<client id>' client_secret=@client_secret"
	case signInFailed(err):
		return "vault write <mount>/config account_number='<number>' access_key=@access_key"
	case errors.As(err, &e) && !e.Own && e.Status >= http.StatusBadRequest,
		errors.As(err, &e) && !e.Own && e.Status == http.StatusOK:
		return "that is not CERTInext's own answer, but of something on the way to it, such as a " +
			"proxy or gateway: " + onTheWay
	case errors.Is(err, context.DeadlineExceeded):
		return "there was no answer in time: " + onTheWay
	}
	return ""
}
