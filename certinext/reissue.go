// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"net/http"
	"strings"
)

// A ReissueRequest asks for another certificate within an issued order.
type ReissueRequest struct {
	// CSR is in PEM, with a key that no order has had yet.
	CSR string
	// AdditionalDomains, when UpdateNames is set, are the order's further names from now on, for multi-domain products;
	// new ones have to be validated. Otherwise the names stay, and only the key changes.
	UpdateNames       bool
	AdditionalDomains []string
	Reason            string // free text; CERTInext wants one, so an empty one is replaced
	// RevokePrevious has CERTInext revoke the certificate that the order had, for RevokeReason; superseded when empty.
	RevokePrevious bool
	RevokeReason   Reason
}

// ReissueOrder asks for another certificate within an issued SSL order (documented for version 2; nobody was seen to run it).
// The order keeps its id and gets another RequestID, which tells a reissue that was taken from one that was not. Until the
// new certificate is there, [Client.Certificate] may deliver the one before. What a reissue costs is not documented.
//
// Like a create it is sent once, and again only after a 401 of CERTInext's own. An answer that does not name the order is an
// error. After an error whose Acted is true the order's RequestID has to be looked at.
func (c *Client) ReissueOrder(ctx context.Context, f Family, id string, r ReissueRequest) (*Order, error) {
	const operation = "reissuing certificate"
	req, err := c.reissue(operation, f, id, r)
	if err != nil {
		return nil, asError(operation, err)
	}
	o, err := fetch(ctx, c, req, func(body []byte) (*Order, error) {
		o, err := decodeOrderOf(body, id)
		if err == nil && o.ID == "" {
			err = errNoOrderID // documented: 201 with the order's own id
		}
		return o, err
	})
	if err != nil {
		return nil, err
	}
	if o.Status == "" {
		o.Status = StatusUnknown
	}
	return o, nil
}

// reissue builds the call.
func (c *Client) reissue(operation string, f Family, id string, r ReissueRequest) (*call, error) {
	if _, e := c.open(operation); e != nil {
		return nil, e
	}
	switch {
	case c.Version == V1:
		return nil, &InvalidRequestError{Field: "Version", Problem: "must be V2: version 1 has no reissue"}
	case f != FamilySSL:
		return nil, &InvalidRequestError{Field: "Family", Problem: "must be ssl: there is no reissue of others"}
	case strings.TrimSpace(r.CSR) == "":
		return nil, &InvalidRequestError{Field: "CSR", Problem: "must be set"}
	}
	w := wireReissue{
		Mode: "rekey", Reason: freeText(r.Reason, "Rekey", maxWords), CSR: r.CSR, RevokePrevious: r.RevokePrevious,
	}
	if r.UpdateNames {
		w.Mode, w.AdditionalDomains = "update-sans", r.AdditionalDomains
		for _, name := range r.AdditionalDomains {
			if problem := dnsNameProblem(name); problem != "" {
				return nil, &InvalidRequestError{Field: "AdditionalDomains", Problem: problem}
			}
		}
	}
	if r.RevokePrevious {
		reason, err := ParseReason(first(text(r.RevokeReason), text(ReasonSuperseded)))
		if err != nil {
			return nil, err
		}
		w.RevokeReason = reason.spelling(c.Credentials.dialect())
	}
	path, err := orderPath(f, id, "/reissue")
	if err != nil {
		return nil, err
	}
	req, err := c.write(operation, http.MethodPost, path, w)
	if err != nil {
		return nil, err
	}
	req.repeat, req.timeout = repeatNever, c.createTimeout()
	return req, nil
}
