package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// imported is a case as `case import` and `case code` print it.
type imported struct {
	ID        string `json:"id"`
	Receipt   string `json:"receipt"`
	Form      string `json:"form"`
	ClaimCode string `json:"claim_code,omitempty"` // shown this once
}

// notices prints cases and their claim codes, each before it is committed: whatever ends the command, no code counts that
// nobody has seen. One that is printed and was not committed opens nothing; its line is not ended, or says so.
type notices struct {
	out  io.Writer
	json bool
	n    int
}

const noticeRow = "%-13s  %-8s  %-29s  %s" // as wide as a receipt number and a code are

// commit prints a case, does what makes it count, and ends its line.
func (p *notices) commit(c imported, do func() error) error {
	if err := p.show(c); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	err := do()
	_, failed := io.WriteString(p.out, p.end(err))
	if err == nil && failed != nil {
		err = fmt.Errorf("cannot print on: %w", failed)
	}
	return err
}

// show prints a case without the end of its line. A code that goes to a file is in it for good: the commit that follows outlives
// a power cut, and the code has to as well.
func (p *notices) show(c imported) error {
	text := p.head() + p.row(c)
	p.n++
	if _, err := io.WriteString(p.out, text); err != nil {
		return err
	}
	f, ok := p.out.(interface {
		Stat() (os.FileInfo, error)
		Sync() error
	})
	if !ok || c.ClaimCode == "" {
		return nil
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return err
	}
	return f.Sync()
}

// head is what comes before the next row.
func (p *notices) head() string {
	switch {
	case p.json && p.n > 0:
		return ",\n"
	case p.json:
		return `{"cases":[`
	case p.n == 0:
		return fmt.Sprintf(noticeRow+"\n", "RECEIPT", "FORM", "CLAIM CODE", "CASE")
	}
	return ""
}

// row is a case without the end.
func (p *notices) row(c imported) string {
	if p.json {
		text, _ := json.Marshal(c) // strings only
		return string(text[:len(text)-1])
	}
	code := c.ClaimCode
	if code == "" {
		code = "-"
	}
	return fmt.Sprintf(noticeRow, c.Receipt, c.Form, code, c.ID)
}

// end is the end of a row, after what became of its commit.
func (p *notices) end(err error) string {
	switch {
	case p.json && err != nil:
		return `,"unconfirmed":true}`
	case p.json:
		return "}"
	case err != nil:
		return "  unconfirmed\n"
	}
	return "\n"
}

// close prints what follows the last case.
func (p *notices) close() error {
	text := ""
	if p.n == 0 {
		text = p.head()
	}
	if p.json {
		text += "]}\n"
	}
	_, err := io.WriteString(p.out, text)
	return err
}

// stopped says what a command did that failed at one of n cases, and what it left.
func stopped(where string, err error, done, n int) error {
	return fmt.Errorf("%s: %w (done before it: %s; left: it and %d more)", where, err, plural(int64(done), "case"), n-done-1)
}
