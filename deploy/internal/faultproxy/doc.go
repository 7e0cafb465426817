// Package faultproxy is a TCP proxy on loopback that breaks what passes through it on purpose: it delays, throttles, cuts,
// resets, loses answers, and takes connections without serving them. Tests of how the services stand a bad network put it in
// front of them or of what they depend on.
//
// It knows nothing of what it carries. A fault that is set holds for connections that are open already, too.
package faultproxy
