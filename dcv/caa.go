// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"

	"github.com/miekg/dns"
)

// A CAARecord says which CAs may issue for a name, or what else its owner asks of them (RFC 8659).
type CAARecord struct {
	Critical   bool // a CA that does not know the tag must not issue
	Tag, Value string
}

// CAA returns the CAA records at exactly one name, after aliases. There are none at a name that
// does not exist.
func (r *Resolver) CAA(ctx context.Context, name string) ([]CAARecord, error) {
	name = Canonical(name)
	for range maxAliases {
		answer, err := r.ask(ctx, name, dns.TypeCAA)
		if err != nil {
			return nil, err
		}
		records, at := caaIn(answer, name)
		if len(records) > 0 || at == name {
			return records, nil
		}
		if at == "" {
			break
		}
		name = at // the resolver has answered with the alias alone, or there is nothing behind it
	}
	return nil, &LookupError{
		Name: name, Type: "CAA", Server: "several servers", Problem: "its aliases do not end",
	}
}

// caaIn returns the records that an answer has for a name, or the name that its aliases lead to;
// an empty one when they go round in a circle.
func caaIn(answer *dns.Msg, name string) (records []CAARecord, at string) {
	at = name
	for range len(answer.Answer) + 1 {
		next := ""
		for _, rr := range answer.Answer {
			if Canonical(rr.Header().Name) != at {
				continue
			}
			switch rr := rr.(type) {
			case *dns.CAA:
				records = append(records, CAARecord{rr.Flag&criticalFlag != 0, rr.Tag, rr.Value})
			case *dns.CNAME:
				next = Canonical(rr.Target)
			}
		}
		if len(records) > 0 || next == "" {
			return records, at
		}
		at = next
	}
	return nil, ""
}

// criticalFlag is the most significant bit of a CAA record's flags.
const criticalFlag = 0x80
