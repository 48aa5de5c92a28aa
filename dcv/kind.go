// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"fmt"
	"slices"
	"strings"

	"github.com/libdns/libdns"
)

// A Provider is what libdns calls one, as far as it is needed here.
type Provider interface {
	libdns.RecordAppender
	libdns.RecordDeleter
}

// A Kind is a DNS host that records can be published at.
type Kind struct {
	Name   string
	Fields []Field
	// Ambient says whose identity is used instead of credentials when [Settings.Ambient] is set;
	// empty where there is none.
	Ambient string
	// Note is what somebody should know before choosing it; empty where there is nothing.
	Note string
	// hidden are what else is secret in the settings, beside the values of the secret fields; nil
	// where that is nothing.
	hidden func(Settings) []string
	// open makes a provider of complete and known settings. It touches no network.
	open func(Settings) (Provider, error)
}

// A Field is a setting of a provider.
type Field struct {
	Name        string
	Description string
	Required    bool
	Credential  bool // identifies somebody: given together with the other ones, or not at all where the identity is ambient
	Secret      bool // is never shown
	Default     string
}

// Settings are how a provider is reached.
type Settings struct {
	Values  map[string]string // by the name of the field
	Ambient bool              // act under the identity that the machine has, without credentials
}

// A SettingError says which setting is wrong.
type SettingError struct {
	Field   string
	Problem string
}

func (e *SettingError) Error() string { return e.Field + ": " + e.Problem }

// kinds are those that are known, by name.
var kinds = []Kind{azureKind, cloudflareKind, googleCloudDNSKind, rfc2136Kind, route53Kind}

// Kinds are the DNS hosts that records can be published at.
func Kinds() []Kind { return slices.Clone(kinds) }

func kindOf(name string) (Kind, error) {
	names := make([]string, 0, len(kinds))
	for _, k := range kinds {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return Kind{}, &SettingError{Field: "provider", Problem: "is not one of " + strings.Join(names, ", ")}
}

// Open makes a provider of the kind that is named. It touches no network. What is wrong with the
// settings is a [*SettingError]. The errors of the provider show no secret; what they wrap may do.
func Open(kind string, s Settings) (Provider, error) {
	k, err := kindOf(kind)
	if err != nil {
		return nil, err
	}
	if s, err = k.complete(s); err != nil {
		return nil, err
	}
	p, err := k.open(s)
	if err != nil {
		return nil, err
	}
	return &guarded{provider: p, name: k.Name, hide: hiding(k.secrets(s))}, nil
}

// secrets are what no error may show.
func (k Kind) secrets(s Settings) []string {
	var out []string
	for _, f := range k.Fields {
		if f.Secret {
			out = append(out, s.Values[f.Name])
		}
	}
	if k.hidden != nil {
		out = append(out, k.hidden(s)...)
	}
	return out
}

// complete checks settings against the fields of the kind, and fills in the defaults.
func (k Kind) complete(s Settings) (Settings, error) {
	values := map[string]string{}
	for name, value := range s.Values {
		if !slices.ContainsFunc(k.Fields, func(f Field) bool { return f.Name == name }) {
			return s, &SettingError{Field: name, Problem: "is not a setting of " + k.Name}
		}
		if value != "" {
			values[name] = value
		}
	}
	if s.Ambient && k.Ambient == "" {
		return s, &SettingError{Field: "ambient_identity", Problem: k.Name + " has none: it takes credentials only"}
	}
	for _, f := range k.Fields {
		_, given := values[f.Name]
		switch {
		case given && s.Ambient && f.Credential:
			return s, &SettingError{Field: f.Name, Problem: "contradicts ambient_identity, which uses " + k.Ambient}
		case !given && f.Required && (!f.Credential || !s.Ambient):
			problem := "is required by " + k.Name
			if f.Credential && k.Ambient != "" {
				problem += fmt.Sprintf(", unless ambient_identity is set, which uses %s", k.Ambient)
			}
			return s, &SettingError{Field: f.Name, Problem: problem}
		case !given && f.Default != "":
			values[f.Name] = f.Default
		}
	}
	return Settings{Values: values, Ambient: s.Ambient}, nil
}
