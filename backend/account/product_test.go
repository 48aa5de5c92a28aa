// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"fmt"
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

func ssl(code, name, variant string) certinext.Product {
	return certinext.Product{Code: code, Name: name, Family: certinext.FamilySSL, Variant: variant}
}

// tenantCatalog is that of a US tenant, where no code is one of the sandbox.
var tenantCatalog = []certinext.Product{
	ssl("970", "InCommon DV SSL", "dv"),
	ssl("974", "InCommon OV SSL", "ov"),
	ssl("975", "InCommon OV SSL Wildcard", "ov-wildcard"),
	ssl("979", "InCommon EV UCC 1 Year", "ev-ucc"),
	ssl("990", "Something New", ""),
	{Code: "149", Name: "Intranet SSL", Family: certinext.FamilyPrivatePKI, Variant: "private-pki"},
	{Code: "150", Name: "IGTF Host", Family: certinext.FamilyPrivatePKI},
	{Code: "914", Name: "S/MIME OV", Variant: "smime"},
	{
		Code:    "819",
		Name:    "Document Signer DV",
		Family:  certinext.FamilySignature,
		Variant: "natural-person",
	},
}

func TestResolveVariant(t *testing.T) {
	for name, c := range map[string]struct {
		code, variant string
		want          string
		refused       []string // what the refusal says
	}{
		"the catalog tells the variant":                  {code: "974", want: "ov"},
		"the role and the catalog agree":                 {code: "974", variant: "ov", want: "ov"},
		"a type that is not known is what the role says": {code: "990", variant: "ev", want: "ev"},
		"a type that is not known is of its family": {
			code: "990", variant: "igtf-host",
			refused: []string{
				"product_variant:", "990 (Something New) is ssl, not igtf-host",
				"149 (Intranet SSL), 150 (IGTF Host)",
			},
		},
		"a type that is not known says nothing": {
			code: "990", refused: []string{"product_code:", "990 (Something New)", "not a kind"},
		},
		"private PKI is what the role says": {
			code: "149", variant: "igtf-host", want: "igtf-host",
		},
		"private PKI is of two kinds": {
			code: "149", refused: []string{"product_variant:", "intranet-ssl or igtf-host"},
		},
		"private PKI without a type is, too": {
			code: "150", refused: []string{"product_variant:", "intranet-ssl or igtf-host"},
		},
		"a contradiction names the product that is meant": {
			code: "970", variant: "ov", refused: []string{
				"product_variant:", "product 970 (InCommon DV SSL) is dv, not ov",
				"the ov product here is 974 (InCommon OV SSL)",
			},
		},
		"a contradiction without such a product": {
			code: "970", variant: "ev",
			refused: []string{"product 970 (InCommon DV SSL) is dv, not ev"},
		},
		"another family is a contradiction": {
			code: "149", variant: "ov",
			refused: []string{
				"product_variant:", "149 (Intranet SSL) is private-pki, not ov", "974",
			},
		},
		"S/MIME is no SSL": {
			code: "914", variant: "ov", refused: []string{"914 (S/MIME OV) is smime, not ov"},
		},

		"a name is not a code": {
			code: "OV SSL InCommon",
			refused: []string{
				"product_code:", "is not a product code", "the code here is 974 (InCommon OV SSL)",
			},
		},
		"a part of several names": {
			code: "ov ssl",
			refused: []string{
				"the codes here are 974 (InCommon OV SSL), 975 (InCommon OV SSL Wildcard)",
			},
		},
		"a kind is not a code": {
			code:    "ov-wildcard",
			refused: []string{"the code here is 975 (InCommon OV SSL Wildcard)"},
		},
		"no name like that": {
			code:    "platinum",
			refused: []string{`"platinum" is not in this account's catalog; vault read <mount>/catalog/products`},
		},
		"a part of a signer's name": {
			code: "document signer", refused: []string{"the code here is 819 (Document Signer DV)"},
		},

		"a code of another environment": {
			code:    "848",
			refused: []string{`"848" is not in this account's catalog; it has no ov-ucc product`},
		},
		"a code of two other environments": {
			code:    "846",
			refused: []string{"it has no ev product; the ov product here is 974 (InCommon OV SSL)"},
		},
		"the role's variant knows better": {
			code: "846", variant: "dv",
			refused: []string{
				`"846" is not in this account's catalog; ` +
					`the dv product here is 970 (InCommon DV SSL)`,
			},
		},
		"a code of another environment's private PKI": {
			code: "108",
			refused: []string{
				"the private-pki products here are 149 (Intranet SSL), 150 (IGTF Host)",
			},
		},
		"a private kind and a code of nowhere": {
			code: "1", variant: "igtf-host",
			refused: []string{"the private-pki products here are 149"},
		},
		"a number is not a part of a name": {
			code: "1", refused: []string{`"1" is not in this account's catalog; vault read`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ResolveVariant(tenantCatalog, c.code, c.variant)
			if c.refused == nil {
				require.NoError(t, err)
				require.Equal(t, c.want, got)
				return
			}
			require.ErrorAs(t, err, new(*fault.FieldError))
			for _, part := range c.refused {
				require.ErrorContains(t, err, part)
			}
			require.Empty(t, got)
		})
	}
}

func TestHintsNeverSuggestByThemselves(t *testing.T) {
	_, err := ResolveVariant([]certinext.Product{ssl("1", "Only One", "ev")}, "842", "")
	require.ErrorContains(t, err, "it has no dv product; it has no ov product")
	for code := range knownCodes {
		if code != "842" {
			require.NotContains(t, err.Error(), code, "a code that the account does not have")
		}
	}
	_, err = ResolveVariant(nil, "842", "dv")
	require.ErrorContains(t, err, "the account's catalog is empty")
}

func TestAThousandCandidatesMakeAShortMessage(t *testing.T) {
	var products []certinext.Product
	for i := range 1000 {
		products = append(products, ssl(fmt.Sprint(5000+i), "OV", "ov"))
	}
	_, err := ResolveVariant(products, "846", "ov")
	require.ErrorContains(t, err, "5000 (OV), 5001 (OV)")
	require.ErrorContains(t, err, "and 980 more")
	_, err = ResolveVariant(products, strings.Repeat("x", 10000), "")
	require.Less(t, len(err.Error()), 400)
}
