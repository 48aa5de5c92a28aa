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
		"private_key": {Type: framework.TypeString, Description: "Private key."},
		"private_key_type": {
			Type:        framework.TypeString,
			Description: "Type of the private key: ec or rsa.",
		},
	}
	role, issuer := framework.GenericNameRegex("role"),
		"issuer/"+framework.GenericNameRegex("issuer_ref")+"/"
	issue := func(pattern, suffix string) *framework.Path {
		return &framework.Path{
			Pattern: pattern,
			Fields: merge(roleField(), nameFields(), formatFields(), keyFormatField(),
				requestFields()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: writing(b.issue,
					"Generate a key, order its certificate and return both.",
					"issue", suffix, orderInstead(merge(certificateFields(), key))),
			},
			HelpSynopsis: "Generate a key, order its certificate from CERTInext, and return " +
				"both.",
			HelpDescription: issueHelp,
		}
	}
	sign := func(pattern, suffix string) *framework.Path {
		return &framework.Path{
			Pattern: pattern,
			Fields: merge(roleField(), csrField(), nameFields(), formatFields(), keyFormatField(),
				requestFields()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: writing(b.sign,
					"Order the certificate of a CSR and return it.",
					"sign", suffix, orderInstead(certificateFields())),
			},
			HelpSynopsis:    "Order the certificate of a CSR from CERTInext, and return it.",
			HelpDescription: signHelp,
		}
	}
	return []*framework.Path{
		issue("issue/"+role+"$", "with-role"),
		sign("sign/"+role+"$", "with-role"),
		// For clients that name an issuer in the path. There is only one, whatever they call it.
		issue(issuer+"issue/"+role+"$", "with-issuer-and-role"),
		sign(issuer+"sign/"+role+"$", "with-issuer-and-role"),
	}
}

// orderInstead adds the fields of an order to those of a certificate, and those of a dry run: with
// async, the answer is an order, and with dry_run, it is what the request would come to.
func orderInstead(fields map[string]*framework.FieldSchema) map[string]*framework.FieldSchema {
	out := orderFields()
	for _, f := range out {
		f.Description = "With async. " + f.Description
	}
	return merge(dryRunFields(), out, fields)
}

func csrField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"csr": {
			Type: framework.TypeString, Required: true,
			Description: "CSR in PEM. The role must allow its key and names.",
		},
	}
}

// nameFields describe the certificate that is wanted. Their names are those of Vault's PKI engine.
func nameFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"common_name": {
			Type:        framework.TypeString,
			Description: "Common name. CERTInext calls it the domain of the order.",
		},
		"alt_names": {
			Type:        framework.TypeCommaStringSlice,
			Description: "Additional DNS names, for products that take several.",
		},
		"ip_sans": {
			Type:        framework.TypeCommaStringSlice,
			Description: "IP addresses, for private PKI products.",
		},
		"exclude_cn_from_sans": {
			Type: framework.TypeBool,
			Description: "Refused unless the common name is in alt_names or in the CSR: " +
				"CERTInext always includes it.",
		},
		"uri_sans":   emptyOnly("URI SANs", framework.TypeCommaStringSlice),
		"other_sans": emptyOnly("Other SANs", framework.TypeCommaStringSlice),
		"user_ids": emptyOnly("User ids in the subject",
			framework.TypeCommaStringSlice),
		"not_after": emptyOnly("An expiration chosen by the caller",
			framework.TypeString),
		"serial_number": emptyOnly("A subject serial number", framework.TypeString),
		"subject": {
			Type: framework.TypeKVPairs,
			Description: "For document signers and S/MIME: the subject fields that the role " +
				"leaves to the request (allowed_subject_fields).",
		},
		"issuer_ref": {
			Type: framework.TypeString, Default: "default",
			Description: "Accepted only when empty or default: the role's product determines the " +
				"issuer.",
		},
	}
}

func emptyOnly(what string, kind framework.FieldType) *framework.FieldSchema {
	return &framework.FieldSchema{
		Type:        kind,
		Description: what + " cannot be honoured; accepted only when empty.",
	}
}

// requestFields say how the order is to be handled.
func requestFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"ttl": {
			Type:        framework.TypeSignedDurationSecond,
			Description: "TTL of the lease. CERTInext sets the validity of the certificate.",
		},
		"request_id": {
			Type: framework.TypeString,
			Description: "A name of the caller's choice for this request. The same name from the " +
				"same requester always refers to the same order, which is never shared with a " +
				"request that has no request_id. Once the order's key is erased, the name cannot " +
				"be used again.",
		},
		"force_new": {
			Type: framework.TypeBool,
			Description: "Do not reuse a certificate that the same request was answered with " +
				"before, even within the role's reuse_window. An order that is still open, or " +
				"whose certificate has not been fetched, is joined nevertheless. A client that " +
				"sets this on every attempt pays for every certificate that it receives: a " +
				"separate request_id for each certificate is the better way.",
		},
		"owner":         ownerField(),
		"cert_metadata": metadataField(),
		"save_as_draft": {
			Type: framework.TypeBool,
			Description: "Have CERTInext keep the order as a draft until it is promoted by " +
				"writing promote=true to orders/<role>/<id>. Only with async, or on " +
				"orders/<role>.",
		},
		"async": {
			Type:        framework.TypeBool,
			Description: "Return the order without waiting for the certificate.",
		},
		"dry_run": dryRunField(),
	}
}

func ownerField() *framework.FieldSchema {
	return &framework.FieldSchema{
		Type: framework.TypeString,
		Description: "Who answers for the certificate, in up to 100 characters. It is kept with " +
			"the order that the request places, and told to CERTInext only where the role's " +
			"requester_in says so. A request that joins an earlier order does not change it.",
	}
}

func metadataField() *framework.FieldSchema {
	return &framework.FieldSchema{
		Type: framework.TypeString,
		Description: "Anything that is to be kept with the order that the request places, in " +
			"base64 of up to 4096 characters. CERTInext is never told it. No secrets: whoever " +
			"may read the order sees it.",
	}
}

func (b *secretsBackend) issue(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	r, err := decodeRequest(req, d)
	if err != nil {
		return nil, err
	}
	return b.order(ctx, req, d, r)
}

func (b *secretsBackend) sign(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	r, err := decodeRequest(req, d)
	if err != nil {
		return nil, err
	}
	if r.CSR = d.Get("csr").(string); r.CSR == "" {
		return nil, &backend.FieldError{Field: "csr", Problem: "is required"}
	}
	return b.order(ctx, req, d, r)
}

// order places the order for r and returns its certificate, or with async the order itself. With
// dry_run it returns what that would come to.
func (b *secretsBackend) order(
	ctx context.Context, req *logical.Request, d *framework.FieldData, r backend.Request,
) (*logical.Response, error) {
	form, err := decodeFormat(d)
	if err != nil {
		return nil, err
	}
	async := d.Get("async").(bool)
	switch {
	case isDryRun(d) && (async || !r.Draft):
		return b.dryRun(ctx, req, r, async)
	case async:
		o, err := b.engine.Orders.PlaceOrder(ctx, req.Storage, r)
		if err != nil {
			return nil, err
		}
		return placedResponse(req, o), nil
	case r.Draft:
		return nil, &backend.FieldError{
			Field: "save_as_draft",
			Problem: "requires async=true, or a write to <mount>/orders/" + r.Role +
				": a draft has no certificate to wait for",
		}
	}
	issued, err := b.engine.Orders.Issue(ctx, req.Storage, r)
	if err != nil {
		return nil, err
	}
	return b.certificateResponse(req, issued, form)
}

// decodeRequest reads the fields that describe the certificate that is wanted, and refuses those
// that CERTInext cannot honour.
func decodeRequest(req *logical.Request, d *framework.FieldData) (backend.Request, error) {
	for _, field := range []string{
		"uri_sans", "other_sans", "user_ids", "not_after", "serial_number",
	} {
		v, ok, err := d.GetOkErr(field)
		if err != nil {
			return backend.Request{}, &backend.FieldError{Field: field, Problem: err.Error()}
		}
		if list, isList := v.([]string); ok && !empty(v) && (!isList || !blank(list)) {
			return backend.Request{}, &backend.FieldError{
				Field:   field,
				Problem: "cannot be honoured by CERTInext",
			}
		}
	}
	if ref := d.Get("issuer_ref").(string); ref != "" && ref != "default" {
		return backend.Request{}, &backend.FieldError{
			Field:   "issuer_ref",
			Problem: "cannot be honoured: the role's product determines the issuer",
		}
	}
	r, err := requestOf(req, d, "alt_names", "ip_sans", "subject", "exclude_cn_from_sans",
		"async", "save_as_draft", "force_new")
	if err != nil {
		return backend.Request{}, err
	}
	r.CommonName = d.Get("common_name").(string)
	r.Subject = d.Get("subject").(map[string]string)
	r.AltNames, r.IPSANs = d.Get("alt_names").([]string), d.Get("ip_sans").([]string)
	r.ExcludeCNFromSANs = d.Get("exclude_cn_from_sans").(bool)
	r.Draft, r.ForceNew = d.Get("save_as_draft").(bool), d.Get("force_new").(bool)
	return r, nil
}

// requestOf is what requests for a certificate have in common: who sends them, and the fields of
// all of them. The error names the first of these and of further fields that has the wrong type.
func requestOf(
	req *logical.Request, d *framework.FieldData, further ...string,
) (backend.Request, error) {
	for _, field := range append([]string{"ttl"}, further...) {
		if _, _, err := d.GetOkErr(field); err != nil {
			return backend.Request{}, &backend.FieldError{Field: field, Problem: err.Error()}
		}
	}
	return backend.Request{
		Role:        d.Get("role").(string),
		Requester:   requester(req),
		EntityID:    req.EntityID,
		DisplayName: req.DisplayName,
		VaultID:     req.ID,
		Owner:       d.Get("owner").(string),
		Metadata:    d.Get("cert_metadata").(string),
		ID:          d.Get("request_id").(string),
		TTL:         time.Duration(d.Get("ttl").(int)) * time.Second,
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
The key is generated inside Vault, with the role's key_type and key_bits, and the certificate is
ordered for common_name and alt_names. The answer has the fields of Vault's PKI engine. If the
role generates leases, the certificate is revoked when its lease ends.

With format=pkcs12_bundle or jks_bundle, certificate holds key, certificate and chain as a
keystore, in base64. Its password is changeit unless pkcs12_password or jks_password sets another
one; it is not stored, and may differ when the request is repeated.

If an order is not finished within the role's issue_timeout, the answer is an error that names the
order and says what it is waiting for. Nothing is lost: the same request from the same requester
finds the order again.

The same request from the same requester is one purchase. Requests that are in flight at the same
time share one order, and for the role's reuse_window after each answer the same request gets the
same certificate and key again, with reused: true and a lease of its own. Requests are the same
when role, names and kind of key are; format and ttl do not matter. force_new=true ignores
certificates that were already delivered, and a request_id keeps a request apart from all others.

Where the role says reuse, that goes on beyond the reuse_window, for requesters with an identity
entity, until the certificate is to be renewed (renew_after).

With dry_run=true, nothing is ordered, stored or handed out: the answer says what the same request
would come to now.
`

const signHelp = `
The role must allow the CSR's key and names. common_name, alt_names and ip_sans may be omitted; if
given, they must be names of the CSR. The certificate is ordered for all names of the CSR. A
keystore (format=pkcs12_bundle or jks_bundle) is a trust store here: it holds certificate and
chain only, since the key is not in Vault.

An order that is not finished within the role's issue_timeout continues, and the same request from
the same requester finds it again. A new CSR for the same key and names is the same request, and
for the role's reuse_window after each answer it gets the same certificate again, with reused:
true; where the role says reuse, until that is to be renewed. A CSR with another key is another
request.

With dry_run=true, nothing is ordered or stored: the answer says what the same request would come
to now.
`
