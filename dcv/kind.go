// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A Provider publishes records at a DNS host. It asks the host for nothing but the zone and the TXT
// records of one name, so that no other record of the zone can be in its way.
type Provider interface {
	// Publish adds a record to those that its name has. A record that is there is no error. The
	// time to live is that of a name's first record.
	Publish(ctx context.Context, r Record, ttl time.Duration) error
	// Remove removes a record and leaves others of the same name. A record that is not there is no
	// error.
	Remove(ctx context.Context, r Record) error
}

// A Kind is a DNS host that records can be published at.
type Kind struct {
	// Name is what [Open] calls it, e.g. "route53".
	Name string
	// Fields are its settings, in the order in which they are to be explained.
	Fields []Field
	// Ambient says whose identity is used instead of credentials when [Settings.Ambient] is set, in
	// words that complete "uses"; empty where there is none.
	Ambient string
	// hidden returns what else is secret in the settings, beside the values of the secret fields;
	// nil where there is nothing.
	hidden func(Settings) []string
	// open makes a provider of complete and known settings. It touches no network.
	open func(Settings) (Provider, error)
}

// A Field is a setting of a provider. All values are text.
type Field struct {
	// Name is the key in [Settings.Values], in lower case with underscores.
	Name string
	// Description is one sentence for an operator.
	Description string
	// Required is set for a field that must not be empty. A credential may be, where the identity
	// is ambient.
	Required bool
	// Credential is set for what identifies the caller: it is given together with the other
	// credentials, or not at all where the identity is ambient.
	Credential bool
	// Secret is set for what is never shown. [Open] keeps it out of the provider's errors.
	Secret bool
	// Default is the value of a field that is left out; empty for none.
	Default string
}

// Settings are how a provider is reached.
type Settings struct {
	// Values are by the name of the field. An empty value counts as left out.
	Values map[string]string
	// Ambient has the provider act under the identity that the machine has, without credentials.
	Ambient bool
	// HTTPClient makes the requests to hosts that are asked by HTTP. Providers may share one, and
	// whoever made it closes its idle connections. If nil, it is [NewHTTPClient].
	HTTPClient *http.Client
}

// NewHTTPClient returns a client with connections of its own, for [Settings]. It has no bound on
// time: the context of each call has one.
func NewHTTPClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.IdleConnTimeout = 30 * time.Second
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // credentials are for the host that was asked
	}}
}

// A SettingError says which setting is wrong.
type SettingError struct {
	// Field is a field's name, or "provider" or "ambient_identity".
	Field string
	// Problem is what is wrong with it. It quotes no value.
	Problem string
}

// Error names the field and what is wrong with it.
func (e *SettingError) Error() string { return e.Field + ": " + e.Problem }

// kinds are those that are known, by name.
var kinds = []Kind{azureKind, cloudflareKind, googleCloudDNSKind, rfc2136Kind, route53Kind}

// Kinds returns the DNS hosts that records can be published at, sorted by name.
func Kinds() []Kind { return slices.Clone(kinds) }

func kindOf(name string) (Kind, error) {
	names := make([]string, 0, len(kinds))
	for _, k := range kinds {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return Kind{}, &SettingError{
		Field: "provider", Problem: "is not one of " + strings.Join(names, ", "),
	}
}

// Open makes a provider of the kind that is named. It touches no network. Settings that are
// incomplete, unknown or contradictory are a [*SettingError]. The text of the provider's errors
// shows no secret; the errors that they wrap may.
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

// secrets returns the texts that no error may show.
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
		return s, &SettingError{
			Field: "ambient_identity", Problem: k.Name + " has none: it takes credentials only",
		}
	}
	for _, f := range k.Fields {
		_, given := values[f.Name]
		switch {
		case given && s.Ambient && f.Credential:
			return s, &SettingError{
				Field: f.Name, Problem: "contradicts ambient_identity, which uses " + k.Ambient,
			}
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
	if s.HTTPClient == nil {
		s.HTTPClient = NewHTTPClient()
	}
	return Settings{Values: values, Ambient: s.Ambient, HTTPClient: s.HTTPClient}, nil
}
