// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

var findConsulTemplate = sync.OnceValues(func() (string, error) { return output("../scripts/consul-template-binary.sh") })

// consulTemplate returns the path of the program.
func consulTemplate(t *testing.T) string {
	t.Helper()
	path, err := findConsulTemplate()
	if err != nil {
		t.Skipf("no consul-template: it is neither on the PATH nor named by CONSUL_TEMPLATE_BIN, and could not be built: %v", err)
	}
	return path
}

// consulTemplateOfTheGuide sets up what docs/guides/consul-template.md shows, and returns the command that starts consul-template.
func consulTemplateOfTheGuide(t *testing.T, v *server, mount, timeout string) (s *stand, start func() *process, file *pkiCertFile) {
	t.Helper()
	program := consulTemplate(t)
	s = v.stand(t, mount, nil)
	file = newPKICertFile(t, v, mount)
	config := v.file(t, mount+"/consul-template.hcl", guide(t, "consul-template", "hcl",
		"https://vault.example.com:8200", v.address, "/etc/consul-template", filepath.Join(v.dir, mount), "certinext/", mount+"/",
		"/etc/ssl/www/www.pem", file.path, "systemctl reload nginx", "echo >> "+file.reloads))
	v.run(t, guide(t, "consul-template", "shell", "certinext/", mount+"/", "issue_timeout=45s", "issue_timeout="+timeout,
		"policy write web", "policy write "+mount, "-policy=web", "-policy="+mount, "/etc/consul-template", filepath.Join(v.dir, mount)))
	token, err := os.ReadFile(filepath.Join(v.dir, mount, "token"))
	require.NoError(t, err)
	v.keep("the token of consul-template", strings.TrimSpace(string(token)))
	return s, func() *process {
		return spawn(t, filepath.Join(v.dir, mount, "consul-template.log"), program, "-config="+config, "-log-level=debug")
	}, file
}

// changeConfig changes the configuration of consul-template in a mount's folder.
func changeConfig(t *testing.T, v *server, mount, from, to string) {
	t.Helper()
	config := filepath.Join(v.dir, mount, "consul-template.hcl")
	before, err := os.ReadFile(config)
	require.NoError(t, err)
	require.Contains(t, string(before), from)
	require.NoError(t, os.WriteFile(config, []byte(strings.ReplaceAll(string(before), from, to)), 0o600))
}

func TestConsulTemplateOfTheGuide(t *testing.T) {
	t.Parallel()
	v := bareVault(t)
	t.Run("a CA that answers at once", func(t *testing.T) {
		t.Parallel()
		s, start, file := consulTemplateOfTheGuide(t, v, "ct-fast", "45s")
		for range 2 { // the second start asks for nothing
			program := start()
			waitUntil(t, 30*time.Second, "consul-template renders", func() bool { return file.there(v) })
			waitUntil(t, 10*time.Second, "consul-template has its template", func() bool { return strings.Contains(program.output(t), "all templates rendered") })
			program.stop()
		}
		file.requireChain(t, s.ca)
		file.requireReloads(t)
		require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, file.serials)
	})
	t.Run("a CA that takes longer than the request", func(t *testing.T) {
		t.Parallel()
		s, start, file := consulTemplateOfTheGuide(t, v, "ct-slow", "1s")
		s.slow()
		program := start()
		waitUntil(t, 30*time.Second, "consul-template is told to wait", func() bool { return strings.Contains(program.output(t), "is not finished") })
		program.stop()
		start()
		waitUntil(t, 60*time.Second, "consul-template renders", func() bool { return file.there(v) })
		file.requireReloads(t)
		require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, file.serials)
	})
	t.Run("a CA that refuses", func(t *testing.T) {
		t.Parallel()
		s, start, file := consulTemplateOfTheGuide(t, v, "ct-failing", "1s")
		mend := s.refuse()
		program := start()
		waitUntil(t, 30*time.Second, "consul-template says why", func() bool { return strings.Contains(program.output(t), "EMS-915") })
		require.Empty(t, s.ca.Orders())
		require.False(t, file.there(v))
		mend()
		waitUntil(t, 60*time.Second, "consul-template renders", func() bool { return file.there(v) })
		require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, file.serials)
		s.nothingIsOpen(t, "web")
	})
	t.Run("a template that fails after the answer", func(t *testing.T) {
		t.Parallel()
		s, start, file := consulTemplateOfTheGuide(t, v, "ct-mistaken", "45s")
		changeConfig(t, v, "ct-mistaken", "{{ .Key }}", "{{ .PrivateKey }}")
		for range 3 { // it ends, and whatever looks after it starts it again
			program := start()
			waitUntil(t, 30*time.Second, "consul-template fails", program.ended)
			require.Contains(t, program.output(t), "can't evaluate field PrivateKey")
		}
		require.Equal(t, 3, v.answered("ct-mistaken/issue/web"))
		changeConfig(t, v, "ct-mistaken", "{{ .PrivateKey }}", "{{ .Key }}")
		start()
		waitUntil(t, 30*time.Second, "consul-template renders", func() bool { return file.there(v) })
		require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, file.serials)
	})
	t.Run("a renewal", func(t *testing.T) {
		t.Parallel()
		s, start, file := consulTemplateOfTheGuide(t, v, "ct-renews", "45s")
		s.patch(t, "roles/web", map[string]any{"reuse_window": "2s"}) // less than the certificates live, as it is for lives of days
		s.ca.Configure(func(ca *certinexttest.Server) { ca.CertificateLifetime = 15 * time.Second })
		start()
		waitUntil(t, 60*time.Second, "two certificates are rendered", func() bool { return file.there(v) && len(file.serials) == 2 })
		s.paidEach(t, "www.example.com", file.serials, 2)
		file.requireReloads(t)
	})
	t.Run("what pkiCert does not look at", func(t *testing.T) {
		t.Parallel()
		s, start, file := consulTemplateOfTheGuide(t, v, "ct-changed", "45s")
		program := start()
		waitUntil(t, 30*time.Second, "consul-template renders, and says so", func() bool {
			return file.there(v) && strings.Contains(program.output(t), "all templates rendered")
		})
		program.stop()
		changeConfig(t, v, "ct-changed", "common_name=www.example.com", "common_name=other.example.com")
		program = start()
		waitUntil(t, 30*time.Second, "it has its template", func() bool {
			return strings.Count(program.output(t), "all templates rendered") > 1
		})
		program.stop()
		require.Len(t, s.ca.Orders(), 1, "the file is as it was")
		require.NoError(t, os.Remove(file.path))
		start()
		waitUntil(t, 30*time.Second, "the other name is ordered", func() bool { return file.there(v) && len(file.serials) == 2 })
		s.paidOnce(t, "www.example.com")
		s.paidOnce(t, "other.example.com")
	})
	t.Run("two pkiCert in one template", func(t *testing.T) {
		t.Parallel()
		s, start, file := consulTemplateOfTheGuide(t, v, "ct-two", "45s")
		changeConfig(t, v, "ct-two", "{{- end -}}", `{{- end }}{{ with pkiCert "ct-two/issue/web" "common_name=other.example.com" }}{{ .Cert }}{{ .Key }}{{ end }}`)
		start()
		waitUntil(t, 30*time.Second, "consul-template renders", func() bool { return file.there(v) })
		b, err := os.ReadFile(file.path)
		require.NoError(t, err)
		var names []string
		for _, p := range splitPEM(string(b)) {
			if c := strings.HasPrefix(p, "-----BEGIN CERTIFICATE"); c && !parseCertificate(t, p).IsCA {
				names = append(names, parseCertificate(t, p).Subject.CommonName)
			}
		}
		require.Equal(t, []string{"www.example.com", "www.example.com"}, names, "they are one, as the guide warns")
		require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, file.serials)
		require.Len(t, s.ca.Orders(), 1)
	})
	t.Run("a CA whose answer is lost", func(t *testing.T) {
		t.Parallel()
		s, start, file := consulTemplateOfTheGuide(t, v, "ct-lost", "1s")
		s.loses()
		start()
		waitUntil(t, 60*time.Second, "the program renders", func() bool { return file.there(v) })
		require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, file.serials)
	})
}
