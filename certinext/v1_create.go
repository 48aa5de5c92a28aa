// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
)

var v1Verbs = map[Family]string{
	FamilySSL:        "GenerateOrderSSL",
	FamilyPrivatePKI: "GenerateOrderPrivatePKI",
	FamilySignature:  "GenerateOrderSignature",
	FamilySMIME:      "GenerateOrderSMIME",
}

func (c v1) create(ctx context.Context, s *session, operation string, r OrderRequest) (*Order, error) {
	verb, ok := v1Verbs[r.Family]
	if !ok {
		return nil, &InvalidRequestError{Field: "Family", Problem: "must be ssl, private-pki, signature or smime"}
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	if err := r.checkV1(); err != nil {
		return nil, err
	}
	body, err := mergeDeep(newWireV1Order(r), r.Extra)
	if err != nil {
		return nil, err
	}
	req := c.tell(operation, verb, "orderDetails", body)
	req.repeat, req.timeout = repeatNever, c.createTimeout()
	req.secrets = r.secrets()
	o, err := fetch(ctx, c.Client, req, func(body []byte) (*Order, error) {
		w, err := decodeTracked(body)
		if err != nil {
			return nil, err
		}
		o := &Order{ID: safeID(w.OrderNumber), RequestID: safeID(w.RequestNumber)}
		return o, placed(o, r)
	})
	if err != nil {
		return nil, err
	}
	s.requestors.remember(o.ID, r.Requestor.Email)
	return o, nil
}

// checkV1 refuses what version 1 would refuse or has no word for.
func (r OrderRequest) checkV1() error {
	switch {
	case r.AccountingModel != "" && r.AccountingModel != AccountingCash && r.AccountingModel != AccountingCredit:
		return &InvalidRequestError{Field: "AccountingModel", Problem: "must be cash or credit"}
	case r.CAProfileID != "":
		return &InvalidRequestError{Field: "CAProfileID", Problem: "cannot be chosen in version 1"}
	case r.MasterProductID != "":
		return &InvalidRequestError{Field: "MasterProductID", Problem: "cannot be chosen in version 1"}
	case r.Family == FamilyPrivatePKI && strings.TrimSpace(r.CSR) == "":
		return &InvalidRequestError{Field: "CSR", Problem: "must be set for private PKI in version 1"} // documented
	case r.Family == FamilySMIME && (r.Subject == nil || strings.TrimSpace(r.Subject.Email) == ""):
		return &InvalidRequestError{Field: "Subject.Email", Problem: "must be set"} // documented
	case r.Agreement != nil && r.Family != FamilyPrivatePKI:
		return r.Agreement.checkV1()
	}
	return nil
}

// checkV1 refuses an agreement that version 1 would refuse. Observed: EMS-1091 for a loopback address.
func (a *Agreement) checkV1() error {
	ip, err := netip.ParseAddr(a.SignerIP)
	if err != nil || !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return &InvalidRequestError{Field: "Agreement.SignerIP", Problem: "must be a public IP address in version 1"}
	}
	return nil
}

// mergeDeep adds the members of extra that known does not send, in the blocks of known too: version 1 has its further fields,
// such as an EV order's companyRegistrationNumber, inside of them.
func mergeDeep(known any, extra map[string]any) (any, error) {
	if len(extra) == 0 {
		return known, nil
	}
	fields, err := merge(known, extra)
	if err != nil {
		return nil, err
	}
	for name, value := range fields {
		raw, sent := value.(json.RawMessage)
		more, both := extra[name].(map[string]any)
		if !sent || !both || !strings.HasPrefix(string(raw), "{") {
			continue
		}
		if fields[name], err = mergeDeep(raw, more); err != nil {
			return nil, err
		}
	}
	return fields, nil
}
