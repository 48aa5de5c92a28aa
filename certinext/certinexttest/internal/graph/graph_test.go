// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package graph_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/graph"
)

type person struct {
	mu      sync.Mutex
	name    string
	friend  *person
	known   map[*person]bool
	digest  [3]byte
	list    []string
	numbers []int64
	greet   func() string
}

func people() *person {
	ann, bob := &person{name: "Ann", digest: [3]byte{1, 2, 3}}, &person{name: "B\xffb", numbers: []int64{1<<63 - 1}}
	ann.friend, bob.friend = bob, ann
	ann.known, ann.list = map[*person]bool{bob: true}, []string{}
	return ann
}

func TestWhatIsSharedIsSharedAgain(t *testing.T) {
	text, err := graph.Write(new(people()))
	require.NoError(t, err)
	read := &person{greet: func() string { return "hello" }}
	require.NoError(t, graph.Read(text, &read))
	require.Equal(t, "Ann", read.name)
	require.Same(t, read, read.friend.friend)
	require.True(t, read.known[read.friend])
	require.Equal(t, "B\xffb", read.friend.name)
	require.Equal(t, []int64{1<<63 - 1}, read.friend.numbers)
	require.Equal(t, [3]byte{1, 2, 3}, read.digest)
	require.NotNil(t, read.list)
	require.Nil(t, read.friend.list)
	require.Equal(t, "hello", read.greet(), "a function stays what it is")
	require.True(t, read.mu.TryLock())
	again, err := graph.Write(&read)
	require.NoError(t, err)
	require.Equal(t, string(text), string(again))
}

func TestWhatIsNotOfTheTypesIsRefused(t *testing.T) {
	text, err := graph.Write(new(people()))
	require.NoError(t, err)
	for reason, change := range map[string][2]string{
		"friend: there is no object 7":                {`"friend":1`, `"friend":7`},
		"name: is missing":                            {`"name":"Ann",`, ``},
		"nickname: is not known":                      {`"name":"Ann"`, `"name":"Ann","nickname":"A"`},
		"name: json: cannot unmarshal":                {`"name":"Ann"`, `"name":1`},
		"digest: has 2 bytes":                         {`"AQID"`, `"AQI="`},
		"cannot unmarshal number 9223372036854775808": {`9223372036854775807`, `9223372036854775808`},
		"known: 1 is there twice":                     {`[[1,true]]`, `[[1,true],[1,true]]`},
		`unknown field "route"`:                       {`"root"`, `"route"`},
	} {
		bad := strings.Replace(string(text), change[0], change[1], 1)
		require.NotEqual(t, string(text), bad, reason)
		var read *person
		require.ErrorContains(t, graph.Read([]byte(bad), &read), reason)
	}
}
