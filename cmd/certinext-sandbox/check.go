// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"
)

// longestPublic is the longest life of a publicly trusted certificate since 2026-03-15 (CA/Browser
// Forum, ballot SC-081v3).
const longestPublic = 200 * 24 * time.Hour

// check refuses flags with which the sandbox would start and be of no use. Each error names its
// flag.
func (o *options) check(flags *flag.FlagSet) error {
	s := o.server
	var problems []error
	flags.VisitAll(func(f *flag.Flag) {
		if problem := negative(f); problem != "" {
			problems = append(problems, fmt.Errorf("-%s %s: %s", f.Name, f.Value, problem))
		}
	})
	refuse := func(name, problem string) {
		value := flags.Lookup(name).Value
		problems = append(problems, fmt.Errorf("-%s %s: %s", name, value, problem))
	}
	if s.CertificateLifetime <= 0 || s.CertificateLifetime > longestPublic {
		refuse("certificate-lifetime", "must be more than 0 and at most 4800h, 200 days, "+
			"which is the most that a public CA may issue for")
	}
	if s.BaseURL != "" && !isBase(s.BaseURL) {
		refuse("base-url", "must be http:// or https:// and a host, such as http://localhost:8093")
	}
	if s.Resolver != "" && !isHostPort(s.Resolver) {
		refuse("resolver", "must be host:port, such as 127.0.0.1:53")
	}
	if s.HTTPPort < 1 || s.HTTPPort > 65535 {
		refuse("http-port", "must be a port, from 1 to 65535")
	}
	if s.TokenTTL <= 0 {
		refuse("token-ttl", "must be more than 0")
	}
	for name, value := range map[string]string{
		"account-number": s.AccountNumber, "access-key": s.AccessKey,
		"client-secret": s.ClientSecret,
	} {
		if value == "" {
			refuse(name, "must not be empty")
		}
	}
	return errors.Join(problems...)
}

// negative says that a number or duration is below zero where that means nothing.
func negative(f *flag.Flag) string {
	if f.Name == "approval-delay" || f.Name == "certificate-lifetime" || f.Name == "http-port" {
		return "" // a negative delay approves at once; the others have bounds of their own
	}
	getter, isGetter := f.Value.(flag.Getter)
	if !isGetter {
		return ""
	}
	below := false
	switch v := getter.Get().(type) {
	case int:
		below = v < 0
	case float64:
		below = !(v >= 0)
	case time.Duration:
		below = v < 0
	}
	if below {
		return "must not be negative"
	}
	return ""
}

func isBase(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
		u.RawQuery == "" && u.Fragment == "" && u.User == nil
}

func isHostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	number, notNumber := strconv.Atoi(port)
	return err == nil && host != "" && notNumber == nil && number > 0 && number < 65536
}
