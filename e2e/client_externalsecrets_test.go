// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"
)

// externalSecrets is an ExternalSecret with a VaultDynamicSecret under External Secrets Operator: the request of generators/v1/vault/vault.go
// in external-secrets/external-secrets, and values as GetByteValueFromMap of its esutils makes them.
type externalSecrets struct {
	*stand
	client    *caller
	generator map[string]any // its spec
	interval  time.Duration
	templates map[string]any

	now, refreshed time.Time
	secret         map[string]string // of Kubernetes
}

// values are what templates see of an answer.
func values(t *testing.T, data map[string]any) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, value := range data {
		switch v := value.(type) {
		case string:
			out[name] = v
		case json.Number, bool:
			out[name] = fmt.Sprint(v)
		case []any, map[string]any:
			text, err := json.Marshal(v)
			require.NoError(t, err)
			out[name] = string(text)
		case nil:
			out[name] = ""
		default:
			require.Fail(t, "can not handle secret value with type", "%s: %T", name, v)
		}
	}
	return out
}

// functions are those of the operator's templates that the guide uses.
var functions = template.FuncMap{
	"fromJson": func(text string) (v any, err error) { return v, json.Unmarshal([]byte(text), &v) },
	"join":     func(separator string, items any) string { return strings.Join(texts(items), separator) },
}

// reconcile asks for a certificate when the interval is over, and puts it into the secret.
func (o *externalSecrets) reconcile(t *testing.T) error {
	t.Helper()
	if o.secret != nil && o.now.Before(o.refreshed.Add(o.interval)) {
		return nil
	}
	resp, err := o.client.send(o.generator["path"].(string), o.generator["parameters"].(map[string]any))
	if err != nil {
		return fmt.Errorf("unable to get dynamic secret: %w", err)
	}
	secret := map[string]string{}
	for key, text := range o.templates {
		var rendered strings.Builder
		parsed, err := template.New(key).Option("missingkey=error").Funcs(functions).Parse(text.(string))
		require.NoError(t, err)
		if err := parsed.Execute(&rendered, values(t, resp.Data)); err != nil {
			return fmt.Errorf("could not apply template: %w", err)
		}
		secret[key] = rendered.String()
	}
	o.secret, o.refreshed = secret, o.now
	return nil
}

// startExternalSecrets sets up what docs/guides/external-secrets.md shows.
func startExternalSecrets(t *testing.T, v *server, mount, timeout string) *externalSecrets {
	t.Helper()
	s := v.stand(t, mount, nil)
	v.run(t, guide(t, "external-secrets", "shell", "certinext/", mount+"/", "issue_timeout=45s", "issue_timeout="+timeout,
		"policy write eso", "policy write client-"+mount))
	docs := manifests(t, guide(t, "external-secrets", "yaml", "certinext/", mount+"/"))
	o := &externalSecrets{
		stand: s, client: s.approle("client-" + mount), generator: at(t, docs[0], "spec").(map[string]any), now: time.Now(),
		templates: at(t, docs[1], "spec", "target", "template", "data").(map[string]any),
	}
	require.Equal(t, "POST", o.generator["method"], "anything else is no write")
	var err error
	o.interval, err = time.ParseDuration(at(t, docs[1], "spec", "refreshInterval").(string))
	require.NoError(t, err)
	return o
}

// serial is that of the secret's certificate, which is there with its chain and key.
func (o *externalSecrets) serial(t *testing.T) string {
	t.Helper()
	pems := splitPEM(o.secret["tls.crt"])
	leaf := parseCertificate(t, pems[0])
	verify(t, leaf, pems[1:], o.ca.Roots())
	requireKeyOf(t, leaf, parseKey(t, o.secret["tls.key"]))
	return leaf.SerialNumber.Text(16)
}

func TestExternalSecretsKeepsOneCertificate(t *testing.T) {
	t.Parallel()
	v := bareVault(t)
	v.write("sys/auth/approle", map[string]any{"type": "approle"})
	t.Run("a CA that answers at once, and a renewal", func(t *testing.T) {
		t.Parallel()
		o := startExternalSecrets(t, v, "eso-fast", "45s")
		for range 3 { // the operator has started again
			require.NoError(t, o.reconcile(t))
		}
		first := o.serial(t)
		require.Equal(t, first, o.paidOnce(t, "www.example.com"))
		o.secret = nil // somebody has deleted it
		require.NoError(t, o.reconcile(t))
		require.Equal(t, first, o.serial(t))
		o.paidOnce(t, "www.example.com")

		o.patch(t, "roles/eso", map[string]any{"reuse_window": 0}) // it is over by then
		o.now = o.now.Add(o.interval)
		for range 2 {
			require.NoError(t, o.reconcile(t))
		}
		o.paidEach(t, "www.example.com", []string{first, o.serial(t)}, 2)
	})
	t.Run("a template that fails after the answer", func(t *testing.T) {
		t.Parallel()
		o := startExternalSecrets(t, v, "eso-mistaken", "45s")
		right := o.templates["tls.crt"]
		o.templates["tls.crt"] = strings.ReplaceAll(right.(string), ".ca_chain", ".chain")
		for range 4 {
			require.ErrorContains(t, o.reconcile(t), "could not apply template")
		}
		o.templates["tls.crt"] = right
		require.NoError(t, o.reconcile(t))
		require.Equal(t, 5, v.answered(o.mount+"/issue/eso"))
		require.Equal(t, o.serial(t), o.paidOnce(t, "www.example.com"))
	})
	t.Run("a CA that takes longer than the request", func(t *testing.T) {
		t.Parallel()
		o := startExternalSecrets(t, v, "eso-slow", "1s")
		o.slow()
		err := o.reconcile(t)
		require.ErrorContains(t, err, "is not finished")
		require.True(t, isRefusal(err), "%v", err)
		o.client = o.login("client-" + o.mount) // the operator has started again
		waitUntil(t, 30*time.Second, "the secret is there", func() bool { return o.reconcile(t) == nil })
		require.Equal(t, o.serial(t), o.paidOnce(t, "www.example.com"))
	})
	t.Run("a CA that refuses", func(t *testing.T) {
		t.Parallel()
		o := startExternalSecrets(t, v, "eso-failing", "1s")
		o.refuses(t, "eso", func() error { return o.reconcile(t) })
	})
	t.Run("a CA that fails", func(t *testing.T) {
		t.Parallel()
		o := startExternalSecrets(t, v, "eso-5xx", "1s")
		o.fails(t, "eso", func() error { return o.reconcile(t) })
	})
}
