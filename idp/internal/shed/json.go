package shed

// maxDepth bounds nesting in JSON: nothing that is read goes deeper than three.
const maxDepth = 8

// deep reports whether JSON text is nested deeper than anything that is read. Of what is no JSON it says nothing of use.
func deep(text []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
