// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"time"
)

// An Engine is one of the two that are compared.
type Engine string

// The engines, by the paths that they are mounted at.
const (
	Certinext Engine = "certinext"
	PKI       Engine = "pki"
)

// A Call is what a client asks for again and again.
type Call string

// The calls. issue makes a key in Vault, sign is given a CSR.
const (
	IssueEC  Call = "issue, EC P-256"
	IssueRSA Call = "issue, RSA 2048"
	Sign     Call = "sign, EC P-256"
)

// A Case is what is measured: a call by a number of clients at once.
type Case struct {
	Call    Call
	Leases  bool
	Clients int
	Latency time.Duration // of each call to the CA; 0 for a simulator that answers at once
	Engine  Engine
}

// Name says which case it is, as benchstat wants the name of a benchmark.
func (c Case) Name() string {
	leases := "no-leases"
	if c.Leases {
		leases = "leases"
	}
	return fmt.Sprintf("BenchmarkCall/%s/%s/%s/clients=%d/ca=%dms", c.Engine, map[Call]string{
		IssueEC: "issue-ec256", IssueRSA: "issue-rsa2048", Sign: "sign-ec256",
	}[c.Call], leases, c.Clients, c.Latency.Milliseconds())
}

// role is the name of the case's role, in both engines.
func (c Case) role() string {
	name := "ec"
	if c.Call == IssueRSA {
		name = "rsa"
	}
	if c.Leases {
		name += "-leased"
	}
	return name
}

// A Round is what takes turns: the cases whose figures are set beside each other.
type Round []Case

// rounds returns what is measured, in order. The one by which memory is judged comes first, while
// few certificates are stored.
func rounds(clients []int, latency time.Duration) []Round {
	var out []Round
	most := clients[len(clients)-1]
	first := Case{IssueEC, true, most, latency, Certinext}
	out = append(out, Round{first})
	for _, call := range []Call{IssueEC, Sign, IssueRSA} {
		for _, leases := range []bool{true, false} {
			for _, n := range clients {
				out = append(out, Round{
					{call, leases, n, 0, Certinext}, {call, leases, n, 0, PKI},
				})
				if slow := (Case{call, leases, n, latency, Certinext}); slow != first {
					out = append(out, Round{slow})
				}
			}
		}
	}
	return out
}
