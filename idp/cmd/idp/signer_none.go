//go:build !pkcs11

package main

import (
	"ellis.example/idp/internal/config"
	"ellis.example/idp/internal/keyring"
)

func openSigner(_, _, _ string) (keyring.External, error) {
	return nil, &config.Error{Where: signerFlag, Problem: "this program was built without PKCS #11: build it with cgo and -tags pkcs11"}
}
