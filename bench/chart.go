// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"strings"
)

// The chart's measures, in pixels.
const (
	chartWidth = 900
	labelWidth = 270
	barHeight  = 14
	rowHeight  = 2*barHeight + 14
	chartTop   = 60
)

// chart draws, as an SVG, the calls in a second of both engines with a CA that answers at once.
func chart(r *Result) string {
	var most float64
	var rows []*Measure
	for _, m := range r.Measures {
		c := m.Case
		if c.Engine == Certinext && c.Latency == 0 {
			rows = append(rows, m)
		}
		if c.Latency == 0 {
			most = max(most, m.Rate())
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" `+
		`font-family="sans-serif" font-size="12">`+"\n", chartWidth, chartTop+len(rows)*rowHeight+20)
	b.WriteString(`<rect width="100%" height="100%" fill="#ffffff"/>` + "\n")
	b.WriteString(`<text x="16" y="24" font-size="16">Calls per second, one Vault server, ` +
		`a CA that answers at once</text>` + "\n")
	legend(&b, 16, "#0b6e4f", "certinext")
	legend(&b, 116, "#8d99ae", "Vault's own PKI engine")
	for i, m := range rows {
		y := chartTop + i*rowHeight
		leases := "no leases"
		if m.Case.Leases {
			leases = "leases"
		}
		fmt.Fprintf(&b, `<text x="16" y="%d">%s, %s, %d clients</text>`+"\n", y+barHeight+4,
			m.Case.Call, leases, m.Case.Clients)
		bar(&b, y, m.Rate(), most, "#0b6e4f")
		theirs := m.Case
		theirs.Engine = PKI
		if p := r.of(theirs); p != nil {
			bar(&b, y+barHeight+1, p.Rate(), most, "#8d99ae")
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func legend(b *strings.Builder, x int, colour, name string) {
	fmt.Fprintf(b, `<rect x="%d" y="36" width="12" height="12" fill="%s"/>`+
		`<text x="%d" y="46">%s</text>`+"\n", x, colour, x+18, name)
}

// bar draws a rate.
func bar(b *strings.Builder, y int, rate, most float64, colour string) {
	width := 0.0
	if most > 0 {
		width = rate / most * (chartWidth - labelWidth - 80)
	}
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+
		`<text x="%.1f" y="%d">%.0f</text>`+"\n", labelWidth, y, width, barHeight, colour,
		float64(labelWidth)+width+6, y+barHeight-2, rate)
}
