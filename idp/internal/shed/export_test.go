package shed

// Turns is how often connections began to wait for their clients.
func (c *Connections) Turns() int64 { return c.turns.Load() }

// OpenFiles is how many files the process may open.
func OpenFiles() int { return openFiles() }

// ReadAll is how bodies are read.
var ReadAll = readAll
