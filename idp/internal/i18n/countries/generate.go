//go:build ignore

// Command generate writes the names of countries in each language from the Unicode CLDR data of golang.org/x/text, in
// the order of that language: [["AF","Afghanistan"],…].
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// notCountries have a code of two letters, but are reserved, historical, or groups: no passport names them.
const notCountries = "AC AN AQ BU BV CP CQ CS CT DD DG DY EA EU EZ FQ FX HM HV IC JT MI NH NQ NT PC PU PZ QO QU RH SU TA TP UN VD WK XA XB YD YU ZR ZZ UK GS IO TF UM"

// renamed are the countries whose names have changed since that data was made.
var renamed = map[string]map[string]string{
	"en": {"MK": "North Macedonia", "SZ": "Eswatini", "CV": "Cabo Verde"},
	"es": {"MK": "Macedonia del Norte", "SZ": "Esuatini"},
}

func main() {
	for _, tag := range []language.Tag{language.English, language.Spanish} {
		data := list(tag)
		if err := os.WriteFile("countries/"+tag.String()+".json", data, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func list(tag language.Tag) []byte {
	names := display.Regions(tag)
	var rows [][2]string
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string([]rune{a, b})
			r, err := language.ParseRegion(code)
			if err != nil || !r.IsCountry() || r.String() != code || slices.Contains(strings.Fields(notCountries), code) {
				continue
			}
			name := names.Name(r)
			if now := renamed[tag.String()][code]; now != "" {
				name = now
			}
			if name != "" {
				rows = append(rows, [2]string{code, name})
			}
		}
	}
	c := collate.New(tag)
	slices.SortFunc(rows, func(x, y [2]string) int { return c.CompareString(x[1], y[1]) })
	var out bytes.Buffer
	out.WriteString("[\n")
	for i, row := range rows {
		line, _ := json.Marshal(row)
		out.Write(line)
		if i < len(rows)-1 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
	}
	out.WriteString("]\n")
	return out.Bytes()
}
