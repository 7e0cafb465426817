package ui

import "strings"

// product is a mark in a User-Agent header and the name that people know.
type product struct{ mark, name string }

// The order matters: most browsers also claim to be an older one.
var (
	browsers = []product{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"},
		{"Safari/", "Safari"}, {"curl/", "curl"},
	}
	systems = []product{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
		{"Mac OS X", "macOS"}, {"Linux", "Linux"},
	}
)

// agent says which browser a User-Agent header claims to be. It is a hint for people, and decides nothing.
func (w words) agent(header string) string {
	browser, system := find(browsers, header), find(systems, header)
	switch {
	case browser == "":
		return w.text("agent.unknown")
	case system == "":
		return browser
	}
	return w.text("agent.on", "Browser", browser, "System", system)
}

func find(list []product, header string) string {
	for _, p := range list {
		if strings.Contains(header, p.mark) {
			return p.name
		}
	}
	return ""
}
