// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package certinext is a client of the CERTInext API, with which certificates are ordered from
// eMudhra's certificate authority, validated, downloaded and revoked. It knows HTTP and CERTInext
// and nothing else.
//
// For most uses, fill in two fields of a [Client], place an order with [Client.CreateOrder], and
// then let the order's own [Status] say what comes next, however often and in whatever order the
// stages appear:
//
//	c := &certinext.Client{
//		BaseURL:     "https://us-api.certinext.io",
//		Credentials: certinext.OAuth{ClientID: id, ClientSecret: secret},
//	}
//
// An order takes seconds when its domain is already validated and days when a person has to approve
// it, so the package offers single calls and no loop that waits: the caller owns the clock. An
// order is finished when [Client.Certificate] has delivered a certificate with the right public
// key, and not before: the status issued was observed to come some seconds early, and even without
// a CSR.
//
// The hazard: an order costs money, and creating one is not idempotent. The live service ignores
// the Idempotency-Key header (observed 2026), and a create was observed to run past 100 seconds, to
// fail, and to leave a billable order behind. This package therefore never repeats a create, and a
// caller that wants to repeat one must read the section on errors below.
//
// # Authentication
//
// CERTInext's published API collection and its live service differ, and the kind of key decides
// which of the two is spoken. Use [OAuth] with a key that the portal made under Integrations, APIs
// with the authentication type OAuth, which the live service takes. [AccessKey] is the signed
// exchange of the published collection.
//
// A key whose authentication type is Access Key is good for version 1 of the live API only: set
// [Client.Version] to [V1]. No token is fetched then, and every request is signed with the key,
// which is not sent itself.
//
// Either is exchanged for a bearer token, which is fetched when first needed, shared by all calls
// of the Client, renewed a minute before its end, six before a create, and renewed once more if a
// call is answered 401: a token may die early when the same key is used elsewhere. Tokens are sent
// to the host of BaseURL only, and redirects are not followed.
//
// # Two versions
//
// Version 1 knows the same orders as version 2, and the methods, results and errors here are the
// same for both. An order of version 1 can also be for an S/MIME certificate, needs a public
// [Agreement.SignerIP], for private PKI needs the CSR at once, and cannot choose a CA profile. Its
// calls do not tell families apart. It has no Idempotency-Key at all.
//
// Its answers say less. The answer to a create has numbers alone, so that the order's status is
// [StatusUnknown] until it is tracked. The validated domains of an organization count only for an
// order with that [OrderRequest.Organization], DV orders included (documented). Its
// [Client.VerifyDCV] only asks for a validation, and fails with an error that [IsVerifying]
// recognizes until the validation is done; its [Client.DCVChallenge] fails for a while with one
// that [IsDCVNotReady] recognizes. There is no reissue, and the domains of the account can only be
// listed.
//
// # Errors and repeating a call
//
// Every failure is an [*Error]. Its field Acted says whether CERTInext may have carried the call
// out although it failed; [MayHaveActed] asks this of any error. When Acted is false the call can
// be made again. When it is true after CreateOrder, the order may exist: look for it with
// [Client.OrdersReport] by a marker in Tags, and only place it again when it certainly is not
// there. The same goes for a process that dies before it could store the answer, so the marker
// belongs into storage before the call.
//
// Between a client and CERTInext stand gateways, filters and caches, which may answer in its place
// after it has taken the call. A refusal therefore counts only in a shape of CERTInext's own, which
// [IsRefusal] and the field Own report; a 404 in any other shape does not mean that there is no
// such order. A success counts only in the form in which CERTInext answers that call, and a
// statement about an order only with the order's number. After any other answer, Acted is true.
//
// A request that cannot succeed is refused before it is sent: the Error then wraps an
// [*InvalidRequestError], which names the field, or an [*UnsupportedReasonError].
//
// Reads are repeated here, with growing pauses, after a lost connection, a 429 or a 5xx. Other
// calls are repeated only after a 429, and where nothing was sent. A create is sent once, and again
// only after a 401 of CERTInext's own. Version 1's limit on bursts, "Inactive Account User.", is
// waited out for every call: CERTInext does nothing with a call that it refuses.
//
// # What is documented and what was observed
//
// Comments name the source of a fact where it matters. "Documented" is the vendor's published API
// description, in either of its editions; "observed" is the live service in 2026. Where both exist,
// the client takes either.
package certinext
