// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const pluginName = "vault-plugin-secrets-certinext"

// Programs are the paths of what is measured.
type Programs struct {
	Vault, Plugin, Sandbox string
}

// A Rig is one Vault server with both engines, and the simulator beside it.
type Rig struct {
	dir      string
	programs Programs
	end      context.CancelFunc // of both processes
	vault    *exec.Cmd
	sandbox  *exec.Cmd
	ca       string // URL of the simulator
	*client
}

// setUp starts everything in a folder of its own, which close removes.
func setUp(ctx context.Context, programs Programs) (rig *Rig, err error) {
	rig = &Rig{programs: programs}
	// Vault starts plugins from the real path of one folder only.
	plugin, err := filepath.EvalSymlinks(programs.Plugin)
	if err != nil {
		return nil, err
	}
	if rig.programs.Plugin, err = filepath.Abs(plugin); err != nil {
		return nil, err
	}
	if rig.dir, err = os.MkdirTemp("", "certinext-bench-"); err != nil {
		return nil, err
	}
	ctx, rig.end = context.WithCancel(ctx)
	for _, step := range []func(context.Context) error{
		rig.startSandbox, rig.startVault, rig.unseal, rig.mountCertinext, rig.mountPKI,
	} {
		if err := step(ctx); err != nil {
			rig.close()
			return nil, err
		}
	}
	return rig, nil
}

// close ends the processes that the rig has started, and removes its folder.
func (r *Rig) close() {
	r.end()
	for _, p := range []*exec.Cmd{r.vault, r.sandbox} {
		if p != nil {
			_ = p.Wait()
		}
	}
	_ = os.RemoveAll(r.dir)
}

// spawn starts a program whose words go to a file of the rig's folder. It ends with ctx, by itself
// if it does that in time.
func (r *Rig) spawn(
	ctx context.Context, name, program string, args ...string,
) (*exec.Cmd, error) {
	out, err := os.Create(filepath.Join(r.dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := exec.CommandContext(ctx, program, args...)
	p.Cancel = func() error { return p.Process.Signal(os.Interrupt) }
	p.WaitDelay = 10 * time.Second
	p.Stdout, p.Stderr = out, out
	return p, p.Start()
}

func (r *Rig) startSandbox(ctx context.Context) (err error) {
	r.sandbox, err = r.spawn(ctx, "sandbox", r.programs.Sandbox,
		"-listen=127.0.0.1:0", "-verified-domains=example.com", "-token-ttl=24h")
	if err != nil {
		return err
	}
	return within(ctx, "the simulator listens", func() bool {
		f, err := os.Open(filepath.Join(r.dir, "sandbox.log"))
		if err != nil {
			return false
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if at, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				r.ca = at
			}
		}
		return r.ca != ""
	})
}

func (r *Rig) startVault(ctx context.Context) error {
	data := filepath.Join(r.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	listen, among, err := twoAddresses(ctx)
	if err != nil {
		return err
	}
	config := fmt.Sprintf(`
storage "raft" {
  path                   = %q
  node_id                = "bench"
  performance_multiplier = 1
}
listener "tcp" {
  address         = %q
  cluster_address = %q
  tls_disable     = true
}
telemetry {
  prometheus_retention_time = "1h"
  disable_hostname          = true
}
api_addr         = "http://%s"
cluster_addr     = "https://%s"
plugin_directory = %q
disable_mlock    = true
log_level        = "error"
`, data, listen, among, listen, among,
		filepath.Dir(r.programs.Plugin))
	file := filepath.Join(r.dir, "vault.hcl")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	if r.vault, err = r.spawn(ctx, "vault", r.programs.Vault, "server", "-config="+file); err != nil {
		return err
	}
	r.client = newClient("http://" + listen)
	return within(ctx, "Vault listens", func() bool {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", listen)
		return err == nil && conn.Close() == nil
	})
}

// twoAddresses returns two loopback addresses that nobody listens on.
func twoAddresses(ctx context.Context) (string, string, error) {
	var listening net.ListenConfig
	a, err := listening.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	b, err := listening.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", errors.Join(err, a.Close())
	}
	return a.Addr().String(), b.Addr().String(), errors.Join(a.Close(), b.Close())
}

func (r *Rig) unseal(ctx context.Context) error {
	keys, err := r.send(ctx, "PUT", "sys/init", map[string]any{
		"secret_shares": 1, "secret_threshold": 1,
	})
	if err != nil {
		return err
	}
	r.token, _ = keys["root_token"].(string)
	_, err = r.send(ctx, "PUT", "sys/unseal", map[string]any{"key": first(keys["keys"])})
	if err != nil {
		return err
	}
	return within(ctx, "Vault is active", func() bool {
		_, err := r.send(ctx, "GET", "sys/health", nil)
		return err == nil
	})
}

// first is the first text of a list in an answer.
func first(list any) string {
	all, _ := list.([]any)
	if len(all) == 0 {
		return ""
	}
	text, _ := all[0].(string)
	return text
}

func (r *Rig) mountCertinext(ctx context.Context) error {
	binary, err := os.ReadFile(r.programs.Plugin)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(binary)
	v := said(ctx, r.programs.Plugin, "-version")
	secret := "sandbox-client-secret" // the simulator's, which is the same for everybody
	return r.writes(ctx, []write{
		{"sys/plugins/catalog/secret/" + pluginName, map[string]any{
			"sha256": hex.EncodeToString(sum[:]), "command": filepath.Base(r.programs.Plugin), "version": v,
		}},
		{"sys/mounts/certinext", map[string]any{
			"type": pluginName, "config": map[string]any{
				"plugin_version": v, "max_lease_ttl": "9600h",
			},
		}},
		{"certinext/config", map[string]any{
			"base_url": r.ca, "client_id": "1234567890", "client_secret": secret,
			"requestor_name": "Platform Team", "requestor_email": "platform@example.com",
			"signer_place": "Bengaluru",
		}},
	}, func(name, keyType string, bits int, leased bool) write {
		return write{"certinext/roles/" + name, map[string]any{
			"product_code": 842, "allowed_domains": "example.com", "allow_subdomains": true,
			"key_type": keyType, "key_bits": bits, "generate_lease": leased,
		}}
	})
}

func (r *Rig) mountPKI(ctx context.Context) error {
	return r.writes(ctx, []write{
		{"sys/mounts/pki", map[string]any{
			"type": "pki", "config": map[string]any{"max_lease_ttl": "9600h"},
		}},
		{"pki/root/generate/internal", map[string]any{
			"common_name": "A root of the benchmark", "key_type": "ec", "key_bits": 256,
			"ttl": "9500h",
		}},
	}, func(name, keyType string, bits int, leased bool) write {
		return write{"pki/roles/" + name, map[string]any{
			"allowed_domains": "example.com", "allow_subdomains": true,
			"key_type": keyType, "key_bits": bits, "generate_lease": leased,
			"ttl": "4700h", "max_ttl": "4800h",
		}}
	})
}

// A write is a path and what is written to it.
type write struct {
	path string
	data map[string]any
}

// writes makes writes, and then those of the roles of all cases.
func (r *Rig) writes(
	ctx context.Context, all []write, role func(name, keyType string, bits int, leased bool) write,
) error {
	for _, leased := range []bool{true, false} {
		ec, rsa := Case{Call: IssueEC, Leases: leased}, Case{Call: IssueRSA, Leases: leased}
		all = append(all, role(ec.role(), "ec", 256, leased), role(rsa.role(), "rsa", 2048, leased))
	}
	for _, w := range all {
		if _, err := r.send(ctx, "PUT", w.path, w.data); err != nil {
			return err
		}
	}
	return nil
}

// slow has each call to the CA take so long from now on.
func (r *Rig) slow(ctx context.Context, by time.Duration) error {
	ca := newClient(r.ca)
	if _, err := ca.request(ctx, "DELETE", "/_sandbox/faults", nil); err != nil || by == 0 {
		return err
	}
	_, err := ca.request(ctx, "POST", "/_sandbox/faults",
		map[string]any{"kind": "latency", "delay": by.String()})
	return err
}

// within waits until something is so.
func within(ctx context.Context, what string, is func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for !is() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
