// Package launch builds the production binaries and runs them as child processes, for the demo, the black-box tests and
// the benchmark: on loopback, with the flags that an operator would use, with their logs in files.
//
// Whatever it starts ends with the process that started it. It knows the flags of the services and makes the secrets that
// they read from files; what is in their databases comes from their own commands.
package launch
