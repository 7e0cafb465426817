// Package acts owns what spans several domains in one step: signing out, changing a password with all that ends by it,
// disabling an account. Each act is one unit with one audit event. It never speaks HTTP and never decides who may ask.
package acts
