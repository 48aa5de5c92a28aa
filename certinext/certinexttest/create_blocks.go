// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import "strings"

// A block is a part of a create request that the published table of create
// errors has a code for. The table is that of "POST /{product}-certificates":
// which of its rows a family has follows from what its orders hold. A private
// one has no agreement, and only the sample of an SSL order has remarks.
type block struct {
	there       bool
	code, words string
}

func requestorBlock(p *wireParty) block {
	return block{p != nil, "EMS-916", "Requestor information missing"}
}

// certificateBlock is about whom or what the certificate is for.
func certificateBlock(there bool) block {
	return block{there, "EMS-917", "Certificate information missing"}
}

func remarksBlock(remarks string) block {
	return block{
		strings.TrimSpace(remarks) != "", "EMS-918", "Additional information cannot be empty",
	}
}

func subscriptionBlock(sub *wireSubscription) block {
	return block{sub != nil, "EMS-919", "Subscription information missing"}
}

func agreementBlock(a *wireAgreement) block {
	return block{a != nil && a.Accepted, "EMS-920", "Agreement not accepted"}
}

// firstMissing answers the first block that is not there.
func firstMissing(blocks ...block) *problem {
	for _, b := range blocks {
		if !b.there {
			return rule(b.code, b.words)
		}
	}
	return nil
}
