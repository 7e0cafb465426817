// Package shed turns away requests beyond what can be worked on, so that a crowd waits for nothing and what is under way is
// finished. Which requests count, and how one that is turned away is answered, its user says.
package shed
