package oauth

import (
	"context"
	"slices"
	"strings"

	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/client"
)

// defaultAlg signs access tokens where an API's registration says nothing, and those for the issuer itself.
const defaultAlg = "ES256"

// target is what an access token is for: a registered API, or the issuer itself (UserInfo) when api is nil.
type target struct{ api *api.API }

func (t target) id() string {
	if t.api == nil {
		return ""
	}
	return t.api.ID
}

func (t target) alg() string {
	if t.api == nil || t.api.SigningAlg == "" {
		return defaultAlg
	}
	return t.api.SigningAlg
}

func (p *Provider) audience(t target) string {
	if t.api == nil {
		return p.issuer
	}
	return t.api.Audience
}

// owns reports whether a scope means something to the target. offline_access means something at the token endpoint only.
func (t target) owns(scope string) bool {
	if t.api == nil {
		return scope != "offline_access" && slices.Contains(client.ProtocolScopes, scope)
	}
	return slices.ContainsFunc(t.api.Scopes, func(s api.Scope) bool { return s.Name == scope })
}

// scope returns those of scopes that mean something to the target, sorted: what a token for it says.
func (t target) scope(scopes []string) string {
	var out []string
	for _, s := range scopes {
		if t.owns(s) {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// chooseTarget finds the one audience of a request: the resource it names, else the one API that its scopes name, else the
// issuer (RFC 8707 §2). Errors: invalid_target; invalid_scope for a scope that nobody owns any more.
func (p *Provider) chooseTarget(ctx context.Context, c *client.Entry, scopes []string, resource string) (target, error) {
	apis, err := p.APIs.Get(ctx)
	if err != nil {
		return target{}, err
	}
	var named *api.API
	for _, s := range scopes {
		if slices.Contains(client.ProtocolScopes, s) {
			continue
		}
		owner, err := apis.ScopeOwner(s)
		switch {
		case err != nil:
			return target{}, problem("invalid_scope", "no API has the scope "+plain(s))
		case named != nil && named.ID != owner.ID:
			return target{}, errInvalidTarget
		}
		named = owner
	}
	if resource != "" {
		t, ok := p.byResource(apis, resource)
		if !ok || (named != nil && named.ID != t.id()) {
			return target{}, errInvalidTarget
		}
		named = t.api
	}
	if named != nil && !c.HasAPI(named.ID) {
		return target{}, errInvalidTarget
	}
	return target{named}, nil
}

// byResource compares resource indicators byte by byte.
func (p *Provider) byResource(apis *api.Registry, resource string) (target, bool) {
	if resource == p.issuer {
		return target{}, true
	}
	a, err := apis.ByAudience(resource)
	return target{a}, err == nil
}

// narrowTarget finds what a token request of an existing grant may be for: the grant's API, or the issuer when the person
// allowed openid (RFC 8707 §2.2). Errors: invalid_target, also for an API that is gone or was taken from the client.
func (p *Provider) narrowTarget(ctx context.Context, c *client.Entry, grantAPI string, scopes []string, resource string) (target, error) {
	if resource == p.issuer && grantAPI != "" && slices.Contains(scopes, "openid") {
		return target{}, nil
	}
	t := target{}
	if grantAPI != "" {
		apis, err := p.APIs.Get(ctx)
		if err != nil {
			return target{}, err
		}
		if t.api, err = apis.ByID(grantAPI); err != nil || !c.HasAPI(grantAPI) {
			return target{}, errInvalidTarget
		}
	}
	if resource != "" && resource != p.audience(t) {
		return target{}, errInvalidTarget
	}
	return t, nil
}

// fields splits a list of scopes and drops repeated ones. Its time grows with the length of the list alone: the list is a
// stranger's.
func fields(s string) []string {
	var out []string
	seen := map[string]bool{}
	for f := range strings.SplitSeq(s, " ") {
		if f != "" && !seen[f] {
			seen[f] = true
			out = append(out, f)
		}
	}
	return out
}

// boundedScope refuses a list of scopes that nobody could have been granted, before anything compares it with another.
func boundedScope(s string) error {
	if len(s) > maxParam {
		return problem("invalid_scope", "scope may have at most 2048 bytes")
	}
	if len(fields(s)) > maxScopes {
		return problem("invalid_scope", "ask for at most 50 scopes")
	}
	return nil
}

// sorted is the one form of a list of scopes.
func sorted(scopes []string) string {
	c := slices.Clone(scopes)
	slices.Sort(c)
	return strings.Join(slices.Compact(c), " ")
}
