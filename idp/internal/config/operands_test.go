package config_test

import (
	"slices"
	"testing"

	"github.com/spf13/cobra"

	"ellis.example/idp/internal/config"
)

func TestOperands_AnIdentifierMayBeginWithAHyphen(t *testing.T) {
	t.Parallel()
	const id = "-akSpmSREzIZUz-RZgt3KVdiP88nQ_oKLy73-ers1GU"
	for _, c := range []struct {
		args      []string
		operands  []string
		sub, file string
	}{
		{args: []string{"trace", id}, operands: []string{id}},
		{args: []string{"trace", id, "--json", "--sub", "x"}, operands: []string{id}, sub: "x"},
		{args: []string{"trace", "--json", id}, operands: []string{id}},
		{args: []string{"trace", "--sub", id, id}, operands: []string{id}, sub: id},
		{args: []string{"trace", "--sub=" + id, "-fx", "--", id}, operands: []string{id}, sub: id, file: "x"},
		{args: []string{"trace", "plain", "-f", "x"}, operands: []string{"plain"}, file: "x"},
		{args: []string{"trace", "plain", "-f" + id[1:]}, operands: []string{"plain"}, file: id[1:]},
	} {
		var operands []string
		var sub, file *string
		root := &cobra.Command{Use: "root"}
		root.PersistentFlags().Bool("json", false, "")
		trace := &cobra.Command{Use: "trace ID", RunE: func(_ *cobra.Command, args []string) error { operands = args; return nil }}
		sub, file = trace.Flags().String("sub", "", ""), trace.Flags().StringP("file", "f", "", "")
		root.AddCommand(trace)
		root.SetArgs(config.Operands(root, c.args))
		if err := root.Execute(); err != nil || !slices.Equal(operands, c.operands) || *sub != c.sub || *file != c.file {
			t.Errorf("%q: operands %q, sub %q, file %q, %v", c.args, operands, *sub, *file, err)
		}
	}
}
