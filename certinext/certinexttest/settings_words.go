// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/caa"
)

// The rules of settings that are words: with what breaks one, the server would start and find
// nothing by it. Each function says what is wrong, and returns "" for nothing.

var (
	isDomain = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9])?` +
		`(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*$`)
	isSuffix = regexp.MustCompile(`^[A-Za-z0-9]*$`)
	// isVisible is what an IA5String of a certificate holds in a URL.
	isVisible = regexp.MustCompile(`^[!-~]+$`)
	// isCurrency is what ISO 4217 calls a currency by.
	isCurrency = regexp.MustCompile(`^[A-Z]{3}$`)
	// endsInNumber is what browsers take for an IPv4 address, or for none (WHATWG's URL standard).
	endsInNumber = regexp.MustCompile(`(?i)(^|\.)([0-9]+|0x[0-9a-f]*)$`)
)

// wrongDomains looks at domains below which names are found.
func wrongDomains(domains []string) string {
	for _, d := range domains {
		if !isDomain.MatchString(d) {
			return fmt.Sprintf("%q must be a domain in small letters, such as example.com, "+
				"without a wildcard: names below it are included", cutTo(d, 40))
		}
	}
	return ""
}

// wrongHosts looks at the names of TXT records.
func wrongHosts(hosts []string) string {
	for _, h := range hosts {
		name := strings.ReplaceAll(strings.TrimSuffix(h, "."), "{domain}", "example.com")
		if !strings.Contains(h, "{domain}") || !isDomain.MatchString(strings.ToLower(name)) {
			return fmt.Sprintf("%q must be a name with {domain} in it, such as "+
				"_emudhra-challenge.{domain}", cutTo(h, 40))
		}
	}
	return ""
}

// wrongAdminHosts looks at the names by which the administration is asked for. They are compared
// with a host that has lost its port.
func wrongAdminHosts(hosts []string) string {
	for _, h := range hosts {
		if !isHost(h) {
			return fmt.Sprintf("%q must be a name or an address alone, such as sandbox.internal "+
				"or 192.0.2.7: without scheme, port, path or wildcard", cutTo(h, 40))
		}
	}
	return ""
}

// isHost tells whether a text is a host's address, or a name that a client would not take for one.
func isHost(text string) bool {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.Zone() == ""
	}
	return isDomain.MatchString(strings.ToLower(text)) && !endsInNumber.MatchString(text)
}

// wrongIssuers looks at names that CAA records are to have.
func wrongIssuers(names []string) string {
	for _, name := range names {
		if !caa.IsIssuer(name) {
			return fmt.Sprintf("%q must be a domain, as CAA records name a CA, such as "+
				"emsign.com: without scheme, port, wildcard or a dot at its end", cutTo(name, 40))
		}
	}
	return ""
}

// wrongSuffix looks at what becomes a part of ids, and of paths.
func wrongSuffix(suffix string) string {
	if isSuffix.MatchString(suffix) {
		return ""
	}
	return "must be letters and digits"
}

// wrongLife looks at how long tokens live: one that dies on its way is of no use.
func wrongLife(d time.Duration) string {
	if d != 0 && d < time.Second {
		return "must be at least 1s"
	}
	return ""
}

// plainDomains are domains as they are compared.
func plainDomains(domains []string) []string {
	plain := make([]string, len(domains))
	for i, d := range domains {
		plain[i] = strings.ToLower(strings.TrimSuffix(d, "."))
	}
	return plain
}

// notVisible is said of what identifies an account or a client.
const notVisible = "must be visible ASCII characters without spaces"

// wrongText says what is wrong with a text that does not match a form. An empty one stands for its
// default.
func wrongText(text string, form *regexp.Regexp, problem string) string {
	if text == "" || form.MatchString(text) {
		return ""
	}
	return problem
}
