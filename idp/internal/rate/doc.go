// Package rate decides by the generic cell rate algorithm (ITU-T I.371 §A.1) whether one more request is too many. It keeps
// nothing: what is counted lies where its caller puts it.
package rate
