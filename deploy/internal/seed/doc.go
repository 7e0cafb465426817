// Package seed fills the databases of both services by their own commands, as an operator would. It also plays the app and the
// machine of the benchmark and of the fault runs, which people sign in to and which ask for tokens.
package seed
