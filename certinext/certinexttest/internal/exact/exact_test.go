// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package exact

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type inner struct {
	Code  string            `json:"code,omitempty"`
	Years map[string]string `json:"years"`
	Until time.Time         `json:"until"`
	Count *int              `json:"count"`
	skip  string
}

type outer struct {
	Name  string          `json:"name"`
	Good  bool            `json:"good"`
	Rate  float64         `json:"rate"`
	List  []inner         `json:"list"`
	Free  json.RawMessage `json:"free"`
	Other any             `json:"other"`
	Gone  string          `json:"-"`
}

func TestWhatIsMeantIsRead(t *testing.T) {
	var got outer
	require.NoError(t, Unmarshal([]byte(`{"name":"n","good":true,"rate":1.5,"free":{"a":null},"other":[1],
		"list":[{"code":"1","years":{"1 Year":"2"},"count":7,"until":"2026-01-02T03:04:05Z"},{}]}`), &got))
	seven := 7
	require.Equal(t, inner{
		Code: "1", Years: map[string]string{"1 Year": "2"}, Count: &seven,
		Until: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}, got.List[0])
	require.Equal(t, `{"a":null}`, string(got.Free))
	require.Empty(t, got.List[1].skip)
	require.NoError(t, Unmarshal([]byte(`{}`), &got))
	require.Empty(t, got.Name, "nothing of before is left")
}

func TestWhatMeansNothingIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		``:                                       "is no JSON: it ends too early",
		`{"name":"x"`:                            "is no JSON: it ends too early",
		`name: x`:                                "is no JSON: invalid character",
		`{} {}`:                                  "has something that follows the value",
		`{}]`:                                    "has something that follows the value",
		`[]`:                                     "must be an object",
		`null`:                                   "must be an object, not null",
		"{\"name\":\"\xff\"}":                    "is no UTF-8",
		`{"Name":"x"}`:                           "Name is no member: did you mean name?",
		`{"skip":"x"}`:                           "skip is no member: there may be name, good, rate, list, free and other",
		`{"-":"x"}`:                              "- is no member",
		`{"Gone":"x"}`:                           "Gone is no member",
		`{"\u0007":"x"}`:                         `"\a" is no member`,
		`{"name":"x","name":"y"}`:                "name is there twice",
		`{"name":null}`:                          "name must be a text, not null: leave it out instead",
		`{"free":null}`:                          "free must be a value, not null",
		`{"other":null}`:                         "other must be a value, not null",
		`{"name":5}`:                             "name must be a text",
		`{"good":"yes"}`:                         "good must be true or false",
		`{"rate":"1"}`:                           "rate must be a number",
		`{"list":{}}`:                            "list must be a list",
		`{"list":[7]}`:                           "list[0] must be an object",
		`{"list":[null]}`:                        "list[0] must be an object, not null",
		`{"list":[{},{"Code":1}]}`:               "list[1].Code is no member: did you mean code?",
		`{"list":[{"code":"1","code":"2"}]}`:     "list[0].code is there twice",
		`{"list":[{"years":{"a":"1","a":"2"}}]}`: "list[0].years.a is there twice",
		`{"list":[{"years":{"1 Year":null}}]}`:   `list[0].years."1 Year" must be a text, not null`,
		`{"list":[{"count":1.5}]}`:               "list[0].count must be a whole number",
		`{"list":[{"count":null}]}`:              "list[0].count must be a whole number, not null",
		`{"list":[{"until":"soon"}]}`:            "list[0].until parsing time",
		"{\n \"name\": \"x\",\n \"Good\": true\n}": "line 3: Good is no member",
		"{\"list\": [\n{},\n null\n]}":             "line 3: list[1] must be an object",
		"{\n\"name\":\n\"x\"\n":                    "line 4: is no JSON: it ends too early",
	} {
		got := outer{Name: "before"}
		err := Unmarshal([]byte(text), &got)
		require.ErrorContains(t, err, want, text)
		require.Equal(t, outer{Name: "before"}, got, "nothing is taken")
	}
	err := Unmarshal([]byte(`{"Good":true,"nam":"x"}`), new(outer))
	require.ErrorContains(t, err, "Good is no member")
	require.ErrorContains(t, err, "nam is no member", "all of it at once")
	var first *Error
	require.ErrorAs(t, err, &first)
	require.Equal(t, "Good", first.Path)
}

// TestManyMistakesAreCheap: a hostile text is not answered with a mistake for each of its members.
func TestManyMistakesAreCheap(t *testing.T) {
	text := "{" + strings.Repeat(`"colour":1,`, 50_000) + `"colour":1}`
	err := Unmarshal([]byte(text), new(outer))
	require.Error(t, err)
	require.Less(t, len(err.Error()), 4000)
}

// FuzzUnmarshal: what is taken, encoding/json takes with the same result.
func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"name":"x","list":[{"code":"1","years":{"a":"b"}}]}`, `{"name":null}`, `[`, `{"free":{"a":[1]}}`,
		`{"list":[{"count":7,"until":"2026-01-02T03:04:05Z"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, want outer
		if Unmarshal(text, &got) == nil {
			require.NoError(t, json.Unmarshal(text, &want))
			require.Equal(t, want, got)
		}
	})
}
