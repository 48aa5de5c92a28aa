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
	t.Run("a CA whose answer is lost", func(t *testing.T) {
		t.Parallel()
		s, start, file := consulTemplateOfTheGuide(t, v, "ct-lost", "1s")
		s.loses()
		start()
		waitUntil(t, 60*time.Second, "the program renders", func() bool { return file.there(v) })
		require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, file.serials)
	})
}
