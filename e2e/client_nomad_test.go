// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

var heredoc = regexp.MustCompile(`(?s)data +(= <<EOT\n.*?\nEOT\n)`)

// Nomad's templates are consul-template's, which it has as a library (client/allocrunner/taskrunner/template in hashicorp/nomad).
// Here the program renders the template of the guide, with a token that has an identity and is another one after each start.
func TestNomadsTemplateOfTheGuide(t *testing.T) {
	t.Parallel()
	program := consulTemplate(t)
	v := bareVault(t)
	v.write("sys/auth/approle", map[string]any{"type": "approle"})
	s := v.stand(t, "nomad", nil)
	v.run(t, guide(t, "nomad", "shell", "certinext/", "nomad/", "issue_timeout=45s", "issue_timeout=1s"))
	job := heredoc.FindStringSubmatch(guide(t, "nomad", "hcl", "certinext/", "nomad/"))
	require.NotNil(t, job)
	// Each allocation has its own folder, and asks for a certificate of its own.
	s.approle("nomad-www")
	allocate := func(name, template string) (*process, *pkiCertFile) {
		file := newPKICertFile(t, v, name)
		config := v.file(t, name+"/template.hcl", "template {\n  destination = \""+file.path+"\"\n  perms = \"0600\"\n  contents "+template+"}\n"+
			"vault {\n  address = \""+v.address+"\"\n  renew_token = false\n  token = \""+s.login("nomad-www").api.Token()+"\"\n}\n")
		return spawn(t, filepath.Join(v.dir, name, "nomad.log"), program, "-config="+config), file
	}
	mend := s.refuse()
	task, _ := allocate("refused", job[1])
	waitUntil(t, 30*time.Second, "the task is told why", func() bool { return strings.Contains(task.output(t), "EMS-915") })
	task.stop()
	mend()
	s.nothingIsOpen(t, "nomad")

	s.slow()
	task, _ = allocate("first", job[1])
	waitUntil(t, 30*time.Second, "the task is told to wait", func() bool { return strings.Contains(task.output(t), "is not finished") })
	task.stop() // the allocation is replaced, by one whose template is mistaken
	task, _ = allocate("mistaken", strings.ReplaceAll(job[1], "{{ .Key }}", "{{ .PrivateKey }}"))
	waitUntil(t, 60*time.Second, "the template fails after the answer", task.ended)
	require.Contains(t, task.output(t), "can't evaluate field PrivateKey")
	_, file := allocate("second", job[1])
	waitUntil(t, 60*time.Second, "the template is rendered", func() bool { return file.there(v) })
	file.requireChain(t, s.ca)
	require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, file.serials)

	s.ca.Configure(func(ca *certinexttest.Server) { ca.IssueDelay = 0 })
	other := func(name string) string {
		require.Contains(t, job[1], "www.example.com")
		return strings.ReplaceAll(job[1], "www.example.com", name)
	}
	_, file = allocate("fast", other("fast.example.com"))
	waitUntil(t, 30*time.Second, "a CA that answers at once has the template rendered", func() bool { return file.there(v) })
	file.requireChain(t, s.ca)
	require.Equal(t, []string{s.paidOnce(t, "fast.example.com")}, file.serials)

	s.patch(t, "roles/nomad", map[string]any{"reuse_window": "2s"}) // less than the certificates live, as it is for lives of days
	s.ca.Configure(func(ca *certinexttest.Server) { ca.CertificateLifetime = 15 * time.Second })
	_, file = allocate("renews", other("renews.example.com"))
	waitUntil(t, 60*time.Second, "two certificates are rendered", func() bool { return file.there(v) && len(file.serials) == 2 })
	s.paidEach(t, "renews.example.com", file.serials, 2)
}
