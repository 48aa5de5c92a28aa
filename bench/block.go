// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A Driver makes the calls of all cases.
type Driver struct {
	rig   *Rig
	block time.Duration // how long the clients of a case go on before the next one's turn
	turns int
	calls atomic.Int64
}

// round measures the cases of a round, which take turns, and returns what each came to.
func (d *Driver) round(ctx context.Context, round Round) ([]*Measure, error) {
	out := make([]*Measure, len(round))
	for i, c := range round {
		out[i] = &Measure{Case: c}
	}
	for range d.turns {
		for i, c := range round {
			if err := d.rig.slow(ctx, c.Latency); err != nil {
				return nil, err
			}
			m, err := d.measure(ctx, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name(), err)
			}
			out[i].add(*m)
		}
	}
	return out, nil
}

// measure runs one block of a case.
func (d *Driver) measure(ctx context.Context, c Case) (*Measure, error) {
	before, err := d.rig.usage(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	took, err := d.clients(ctx, c, began.Add(d.block))
	m := &Measure{Case: c, Took: took, Wall: time.Since(began)}
	if err != nil {
		return nil, err
	}
	after, err := d.rig.usage(ctx)
	if err != nil {
		return nil, err
	}
	m.Spent, m.RSS = after.minus(before), d.rig.memory()
	return m, nil
}

// clients has the clients of a case make calls until a time, and returns what each call took.
func (d *Driver) clients(ctx context.Context, c Case, until time.Time) ([]time.Duration, error) {
	took, errs := make([][]time.Duration, c.Clients), make([]error, c.Clients)
	var all sync.WaitGroup
	for i := range c.Clients {
		all.Go(func() {
			ask := d.asker(c)
			for time.Now().Before(until) && errs[i] == nil && ctx.Err() == nil {
				var one time.Duration
				one, errs[i] = ask(ctx)
				took[i] = append(took[i], one)
			}
		})
	}
	all.Wait()
	var out []time.Duration
	for _, of := range took {
		out = append(out, of...)
	}
	return out, errors.Join(errs...)
}

// asker returns a client's call, which says what it took. Each is for a name of its own: requests
// for the same name would share a purchase.
func (d *Driver) asker(c Case) func(context.Context) (time.Duration, error) {
	name := func() string { return fmt.Sprintf("n%d.example.com", d.calls.Add(1)) }
	path := "/v1/" + string(c.Engine) + "/issue/" + c.role()
	if c.Call == Sign {
		path = "/v1/" + string(c.Engine) + "/sign/" + c.role()
	}
	return func(ctx context.Context) (time.Duration, error) {
		body := map[string]any{"common_name": name()}
		if c.Call == Sign {
			csr, err := requestFor(name())
			if err != nil {
				return 0, err
			}
			body = map[string]any{"csr": csr}
		}
		began := time.Now()
		answer, err := d.rig.request(ctx, "PUT", path, body)
		took := time.Since(began)
		if err == nil && !bytes.Contains(answer, []byte("BEGIN CERTIFICATE")) {
			err = fmt.Errorf("an answer without certificate: %.200s", answer)
		}
		return took, err
	}
}

// requestFor returns a CSR for a name and a key of its own.
func requestFor(name string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
	}, key)
	if err != nil {
		return "", err
	}
	block := &pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}
	return string(pem.EncodeToMemory(block)), nil
}

// fill has at least so many certificates be stored, and returns how many the engine has issued.
func (d *Driver) fill(ctx context.Context, n int) error {
	c := Case{Call: IssueEC, Leases: true, Clients: 16, Engine: Certinext}
	for int(d.calls.Load()) < n {
		if _, err := d.clients(ctx, c, time.Now().Add(time.Second)); err != nil {
			return err
		}
	}
	return nil
}
