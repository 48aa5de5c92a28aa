// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathIssue() []*framework.Path {
	key := map[string]*framework.FieldSchema{
		"private_key":      {Type: framework.TypeString, Description: "Private key."},
		"private_key_type": {Type: framework.TypeString, Description: "ec or rsa."},
	}
	role, issuer := framework.GenericNameRegex("role"), "issuer/"+framework.GenericNameRegex("issuer_ref")+"/"
	issue := func(pattern, suffix string) *framework.Path {
		return &framework.Path{
			Pattern: pattern,
			Fields:  merge(roleField(), nameFields(), formatFields(), keyFormatField(), requestFields()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: writing(b.issue, "Generate a key, order its certificate and return both.", "issue", suffix, orderInstead(merge(certificateFields(), key))),
			},
			HelpSynopsis:    "Generate a key, order its certificate from CERTInext, and return both.",
			HelpDescription: issueHelp,
		}
	}
	sign := func(pattern, suffix string) *framework.Path {
		return &framework.Path{
			Pattern: pattern,
			Fields:  merge(roleField(), csrField(), nameFields(), formatFields(), keyFormatField(), requestFields()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: writing(b.sign, "Order the certificate of a CSR and return it.", "sign", suffix, orderInstead(certificateFields())),
			},
			HelpSynopsis:    "Order the certificate of a CSR from CERTInext, and return it.",
			HelpDescription: signHelp,
		}
	}
	return []*framework.Path{
		issue("issue/"+role+"$", "with-role"),
		sign("sign/"+role+"$", "with-role"),
		// For clients that name the issuer in the path. There is one, whatever it is called.
		issue(issuer+"issue/"+role+"$", "with-issuer-and-role"),
		sign(issuer+"sign/"+role+"$", "with-issuer-and-role"),
	}
}

// orderInstead adds the fields of an order to those of a certificate: async asks for the one instead of the other.
func orderInstead(fields map[string]*framework.FieldSchema) map[string]*framework.FieldSchema {
	out := orderFields()
	for _, f := range out {
		f.Description = "With async. " + f.Description
	}
	return merge(out, fields)
}

func csrField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"csr": {Type: framework.TypeString, Description: "CSR in PEM. Its key and names must suit the role.", Required: true},
	}
}

// nameFields say what is to be certified, as Vault's PKI engine spells it.
func nameFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"common_name":          {Type: framework.TypeString, Description: "Common name; CERTInext calls it the order's domain."},
		"alt_names":            {Type: framework.TypeCommaStringSlice, Description: "Further DNS names, for products that take several."},
		"ip_sans":              {Type: framework.TypeCommaStringSlice, Description: "IP addresses, for private PKI products."},
		"exclude_cn_from_sans": {Type: framework.TypeBool, Description: "Refused unless the common name is among alt_names or in the CSR: CERTInext always puts it in."},
		"uri_sans":             emptyOnly("URI names", framework.TypeCommaStringSlice),
		"other_sans":           emptyOnly("Other names", framework.TypeCommaStringSlice),
		"user_ids":             emptyOnly("User ids", framework.TypeCommaStringSlice),
		"not_after":            emptyOnly("An end of one's own", framework.TypeString),
		"serial_number":        emptyOnly("A subject serial number", framework.TypeString),
		"cert_metadata":        emptyOnly("Metadata", framework.TypeString),
		"subject":              {Type: framework.TypeKVPairs, Description: "For document signers and S/MIME: what the role leaves to the request of whom the certificate is for (allowed_subject_fields)."},
		"issuer_ref":           {Type: framework.TypeString, Default: "default", Description: "Accepted when empty or default: the role's product decides the issuer."},
	}
}

func emptyOnly(what string, kind framework.FieldType) *framework.FieldSchema {
	return &framework.FieldSchema{Type: kind, Description: what + " cannot be honoured; accepted when empty."}
}

// requestFields say how the order is to be handled.
func requestFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"ttl":           {Type: framework.TypeSignedDurationSecond, Description: "Life of the lease. CERTInext sets that of the certificate."},
		"request_id":    {Type: framework.TypeString, Description: "The caller's own name for this request. The same name by the same requester always means the same order, and never shares one with a request without a name. When the order's key is erased, the name is used up."},
		"force_new":     {Type: framework.TypeBool, Description: "Do not reuse a certificate that the same request was answered with before, even within the role's reuse_window. An order that is still open, or whose certificate nobody has fetched, is joined all the same. A client that sends this with every attempt pays for every certificate that it gets: a request_id of its own for each certificate is the better way."},
		"save_as_draft": {Type: framework.TypeBool, Description: "CERTInext keeps the order as a draft until it is promoted, by writing promote=true to orders/<role>/<id>. With async, or on orders/<role>."},
		"async":         {Type: framework.TypeBool, Description: "Answer with the order, without waiting for the certificate."},
	}
}

func (b *secretsBackend) issue(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	r, err := decodeRequest(req, d)
	if err != nil {
		return nil, err
	}
	return b.order(ctx, req, d, r)
}

func (b *secretsBackend) sign(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	r, err := decodeRequest(req, d)
	if err != nil {
		return nil, err
	}
	if r.CSR = d.Get("csr").(string); r.CSR == "" {
		return nil, &backend.FieldError{Field: "csr", Problem: "is required"}
	}
	return b.order(ctx, req, d, r)
}

// order places the order of r and answers with its certificate, or with the order itself when that is asked for.
func (b *secretsBackend) order(ctx context.Context, req *logical.Request, d *framework.FieldData, r backend.Request) (*logical.Response, error) {
	form, err := decodeFormat(d)
	if err != nil {
		return nil, err
	}
	if d.Get("async").(bool) {
		o, err := b.engine.Orders.PlaceOrder(ctx, req.Storage, r)
		if err != nil {
			return nil, err
		}
		return &logical.Response{Data: encodeOrder(o)}, nil
	}
	if r.Draft {
		return nil, &backend.FieldError{Field: "save_as_draft", Problem: "needs async=true, or orders/" + r.Role + ": a draft has no certificate to wait for"}
	}
	issued, err := b.engine.Orders.Issue(ctx, req.Storage, r)
	if err != nil {
		return nil, err
	}
	return b.certificateResponse(issued, form)
}

// decodeRequest reads the fields that name what is wanted, and refuses those that cannot be honoured.
func decodeRequest(req *logical.Request, d *framework.FieldData) (backend.Request, error) {
	for _, field := range []string{"uri_sans", "other_sans", "user_ids", "not_after", "serial_number", "cert_metadata"} {
		v, ok, err := d.GetOkErr(field)
		if err != nil {
			return backend.Request{}, &backend.FieldError{Field: field, Problem: err.Error()}
		}
		if list, isList := v.([]string); ok && !empty(v) && (!isList || !blank(list)) {
			return backend.Request{}, &backend.FieldError{Field: field, Problem: "cannot be honoured by CERTInext"}
		}
	}
	if ref := d.Get("issuer_ref").(string); ref != "" && ref != "default" {
		return backend.Request{}, &backend.FieldError{Field: "issuer_ref", Problem: "cannot be honoured: the role's product decides the issuer"}
	}
	for _, field := range []string{"ttl", "alt_names", "ip_sans", "subject", "exclude_cn_from_sans", "async", "save_as_draft", "force_new"} {
		if _, _, err := d.GetOkErr(field); err != nil {
			return backend.Request{}, &backend.FieldError{Field: field, Problem: err.Error()}
		}
	}
	ttl, _ := d.Get("ttl").(int)
	return backend.Request{
		Role:              d.Get("role").(string),
		Requester:         requester(req),
		EntityID:          req.EntityID,
		ID:                d.Get("request_id").(string),
		CommonName:        d.Get("common_name").(string),
		Subject:           d.Get("subject").(map[string]string),
		AltNames:          d.Get("alt_names").([]string),
		IPSANs:            d.Get("ip_sans").([]string),
		ExcludeCNFromSANs: d.Get("exclude_cn_from_sans").(bool),
		TTL:               time.Duration(ttl) * time.Second,
		Draft:             d.Get("save_as_draft").(bool),
		ForceNew:          d.Get("force_new").(bool),
	}, nil
}

func blank(list []string) bool {
	for _, s := range list {
		if s != "" {
			return false
		}
	}
	return true
}

const issueHelp = `
The key is generated inside Vault, with the role's key_type and key_bits, and the certificate is ordered for common_name and
alt_names. The answer has the fields of Vault's PKI engine. With a role that generates leases, the lease's end revokes
the certificate.

With format=pkcs12_bundle or jks_bundle, key, certificate and chain come as a keystore, in base64, in certificate. Its password is
changeit unless pkcs12_password or jks_password says otherwise; it is not stored, and may differ when the request is sent again.

An order that is not finished within the role's issue_timeout is answered with an error that names the order and says what it
waits for. Nothing is lost then: the same request by the same requester finds the order again.

The same request by the same requester is one purchase. Requests that are in flight at the same time share one order, and for
the role's reuse_window after each answer the same request gets the same certificate and key again, with reused: true and a lease of its own.
Requests are the same when role, names and kind of key are; format and ttl do not matter. force_new=true passes over certificates that
were handed over before, and a request_id makes a request its own.
`

const signHelp = `
The CSR's key and names must suit the role. common_name, alt_names and ip_sans may be left out; when given, they must be names
of the CSR. The certificate is ordered for all of the CSR's names. A keystore (format=pkcs12_bundle or jks_bundle) is a trust store
here, of certificate and chain, since the key is not in Vault.

An order that is not finished within the role's issue_timeout goes on: the same request by the same requester finds it again. A CSR
that is made anew for the same key and names is the same request, and for the role's reuse_window after each answer it gets the same
certificate again, with reused: true. A CSR with another key is another request.
`
