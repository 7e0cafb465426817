package sqlstore

// The writer's statements. Each condition of a write stands in its WHERE.
const (
	insertCase = `INSERT INTO cases (id, receipt, form, status, stage, status_since, submitted_on, updated_at, until_on, until_kind, last_seq)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	insertEvent       = `INSERT INTO events (case_id, seq, id, code, at) VALUES (?, ?, ?, ?, ?)`
	insertAppointment = `INSERT INTO appointments (id, case_id, kind, state, starts_at, utc_offset, place, address) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
	insertCode        = `INSERT INTO claim_codes (case_id, mac, expires_at) VALUES (?, ?, ?)`
	holdCase          = `SELECT 1 FROM cases WHERE id = ? FOR UPDATE`
	reissueCode       = `INSERT INTO claim_codes (case_id, mac, expires_at) SELECT id, CAST(? AS BYTEA), CAST(? AS BIGINT) FROM cases
WHERE id = ? AND NOT EXISTS (SELECT 1 FROM parties WHERE case_id = cases.id AND relationship = 'owner')
ON CONFLICT (case_id) DO UPDATE SET mac = excluded.mac, expires_at = excluded.expires_at, used_at = 0, used_by = ''`
	insertOwner     = `INSERT INTO parties (case_id, sub, relationship, since) SELECT id, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT) FROM cases WHERE id = ? ON CONFLICT DO NOTHING`
	touchCase       = `UPDATE cases SET last_seq = last_seq + 1, updated_at = ? WHERE id = ?`
	insertNextEvent = `INSERT INTO events (case_id, seq, id, code, at) SELECT id, last_seq, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT) FROM cases WHERE id = ?`
	spendCode       = `UPDATE claim_codes SET used_at = ?, used_by = ? WHERE case_id = ? AND mac = ? AND used_at = 0 AND expires_at > ?`

	countTry = `INSERT INTO claim_tries (sub, n, since) VALUES (?, 1, ?)
ON CONFLICT (sub) DO UPDATE SET
    n     = CASE WHEN claim_tries.since <= ? THEN 1 ELSE claim_tries.n + 1 END,
    since = CASE WHEN claim_tries.since <= ? THEN excluded.since ELSE claim_tries.since END
WHERE claim_tries.since <= ? OR claim_tries.n < ?`

	forgetTries = `DELETE FROM claim_tries WHERE sub = ?`

	// The delay doubles with each try beyond the free ones, up to the longest; a pause begins anew.
	countBackoff = `INSERT INTO claim_backoffs (receipt_mac, n, last_at, not_before) VALUES (?1, 1, ?2, ?3)
ON CONFLICT (receipt_mac) DO UPDATE SET
    n          = CASE WHEN claim_backoffs.last_at <= ?4 THEN 1 ELSE claim_backoffs.n + 1 END,
    last_at    = excluded.last_at,
    not_before = excluded.last_at + CASE
        WHEN claim_backoffs.last_at <= ?4 OR claim_backoffs.n + 1 < ?5 THEN 0
        WHEN claim_backoffs.n + 1 - ?5 >= 6 THEN CAST(?6 AS BIGINT)
        ELSE 1000000 * (CAST(1 AS BIGINT) << CAST(claim_backoffs.n + 1 - ?5 AS INTEGER)) END
WHERE claim_backoffs.not_before <= excluded.last_at`

	openKey = `INSERT INTO idempotency_keys (sub, hash, request, opened_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (sub, hash) DO UPDATE SET request = excluded.request, opened_at = excluded.opened_at, done = 0, case_id = '', fault = ''
WHERE idempotency_keys.opened_at <= ?5
   OR (idempotency_keys.done = 0 AND idempotency_keys.opened_at <= ?6 AND idempotency_keys.request = excluded.request)`
	closeKey = `UPDATE idempotency_keys SET done = 1, case_id = ?, fault = ? WHERE sub = ? AND hash = ? AND opened_at = ? AND done = 0`

	insertEntry = `INSERT INTO ledger (writer, seq, at, act, outcome, reason, case_id, sub, client_id, txn, jti, actor, purpose, request_id, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

const (
	caseColumns        = `c.id, c.receipt, c.form, c.status, c.stage, c.status_since, c.submitted_on, c.updated_at, c.until_on, c.until_kind`
	relationshipColumn = `COALESCE(p.relationship, '') AS relationship`
	appointmentColumns = `COALESCE(a.id, ''), COALESCE(a.kind, ''), COALESCE(a.state, ''), COALESCE(a.starts_at, 0), COALESCE(a.utc_offset, 0),
    COALESCE(a.place, ''), COALESCE(a.address, '')`
)

// The readers' statements.
const (
	// The appointments of a stranger's case are joined to nothing.
	selectEntry = `SELECT ` + caseColumns + `, ` + relationshipColumn + `, ` + appointmentColumns + ` FROM cases c
LEFT JOIN parties p ON p.case_id = c.id AND p.sub = ? LEFT JOIN appointments a ON a.case_id = p.case_id WHERE `
	selectFile          = selectEntry + `c.id = ?`
	selectFileByReceipt = selectEntry + `c.receipt = ?`
	selectList          = `SELECT ` + caseColumns + `, c.relationship, ` + appointmentColumns + ` FROM (
    SELECT ` + caseColumns + `, ` + relationshipColumn + ` FROM parties p JOIN cases c ON c.id = p.case_id
    WHERE p.sub = ? AND (c.updated_at < ? OR (c.updated_at = ? AND c.id < ?)) ORDER BY c.updated_at DESC, c.id DESC LIMIT ?
) c LEFT JOIN appointments a ON a.case_id = c.id ORDER BY c.updated_at DESC, c.id DESC`
	selectEvents = `SELECT seq, id, code, at FROM events WHERE case_id = ? AND seq > ? ORDER BY seq LIMIT ?`
	selectCounts = `SELECT form, stage, COUNT(*) FROM cases GROUP BY form, stage ORDER BY form, stage`
	selectKey    = `SELECT request, done, case_id, fault, opened_at FROM idempotency_keys WHERE sub = ? AND hash = ? AND opened_at > ?`
	selectEnded  = `SELECT case_id FROM claim_codes c WHERE used_at = 0 AND expires_at <= ?
AND NOT EXISTS (SELECT 1 FROM parties p WHERE p.case_id = c.case_id AND p.relationship = 'owner') ORDER BY case_id`
	selectTries   = `SELECT n, since FROM claim_tries WHERE sub = ?`
	selectBackoff = `SELECT not_before FROM claim_backoffs WHERE receipt_mac = ?`
)
