package main

import (
	"fmt"
	"os"

	"ellis.example/caseservice/internal/gen"
)

func main() {
	err := write("caseservice", gen.Leaves)
	if err == nil {
		err = write("deploy", gen.Tools)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "copyleaves:", err)
		os.Exit(1)
	}
}

func write(module string, leaves []string) error {
	const root = "../../../"
	copies, err := gen.Copies(root+"idp/internal", module, leaves)
	if err != nil {
		return err
	}
	return gen.Write(root+module+"/internal", leaves, copies)
}
