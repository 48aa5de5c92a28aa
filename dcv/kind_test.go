// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/stretchr/testify/require"
)

func ecKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// complete are settings that every kind takes.
func complete(t *testing.T) map[string]map[string]string {
	t.Helper()
	account, _ := googleKey(t)
	return map[string]map[string]string{
		"azure":          azureApplication,
		"cloudflare":     {"api_token": "t"},
		"googleclouddns": {"project": "p1", "service_account_json": account},
		"rfc2136":        {"server": "127.0.0.1", "tsig_key_name": "k", "tsig_secret": "c2VjcmV0"},
		"route53":        awsKey,
	}
}

func TestEveryKindSaysWhichFieldIsMissing(t *testing.T) {
	settings := complete(t)
	for _, k := range dcv.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			_, err := dcv.Open(k.Name, dcv.Settings{Values: settings[k.Name]})
			require.NoError(t, err)
			for _, f := range k.Fields {
				require.NotEmpty(t, f.Description)
				_, err := dcv.Open(k.Name, dcv.Settings{Values: changed(settings[k.Name], map[string]string{f.Name: ""})})
				if !f.Required {
					require.NoError(t, err, f.Name)
					continue
				}
				var missing *dcv.SettingError
				require.ErrorAs(t, err, &missing)
				require.Equal(t, f.Name, missing.Field)
				require.Contains(t, missing.Problem, "is required by "+k.Name)
			}
		})
	}
}

func TestEveryKindTakesAnIdentityOrCredentials(t *testing.T) {
	settings := complete(t)
	for _, k := range dcv.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			rest := map[string]string{}
			for _, f := range k.Fields {
				if !f.Credential {
					rest[f.Name] = settings[k.Name][f.Name]
				}
			}
			_, err := dcv.Open(k.Name, dcv.Settings{Values: rest, Ambient: true})
			if k.Ambient == "" {
				require.EqualError(t, err, "ambient_identity: "+k.Name+" has none: it takes credentials only")
				return
			}
			require.NoError(t, err)
			for _, f := range k.Fields {
				if f.Credential {
					_, err := dcv.Open(k.Name, dcv.Settings{Values: changed(rest, map[string]string{f.Name: "x"}), Ambient: true})
					require.EqualError(t, err, f.Name+": contradicts ambient_identity, which uses "+k.Ambient)
				}
			}
		})
	}
}

func TestSettingsThatAreWrongAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		kind    string
		changes map[string]string
		problem string
	}{
		"a field of another kind":         {"cloudflare", map[string]string{"tsig_secret": "x"}, "tsig_secret: is not a setting of cloudflare"},
		"a session without a key":         {"route53", map[string]string{"access_key_id": "", "secret_access_key": ""}, "access_key_id: is required by route53, unless ambient_identity is set, which uses the AWS identity of the server (environment, container or instance role)"},
		"half a key":                      {"route53", map[string]string{"secret_access_key": ""}, "secret_access_key: is required by route53, unless ambient_identity is set, which uses the AWS identity of the server (environment, container or instance role)"},
		"an ID that is a name":            {"route53", map[string]string{"hosted_zone_id": "example.test"}, "hosted_zone_id: is not an ID such as Z1D633PJN98FT9"},
		"an ID that leads elsewhere":      {"route53", map[string]string{"hosted_zone_id": "/hostedzone/../Z1"}, "hosted_zone_id: is not an ID such as Z1D633PJN98FT9"},
		"a kind that nobody knows of":     {"gandi", nil, "provider: is not one of azure, cloudflare, googleclouddns, rfc2136, route53"},
		"an application without a tenant": {"azure", map[string]string{"tenant_id": ""}, "tenant_id: is required by azure, unless ambient_identity is set, which uses the managed identity of the server"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dcv.Open(c.kind, dcv.Settings{Values: changed(complete(t)[c.kind], c.changes)})
			var wrong *dcv.SettingError
			require.ErrorAs(t, err, &wrong)
			require.EqualError(t, err, c.problem)
		})
	}
}
