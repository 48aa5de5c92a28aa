// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package validation

import (
	"errors"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/stretchr/testify/require"
)

func TestTheNextMoveOfAValidation(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	const patience = 2 * time.Minute
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	nobody := dcv.Sighting{Value: "v", Answers: []dcv.Answer{{}}}
	for name, c := range map[string]struct {
		task task
		want move
	}{
		"CERTInext is asked first":                               {task{}, moveAsk},
		"once more when the value has expired":                   {task{asked: 1}, moveAsk},
		"and not for ever":                                       {task{asked: 2}, moveRest},
		"again when the value is in doubt":                       {task{value: "v", doubted: true, targets: []*target{{looked: true, seen: true}}}, moveAsk},
		"then the places are found":                              {task{value: "v"}, moveLocate},
		"and looked at":                                          {task{value: "v", targets: []*target{{}}}, moveLook},
		"what is not there is published":                         {task{value: "v", targets: []*target{{looked: true}}}, movePublish},
		"each of the places":                                     {task{value: "v", targets: []*target{{looked: true, seen: true}, {looked: true}}}, movePublish},
		"but not for ever":                                       {task{value: "v", targets: []*target{{looked: true, tries: 3}}}, moveRest},
		"what is there and not everywhere takes time":            {task{value: "v", targets: []*target{{looked: true, there: ago(time.Minute), tries: 1}}}, moveRest},
		"CERTInext looks when all is seen":                       {task{value: "v", targets: []*target{{looked: true, seen: true}, {looked: true, seen: true}}}, moveVerify},
		"or when it has taken too long":                          {task{value: "v", targets: []*target{{looked: true, there: ago(patience), tries: 1}}}, moveVerify},
		"what an earlier drive published and is gone comes back": {task{value: "v", targets: []*target{{looked: true, there: ago(patience), sighting: nobody}}}, movePublish},
		"what this drive published does not":                     {task{value: "v", targets: []*target{{looked: true, there: ago(patience), sighting: nobody, tries: 1}}}, moveVerify},
		"a place that waits keeps CERTInext waiting": {
			task{value: "v", targets: []*target{{looked: true, there: ago(time.Minute), tries: 1}, {looked: true, seen: true}}}, moveRest,
		},
		"a problem ends the round":        {task{halted: true}, moveRest},
		"and so does success":             {task{verified: true}, moveRest},
		"servers that nobody knows delay": {task{value: "v", targets: []*target{{looked: true, lookup: errors.New("x"), there: ago(time.Minute), tries: 1}}}, moveRest},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := c.task.next(now, patience)
			require.Equal(t, c.want, got)
		})
	}
}
