package ui

import (
	"fmt"
	"strconv"
)

// inputView is one text field with its label, hint and error.
type inputView struct {
	Name, Type, Value, Label, Hint string
	Autocomplete, Inputmode, Class string
	Error                          string
	Focus, Optional                bool
	Advice                         *adviceView
}

// adviceView is the meter beside a new password.
type adviceView struct {
	Strength   int
	Word, Hint string
	Steps      []struct{}
}

// input describes a field of the page: its name, then name, value pairs. label and hint are keys of the catalogue.
// "focus" puts the cursor there, unless the page has errors: then the summary has it.
func (w words) input(page Page, name string, attrs ...string) (inputView, error) {
	v := inputView{Name: name, Type: "text", Error: w.wrong(page, name)}
	if len(attrs)%2 != 0 {
		return v, fmt.Errorf("input %q: odd number of attributes", name)
	}
	for i := 0; i < len(attrs); i += 2 {
		if err := v.set(w, attrs[i], attrs[i+1]); err != nil { //nolint:gosec // their number is even
			return v, err
		}
	}
	v.Focus = v.Focus && len(page.base().Errors) == 0
	return v, nil
}

func (v *inputView) set(w words, name, value string) error {
	switch name {
	case "type":
		v.Type = value
	case "value":
		v.Value = value
	case "label":
		v.Label = w.text(value)
	case "hint":
		v.Hint = w.text(value)
	case "autocomplete":
		v.Autocomplete = value
	case "inputmode":
		v.Inputmode = value
	case "class":
		v.Class = value
	case "focus":
		v.Focus = true
	case "optional":
		v.Optional = true
	default:
		return fmt.Errorf("input %q: unknown attribute %q", v.Name, name)
	}
	return nil
}

// newPassword is a field for a new password with advice on it.
func (w words) newPassword(page Page, name, label string, advice PasswordAdvice) (inputView, error) {
	v, err := w.input(page, name, "type", "password", "label", label, "hint", "field.password_hint", "autocomplete", "new-password")
	if advice.Strength > 0 || advice.Hint != "" {
		v.Advice = w.advice(advice)
	}
	return v, err
}

func (w words) advice(a PasswordAdvice) *adviceView {
	v := &adviceView{Strength: min(max(a.Strength, 0), 5), Steps: make([]struct{}, 5)}
	if v.Strength > 0 {
		v.Word = w.text("strength." + itoa(v.Strength))
	}
	if a.Hint != "" {
		v.Hint = w.lang.Text(a.Hint)
	}
	return v
}

// wrong returns what is wrong with a field; empty: nothing.
func (w words) wrong(page Page, field string) string {
	for _, e := range page.base().Errors {
		if e.Field == field {
			return w.say(e.Text)
		}
	}
	return ""
}

// personView is the particulars of a person on the page that asks for them.
type personView struct {
	PersonFields
	Page Page
}

func itoa(n int) string { return strconv.Itoa(n) }
