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
	gone := dcv.Sighting{Value: "v", Answers: []dcv.Answer{{}}}
	located := func(targets ...*target) task { return task{value: "v", targets: targets} }
	seen := &target{looked: true, seen: true}
	young := &target{looked: true, presentSince: ago(time.Minute), tries: 1}
	for name, c := range map[string]struct {
		task task
		want move
	}{
		"CERTInext is asked first":             {task{}, moveAsk},
		"once more when the value has expired": {task{asked: 1}, moveAsk},
		"and not for ever":                     {task{asked: 2}, moveRest},
		"again when the value is in doubt": {
			task{value: "v", doubted: true, targets: []*target{seen}}, moveAsk,
		},
		"then the places are found":      {task{value: "v"}, moveLocate},
		"and looked at":                  {located(&target{}), moveLook},
		"what is not there is published": {located(&target{looked: true}), movePublish},
		"each of the places": {
			located(seen, &target{looked: true}), movePublish,
		},
		"but not for ever": {
			located(&target{looked: true, tries: 3}), moveRest,
		},
		"what is there and not everywhere takes time": {located(young), moveRest},
		"CERTInext looks when all is seen":            {located(seen, seen), moveVerify},
		"or when it has taken too long": {
			located(&target{looked: true, presentSince: ago(patience), tries: 1}), moveVerify,
		},
		"what an earlier run published and is gone comes back": {
			located(&target{looked: true, presentSince: ago(patience), sighting: gone}),
			movePublish,
		},
		"what this run published does not": {
			located(&target{looked: true, presentSince: ago(patience), sighting: gone, tries: 1}),
			moveVerify,
		},
		"a place that waits keeps CERTInext waiting": {located(young, seen), moveRest},
		"a problem ends the round":                   {task{halted: true}, moveRest},
		"and so does success":                        {task{verified: true}, moveRest},
		"unknown servers delay": {
			located(&target{
				looked: true, lookup: errors.New("x"), presentSince: ago(time.Minute), tries: 1,
			}), moveRest,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := c.task.next(now, patience)
			require.Equal(t, c.want, got)
		})
	}
}
