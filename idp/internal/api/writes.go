package api

// Create registers an API. Condition: id, audience and every scope name are free. It must have passed Validate.
type Create struct{ API API }

// Update replaces what is registered under API.ID. Condition: the stored version is API.Version, and audience and scope
// names are not another's. The id is never changed: subjects are derived from it.
type Update struct{ API API }

// UnitWrite implements unit.Write.
func (Create) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Update) UnitWrite() {}
