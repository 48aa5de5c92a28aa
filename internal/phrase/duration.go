// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package phrase

import (
	"fmt"
	"time"
)

// Count writes a number of things: "no orders", "1 order", "2 orders". The word is the singular of
// one whose plural ends in s.
func Count(n int, word string) string {
	switch n {
	case 0:
		return "no " + word + "s"
	case 1:
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// units are the units of a duration that people use in a sentence, the longest first.
var units = []struct {
	size time.Duration
	word string
}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}}

// Duration writes a length of time in its two longest units: "365 days", "1 hour and 30 minutes".
// What is less than a second is in milliseconds; none at all is "no time".
func Duration(d time.Duration) string {
	if d < 0 {
		return "minus " + Duration(-d)
	}
	if d == 0 {
		return "no time"
	}
	if d < time.Second {
		return fmt.Sprintf("%d ms", max(1, d.Milliseconds()))
	}
	var parts []string
	for _, u := range units {
		if len(parts) == 1 && d < u.size {
			break // "1 day", not "1 day and 3 seconds"
		}
		if n := d / u.size; n > 0 {
			parts = append(parts, Count(int(n), u.word))
			d -= n * u.size
		}
		if len(parts) == 2 {
			break
		}
	}
	return And(parts...)
}
