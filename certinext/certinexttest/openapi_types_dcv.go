// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

// The forms of answers about domain control; see openapi_types.go.

// docChallengeLive has a file's name beside its content where the method is http-url.
type docChallengeLive struct {
	Token           string `json:"token"`
	TokenExpiryDate string `json:"tokenExpiryDate"`
	FileName        string `json:"fileName,omitempty"`
}

type docChallengeDoc1 struct {
	Domains []struct {
		Domain  string `json:"domain"`
		Methods struct {
			DNS struct {
				Host          string `json:"host"`
				ExpectedValue string `json:"expectedValue"`
			} `json:"dns-txt"`
			HTTP *struct {
				Path            string `json:"path"`
				ExpectedContent string `json:"expectedContent"`
			} `json:"http-url,omitempty"`
			Email struct {
				SendTo []string `json:"sendTo"`
			} `json:"email"`
		} `json:"methods"`
	} `json:"domains"`
}

type docChallengeDoc2 struct {
	OrderNumber     string `json:"orderNumber"`
	DomainName      string `json:"domainName"`
	DCVMethod       string `json:"dcvMethod"`
	FileNameContent string `json:"fileNameContent"`
	DVFileToken     string `json:"dvFileToken"`
	DVFileName      string `json:"dvFileName"`
	TokenExpiryDate string `json:"tokenExpiryDate"`
}

type docChallengeRecord struct {
	Method   string `json:"method"`
	TXTToken string `json:"txtToken"`
}

type docChallengeFile struct {
	FileName  string `json:"fileName"`
	FileToken string `json:"fileToken"`
}

type docVerified struct {
	OverallStatus string         `json:"overallStatus"`
	Method        string         `json:"method"`
	VerifiedAt    string         `json:"verifiedAt"`
	Diagnostics   docDiagnostics `json:"diagnostics"`
}

type docDiagnostics struct {
	SchemaVersion int    `json:"schemaVersion"`
	Method        string `json:"method"`
	OverallStatus string `json:"overallStatus"`
	FailureClass  string `json:"failureClass,omitempty"`
	Consensus     struct {
		PerspectiveCount int  `json:"perspectiveCount"`
		QuorumCount      int  `json:"quorumCount"`
		Agreed           bool `json:"agreed"`
	} `json:"consensus"`
	Perspectives []any `json:"perspectives"`
	NextSteps    []struct {
		Key      string   `json:"key"`
		Severity string   `json:"severity"`
		Params   struct{} `json:"params"`
	} `json:"nextSteps"`
}

type docDomain struct {
	DomainID         string             `json:"domainId"`
	DomainName       string             `json:"domainName"`
	OrganizationName string             `json:"organizationName"`
	Status           string             `json:"status"`
	DCVStatus        string             `json:"dcvStatus"`
	DCV              docDomainChallenge `json:"dcv"`
	CreatedAt        string             `json:"createdAt"`
	VerifiedAt       string             `json:"verifiedAt,omitempty"`
	ValidTill        string             `json:"validTill,omitempty"`
}

type docDomainAdded struct {
	docDomain
	DomainStatus   string `json:"domainStatus"`
	DCVMethod      string `json:"dcvMethod"`
	AutoVerify     bool   `json:"autoVerify"`
	OrganizationID string `json:"organizationId"`
}

type docDomainChallenge struct {
	Method      string `json:"method"`
	TXTToken    string `json:"txtToken,omitempty"`
	FileName    string `json:"fileName,omitempty"`
	FileToken   string `json:"fileToken,omitempty"`
	TokenExpiry string `json:"tokenExpiry,omitempty"`
}

type docAttempt struct {
	AttemptID     string `json:"attemptId"`
	AttemptedAt   string `json:"attemptedAt"`
	Method        string `json:"method"`
	OverallStatus string `json:"overallStatus"`
	FailureClass  string `json:"failureClass,omitempty"`
}

type docLastAttempt struct {
	DomainID    string         `json:"domainId"`
	Method      string         `json:"method"`
	Status      string         `json:"status"`
	Diagnostics docDiagnostics `json:"diagnostics"`
}
