// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"cmp"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/openapi"
)

// An adminDescription is what the document says of an administration path.
type adminDescription struct {
	summary string
	takes   any               // nil for no body
	gives   any               // nil for 204
	file    string            // media type of an answer that is no JSON
	both    *openapi.Schema   // of body and answer, instead of takes and gives
	names   map[string]string // of parameters of the path
	missing string            // why it may be 404
	most    string            // of the body, "" for maxBody
	fails   bool              // it may be 400 without a body or a parameter
}

// adminPaths describes the administration paths.
func adminPaths() map[string]adminDescription {
	order := map[string]string{"id": "The order's id."}
	family := map[string]string{"family": "One of " + strings.Join(families, ", ") + "."}
	const noCA = "There is no such family."
	client := map[string]string{
		"client": "One of " + strings.Join(Clients(), ", ") + ".", "root": "The root's name.",
	}
	const noRoot = "There is no such client, or no such public root."
	const noOrder = "There is no such order."
	return map[string]adminDescription{
		"GET /_sandbox/roots.pem": {summary: "The roots to trust", file: typePEM},
		"GET /_sandbox/tls-root.pem": {
			summary: "The root of the TLS listener", file: typePEM,
			missing: "There is no TLS listener.",
		},
		"GET /_sandbox/ca": {
			summary: "The roots and issuing CAs, of now and before", gives: []CARecord{},
		},
		"POST /_sandbox/ca/{family}/replace": {
			summary: "Another issuing CA signs from now on", names: family, missing: noCA,
		},
		"POST /_sandbox/ca/{family}/replace-root": {
			summary: "Another root with another issuing CA signs from now on",
			names:   family, missing: noCA,
		},
		"POST /_sandbox/ca/{family}/expose": {
			summary: "The issuing CA's key is public, what it has issued is revoked, and another " +
				"hierarchy signs", names: family, missing: noCA,
		},
		"GET /_sandbox/roots/{client}": {
			summary: "The roots that a family of clients trusts", file: typePEM, names: client,
			missing: noRoot,
		},
		"DELETE /_sandbox/roots/{client}/{root}": {
			summary: "A family of clients drops a root", names: client, missing: noRoot,
		},
		"PUT /_sandbox/roots/{client}/{root}": {
			summary: "A family of clients takes a root again", names: client, missing: noRoot,
		},
		"GET /_sandbox/ca/keys.pem": {
			summary: "The keys of CAs that are public", file: typePEM,
		},
		"GET /_sandbox/ca/logs.json": {
			summary: "The logs of Certificate Transparency that sign for public certificates",
			gives:   LogList{},
		},
		"GET /_sandbox/health":     {summary: "That the server is up", gives: wireHealth{}},
		"GET /_sandbox/operations": {summary: "The names of operations", gives: []string{}},
		"GET /_sandbox/openapi.json": {
			summary: "This document", gives: map[string]any{},
		},
		"GET /_sandbox/orders": {
			summary: "All orders, as the CA sees them", gives: []OrderRecord{},
		},
		"GET /_sandbox/orders/{id}": {
			summary: "One order", gives: OrderRecord{}, names: order, missing: noOrder,
		},
		"POST /_sandbox/orders/{id}/approve": {
			summary: "The approver consents", names: order, missing: noOrder,
		},
		"POST /_sandbox/orders/{id}/reject": {
			summary: "The approver refuses", takes: wireAdminReject{}, names: order,
			missing: noOrder,
		},
		"POST /_sandbox/orders/{id}/documents": {
			summary: "Documents are handed in", takes: wireAdminDocuments{}, names: order,
			missing: noOrder,
		},
		"POST /_sandbox/orders/{id}/supply": {
			summary: "A parked order is given what it lacked", takes: Supplement{}, names: order,
			missing: noOrder,
		},
		"GET /_sandbox/domains": {
			summary: "All domains of the account, as the CA sees them", gives: []DomainRecord{},
		},
		"POST /_sandbox/domains/{name}/verify": {
			summary: "A domain is validated, whatever DNS says",
			names:   map[string]string{"name": "The domain."},
		},
		"POST /_sandbox/drafts/{id}/promote": {
			summary: "A draft is ordered in the portal", missing: "There is no such draft.",
			names: map[string]string{"id": "The draft's requestId."},
		},
		"POST /_sandbox/organizations/{n}/vet": {
			summary: "An organization's vetting is complete",
			names:   map[string]string{"n": "Its number."},
		},
		"POST /_sandbox/tokens/kill": {summary: "All tokens die"},
		"GET /_sandbox/requests": {
			summary: "The last requests, and why each refusal was one", gives: []Request{},
		},
		"DELETE /_sandbox/requests": {summary: "Forget the requests"},
		"GET /_sandbox/calls": {
			summary: "Number of calls by operation", gives: map[string]int{},
		},
		"DELETE /_sandbox/calls": {summary: "Set the numbers of calls to zero"},
		"GET /_sandbox/faults": {
			summary: "Faults that can still strike", gives: []wireFault{},
		},
		"POST /_sandbox/faults":   {summary: "Add a fault", takes: wireFault{}},
		"DELETE /_sandbox/faults": {summary: "Remove all faults"},
		"GET /_sandbox/knobs": {
			summary: "The settings that can be changed", gives: map[string]any{},
			both: knobsSchema(),
		},
		"POST /_sandbox/knobs": {
			summary: "Change some settings", takes: map[string]any{}, gives: map[string]any{},
			both: knobsSchema(),
		},
		"POST /_sandbox/reset": {summary: "Begin anew, with the settings of the start"},
		"GET /_sandbox/snapshot": {
			summary: "All that the server holds, private keys and credentials included",
			gives:   map[string]any{}, fails: true,
		},
		"POST /_sandbox/restore": {
			summary: "Be what a snapshot says, or change nothing", takes: map[string]any{},
			most: "256 MiB",
		},
		"GET /_sandbox/ledger": {
			summary: "All movements of money, as the CA's books have them",
			gives:   []LedgerEntry{},
		},
		"POST /_sandbox/ledger/top-up": {
			summary: "Pay into the account, or into a group", takes: wireTopUp{},
		},
	}
}

// describeAdministration enters the administration paths.
func (w *describer) describeAdministration() {
	all := adminPaths()
	for _, rt := range new(Server).administration().routes() {
		about, ok := all[rt.pattern]
		if !ok {
			panic("certinexttest: no description of " + rt.pattern)
		}
		method, path, _ := strings.Cut(rt.pattern, " ")
		if err := w.doc.Add(method, path, w.steer(method, path, about)); err != nil {
			panic("certinexttest: " + err.Error())
		}
	}
}

// steer is an operation of the administration.
func (w *describer) steer(method, path string, about adminDescription) *openapi.Operation {
	o := &openapi.Operation{
		Tags: []string{tagAdmin}, ID: camel(strings.ToLower(method) + " " + path),
		Summary: about.summary, Security: []map[string][]string{{}},
		Responses: map[string]*openapi.Response{
			"403": plainly("The caller is a web page, or used a name that is not this server's."),
		},
	}
	for _, match := range pathParameter.FindAllStringSubmatch(path, -1) {
		o.Parameters = append(o.Parameters, openapi.Parameter{
			Name: match[1], In: "path", Required: true, Schema: openapi.Text(),
			Description: about.names[match[1]],
		})
	}
	if about.takes != nil {
		o.RequestBody = &openapi.Body{
			Required: true,
			Content: map[string]openapi.Media{
				typeJSON: {Schema: cmp.Or(about.both, w.types.Request(about.takes))},
			},
		}
	}
	if about.takes != nil {
		most := orDefault(about.most, "1 MiB")
		o.Responses["413"] = plainly("The body is larger than " + most + ".")
	}
	if about.takes != nil || len(o.Parameters) > 0 || about.fails {
		o.Responses["400"] = plainly("It is not possible, and why.")
	}
	if about.missing != "" {
		o.Responses["404"] = plainly(about.missing)
	}
	w.steered(o, about)
	return o
}

// steered adds the answer of an operation that was taken.
func (w *describer) steered(o *openapi.Operation, about adminDescription) {
	done := &openapi.Response{Description: "It is done."}
	switch {
	case about.file != "":
		done.Content = map[string]openapi.Media{
			about.file: {Schema: &openapi.Schema{Type: "string", Format: "binary"}},
		}
		o.Responses["200"] = done
	case about.gives != nil:
		done.Description = about.summary + "."
		done.Content = map[string]openapi.Media{
			typeJSON: {Schema: cmp.Or(about.both, w.types.Answer(about.gives))},
		}
		o.Responses["200"] = done
	default:
		o.Responses["204"] = done
	}
}

// knobsSchema is the schema of the settings that can be changed while the server runs.
func knobsSchema() *openapi.Schema {
	return schemaFrom(new(Server).settings().Running().Schema())
}

// schemaFrom is a JSON Schema of settings as the document writes it.
func schemaFrom(given map[string]any) *openapi.Schema {
	s := new(openapi.Schema)
	s.Type, _ = given["type"].(string)
	s.Description, _ = given["description"].(string)
	s.Pattern, _ = given["pattern"].(string)
	names, _ := given["enum"].([]string)
	for _, name := range names {
		s.Enum = append(s.Enum, name)
	}
	if items, ok := given["items"].(map[string]any); ok {
		s.Items = schemaFrom(items)
	}
	if others, ok := given["additionalProperties"].(map[string]any); ok {
		s.Others = schemaFrom(others)
	}
	if properties, ok := given["properties"].(map[string]any); ok {
		s.Properties = make(map[string]*openapi.Schema)
		for name, property := range properties {
			s.Properties[name] = schemaFrom(property.(map[string]any))
		}
	}
	return s
}
