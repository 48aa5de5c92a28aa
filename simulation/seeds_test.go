// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSeeds plays the histories of SIM_SEEDS, such as 42 or 1-1000. With SIM_TRACE it prints every operation, with SIM_LOG what
// the plugin logs, and with SIM_SHRINK the shortest history behind the failures whose names begin like its value.
func TestSeeds(t *testing.T) {
	from, to, err := seedRange(os.Getenv("SIM_SEEDS"))
	require.NoError(t, err)
	text, log := printed("SIM_TRACE"), printed("SIM_LOG")
	wanted, shrinks := os.LookupEnv("SIM_SHRINK")
	begun := time.Now()
	steps, calls, orders := 0, 0, 0
	for seed := from; seed <= to; seed++ {
		h := generate(seed)
		out := run(t, h, text, log)
		steps, calls, orders = steps+out.Steps, calls+out.Calls, orders+out.Orders
		for _, v := range out.Broken {
			t.Errorf("seed %d: %s: %s", seed, v.Name, v.Text)
			if shrinks && strings.HasPrefix(v.Name, wanted) {
				report(t, h, v)
			}
		}
	}
	t.Logf("%d histories in %s: %d steps, %d calls, %d orders", to-from+1, time.Since(begun).Round(time.Millisecond), steps, calls, orders)
}

// report shrinks a history and prints what is left of it.
func report(t *testing.T, h History, v Violation) {
	t.Helper()
	short := shrink(t, h, v.Name, 2*time.Minute)
	out := run(t, short, nil, nil)
	for _, again := range out.Broken {
		if again.Name == v.Name {
			v = again
		}
	}
	t.Logf("seed %d breaks %s: %s\n  again:   SIM_SEEDS=%d SIM_TRACE=1 go test -run '^TestSeeds$' -v ./simulation/\n  at its shortest, %d of %d actions:\n%#v",
		h.Seed, v.Name, v.Text, h.Seed, len(short.Actions), len(h.Actions), short)
}

func printed(variable string) io.Writer {
	if os.Getenv(variable) == "" {
		return nil
	}
	return os.Stdout
}

func seedRange(text string) (from, to uint64, err error) {
	if text == "" {
		return 1, 20, nil
	}
	if n, _ := fmt.Sscanf(text, "%d-%d", &from, &to); n == 2 {
		return from, to, nil
	}
	_, err = fmt.Sscanf(text, "%d", &from)
	return from, from, err
}

// TestSameSeedSameTrace: whatever a seed finds, it finds again.
func TestSameSeedSameTrace(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has goroutines begin in an order of its own")
	}
	from, to, err := seedRange(os.Getenv("SIM_SEEDS"))
	require.NoError(t, err)
	for seed := from; seed <= to; seed++ {
		first := run(t, generate(seed), nil, nil)
		for range 2 {
			again := run(t, generate(seed), nil, nil)
			if first.Digest != again.Digest {
				t.Errorf("seed %d: two runs, two traces (%d and %d steps)", seed, first.Steps, again.Steps)
				break
			}
		}
	}
}
