package reference

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ellis.example/idp/internal/config"
)

// Program is what there is to say of a program.
type Program struct {
	Commands []Command `json:"commands"`
	Metrics  []Metric  `json:"metrics"`
}

// Command is one command.
type Command struct {
	Path    string `json:"path"` // program and names of commands
	Use     string `json:"use"`  // Path with its operands
	Short   string `json:"short"`
	Long    string `json:"long,omitempty"`
	Example string `json:"example,omitempty"`
	Runs    bool   `json:"runs"` // it does something by itself: it does not only hold others
	Flags   []Flag `json:"flags"`
}

// Flag is one setting of a command.
type Flag struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Default string `json:"default,omitempty"`
	Usage   string `json:"usage"`
	Env     string `json:"env"`
	Secret  string `json:"secret,omitempty"` // variable that holds the secret itself, in place of the file
	Global  bool   `json:"global,omitempty"` // every command takes it
}

// Commands lists root and everything below it in the order of help, without what is hidden. prefix begins the names of
// environment variables.
func Commands(root *cobra.Command, prefix string) []Command {
	var out []Command
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		out = append(out, Command{
			Path: c.CommandPath(), Use: strings.TrimSpace(strings.TrimSuffix(c.UseLine(), "[flags]")), Short: c.Short, Long: c.Long, Example: c.Example,
			Runs: !c.HasSubCommands(), Flags: flags(c, prefix),
		})
		for _, sub := range c.Commands() {
			if !sub.Hidden && sub.Name() != "help" && sub.Name() != "completion" {
				walk(sub)
			}
		}
	}
	walk(root)
	return out
}

// flags lists what c takes, those of every command last.
func flags(c *cobra.Command, prefix string) (out []Flag) {
	inherited := c.Root().PersistentFlags()
	var global []Flag
	add := func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		d := Flag{Name: f.Name, Type: f.Value.Type(), Default: f.DefValue, Usage: f.Usage, Env: config.EnvName(prefix, f.Name), Global: inherited.Lookup(f.Name) == f}
		if name, is := strings.CutSuffix(f.Name, "-file"); is && strings.Contains(f.Usage, "(file; or "+config.EnvName(prefix, name)+")") {
			d.Secret = config.EnvName(prefix, name)
		}
		if d.Global {
			global = append(global, d)
			return
		}
		out = append(out, d)
	}
	c.LocalFlags().VisitAll(add)
	if c != c.Root() {
		c.InheritedFlags().VisitAll(add)
	}
	return append(out, global...)
}
