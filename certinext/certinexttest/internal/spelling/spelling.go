// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package spelling writes JSON that says the same in another way: numbers for texts of digits,
// times without a zone, statuses in capitals. It knows which members are what by their names
// alone.
package spelling

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"time"
)

// A Way says which of the spellings of a value is used. The zero value leaves all as it is.
type Way struct {
	// Numbers writes order, request, group and organization numbers that are digits as JSON
	// numbers.
	Numbers bool
	// Capitals writes statuses and reasons in capital letters.
	Capitals bool
	// Times is how a time is written.
	Times Times
}

// Times is how a time is written.
type Times int

const (
	// TimesAsTheyAre leaves each as it is.
	TimesAsTheyAre Times = iota
	// TimesRFC3339 writes all like 2006-01-02T15:04:05Z.
	TimesRFC3339
	// TimesWithoutZone writes all like 2006-01-02 15:04:05, in UTC.
	TimesWithoutZone
)

// zoneless is a time without a zone, in UTC.
const zoneless = "2006-01-02 15:04:05"

// isTime tells what is a time in one of the two ways.
var isTime = regexp.MustCompile(`^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?$`)

// isNumber tells what JSON can hold as a number and Go as an int64.
var isNumber = regexp.MustCompile(`^[1-9]\d{0,17}$`)

// numbered and capital are the members whose values are numbers, and words of a list.
var (
	numbered = map[string]bool{
		"orderId": true, "requestId": true, "orderNumber": true, "requestNumber": true,
		"groupNumber": true, "organizationNumber": true,
	}
	capital = map[string]bool{
		"status": true, "orderStatus": true, "certificateStatus": true, "reason": true,
		"revocationReason": true,
	}
)

// Respell writes a JSON text in this way. What is no JSON is returned as it is.
func (w Way) Respell(text []byte) []byte {
	if w == (Way{}) {
		return text
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var value any
	if dec.Decode(&value) != nil {
		return text
	}
	respelt, err := json.Marshal(w.value("", value))
	if err != nil {
		return text
	}
	return respelt
}

// value respells the value of a member, and all below it.
func (w Way) value(name string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		for member, below := range v {
			v[member] = w.value(member, below)
		}
	case []any:
		for i, below := range v {
			v[i] = w.value(name, below)
		}
	case string:
		return w.text(name, v)
	}
	return value
}

func (w Way) text(name, text string) any {
	switch {
	case w.Numbers && numbered[name] && isNumber.MatchString(text):
		return json.Number(text)
	case w.Capitals && capital[name]:
		return strings.ToUpper(text)
	case w.Times != TimesAsTheyAre && isTime.MatchString(text):
		return w.time(text)
	}
	return text
}

func (w Way) time(text string) string {
	layout := time.RFC3339
	if !strings.HasSuffix(text, "Z") {
		layout = zoneless
	}
	t, err := time.Parse(layout, text)
	switch {
	case err != nil:
		return text
	case w.Times == TimesRFC3339:
		return t.UTC().Format(time.RFC3339)
	default:
		return t.UTC().Format(zoneless)
	}
}
