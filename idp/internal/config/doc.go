// Package config fills the settings of a command: what the command line does not say comes from the environment, what
// that does not say from a YAML file, what none says stays as the flag's default. Every setting is a flag, so that one
// list serves help, environment and file alike. A key that is no setting is an error with its line.
//
// It owns no setting itself and knows no secret for longer than the call that reads it.
package config
