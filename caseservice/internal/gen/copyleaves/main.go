package main

import (
	"fmt"
	"os"

	"ellis.example/caseservice/internal/gen"
)

func main() {
	copies, err := gen.Copies("../../../idp/internal")
	if err == nil {
		err = gen.Write("..", copies)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "copyleaves:", err)
		os.Exit(1)
	}
}
