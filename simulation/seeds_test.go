// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"fmt"
	"io"
	"os"
	"testing"
	"time"
)

// TestSeeds plays the histories of SIM_SEEDS, such as 42 or 1-1000.
func TestSeeds(t *testing.T) {
	from, to, err := seedRange(os.Getenv("SIM_SEEDS"))
	if err != nil {
		t.Fatal(err)
	}
	var text, log io.Writer
	if os.Getenv("SIM_TRACE") != "" {
		text = os.Stdout
	}
	if os.Getenv("SIM_LOG") != "" {
		log = os.Stdout
	}
	begun := time.Now()
	steps, calls, orders := 0, 0, 0
	for seed := from; seed <= to; seed++ {
		out := run(t, generate(seed), text, log)
		steps, calls, orders = steps+out.Steps, calls+out.Calls, orders+out.Orders
		for _, v := range out.Broken {
			fmt.Printf("seed %d: %s: %s\n", seed, v.Name, v.Text)
		}
	}
	n := int(to - from + 1)
	fmt.Printf("%d histories in %s: %d steps, %d calls, %d orders\n", n, time.Since(begun).Round(time.Millisecond), steps, calls, orders)
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
