package config

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// hyphened is an identifier in base64url of 256 bits (a jti, a txn, a pairwise subject) that begins with a hyphen, as
// every sixty-fourth does.
var hyphened = regexp.MustCompile(`^-[A-Za-z0-9_-]{42}$`)

// Operands returns the command line such that an identifier which begins with a hyphen is read as what it is rather
// than as a row of short flags: who copies one out of a token or a log need not know of "--".
func Operands(root *cobra.Command, args []string) []string {
	cmd, _, err := root.Find(args)
	if err != nil {
		return args
	}
	cmd.InheritedFlags() // as a side effect, cobra makes the parents' flags known to the command
	var kept, moved []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return append(append(append(kept, "--"), moved...), args[i+1:]...)
		case hyphened.MatchString(arg) && !takesValue(cmd.Flags().ShorthandLookup(arg[1:2])):
			moved = append(moved, arg)
			continue
		case strings.HasPrefix(arg, "--") && i+1 < len(args) && takesValue(cmd.Flags().Lookup(arg[2:])):
			kept = append(kept, arg)
			i++
			arg = args[i]
		}
		kept = append(kept, arg)
	}
	if moved == nil {
		return args
	}
	return append(append(kept, "--"), moved...)
}

func takesValue(f *pflag.Flag) bool { return f != nil && f.NoOptDefVal == "" }
