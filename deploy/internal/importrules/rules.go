package importrules

// Module is one module's order.
type Module struct {
	Path   string // import path
	Layers []Layer
	Only   []Only
}

// Layer is a set of packages that may import the same.
type Layer struct {
	Name     string
	Packages []string // paths below the module; "…/*" is every package below
	May      []string // names of layers that it may import; everything else of the module is refused
	HTTP     bool     // it may import net/http
}

// Only says who alone may import a library.
type Only struct {
	Prefix string   // import path, or the beginning of one up to a slash
	By     []string // packages; empty: nobody
	Tests  bool     // everybody's tests may: they look into a database
	Why    string
}

// nobody lists what no package of any module may import.
var nobody = []Only{
	{Prefix: "C", Why: "what ships is built without cgo"},
	{Prefix: "math/rand", Why: "randomness comes from crypto/rand"},
	{Prefix: "github.com/gorilla/csrf", Why: "the edge has its own form tokens (CVE-2025-24358, CVE-2025-47909)"},
}

// domains of the identity provider, in their order.
var domains = []string{"leaves", "audit", "trace", "registry", "credentials", "grant", "flow", "acts"}

// Identity is the order within the identity provider.
var Identity = Module{
	Path: "ellis.example/idp",
	Layers: []Layer{
		{Name: "leaves", May: []string{"leaves"}, Packages: []string{
			"internal/argon", "internal/chain", "internal/clock", "internal/config", "internal/fault", "internal/fresh", "internal/i18n", "internal/ident", "internal/lease", "internal/lines", "internal/peer", "internal/rate", "internal/reference", "internal/seal", "internal/unit", "internal/witness",
		}},
		{Name: "audit", May: domains[:1], Packages: []string{"internal/audit"}},
		{Name: "trace", May: domains[:2], Packages: []string{"internal/audit/trace"}},
		{Name: "registry", May: domains[:3], Packages: []string{"internal/account", "internal/api", "internal/client", "internal/keyring", "internal/notify"}},
		{Name: "tokens", May: domains[:4], Packages: []string{"internal/keyring/pkcs11"}},
		{Name: "credentials", May: domains[:4], Packages: []string{"internal/factor", "internal/session", "internal/throttle"}},
		{Name: "grant", May: domains[:5], Packages: []string{"internal/feed", "internal/grant"}},
		{Name: "flow", May: domains[:6], Packages: []string{"internal/flow"}},
		{Name: "acts", May: domains[:7], Packages: []string{"internal/acts", "internal/epoch"}},

		{Name: "sqldb", May: []string{"leaves"}, Packages: []string{"internal/sqldb"}},
		{Name: "freeport", Packages: []string{"internal/freeport"}},
		{Name: "pgtest", May: []string{"freeport"}, Packages: []string{"internal/sqldb/pgtest"}},
		{Name: "redisdb", May: []string{"leaves"}, Packages: []string{"internal/store/redisstore/redisdb"}},
		{Name: "redistest", May: []string{"freeport"}, Packages: []string{"internal/store/redisstore/redistest"}},
		{Name: "background", May: []string{"leaves"}, Packages: []string{"internal/background"}},
		{Name: "shed", May: []string{"leaves"}, HTTP: true, Packages: []string{"internal/shed"}},
		{Name: "telemetry", May: []string{"leaves"}, HTTP: true, Packages: []string{"internal/telemetry"}},
		{Name: "web", May: []string{"leaves", "shed", "telemetry"}, HTTP: true, Packages: []string{"internal/web"}},
		{Name: "ui", May: []string{"leaves"}, HTTP: true, Packages: []string{"internal/ui"}},
		{Name: "uitest", May: []string{"leaves", "ui"}, Packages: []string{"internal/ui/uitest"}},
		{Name: "store", May: append([]string{"sqldb", "redisdb"}, domains...), Packages: []string{"internal/store/memstore", "internal/store/redisstore", "internal/store/sqlstore"}},
		{Name: "storetest", May: append([]string{"store", "pgtest"}, domains...), Packages: []string{"internal/store/storetest", "internal/store/sqlstore/sqltest"}},

		{Name: "oauth", May: append([]string{"web", "ui"}, domains...), HTTP: true, Packages: []string{"internal/oauth"}},
		{Name: "pages", May: append([]string{"web", "ui"}, domains...), HTTP: true, Packages: []string{"internal/pages"}},
		{Name: "admin", May: append([]string{"web", "ui"}, domains...), HTTP: true, Packages: []string{"internal/admin"}},
		{Name: "cmd", May: append([]string{"tokens", "telemetry", "web", "ui", "sqldb", "redisdb", "store", "oauth", "pages", "admin", "background"}, domains...), HTTP: true, Packages: []string{"cmd/idp"}},
	},
	Only: []Only{
		{Prefix: "github.com/ory/fosite", By: []string{"internal/oauth"}, Why: "the protocol core stays in one package"},
		{Prefix: "github.com/go-jose/go-jose/v3", By: []string{"internal/oauth"}, Why: "it is there for the protocol core alone"},
		{Prefix: "github.com/redis/go-redis", By: []string{"internal/store/redisstore", "internal/store/redisstore/redisdb", "internal/store/redisstore/redistest"}, Why: "one package speaks to Redis"},
		{Prefix: "database/sql", By: []string{"internal/sqldb", "internal/sqldb/pgtest", "internal/store/sqlstore"}, Tests: true, Why: "statements are in sqlstore, connections in sqldb"},
		{Prefix: "modernc.org/sqlite", By: []string{"internal/sqldb"}, Tests: true, Why: "one package opens databases"},
		{Prefix: "github.com/jackc/pgx", By: []string{"internal/sqldb", "internal/sqldb/pgtest"}, Why: "one package opens databases"},
		{Prefix: "github.com/ThalesGroup/crypto11", By: []string{"internal/keyring/pkcs11"}, Why: "it needs cgo: one package, behind a build tag"},
		{Prefix: "github.com/spf13/cobra", By: []string{"cmd/idp", "internal/config", "internal/reference"}, Why: "commands are in cmd, config reads their lines, and reference tells of them"},
		{Prefix: "go.opentelemetry.io", By: []string{"internal/telemetry"}, Why: "one package makes traces, and says what they tell"},
		{Prefix: "github.com/wneessen/go-mail", By: []string{"internal/notify"}, Why: "one package sends mail"},
	},
}

// Cases is the order within the case service.
var Cases = Module{
	Path: "ellis.example/caseservice",
	Layers: []Layer{
		{Name: "leaves", May: []string{"leaves"}, Packages: []string{
			"internal/chain", "internal/clock", "internal/config", "internal/fault", "internal/i18n", "internal/ident", "internal/lines", "internal/paper", "internal/peer", "internal/rate", "internal/reference", "internal/strictjson", "internal/unit", "internal/witness",
		}},
		{Name: "sqldb", May: []string{"leaves"}, Packages: []string{"internal/sqldb"}},
		{Name: "freeport", Packages: []string{"internal/freeport"}},
		{Name: "pgtest", May: []string{"freeport"}, Packages: []string{"internal/sqldb/pgtest"}},
		{Name: "gen", May: []string{"gen"}, Packages: []string{"internal/gen", "internal/gen/copyleaves"}},
		{Name: "ledger", May: []string{"leaves"}, Packages: []string{"internal/ledger"}},
		{Name: "cases", May: []string{"leaves", "ledger"}, Packages: []string{"internal/cases"}},
		{Name: "epoch", May: []string{"leaves", "ledger", "cases"}, Packages: []string{"internal/epoch"}},
		{Name: "issuer", May: []string{"leaves"}, HTTP: true, Packages: []string{"internal/issuer"}},
		{Name: "feed", May: []string{"leaves", "issuer"}, HTTP: true, Packages: []string{"internal/feed"}},
		{Name: "accesstoken", May: []string{"leaves", "cases", "issuer", "feed"}, Packages: []string{"internal/accesstoken"}},
		{Name: "issuertest", May: []string{"leaves"}, HTTP: true, Packages: []string{"internal/accesstoken/issuertest"}},

		{Name: "shed", May: []string{"leaves"}, HTTP: true, Packages: []string{"internal/shed"}},
		{Name: "telemetry", May: []string{"leaves"}, HTTP: true, Packages: []string{"internal/telemetry"}},
		{Name: "web", May: []string{"leaves", "shed", "telemetry"}, HTTP: true, Packages: []string{"internal/web"}},
		{Name: "ui", May: []string{"leaves"}, HTTP: true, Packages: []string{"internal/ui"}},
		{Name: "store", May: []string{"leaves", "sqldb", "ledger", "cases", "epoch"}, Packages: []string{"internal/store/sqlstore"}},
		{Name: "storetest", May: []string{"leaves", "ledger", "cases", "epoch", "store"}, Packages: []string{"internal/store/storetest"}},

		{Name: "api", May: []string{"leaves", "ledger", "cases", "accesstoken", "web"}, HTTP: true, Packages: []string{"internal/api"}},
		{Name: "signin", May: []string{"leaves", "web"}, HTTP: true, Packages: []string{"internal/signin"}},
		{Name: "sessiontest", May: []string{"leaves", "signin"}, Packages: []string{"internal/signin/sessiontest"}},
		{Name: "redisdb", May: []string{"leaves"}, Packages: []string{"internal/store/redisstore/redisdb"}},
		{Name: "redistest", May: []string{"freeport"}, Packages: []string{"internal/store/redisstore/redistest"}},
		{Name: "sessions", May: []string{"leaves", "redisdb", "signin"}, Packages: []string{"internal/store/redisstore"}},
		{Name: "signintest", May: []string{"leaves"}, HTTP: true, Packages: []string{"internal/signin/issuertest"}},
		{Name: "caseapi", May: []string{"leaves"}, HTTP: true, Packages: []string{"internal/portal/caseapi"}},
		// The portal has no case data of its own: it asks the API, as any other app would.
		{Name: "portal", May: []string{"leaves", "signin", "caseapi", "ui", "web"}, HTTP: true, Packages: []string{"internal/portal"}},
		{Name: "cmd", HTTP: true, Packages: []string{"cmd/caseservice"}, May: []string{
			"leaves", "sqldb", "ledger", "cases", "epoch", "issuer", "feed", "accesstoken", "telemetry", "web", "ui", "store", "api", "signin", "redisdb", "sessions", "caseapi", "portal",
		}},
	},
	Only: []Only{
		{Prefix: "database/sql", By: []string{"internal/sqldb", "internal/sqldb/pgtest", "internal/store/sqlstore"}, Tests: true, Why: "statements are in sqlstore, connections in sqldb"},
		{Prefix: "modernc.org/sqlite", By: []string{"internal/sqldb"}, Tests: true, Why: "one package opens databases"},
		{Prefix: "github.com/jackc/pgx", By: []string{"internal/sqldb", "internal/sqldb/pgtest"}, Why: "one package opens databases"},
		{Prefix: "github.com/redis/go-redis", By: []string{"internal/store/redisstore", "internal/store/redisstore/redisdb", "internal/store/redisstore/redistest"}, Why: "one package speaks to Redis"},
		{Prefix: "github.com/spf13/cobra", By: []string{"cmd/caseservice", "internal/config", "internal/reference"}, Why: "commands are in cmd, config reads their lines, and reference tells of them"},
		{Prefix: "go.opentelemetry.io", By: []string{"internal/telemetry"}, Why: "one package makes traces, and says what they tell"},
		{Prefix: "golang.org/x/oauth2", By: []string{"internal/signin"}, Why: "one package is the relying party"},
		{Prefix: "github.com/coreos/go-oidc", By: []string{"internal/signin"}, Why: "one package is the relying party"},
		{Prefix: "github.com/ory", Why: "the case service shares no protocol code with the provider"},
	},
}

// Deploy is the order within the module of the demo, the tools and the black-box tests.
var Deploy = Module{
	Path: "ellis.example/deploy",
	Layers: []Layer{
		{Name: "support", HTTP: true, Packages: []string{"internal/faultproxy", "internal/freeport", "internal/agent", "internal/balance", "internal/launch", "internal/mailbox", "internal/seed", "internal/servers"}, May: []string{"support"}},
		{Name: "checks", Packages: []string{"internal/conformance", "internal/importrules", "internal/reference"}},
		{Name: "commands", HTTP: true, Packages: []string{"assets/subset", "demo", "bench", "faults", "overload", "reach", "traces", "e2e", "e2e/*"}, May: []string{"support", "commands"}},
	},
}

// Modules lists all of them with the folder that each is in.
var Modules = map[string]Module{"idp": Identity, "caseservice": Cases, "deploy": Deploy}
