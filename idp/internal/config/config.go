package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// FileFlag is the flag that names the YAML file.
const FileFlag = "config"

// maxFile bounds what is read as a settings file or as a secret, in bytes.
const maxFile = 1 << 20

// Error is a wrong configuration: the process ends with status 78 (EX_CONFIG).
type Error struct {
	Where   string // the flag, variable or file:line
	Problem string // what to change
}

// Error implements error.
func (e *Error) Error() string { return e.Where + ": " + e.Problem }

// EnvName is the variable of a setting: prefix IDP and flag private-listen make IDP_PRIVATE_LISTEN.
func EnvName(prefix, flag string) string {
	return prefix + "_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Load fills every flag of fs that was not given on the command line. Errors: *Error.
func Load(fs *pflag.FlagSet, prefix string) error {
	given := map[string]bool{}
	fs.Visit(func(f *pflag.Flag) { given[f.Name] = true })
	var first error
	fs.VisitAll(func(f *pflag.Flag) {
		v, ok := os.LookupEnv(EnvName(prefix, f.Name))
		if !ok || given[f.Name] || first != nil {
			return
		}
		given[f.Name] = true
		if err := fs.Set(f.Name, v); err != nil {
			first = &Error{EnvName(prefix, f.Name), reason(err)}
		}
	})
	if first != nil {
		return first
	}
	file := fs.Lookup(FileFlag)
	if file == nil || file.Value.String() == "" {
		return nil
	}
	return loadFile(fs, file.Value.String(), given)
}

func loadFile(fs *pflag.FlagSet, path string, given map[string]bool) error {
	text, err := read(path)
	if err != nil {
		return &Error{path, err.Error()}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return &Error{path, strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	if len(doc.Content) == 0 {
		return nil
	}
	m := doc.Content[0]
	if m.Kind != yaml.MappingNode {
		return &Error{at(path, m), "write settings as `name: value`, one a line"}
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, value := m.Content[i], m.Content[i+1]
		if seen[key.Value] {
			return &Error{at(path, key), strconv.Quote(key.Value) + " is there twice"}
		}
		seen[key.Value] = true
		if err := setFrom(fs, path, key, value, given); err != nil {
			return err
		}
	}
	return nil
}

// setFrom sets one flag from a line of the file.
func setFrom(fs *pflag.FlagSet, path string, key, value *yaml.Node, given map[string]bool) error {
	f := fs.Lookup(key.Value)
	if f == nil || key.Value == FileFlag || key.Value == "help" {
		return &Error{at(path, key), "unknown setting " + strconv.Quote(key.Value) + near(fs, key.Value)}
	}
	text := value.Value
	if value.Kind == yaml.SequenceNode {
		var parts []string
		if err := value.Decode(&parts); err != nil {
			return &Error{at(path, value), "write a list of plain values"}
		}
		text = strings.Join(parts, ",")
	} else if value.Kind != yaml.ScalarNode {
		return &Error{at(path, value), key.Value + ": write one value"}
	}
	if given[f.Name] {
		return nil
	}
	if err := fs.Set(f.Name, text); err != nil {
		return &Error{at(path, value), reason(err)}
	}
	return nil
}

func at(path string, n *yaml.Node) string { return fmt.Sprintf("%s:%d", path, n.Line) }

// reason is what a flag says of a value, without the flag library's preamble.
func reason(err error) string {
	if e := errors.Unwrap(err); e != nil {
		return err.Error()
	}
	return strings.TrimPrefix(err.Error(), "invalid argument ")
}

// near names a setting that was perhaps meant.
func near(fs *pflag.FlagSet, key string) string {
	squeeze := func(s string) string {
		return strings.NewReplacer("-", "", "_", "", ".", "").Replace(strings.ToLower(s))
	}
	var names []string
	fs.VisitAll(func(f *pflag.Flag) {
		if squeeze(f.Name) == squeeze(key) || (len(key) > 3 && (strings.HasPrefix(f.Name, key) || strings.HasSuffix(f.Name, key))) {
			names = append(names, f.Name)
		}
	})
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return ": did you mean " + strings.Join(names, " or ") + "?"
}
