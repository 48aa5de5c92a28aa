// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/bundle"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

const certPattern = `cert/(?P<serial>[0-9A-Fa-f:-]+)`

func (b *secretsBackend) pathCertificates() []*framework.Path {
	return []*framework.Path{
		{
			Pattern: "certs/revoked/?$",
			Fields:  listFields(),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: operation(b.listRevoked,
					"List the serial numbers of revoked certificates.",
					"list", "revoked-certificates", merge(keysField("Serial numbers."),
						keyInfoField(aboutListedCertificate))),
			},
			HelpSynopsis: "List the revoked certificates.",
			HelpDescription: "Lists the serial numbers of the certificates that CERTInext has " +
				"revoked.",
		},
		{
			Pattern: "certs/revocation-queue/?$",
			Fields:  listFields(),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: operation(b.listRevocationQueue,
					"List the pending revocations.",
					"list", "revocation-queue",
					merge(keysField("Serial numbers."), queueInfoField())),
			},
			HelpSynopsis: "List the revocations that CERTInext has not carried out yet.",
			HelpDescription: "A revocation stays in the queue until the status of its order at " +
				"CERTInext shows it, and is retried until then or until the certificate has " +
				"expired. A certificate with several leases stays in the queue until the last of " +
				"them ends, and one whose role has a revocation_delay until that is over.",
		},
		{
			Pattern: "certs/?$",
			Fields:  listFields(),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: operation(b.listCertificates,
					"List the serial numbers of certificates.",
					"list", "certificates", merge(keysField("Serial numbers."),
						keyInfoField(aboutListedCertificate))),
			},
			HelpSynopsis: "List the certificates.",
			HelpDescription: "Lists the serial numbers of all certificates that this mount has " +
				"obtained from CERTInext.",
		},
		b.rawCertificate("raw$", "A certificate in DER.", "cert-raw-der", bundle.MediaDER,
			bundle.BytesOf),
		b.rawCertificate("raw/pem$", "A certificate in PEM.", "cert-raw-pem", bundle.MediaChain,
			func(text string) []byte { return []byte(text) }),
		{
			Pattern: certPattern + `/download/(?P<form>\w+)$`,
			Fields:  merge(serialField(), formField(), downloadFields()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(b.downloadCertificate,
					"Download a certificate as a file.",
					"download", "certificate", fileFields()),
			},
			HelpSynopsis:    "Download a certificate in one of several forms.",
			HelpDescription: downloadHelp,
		},
		{
			Pattern: certPattern + "$",
			Fields:  serialField(),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(b.readCertificate,
					"Read a certificate.",
					"read", "certificate", merge(certificateRecordFields(), detailFields())),
			},
			HelpSynopsis: "Read a certificate.",
			HelpDescription: "Returns a certificate, its chain and whether it is revoked. The " +
				"private key is never part of the answer.",
		},
	}
}

// queueInfoField describes the entries of the revocation queue, beside their keys.
func queueInfoField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"key_info": {
			Type: framework.TypeMap,
			Description: "For each of the first thousand serial numbers: reason, queued_at, " +
				"attempts, next_attempt, last_error, account, ca_order_id and blocked: why it " +
				"cannot be tried, empty when it can be; and held_until while the role's " +
				"revocation_delay holds the revocation back.",
		},
	}
}

// certificateRecordFields are the answer of cert/<serial>.
func certificateRecordFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"certificate": {
			Type:        framework.TypeString,
			Description: "Certificate in PEM.",
		},
		"issuing_ca": {
			Type:        framework.TypeString,
			Description: "Certificate of the issuing CA, in PEM.",
		},
		"ca_chain": {
			Type:        framework.TypeString,
			Description: "Chain in PEM, the issuing CA first.",
		},
		"issuer_id": {
			Type: framework.TypeString,
			Description: "Id of the issuing CA, as in issuers; empty when CERTInext delivered no " +
				"chain.",
		},
		"authority_key_id": authorityKeyID(),
		"serial_number": {
			Type:        framework.TypeString,
			Description: "Serial number, colon-separated hexadecimal.",
		},
		"expiration": {
			Type:        framework.TypeInt64,
			Description: "End of the certificate's validity, in seconds since 1970.",
		},
		"revocation_time": {
			Type:        framework.TypeInt64,
			Description: "When it was revoked, in seconds since 1970; 0 when it is not revoked.",
		},
		"revocation_time_rfc3339": {
			Type:        framework.TypeString,
			Description: "The same time in RFC 3339; empty when it is not revoked.",
		},
		"revocation_reason": {
			Type:        framework.TypeString,
			Description: "Reason for the revocation; empty where CERTInext does not tell why.",
		},
		"revocation_queued": {
			Type:        framework.TypeBool,
			Description: "Whether a revocation is queued for CERTInext.",
		},
		"revocation_held_until": {
			Type: framework.TypeString,
			Description: "Until when the role's revocation_delay holds the revocation back that " +
				"follows from the end of the last lease, in RFC 3339; empty when it does not.",
		},
		"role": {
			Type:        framework.TypeString,
			Description: "Role under which it was ordered.",
		},
		"order_id": {
			Type:        framework.TypeString,
			Description: "Id of its order in this mount.",
		},
		"ca_order_id": {
			Type:        framework.TypeString,
			Description: "CERTInext's order number.",
		},
		"origin": {
			Type: framework.TypeString,
			Description: "How this mount came to it: order (of this mount), synchronized (it was " +
				"ordered elsewhere, and belongs to no role) or adopted (it was ordered " +
				"elsewhere, and was given to its role).",
		},
		"adopted_at": {
			Type:        framework.TypeString,
			Description: "When it was adopted, in RFC 3339; empty for most.",
		},
		"held": {
			Type: framework.TypeStringSlice,
			Description: "Why the certificate is not handed over until an operator releases it: " +
				"in which way it is not what was ordered.",
		},
		"remarks": {
			Type: framework.TypeStringSlice,
			Description: "What is noteworthy about the certificate. Each answer that holds it " +
				"warns of it.",
		},
		"renewal_of": {
			Type: framework.TypeString,
			Description: "Serial number of the certificate that this one renews, by a new order " +
				"or by a reissue.",
		},
		"renewed_by": {
			Type: framework.TypeString,
			Description: "Serial number of the latest certificate that renews this one, where " +
				"its role said renewal=reissue, renew_ahead, revoke_replaced_after or reuse " +
				"by then.",
		},
		"ca_renews_at": {
			Type: framework.TypeString,
			Description: "When CERTInext is to renew it by itself, since its order was placed " +
				"with auto_renew, in RFC 3339; empty for most.",
		},
		"revoke_at": {
			Type: framework.TypeString,
			Description: "When it is to be revoked because renewed_by has replaced it, in RFC " +
				"3339, if no lease on it runs then; empty for most. keep=true at revoke/<role> " +
				"keeps it.",
		},
		"replacement": {
			Type: framework.TypeMap,
			Description: "Set when the certificate is replaced before its time: campaign (empty " +
				"when the engine itself has it replaced), and why.",
		},
		"renew_ahead_refused": {
			Type: framework.TypeString,
			Description: "Why its successor could not be made ahead of the request for it " +
				"(renew_ahead of the role), as of the latest attempt; mostly empty.",
		},
		"trust": {
			Type: framework.TypeMap,
			Description: "Which clients accept it now, by the keys and roots of config/trust: " +
				"distrusted (refused keys, when each of its chains has one), avoid (refused keys " +
				"of some of its chains), accepted_by and refused_by (families of clients), and " +
				"unfinished (it has more chains than can be tried, and clients may accept it by " +
				"one of the others).",
		},
		"renew_after": renewAfter(),
		"reissue_of": {
			Type: framework.TypeString,
			Description: "Serial number of the certificate that this one replaces within its " +
				"order.",
		},
		"subscription_end": {
			Type: framework.TypeString,
			Description: "When the term ends, in RFC 3339, that the certificate's order has " +
				"bought, within which it can be reissued; empty when that is not known.",
		},
		"subscription_told": {
			Type: framework.TypeBool,
			Description: "CERTInext has said when the term ends. Otherwise it is reckoned from " +
				"the day of the order and validity_years.",
		},
		"subscription_price":        subscriptionPrice(),
		"subscription_currency":     subscriptionCurrency(),
		"subscription_certificates": subscriptionCertificates(),
	}
}

// detailFields are the part of the answer of cert/<serial> that Vault's PKI engine does not have.
func detailFields() map[string]*framework.FieldSchema {
	text := func(description string) *framework.FieldSchema {
		return &framework.FieldSchema{Type: framework.TypeString, Description: description}
	}
	return map[string]*framework.FieldSchema{
		"names": {
			Type:        framework.TypeStringSlice,
			Description: "DNS names, IP addresses and e-mail addresses, the common name first.",
		},
		"subject":    text("Subject, as RFC 2253 writes it."),
		"issuer":     text("Subject of the issuing CA, as RFC 2253 writes it."),
		"not_before": text("When it begins to be valid, in RFC 3339."),
		"not_after":  text("When it ends to be valid, in RFC 3339."),
		"key_type":   text("Type of its key: ec or rsa."),
		"key_bits":   {Type: framework.TypeInt, Description: "Bits of its key, such as 256."},
		"key_usage": {
			Type: framework.TypeStringSlice,
			Description: "What its key may be used for, such as DigitalSignature; empty where " +
				"it does not say.",
		},
		"ext_key_usage": {
			Type: framework.TypeStringSlice,
			Description: "What it may be used for, such as ServerAuth and ClientAuth; what has " +
				"no name is a dotted number. Empty where it does not say, which allows anything.",
		},
		"state": text("valid, expired, revoked, or held: valid, and not handed over."),
		"requester": text("Who has asked for it: entity:<id>, or token-<hash> for a token " +
			"without an identity entity."),
		"owner": text("Who answers for it, as the request said."),
		"origin": text("order for one of this mount's orders, synchronized for one that was " +
			"found in CERTInext's records."),
		"chain": {
			Type: framework.TypeSlice,
			Description: "The CAs of its chain, the issuing one first, each with subject, " +
				"serial_number and not_after.",
		},
		"history": {
			Type: framework.TypeSlice,
			Description: "What has happened to it, each with at and what: issued, released, " +
				"handed over, renewed, revoked, expired.",
		},
	}
}

// rawCertificate returns a certificate alone, at a path of Vault's PKI engine. An unknown serial
// number is a 404 here. In that engine it is an empty 204, which a client could take for a
// certificate.
func (b *secretsBackend) rawCertificate(
	suffix, summary, id, kind string, encode func(pemText string) []byte,
) *framework.Path {
	read := func(
		ctx context.Context, req *logical.Request, d *framework.FieldData,
	) (*logical.Response, error) {
		c, err := b.engine.Certificates.Certificate(ctx, req.Storage, d.Get("serial").(string))
		if err != nil || c == nil {
			return nil, err
		}
		if len(c.Held) > 0 {
			return nil, heldCertificate(c)
		}
		return rawResponse(encode(c.PEM), kind), nil
	}
	return &framework.Path{
		Pattern: certPattern + "/" + suffix,
		Fields:  serialField(),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: operation(read, summary, "read", id, nil),
		},
		HelpSynopsis: summary,
		HelpDescription: "The answer is the certificate itself, not JSON. cert/<serial> returns " +
			"JSON, and cert/<serial>/download offers further forms.",
	}
}

func serialField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"serial": {
			Type: framework.TypeString, Required: true,
			Description: "Serial number in hexadecimal, with colons or dashes.",
		},
	}
}

func (b *secretsBackend) listRevoked(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	serials, err := b.engine.Certificates.ListRevoked(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return b.detailedSerials(ctx, req, listedSerials(serials, d)), nil
}

// detailedSerials is the answer that lists certificates.
func (b *secretsBackend) detailedSerials(
	ctx context.Context, req *logical.Request, serials []string,
) *logical.Response {
	described, whole := backend.DescribeListed(ctx, b.engine, req.Storage, serials)
	return detailedList(serials, described, whole, listedInfo)
}

func (b *secretsBackend) listRevocationQueue(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	queue, err := b.engine.Certificates.Queue(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	keys, info := []string{}, map[string]any{}
	for _, q := range queue {
		keys = append(keys, q.Serial)
	}
	keys = listedSerials(keys, d)
	for _, q := range queue {
		if _, shown := slices.BinarySearch(keys, q.Serial); !shown || !q.Described {
			continue
		}
		info[q.Serial] = encodeQueueInfo(&q)
	}
	return logical.ListResponseWithInfo(keys, info), nil
}

func (b *secretsBackend) listCertificates(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	serials, err := b.engine.Certificates.List(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return b.detailedSerials(ctx, req, listedSerials(serials, d)), nil
}

func (b *secretsBackend) readCertificate(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	c, detail, err := backend.DescribeCertificate(
		ctx, b.engine, req.Storage, d.Get("serial").(string))
	if err != nil || c == nil {
		return nil, err
	}
	resp := &logical.Response{Data: encodeCertificate(c)}
	maps.Copy(resp.Data, encodeDetail(c, detail))
	b.countCertificates(ctx, req.Storage, resp, c.Account, c.CAOrderID)
	verdict, err := backend.TrustIn(ctx, b.engine, req.Storage, c)
	if err != nil {
		return nil, err
	}
	resp.Data["trust"] = encodeTrust(verdict)
	return resp, nil
}

func (b *secretsBackend) downloadCertificate(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	found, err := b.engine.Orders.DownloadCertificate(ctx, req.Storage, d.Get("serial").(string))
	if err != nil || found == nil {
		return nil, err
	}
	if len(found.Certificate.Held) > 0 {
		return nil, heldCertificate(found.Certificate)
	}
	return downloadResponse(found, d)
}

// heldCertificate is the error for a file of a certificate that is held: a file has no room to say
// so.
func heldCertificate(c *backend.Certificate) error {
	return &backend.FieldError{
		Field: "serial",
		Problem: c.Serial + " is held, since it is not what was ordered: " +
			strings.Join(c.Held, "; ") + ". vault read <mount>/cert/" + c.Serial + " shows it",
	}
}

func encodeCertificate(c *backend.Certificate) map[string]any {
	data := map[string]any{
		"certificate":             c.PEM,
		"issuing_ca":              "",
		"ca_chain":                bundle.JoinPEM(c.Chain),
		"issuer_id":               "",
		"authority_key_id":        bundle.AuthorityKeyID(c.PEM),
		"serial_number":           c.Serial,
		"expiration":              c.NotAfter.Unix(),
		"renew_after":             c.RenewAfter.Unix(),
		"revocation_time":         int64(0),
		"revocation_time_rfc3339": "",
		"revocation_reason":       string(c.RevokedReason),
		"revocation_queued":       c.RevocationQueued,
		"revocation_held_until":   "",
		"role":                    c.Role,
		"order_id":                c.OrderID,
		"ca_order_id":             c.CAOrderID,
		"origin":                  string(c.Origin),
		"adopted_at":              rfc3339(c.AdoptedAt),
		"held":                    append([]string{}, c.Held...),
		"remarks":                 append([]string{}, c.Remarks...),
		"renewal_of":              c.RenewalOf,
		"renewed_by":              c.RenewedBy,
		"ca_renews_at":            rfc3339(c.CARenewsAt),
		"revoke_at":               rfc3339(c.RevokeAt),
		"renew_ahead_refused":     c.AheadRefused,
		"replacement":             encodeReplacement(c),
		"reissue_of":              c.ReissueOf,
		"subscription_end":        rfc3339(c.Subscription.EndsAt),
		"subscription_told":       c.Subscription.Told,
		"subscription_price":      c.Subscription.Price,
		"subscription_currency":   c.Subscription.Currency,
	}
	if len(c.Chain) > 0 {
		data["issuing_ca"] = c.Chain[0]
	}
	if issuers := bundle.Issuers(c.Chain); len(issuers) > 0 {
		data["issuer_id"] = issuers[0].ID
	}
	if !c.RevocationHeldUntil.IsZero() {
		data["revocation_held_until"] = c.RevocationHeldUntil.UTC().Format(time.RFC3339)
	}
	if !c.RevokedAt.IsZero() {
		data["revocation_time"] = c.RevokedAt.Unix()
		data["revocation_time_rfc3339"] = c.RevokedAt.UTC().Format(time.RFC3339Nano)
	}
	return data
}

// encodeDetail returns what a certificate itself says, and what has happened to it.
func encodeDetail(c *backend.Certificate, detail *backend.CertificateDetail) map[string]any {
	chain, history := []map[string]any{}, []map[string]any{}
	for _, link := range detail.Chain {
		chain = append(chain, map[string]any{
			"subject": link.Subject, "serial_number": link.Serial,
			"not_after": rfc3339(link.NotAfter),
		})
	}
	for _, e := range detail.History {
		history = append(history, map[string]any{"at": rfc3339(e.At), "what": e.What})
	}
	return map[string]any{
		"names":         append([]string{}, detail.Names...),
		"subject":       detail.Subject,
		"issuer":        detail.Issuer,
		"not_before":    rfc3339(c.NotBefore),
		"not_after":     rfc3339(c.NotAfter),
		"key_type":      detail.KeyType,
		"key_bits":      detail.KeyBits,
		"key_usage":     append([]string{}, detail.KeyUsage...),
		"ext_key_usage": append([]string{}, detail.ExtUsage...),
		"state":         detail.State,
		"requester":     detail.Requester,
		"owner":         detail.Owner,
		"origin":        string(detail.Origin),
		"chain":         chain,
		"history":       history,
	}
}

const downloadHelp = `
Each form is a file: crt is the certificate in PEM, der the certificate in DER, ca its chain in
PEM, bundle certificate and chain in PEM, pkcs7 certificate and chain as PKCS#7 (a .p7b file), csr
the certificate signing request in PEM, and zip an archive of all of them except der. No form
contains the private key. The files are made from what the mount has stored: CERTInext is not
asked, and a revoked certificate can still be downloaded.

The answer is the file itself, not JSON, as with cert/<serial>/raw. Fetch it with curl, or with
vault read -format=raw, which appends a newline. With encoding=base64, the answer is JSON with the
file in content, for clients that handle only JSON and for vault read -field=content …
encoding=base64 | base64 -d, which yields the exact bytes.
`

func encodeReplacement(c *backend.Certificate) map[string]any {
	if c.ReplacedBecause == "" {
		return map[string]any{}
	}
	return map[string]any{"campaign": c.ReplacedFor, "why": c.ReplacedBecause}
}
