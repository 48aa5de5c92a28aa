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
	"os"
	"sync"

	"github.com/libdns/googleclouddns"
	"github.com/libdns/libdns"
	"google.golang.org/api/googleapi"
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

// descriptors is where a process finds the files that it has open, as files.
var descriptors = "/dev/fd"

func openGoogleCloudDNS(s Settings) (Provider, error) {
	zones := &managedZones{
		Provider: googleclouddns.Provider{Project: s.Values["project"]}, started: s.Ambient,
	}
	if s.Ambient {
		return zones, nil
	}
	const field = "service_account_json"
	if _, err := os.Stat(descriptors); err != nil {
		problem := "cannot be used on this system, which has no " + descriptors +
			": set ambient_identity"
		return nil, &SettingError{Field: field, Problem: problem}
	}
	account, err := parseServiceAccount(s.Values[field])
	if err != nil {
		return nil, &SettingError{Field: field, Problem: err.Error()}
	}
	zones.key, err = json.Marshal(account)
	return zones, err
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

// managedZones is libdns's provider with a key that is in no file. The provider reads a file, once,
// before its first request, so it is given the path of a pipe.
type managedZones struct {
	googleclouddns.Provider
	key []byte

	mu      sync.Mutex // lets one call run at a time, as the provider's own does, too
	started bool       // the key has been read, or there is none
}

// AppendRecords adds records, one call at a time.
func (m *managedZones) AppendRecords(
	ctx context.Context, zone string, records []libdns.Record,
) (out []libdns.Record, err error) {
	err = m.call(func() error {
		out, err = m.Provider.AppendRecords(ctx, zone, records)
		return err
	})
	return out, err
}

// DeleteRecords removes records, one call at a time.
func (m *managedZones) DeleteRecords(
	ctx context.Context, zone string, records []libdns.Record,
) (out []libdns.Record, err error) {
	err = m.call(func() error {
		out, err = m.Provider.DeleteRecords(ctx, zone, records)
		return err
	})
	return out, err
}

// call holds the key ready as long as it is not certain that the provider has read it. A provider
// that has does not look, and one that failed to start does so again at the next call.
func (m *managedZones) call(do func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.started {
		withdraw, err := m.offerKey()
		if err != nil {
			return fmt.Errorf("handing over service_account_json: %w", err)
		}
		defer withdraw()
	}
	err := do()
	var answer *googleapi.Error
	m.started = m.started || err == nil || errors.As(err, &answer)
	return err
}

// offerKey writes the key to a pipe that the provider can open by its path, until it is withdrawn.
func (m *managedZones) offerKey() (withdraw func(), err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		defer func() { _ = w.Close() }()
		_, _ = w.Write(m.key) // the reader fails then
	}()
	m.ServiceAccountJSON = fmt.Sprintf("%s/%d", descriptors, r.Fd())
	return func() {
		m.ServiceAccountJSON = os.DevNull // another file may get the descriptor's number
		_ = r.Close()                     // ends the writing of a key that was not read
		<-written
	}, nil
}
