// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"net/http"
	"net/url"
)

// ProxyOf returns the address of the proxy that a session's calls go through, without its
// credentials. It is empty when they go straight to CERTInext, or when that cannot be told.
func ProxyOf(a *Session) string {
	base, err := url.Parse(a.Client.BaseURL)
	if err != nil {
		return ""
	}
	transport := http.DefaultTransport
	if c := a.Client.HTTPClient; c != nil && c.Transport != nil {
		transport = c.Transport
	}
	t, ok := transport.(*http.Transport)
	if !ok || t.Proxy == nil {
		return ""
	}
	proxy, err := t.Proxy(&http.Request{URL: base})
	if err != nil || proxy == nil {
		return ""
	}
	return (&url.URL{Scheme: proxy.Scheme, Host: proxy.Host}).String()
}
