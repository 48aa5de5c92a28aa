// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// theBare is a request for a certificate without a lease.
var theBare = Request{Who: "ann", Role: "bare", Name: "n1"}

// TestHistoriesTidy: what the oracle is to judge happens, and what must not does not.
func TestHistoriesTidy(t *testing.T) {
	month, year := Action{Do: "time", For: 33 * aDay}, Action{Do: "time", For: 370 * aDay}
	all, rest := Action{Do: "tidy", How: "all"}, Action{Do: "time", For: 20 * time.Minute}
	for name, c := range map[string]struct {
		role   string
		then   []Action
		certs  int // erased
		orders int // whose records are erased
	}{
		"what is over":                   {"bare", []Action{year, all, rest}, 1, 1},
		"what is valid":                  {"bare", []Action{rest, all, rest}, 0, 0},
		"what may be reissued":           {"bare", []Action{month, all, rest}, 0, 0},
		"by itself":                      {"bare", []Action{{Do: "tidy", How: "auto-all"}, year, rest}, 1, 1},
		"by a clock that is wrong":       {"bare", []Action{rest, {Do: "clock", For: twoMonths}, all, rest}, 0, 0},
		"what a dry run tells of":        {"bare", []Action{year, {Do: "tidy", How: "dry"}, rest}, 0, 0},
		"nothing but what is asked for":  {"bare", []Action{year, {Do: "tidy", How: "certs"}, rest}, 1, 0},
		"for as long as reports tell":    {"bare", []Action{year, {Do: "tidy", How: "spared"}, rest}, 1, 0},
		"what a process that dies began": {"bare", []Action{year, {Do: "disk", At: "delete cert/", Bad: "crash"}, all, rest, rest}, 1, 1},
		"nothing while it is held":       {"bare", []Action{year, {Do: "hold", How: "on"}, all, rest}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bought := theBare
			bought.Role = c.role
			actions := append([]Action{{Do: "issue", Request: bought}}, c.then...)
			within(t, actions, func(t *testing.T, w *world) {
				require.Empty(t, w.broken)
				require.Len(t, w.upkeep.certs, c.certs)
				require.Len(t, w.upkeep.orders, c.orders)
			})
		})
	}
}

// What is erased although something needs it is seen, whatever the engine thinks.
func TestWhatIsErasedWronglyIsSeen(t *testing.T) {
	year := time.Now().AddDate(10, 0, 0).UTC().Format(time.RFC3339)
	for promise, c := range map[string]struct {
		days time.Duration
		how  string
		do   func(w *world, cert, order map[string]any)
	}{
		"early":   {aDay, "all", nil},
		"unasked": {370 * aDay, "orders", nil},
		"queued": {370 * aDay, "all", func(w *world, cert, _ map[string]any) {
			w.disk.entries["revocation/"+cert["serial"].(string)] = []byte("{}")
		}},
		"subscription": {370 * aDay, "all", func(_ *world, cert, _ map[string]any) { cert["subscription"] = map[string]any{"ends_at": year} }},
		"reused": {370 * aDay, "all", func(w *world, cert, _ map[string]any) {
			w.disk.entries[keptPrefix+"bare/x"] = []byte(`{"serial":"` + cert["serial"].(string) + `","until":"` + year + `"}`)
		}},
		"linked": {370 * aDay, "all", func(w *world, cert, _ map[string]any) {
			w.disk.entries["cert/01"] = []byte(`{"serial":"01","renewed_by":"` + cert["serial"].(string) + `","not_after":"` + year + `"}`)
		}},
		"open": {370 * aDay, "all", func(w *world, cert, _ map[string]any) {
			w.disk.entries["order/open/bare/9"] = []byte(`{"id":"9","reissue":{"serial":"` + cert["serial"].(string) + `"}}`)
		}},
		"named":    {370 * aDay, "orders", func(_ *world, _, order map[string]any) { order["request_id"] = "deploy" }},
		"spending": {aDay / 2, "orders", nil},
		"record":   {370 * aDay, "orders", nil},
	} {
		t.Run(promise, func(t *testing.T) {
			within(t, []Action{{Do: "issue", Request: theBare}, {Do: "time", For: c.days}}, func(t *testing.T, w *world) {
				read := func(prefix string) (map[string]any, string) {
					key, entry := w.disk.under(prefix)[0], make(map[string]any)
					require.NoError(t, json.Unmarshal(w.disk.entries[key], &entry))
					return entry, key
				}
				cert, certKey := read("cert/")
				order, orderKey := read("order/closed/")
				w.disk.entries["tidy/status"] = []byte(`{"State":"Running","request":` + wishText(t, c.how) + `}`)
				if c.do != nil {
					c.do(w, cert, order)
				}
				if slices.Contains([]string{"named", "spending", "record"}, promise) {
					watchErasure(t.Context(), w, orderKey, encoded(t, order), nil)
				} else {
					watchErasure(t.Context(), w, certKey, encoded(t, cert), nil)
				}
				require.True(t, breaks(w, "tidy/"+promise), "%v", w.broken)
			})
		})
	}
}

func encoded(t *testing.T, v any) []byte {
	t.Helper()
	out, err := json.Marshal(v)
	require.NoError(t, err)
	return out
}

// wishText is a wish as the engine stores it.
func wishText(t *testing.T, how string) string {
	t.Helper()
	stored := make(map[string]any)
	for field, value := range tidyWishes[how] {
		field = strings.TrimPrefix(field, "tidy_")
		if field != "safety_buffer" {
			field = strings.NewReplacer("_safety_buffer", "_buffer", "_spending_history", "_spending").Replace(field)
		}
		if text, ok := value.(string); ok {
			d, err := time.ParseDuration(text)
			require.NoError(t, err)
			value = d
		}
		stored[field] = value
	}
	return string(encoded(t, stored))
}
