package portal

// OwnPath is ownPath for return addresses.
func OwnPath(s string) string { return ownPath(s, returnPaths, homePath) }

// Surface lists every route with the methods that it takes.
func (p *Portal) Surface() map[string][]string {
	out := map[string][]string{}
	for _, t := range p.routes() {
		var methods []string
		if t.get != nil {
			methods = append(methods, "GET")
		}
		if t.post != nil {
			methods = append(methods, "POST")
		}
		out[t.path] = methods
	}
	return out
}
