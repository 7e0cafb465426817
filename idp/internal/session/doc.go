// Package session owns browser sessions, the devices they run on, and single sign-on: how long a session lives, what it
// proves (acr, amr, auth_time), and what ends it. It never verifies a factor and never writes a cookie.
package session
