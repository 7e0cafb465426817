//go:build pkcs11

package main

import (
	"ellis.example/idp/internal/config"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/keyring/pkcs11"
)

func openSigner(module, label, pin string) (keyring.External, error) {
	t, err := pkcs11.Open(module, label, pin)
	if err != nil {
		return nil, &config.Error{Where: signerFlag, Problem: "the token " + label + " cannot be used: " + err.Error()}
	}
	return t, nil
}
