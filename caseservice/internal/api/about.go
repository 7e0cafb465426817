package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"ellis.example/caseservice/internal/cases"
)

//go:embed openapi.yaml
var description string

const wellKnown = "/.well-known/oauth-protected-resource" // RFC 9728 §3

// The addresses that the description names as examples; a deployment's own take their place.
const (
	exampleAudience = "http://localhost:8081"
	exampleIssuer   = "http://localhost:8080"
)

// documents are what anybody may read.
type documents struct{ metadata, yaml, json *document }

func describe(o Options) (documents, error) {
	metadata, err := json.Marshal(map[string]any{ // RFC 9728 §2
		"resource":                 o.Audience,
		"authorization_servers":    []string{o.Issuer},
		"scopes_supported":         []string{cases.ScopeRead, cases.ScopeClaim, cases.ScopeStats},
		"bearer_methods_supported": []string{"header"},
		"resource_name":            "Ellis case API",
		"resource_documentation":   strings.TrimSuffix(o.Audience, "/") + "/openapi.yaml",
	})
	if err != nil {
		return documents{}, err
	}
	text := strings.NewReplacer(exampleAudience, strings.TrimSuffix(o.Audience, "/"), exampleIssuer, strings.TrimSuffix(o.Issuer, "/")).Replace(description)
	var tree any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		return documents{}, fmt.Errorf("openapi.yaml with this issuer and audience: %w", err)
	}
	inJSON, err := json.Marshal(tree)
	if err != nil {
		return documents{}, fmt.Errorf("openapi.yaml: %w", err)
	}
	return documents{
		metadata: newDocument("application/json", metadata),
		yaml:     newDocument("application/yaml", []byte(text)),
		json:     newDocument("application/json", inJSON),
	}, nil
}
