// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	clouddns "google.golang.org/api/dns/v1"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
)

var googleCloudDNSKind = Kind{
	Name:    "googleclouddns",
	Ambient: "the Google identity of the server (application default credentials)",
	Fields: []Field{
		{
			Name: "project", Required: true,
			Description: "ID of the Google Cloud project that the zone is in.",
		},
		{
			Name: "managed_zone",
			Description: "Name of the managed zone, where it is not to be found by its DNS name: " +
				"several public zones have that name, or none.",
		},
		{
			Name: "service_account_json", Required: true, Credential: true, Secret: true,
			Description: "Key of the service account that acts: the text of its JSON file, not a " +
				"path.",
		},
	},
	hidden: func(s Settings) []string {
		account, _ := parseServiceAccount(s.Values["service_account_json"])
		return []string{account.PrivateKey}
	},
	open: openGoogleCloudDNS,
}

func openGoogleCloudDNS(s Settings) (Provider, error) {
	zones := &managedZones{
		project: s.Values["project"], zone: s.Values["managed_zone"], http: s.HTTPClient,
	}
	if !s.Ambient {
		account, err := parseServiceAccount(s.Values["service_account_json"])
		if err != nil {
			return nil, &SettingError{Field: "service_account_json", Problem: err.Error()}
		}
		zones.account = &account
	}
	return &setProvider{host: zones}, nil
}

// A serviceAccount is the key of one, as far as it is used. What else the text of a key might say
// is not passed on: a key of another type can name files to read, programs to run and hosts to send
// an assertion to.
type serviceAccount struct {
	Type         string `json:"type"`
	ClientEmail  string `json:"client_email"`
	PrivateKeyID string `json:"private_key_id,omitempty"`
	PrivateKey   string `json:"private_key"`
	TokenURI     string `json:"token_uri,omitempty"`
	Universe     string `json:"universe_domain,omitempty"`
}

// tokenURI is where Google exchanges an assertion for a token.
const tokenURI = "https://oauth2.googleapis.com/token"

// parseServiceAccount quotes nothing of the text in its errors.
func parseServiceAccount(text string) (serviceAccount, error) {
	var a serviceAccount
	if json.Unmarshal([]byte(text), &a) != nil {
		return serviceAccount{}, errors.New("is not the JSON text of a service account's key")
	}
	switch {
	case a.Type != "service_account":
		return serviceAccount{}, errors.New(
			"is not the key of a service account: its type is not service_account",
		)
	case a.ClientEmail == "":
		return serviceAccount{}, errors.New("has no client_email")
	case !isRSAKey(a.PrivateKey):
		return serviceAccount{}, errors.New("has no private_key that is an RSA key in PEM")
	case a.TokenURI != "" && a.TokenURI != tokenURI:
		return serviceAccount{}, errors.New("has a token_uri other than " + tokenURI)
	case a.Universe != "" && a.Universe != "googleapis.com":
		return serviceAccount{}, errors.New("has a universe_domain other than googleapis.com")
	}
	a.TokenURI = tokenURI
	return a, nil
}

func isRSAKey(text string) bool {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return false
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return true
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	_, isRSA := key.(*rsa.PrivateKey)
	return err == nil && isRSA
}

// managedZones are the zones of a project.
type managedZones struct {
	project string
	zone    string          // the name of one of them; found by its DNS name when empty
	account *serviceAccount // nil for the identity of the server
	http    *http.Client
	service lazy[*clouddns.Service]
}

// connect makes the client. The identity of the server is looked for where the machine may have
// one, in files and on the network.
func (m *managedZones) connect(ctx context.Context) (*clouddns.Service, error) {
	return m.service.get(ctx, func(ctx context.Context) (*clouddns.Service, error) {
		identity, err := m.identity()
		if err != nil {
			return nil, fmt.Errorf("preparing the identity for Google Cloud: %w", err)
		}
		authorized := *m.http
		authorized.Transport = &bearer{identity: identity, http: m.http}
		return clouddns.NewService(
			context.WithoutCancel(ctx), option.WithHTTPClient(&authorized),
		)
	})
}

func (m *managedZones) identity() (auth.TokenProvider, error) {
	scopes := []string{clouddns.NdevClouddnsReadwriteScope}
	if m.account == nil {
		return credentials.DetectDefault(&credentials.DetectOptions{
			Scopes: scopes, Client: m.http, DisableAsyncRefresh: true,
		})
	}
	identity, err := auth.New2LOTokenProvider(&auth.Options2LO{
		Email: m.account.ClientEmail, PrivateKey: []byte(m.account.PrivateKey),
		PrivateKeyID: m.account.PrivateKeyID, TokenURL: m.account.TokenURI, Scopes: scopes,
		Client: m.http,
	})
	if err != nil {
		return nil, err
	}
	return auth.NewCachedTokenProvider(
		identity, &auth.CachedTokenProviderOptions{DisableAsyncRefresh: true},
	), nil
}

// bearer authorizes requests. One of them at a time asks for a token, under its own context; the
// others wait under theirs.
type bearer struct {
	identity auth.TokenProvider
	http     *http.Client
	turns    turns
}

// RoundTrip sends the request with a token.
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.token(r.Context())
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper has to
		}
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	if b.http.Transport == nil {
		return http.DefaultTransport.RoundTrip(r)
	}
	return b.http.Transport.RoundTrip(r)
}

func (b *bearer) token(ctx context.Context) (string, error) {
	release, err := b.turns.take(ctx, "")
	if err != nil {
		return "", err
	}
	defer release()
	token, err := b.identity.Token(ctx)
	if err != nil {
		return "", err
	}
	return token.Value, nil
}

// find returns the name of the managed zone that the public DNS shows.
func (m *managedZones) find(ctx context.Context, zone string) (string, error) {
	if m.zone != "" {
		return m.zone, nil
	}
	service, err := m.connect(ctx)
	if err != nil {
		return "", err
	}
	var public, private []string
	list := service.ManagedZones.List(m.project).DnsName(zone)
	err = list.Pages(ctx, func(page *clouddns.ManagedZonesListResponse) error {
		for _, z := range page.ManagedZones {
			switch {
			case Canonical(z.DnsName) != zone:
			case z.Visibility == "private":
				private = append(private, z.Name)
			default:
				public = append(public, z.Name)
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return onlyPublic("managed_zone", zone, public, private)
}

func (m *managedZones) spell(text string) []string { return quoted(text) }

func (m *managedZones) read(ctx context.Context, id string, r Record) (recordSet, error) {
	service, err := m.connect(ctx)
	if err != nil {
		return recordSet{}, err
	}
	got, err := service.ResourceRecordSets.Get(m.project, id, r.Name, "TXT").Context(ctx).Do()
	var refused *googleapi.Error
	if errors.As(err, &refused) && refused.Code == http.StatusNotFound {
		return recordSet{}, nil
	}
	if err != nil {
		return recordSet{}, err
	}
	if got.RoutingPolicy != nil {
		return recordSet{}, fmt.Errorf("the TXT records %s have a routing policy, which this "+
			"solver cannot change", bare(r.Name))
	}
	return recordSet{ttl: got.Ttl, records: storedTexts(got.Rrdatas)}, nil
}

// write takes the old set away and adds the new one in a single change, which Google refuses when
// the old one is another by now.
func (m *managedZones) write(
	ctx context.Context, id string, r Record, before, after recordSet,
) error {
	service, err := m.connect(ctx)
	if err != nil {
		return err
	}
	change := &clouddns.Change{
		Deletions: before.forGoogle(r.Name), Additions: after.forGoogle(r.Name),
	}
	_, err = service.Changes.Create(m.project, id, change).Context(ctx).Do()
	var refused *googleapi.Error
	if errors.As(err, &refused) {
		switch refused.Code {
		case http.StatusConflict, http.StatusPreconditionFailed, http.StatusNotFound:
			return &conflictError{err}
		}
	}
	return err
}

func (s recordSet) forGoogle(name string) []*clouddns.ResourceRecordSet {
	if len(s.records) == 0 {
		return nil
	}
	return []*clouddns.ResourceRecordSet{{
		Name: name, Type: "TXT", Ttl: s.ttl, Rrdatas: s.zoneFileForm(),
	}}
}
