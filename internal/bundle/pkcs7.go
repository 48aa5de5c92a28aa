// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package bundle

import (
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/smallstep/pkcs7"
)

// encodePKCS7 returns a SignedData without signatures, which RFC 2315, section 9.1, defines for
// distributing certificates. CERTInext does not serve PKCS#7 itself (observed: 406).
func encodePKCS7(certificates []string) ([]byte, error) {
	var all []byte
	for _, c := range certificates {
		all = append(all, BytesOf(c)...)
	}
	out, err := pkcs7.DegenerateCertificate(all)
	if err != nil {
		return nil, fmt.Errorf("encoding PKCS#7: %w", err)
	}
	return out, nil
}

func pkcs7PEM(body []byte) string {
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: body})))
}
