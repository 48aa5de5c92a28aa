// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package readiness

import (
	"context"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/lineage"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Checker checks the config and the roles of one mount.
type Checker struct {
	acct *account.Account
	// checkSolver returns an error about the field dcv_solver when there is no solver of a name.
	checkSolver func(ctx context.Context, s logical.Storage, name string) error
	above       *lineage.Keeper
}

// New returns a checker. It touches neither storage nor network.
func New(
	acct *account.Account,
	checkSolver func(ctx context.Context, s logical.Storage, name string) error,
	above *lineage.Keeper,
) *Checker {
	return &Checker{acct: acct, checkSolver: checkSolver, above: above}
}

// A Report is the result of [Checker.Check].
type Report struct {
	AccountNumber string
	AuthType      string
	Latency       time.Duration     // of the identity call, token exchange included
	Products      []account.Product // that the config's group may order
	Proxy         string            // that calls go through; empty when there is none
	Held          bool              // see [account.ErrHeld]
	// Problems say what makes orders fail, and what could not be asked; there are none when all is
	// well. Notes say what makes orders wait, or requests be refused.
	Problems []string
	Notes    []string
	// Trust is how many live certificates clients refuse.
	Trust lineage.Counts
	// Roles is how many roles were looked at, and LeftOut how many there are beyond [mostRoles].
	Roles   int
	LeftOut int
}

// mostRoles bounds the roles that one check reads.
const mostRoles = 500

// Check looks at the config and its roles, or at a single role, and asks CERTInext what it can be
// asked. It uses no cached answer. An account that does not work yields a report with problems, not
// an error; so does a role that cannot be read.
func (c *Checker) Check(ctx context.Context, s logical.Storage, role string) (*Report, error) {
	a, err := c.acct.Session(ctx, s)
	if err != nil {
		return nil, err
	}
	r := &Report{Proxy: account.ProxyOf(a), Held: c.acct.MayChange() != nil}
	said := new(findings)
	all, err := c.read(ctx, s, role, r, said)
	if err != nil {
		return nil, err
	}
	c.judgeMount(said, a.Config)
	if err := c.judgeTrust(ctx, s, all, r, said); err != nil {
		return nil, err
	}
	answers := c.ask(ctx, a, all, r, said)
	judgeConfig(said, a.Config, all, answers)
	for _, role := range all {
		judgeRole(said, role, a.Config, answers)
		if err := c.checkSolver(ctx, s, role.DNS.Solver); err != nil {
			said.refusal(role, a.Config, err, answers)
		}
	}
	if r.LeftOut > 0 {
		said.problem("%d roles were left out, since a check looks at %d: "+
			"vault read <mount>/config/check role=<name> looks at one", r.LeftOut, mostRoles)
	}
	r.Problems, r.Notes = said.texts()
	return r, nil
}

// read returns the roles that are to be looked at. One that cannot be read is a problem among
// others, unless storage itself fails.
func (c *Checker) read(
	ctx context.Context, s logical.Storage, name string, r *Report, said *findings,
) ([]*issuing.Role, error) {
	names := []string{name}
	if name == "" {
		var err error
		if names, err = roles.List(ctx, s); err != nil {
			return nil, err
		}
	}
	if len(names) > mostRoles {
		r.LeftOut = len(names) - mostRoles
		names = names[:mostRoles]
	}
	var all []*issuing.Role
	for _, n := range names {
		role, err := roles.Read(ctx, s, n)
		switch {
		case store.IsFault(err):
			return nil, err
		case err != nil:
			r.Roles++
			said.problems.add(n, "it cannot be read, so nothing is ordered under it: "+
				sanitize.Error(err))
		case role != nil: // it may have been deleted since
			r.Roles++
			all = append(all, role)
		case name != "":
			return nil, roles.NotFound(name)
		}
	}
	return all, nil
}

// judgeMount looks at what keeps the mount as a whole from ordering.
func (c *Checker) judgeMount(said *findings, cfg *account.Config) {
	if held := c.acct.MayChange(); held != nil {
		said.problem("%s", held.Error())
	}
	if err := cfg.MayOrder(); err != nil {
		said.problem("config: %s: vault write <mount>/config ordering=on", err.Error())
	}
}

// identify asks CERTInext who the account is, and returns why it does not say so.
func (c *Checker) identify(
	ctx context.Context, a *account.Session, r *Report, said *findings,
) error {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	start := c.acct.Now()
	me, err := a.Client.Me(ctx)
	r.Latency = c.acct.Now().Sub(start)
	if problem := c.acct.ClockProblem(); problem != "" {
		said.note("%s: set this server's clock by a time service (NTP)", problem)
	}
	if err == nil {
		r.AccountNumber, r.AuthType = me.Number, me.AuthType
	}
	return err
}

// plural counts what is named by a singular word.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
