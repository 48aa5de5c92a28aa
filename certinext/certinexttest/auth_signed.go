// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// tsWindow is how far the ts of a signed request may be from the server's
// clock. "A few minutes" is all that is known.
const tsWindow = 5 * time.Minute

var (
	txnShape     = regexp.MustCompile(`^[A-Za-z0-9]{10,50}$`)
	authKeyShape = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// metaRefusal is a refusal in the envelope of the documented token endpoint.
func metaRefusal(status int, ems, message string) *problem {
	return &problem{status: status, meta: true, ems: ems, detail: message}
}

// metaError is that envelope.
func metaError(ems, message string, now time.Time) any {
	return map[string]any{"meta": map[string]string{
		"status": "0", "ts": now.Format(tsLayout), "errorCode": ems, "errorMessage": message,
	}}
}

// tsLayout has seconds precision and a numeric offset, as the published
// pre-request script produces.
const tsLayout = "2006-01-02T15:04:05-07:00"

// grantBySignature is the documented token exchange: a JSON body signed with
// authKey = hex(SHA-256(accessKey + ts + txn)).
func (s tokenEndpoint) grantBySignature(c *call) (reply, *problem) {
	var req wireToken
	if problem := c.checkContentType(); problem != nil {
		return reply{}, metaRefusal(http.StatusBadRequest, "EMS-2028", "token requests are JSON")
	}
	if problem := decode(c.body, &req); problem != nil {
		return reply{}, metaRefusal(http.StatusBadRequest, "EMS-2028", problem.detail)
	}
	if problem := s.checkSignature(req, c.now); problem != nil {
		return reply{}, problem
	}
	if req.GrantType == "refresh_token" {
		g, ok := s.rotate(req.RefreshToken, c.now)
		if !ok {
			return reply{}, metaRefusal(
				http.StatusUnauthorized, "EMS-2038", "Refresh token expired or revoked",
			)
		}
		return signedGrant(g, req.Txn, c.now)
	}
	return signedGrant(s.issueToken(c.now), req.Txn, c.now)
}

// checkSignature goes from form to account to key to replay, so that each
// mistake gets the code that names it.
func (s tokenEndpoint) checkSignature(req wireToken, now time.Time) *problem {
	if problem := checkMeta(req, now); problem != nil {
		return problem
	}
	switch {
	case req.AccountNumber != s.accountNumber():
		return metaRefusal(http.StatusUnauthorized, "EMS-2036", "App code not found")
	case s.KeyState == KeyInactive:
		return metaRefusal(http.StatusUnprocessableEntity, "EMS-2007", "No active API access key")
	case !authKeyShape.MatchString(req.AuthKey):
		return metaRefusal(http.StatusUnauthorized, "EMS-2006", "Invalid access key")
	case !equal(req.AuthKey, authKey(s.accessKey(), req.TS, req.Txn)):
		return metaRefusal(http.StatusUnauthorized, "EMS-2037", "Access key mismatch")
	case s.KeyState == KeyNotOAuth:
		return metaRefusal(
			http.StatusForbidden, "EMS-2022", "OAuth2 is not enabled for this client",
		)
	case !s.tokens.spendTxn(req.Txn, now):
		return metaRefusal(http.StatusBadRequest, "EMS-2028", "txn was used before")
	}
	return nil
}

// checkMeta looks at the form of the request alone.
func checkMeta(req wireToken, now time.Time) *problem {
	missing := func(what string) *problem {
		return metaRefusal(http.StatusBadRequest, "EMS-2028", what)
	}
	switch "" {
	case req.GrantType, req.AccountNumber, req.AuthKey, req.TS, req.Txn:
		return missing("grant_type, accountNumber, authKey, ts and txn are required")
	}
	if req.GrantType != "client_credentials" && req.GrantType != "refresh_token" {
		return missing("grant_type is not supported")
	}
	// The published row for EMS-2028 lists what is required, and ver is not in it.
	if req.Ver != "" && req.Ver != "1.0" {
		return missing("ver must be 1.0")
	}
	ts, err := time.Parse(tsLayout, req.TS)
	if err != nil || strings.HasSuffix(req.TS, "Z") {
		return missing("ts is not a time with seconds and offset")
	}
	if isStale(ts, now) {
		return missing("ts is stale")
	}
	if !txnShape.MatchString(req.Txn) {
		return missing("txn must be 10 to 50 letters and digits")
	}
	return nil
}

// isStale reports whether ts is too far from now, in either direction.
func isStale(ts, now time.Time) bool {
	return ts.Before(now.Add(-tsWindow)) || ts.After(now.Add(tsWindow))
}

func authKey(accessKey, ts, txn string) string {
	sum := sha256.Sum256([]byte(accessKey + ts + txn))
	return hex.EncodeToString(sum[:])
}

// spendTxn records a transaction id and reports whether it was new. Ids are
// minded for as long as a ts could still be fresh.
func (t *tokenStore) spendTxn(txn string, now time.Time) bool {
	for old, until := range t.txns {
		if now.After(until) {
			delete(t.txns, old)
		}
	}
	if _, used := t.txns[txn]; used {
		return false
	}
	t.txns[txn] = now.Add(2 * tsWindow)
	return true
}

func signedGrant(g grant, txn string, now time.Time) (reply, *problem) {
	return respond(http.StatusOK, map[string]any{
		"meta": map[string]string{"status": "1", "ts": now.Format(tsLayout), "txn": txn},
		"tokenDetails": map[string]any{
			"accessToken": g.access, "tokenType": "Bearer", "expiresIn": int(g.ttl.Seconds()),
			"refreshToken": g.refresh,
		},
	})
}
