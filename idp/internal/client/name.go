package client

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

const maxName = 80

// checkName says what is wrong with a name that people read on the consent page, or "". A name that mixes scripts, or
// hides characters, can pass for another app's (UTS 39 §5.1).
func checkName(name string) string {
	if name == "" || len([]rune(name)) > maxName || strings.TrimSpace(name) != name {
		return "give a name of 1 to 80 characters, without spaces at its ends"
	}
	scripts := map[string]bool{}
	for _, r := range name {
		if !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) || (unicode.IsSpace(r) && r != ' ') {
			return "remove invisible characters and line breaks"
		}
		if s := script(r); s != "" {
			scripts[s] = true
		}
	}
	if len(scripts) > 1 {
		return "write the name in one script; letters of several scripts look alike"
	}
	if !isLatin(scripts) && latinLookalike(name) {
		return "every letter of this name looks like a Latin one; write it in Latin letters"
	}
	return ""
}

func isLatin(scripts map[string]bool) bool { return scripts["Latin"] || len(scripts) == 0 }

// script returns the script of a letter. Those that are written together count as one (UTS 39 §5.1 "Highly Restrictive").
func script(r rune) string {
	if !unicode.IsLetter(r) {
		return ""
	}
	switch {
	case unicode.In(r, unicode.Latin):
		return "Latin"
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo):
		return "East Asian"
	}
	for name, table := range unicode.Scripts {
		if name != "Common" && name != "Inherited" && unicode.Is(table, r) {
			return name
		}
	}
	return ""
}

// lookalikes maps letters of other scripts, and characters within Latin, to the Latin letter that they are taken for. It
// holds the single-letter cases of UTS 39 confusables.txt for Cyrillic, Greek, Armenian and Cherokee.
var lookalikes = pairs(
	"аa", "вb", "сc", "ԁd", "еe", "ѐe", "ёe", "ғf", "ɡg", "һh", "нh", "іi", "їi", "ӏl", "јj", "кk", "мm", "пn", "оo", "рp", "ԛq",
	"гr", "ѕs", "тt", "цu", "ѵv", "ԝw", "хx", "уy", "үy", "зz",
	"αa", "βb", "ϲc", "εe", "η"+"n", "ι"+"i", "κk", "νv", "οo", "ρp", "σo", "τt", "υu", "χx", "γy", "ζz", "μm",
	"օo", "ս"+"u", "ո"+"n", "հh", "ց"+"g", "զq", "յj", "ԍg",
	"ꭰd", "ꭱr", "ꭲt", "ꮃw", "ꮇm", "ꭺa", "ꭻj", "ꭼe", "ꮋh", "ꮩv", "ꮪs", "ꮮl", "ꮯc", "ꮲp", "ꮶk", "ꮷd",
	"0o", "1l", "|l", "ıi", "ɩi", "ʟl",
)

func pairs(list ...string) map[rune]rune {
	m := map[rune]rune{}
	for _, p := range list {
		r := []rune(p)
		m[r[0]] = r[1]
	}
	return m
}

// latinLookalike reports whether every letter of name is taken for a Latin one.
func latinLookalike(name string) bool {
	for _, r := range strings.ToLower(name) {
		if _, ok := lookalikes[r]; unicode.IsLetter(r) && !ok {
			return false
		}
	}
	return true
}

// Skeleton is what a name looks like: names with one skeleton can be taken for each other (UTS 39 §4).
func Skeleton(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(norm.NFKC.String(name))) {
		if unicode.In(r, unicode.Mn, unicode.Cf) || unicode.IsSpace(r) || unicode.IsPunct(r) {
			continue
		}
		if l, ok := lookalikes[r]; ok {
			r = l
		}
		if r == 'i' { // i, l and 1 are one shape
			r = 'l'
		}
		b.WriteRune(r)
	}
	return strings.ReplaceAll(strings.ReplaceAll(b.String(), "rn", "m"), "vv", "w")
}

// Resembles returns the first of others whose name can be taken for c's without being the same, or nil.
func (c *Client) Resembles(others []Client) *Client {
	mine := Skeleton(c.Name)
	for i := range others {
		o := &others[i]
		if o.ID != c.ID && o.Name != c.Name && Skeleton(o.Name) == mine {
			return o
		}
	}
	return nil
}
