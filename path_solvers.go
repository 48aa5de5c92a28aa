// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathSolvers() []*framework.Path {
	name := map[string]*framework.FieldSchema{
		"name": {Type: framework.TypeString, Description: "Name of the solver.", Required: true},
	}
	force := map[string]*framework.FieldSchema{
		"force": {
			Type: framework.TypeBool, Query: true,
			Description: "Delete the solver, or change its DNS host, although it still has " +
				"records to remove. They then have to be removed manually.",
		},
	}
	told := map[string]*framework.FieldSchema{
		"secrets": {
			Type:        framework.TypeStringSlice,
			Description: "Names of the secrets that are set. Their values are never read back.",
		},
		"records": {
			Type: framework.TypeSlice,
			Description: "Records that are published and not removed yet, each with name, zone, " +
				"owner, since, and last_error, the last error in removing it.",
		},
	}
	return []*framework.Path{
		{
			Pattern: "dcv/solvers/?$",
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: operation(b.listSolvers,
					"List the solvers.",
					"list", "dcv-solvers", keysField("Names of the solvers.")),
			},
			HelpSynopsis:    "List the solvers.",
			HelpDescription: "Lists the names of the DNS solvers of this mount.",
		},
		{
			Pattern: "dcv/solvers/" + framework.GenericNameRegex("name") + "/check$",
			Fields:  merge(name, checkFields()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: writing(b.checkSolver,
					"Publish a test record, wait until it is visible, and remove it.",
					"check", "dcv-solver", checkResult()),
			},
			HelpSynopsis: "Test a solver.",
			HelpDescription: "Writing publishes a TXT record with a random name in the zone, " +
				"waits up to 30 seconds until the zone's servers show it, and removes it. If " +
				"something fails, problems says what.",
		},
		{
			Pattern: "dcv/solvers/" + framework.GenericNameRegex("name") + "$",
			Fields:  merge(name, schemas(solverFields, new(backend.Solver)), force),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(b.readSolver,
					"Read a solver, without its secrets.",
					"read", "dcv-solver", merge(readable(solverFields), told)),
				logical.UpdateOperation: silent(writing(b.writeSolver,
					"Write a solver. Fields that are omitted get their defaults.",
					"write", "dcv-solver", nil)),
				logical.PatchOperation: silent(writing(b.patchSolver,
					"Change some fields of a solver.",
					"patch", "dcv-solver", nil)),
				logical.DeleteOperation: silent(writing(b.deleteSolver,
					"Delete a solver that is not in use.",
					"delete", "dcv-solver", nil)),
			},
			HelpSynopsis:    "A solver publishes the DNS records that prove control of domains.",
			HelpDescription: solverHelp(),
		},
	}
}

var solverFields = append([]binding[backend.Solver]{
	text("provider",
		"DNS host: "+strings.Join(providers(), ", ")+".",
		func(v *backend.Solver) *string { return &v.Provider }),
	flag("ambient_identity",
		"Use the identity that the Vault server has in the cloud, instead of credentials.",
		func(v *backend.Solver) *bool { return &v.Ambient }),
	text("zone",
		"Zone to publish records in; found by its SOA record when empty.",
		func(v *backend.Solver) *string { return &v.Zone }),
	seconds("ttl",
		"TTL of the records; one minute when 0.",
		func(v *backend.Solver) *time.Duration { return &v.TTL }),
}, settings()...)

func providers() []string {
	var names []string
	for _, k := range backend.SolverKinds() {
		names = append(names, k.Name)
	}
	return names
}

// settings returns the fields of all providers.
func settings() []binding[backend.Solver] {
	var out []binding[backend.Solver]
	for _, k := range backend.SolverKinds() {
		for _, f := range k.Fields {
			help := "For " + k.Name + ": " + f.Description
			if f.Secret {
				help += " Never read back."
			}
			out = append(out, binding[backend.Solver]{
				name: f.Name, kind: framework.TypeString, help: help, secret: f.Secret,
				get: func(v *backend.Solver) any { return string(v.Values[f.Name]) },
				set: func(v *backend.Solver, value any) {
					v.Values[f.Name] = backend.Secret(strings.TrimSpace(value.(string)))
				},
				reset: func(v, _ *backend.Solver) { delete(v.Values, f.Name) },
			})
		}
	}
	return out
}

func checkFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"zone": {
			Type: framework.TypeString,
			Description: "Domain below which the test record is published; the solver's zone " +
				"when empty.",
		},
		"dcv_resolvers": {
			Type:        framework.TypeCommaStringSlice,
			Description: "As in a role.",
		},
		"dcv_propagation_servers": {
			Type:        framework.TypeCommaStringSlice,
			Description: "As in a role.",
		},
	}
}

func checkResult() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"ok": {
			Type:        framework.TypeBool,
			Description: "Whether the record was published, seen by all servers, and removed.",
		},
		"record": {Type: framework.TypeString, Description: "Name of the test record."},
		"zone": {
			Type:        framework.TypeString,
			Description: "Zone in which it was published.",
		},
		"servers": {
			Type:        framework.TypeStringSlice,
			Description: "Servers that were asked for it.",
		},
		"published_ms": {
			Type:        framework.TypeInt64,
			Description: "How long publishing took, in milliseconds; 0 when it failed.",
		},
		"seen_ms": {
			Type: framework.TypeInt64,
			Description: "How long it then took until all servers showed the record, in " +
				"milliseconds; 0 when they did not.",
		},
		"removed_ms": {
			Type:        framework.TypeInt64,
			Description: "How long removing took, in milliseconds; 0 when it failed.",
		},
		"problems": {
			Type:        framework.TypeStringSlice,
			Description: "Description of each problem; empty when there is none.",
		},
	}
}

func (b *secretsBackend) listSolvers(
	ctx context.Context, req *logical.Request, _ *framework.FieldData,
) (*logical.Response, error) {
	names, err := b.engine.Publisher.Solvers(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return logical.ListResponse(names), nil
}

func (b *secretsBackend) checkSolver(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	r, err := b.engine.Publisher.CheckSolver(ctx, req.Storage, d.Get("name").(string),
		d.Get("zone").(string), backend.DNSValidation{
			Resolvers:          d.Get("dcv_resolvers").([]string),
			PropagationServers: d.Get("dcv_propagation_servers").([]string),
		})
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]any{
		"ok":           len(r.Problems) == 0,
		"record":       r.Record,
		"zone":         r.Zone,
		"servers":      append([]string{}, r.Servers...),
		"published_ms": r.Published.Milliseconds(),
		"seen_ms":      r.Seen.Milliseconds(),
		"removed_ms":   r.Removed.Milliseconds(),
		"problems":     append([]string{}, r.Problems...),
	}}, nil
}

func (b *secretsBackend) readSolver(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	v, err := b.engine.Publisher.Solver(ctx, req.Storage, d.Get("name").(string))
	if err != nil || v == nil {
		return nil, err
	}
	records, err := b.engine.Publisher.PublishedBy(ctx, req.Storage, v.Name)
	if err != nil {
		return nil, err
	}
	shown, hidden := v.Settings()
	data := map[string]any{
		"provider":         v.Provider,
		"ambient_identity": v.Ambient,
		"zone":             v.Zone,
		"ttl":              int64(v.TTL / time.Second),
		"secrets":          hidden,
	}
	for field, value := range shown {
		data[field] = value
	}
	rows := make([]map[string]any, 0, len(records))
	for _, r := range records {
		rows = append(rows, map[string]any{
			"name":       r.Name,
			"zone":       r.Zone,
			"owner":      r.Owner,
			"since":      rfc3339(r.Since),
			"last_error": r.LastError,
		})
	}
	data["records"] = rows
	return &logical.Response{Data: data}, nil
}

func (b *secretsBackend) writeSolver(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	return b.setSolver(ctx, req, d, false)
}

func (b *secretsBackend) patchSolver(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	return b.setSolver(ctx, req, d, true)
}

func (b *secretsBackend) setSolver(
	ctx context.Context, req *logical.Request, d *framework.FieldData, patch bool,
) (*logical.Response, error) {
	return nil, b.engine.Publisher.WriteSolver(ctx, req.Storage, d.Get("name").(string), patch,
		d.Get("force").(bool), func(v *backend.Solver) error {
			return write(solverFields, d, v, new(backend.Solver))
		})
}

func (b *secretsBackend) deleteSolver(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	return nil, b.engine.DeleteSolver(ctx, req.Storage, d.Get("name").(string),
		d.Get("force").(bool))
}

// solverHelp describes the settings of each provider.
func solverHelp() string {
	var b strings.Builder
	b.WriteString(`
A role that names a solver in dcv_solver has its domains validated by DNS records that the solver
publishes and removes again. Where a record is written is found by CNAME and SOA records: if a
challenge name is delegated to another zone, the record is written there.

Write provider with its settings; secrets are never read back. Writing dcv/solvers/<name>/check
tests them.
`)
	for _, k := range backend.SolverKinds() {
		var required, optional []string
		for _, f := range k.Fields {
			if f.Required {
				required = append(required, f.Name)
			} else {
				optional = append(optional, f.Name)
			}
		}
		fmt.Fprintf(&b, "\n%s needs %s", k.Name, strings.Join(required, ", "))
		if len(optional) > 0 {
			fmt.Fprintf(&b, "; it takes %s", strings.Join(optional, ", "))
		}
		b.WriteString(".")
		if k.Ambient != "" {
			credentials := slices.DeleteFunc(slices.Clone(required), func(name string) bool {
				return !slices.ContainsFunc(k.Fields,
					func(f backend.SolverField) bool { return f.Name == name && f.Credential })
			})
			fmt.Fprintf(&b, " With ambient_identity it uses %s, and takes no %s.", k.Ambient,
				strings.Join(credentials, ", "))
		}
		b.WriteString("\n")
	}
	return b.String()
}
