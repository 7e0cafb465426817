// Command subset cuts the design system's style sheet down to the rules that the services use, and copies the fonts,
// icons and licence that are left. It knows no more of CSS than blocks, selectors and strings; a rule that it cannot
// judge stays.
package main
