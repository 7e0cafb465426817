package api

// Routes lists what the API serves, as "METHOD template".
func (a *API) Routes() map[string]bool {
	out := map[string]bool{}
	for _, rt := range a.exact {
		out[rt.method+" "+rt.template] = true
	}
	for _, rt := range []*route{a.one, a.history} {
		out[rt.method+" "+rt.template] = true
	}
	return out
}
