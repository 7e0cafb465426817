package config

import (
	"net/netip"

	"github.com/spf13/pflag"
)

// Networks reads a flag that lists IP networks. Errors: *Error.
func Networks(fs *pflag.FlagSet, name string) (out []netip.Prefix, err error) {
	list, err := fs.GetStringSlice(name)
	if err != nil {
		return nil, err
	}
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, &Error{Where: "--" + name, Problem: "write networks such as 10.0.0.0/8: " + err.Error()}
		}
		out = append(out, p)
	}
	return out, nil
}
