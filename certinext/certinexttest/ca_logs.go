// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"encoding/base64"
	"net/http"
	"slices"
	"time"
)

// A LogList is the logs of Certificate Transparency whose signed timestamps stand in public TLS
// certificates, in the form of the list that Chrome publishes (version 3), which tools read.
type LogList struct {
	Version     string        `json:"version"`
	PublishedAt time.Time     `json:"log_list_timestamp"`
	Operators   []LogOperator `json:"operators"`
}

// A LogOperator is who runs logs.
type LogOperator struct {
	Name  string      `json:"name"`
	Email []string    `json:"email"`
	Logs  []LogRecord `json:"logs"`
}

// A LogRecord is a log.
type LogRecord struct {
	Description string `json:"description"`
	// ID is the SHA-256 of Key, by which timestamps name it, and Key its SubjectPublicKeyInfo in
	// DER, for ECDSA with P-256; both in base64.
	ID  string `json:"log_id"`
	Key string `json:"key"`
	// URL is one of a domain that there never is (RFC 2606): the log shows nobody its entries.
	URL string `json:"url"`
	// MMD is within how many seconds it promises to enter what it was shown.
	MMD   int      `json:"mmd"`
	State LogState `json:"state"`
}

// A LogState says since when browsers take the log's timestamps.
type LogState struct {
	Usable LogUsable `json:"usable"`
}

// A LogUsable is a time.
type LogUsable struct {
	Since time.Time `json:"timestamp"`
}

// logsAt is where the logs say they are, which is nowhere.
const logsAt = "https://logs.sandbox.invalid/"

// usualDelay is the maximum merge delay of the public logs, a day.
const usualDelay = 24 * 60 * 60

// Logs are the logs that sign for the public TLS certificates of this server. There are three, of
// two operators, and their keys are new at each start.
func (s *Server) Logs() LogList {
	s.once.Do(s.setUp)
	list := LogList{Version: "1.0", PublishedAt: s.now().Truncate(time.Second)}
	for _, log := range s.pki().Logs() {
		id := log.ID()
		record := LogRecord{
			Description: log.Name(), ID: base64.StdEncoding.EncodeToString(id[:]),
			Key: base64.StdEncoding.EncodeToString(log.PublicKey()),
			URL: logsAt + base64.RawURLEncoding.EncodeToString(id[:6]) + "/",
			MMD: usualDelay, State: LogState{LogUsable{log.Since().UTC().Truncate(time.Second)}},
		}
		runs := func(o LogOperator) bool { return o.Name == log.Operator() }
		i := slices.IndexFunc(list.Operators, runs)
		if i < 0 {
			i = len(list.Operators)
			mail := []string{"nobody@sandbox.invalid"}
			list.Operators = append(list.Operators, LogOperator{Name: log.Operator(), Email: mail})
		}
		list.Operators[i].Logs = append(list.Operators[i].Logs, record)
	}
	return list
}

// showLogs answers with the list of logs.
func (s administration) showLogs(*http.Request) (any, error) { return s.Logs(), nil }
