// The wings of the house and which way their imports point. The rules are those of docs/decisions.md: a wing sees the
// wings beneath it, drivers hang outside the core, and only the composed layers see several drivers.

/** Each wing with the wings it may reach, directly or through src/internal. */
const beneath = {
  event: [],
  resilience: [],
  store: ["event", "resilience"],
  bus: ["event", "resilience", "store"],
  cep: ["event", "resilience", "store", "bus"],
  cqrs: ["event", "resilience", "store", "bus", "cep"],
  saga: ["event", "resilience", "store", "bus", "cep", "cqrs"],
  http: ["event", "resilience", "store", "bus", "cep", "cqrs", "saga"]
}
const wings = Object.keys(beneath)

/** Modules that are pure: they know what an event is, and nothing else of the house. */
const pure = "^src/(event/Machine|cep/(Aggregation|Join|Matcher|Pattern|Watermark|Window)|cqrs/Decider)\\.ts$"

/** Driver files, by the client they speak through. */
const clients = "(Sqlite|Sql|Postgres|Pg|MySql|Mysql|MariaDb|Redis|Kafka|Amqp|Nats)"
const drivers = `^src/[a-z]+/${clients}[A-Za-z0-9]*\\.ts$`
/** The details of drivers: the folders of src/internal that are named by a client, and files named by one in a wing's folder. */
const client = "(sqlite|sql|postgres|mysql|redis|kafka|amqp|nats)"
const driverDetails = [`^src/internal/${client}/`, `^src/internal/[a-z]+/${client}[A-Za-z0-9]*\\.ts$`]
const composed = "^src/(Memory|Sqlite|Postgres|Redis)\\.ts$"
const apart = [drivers, ...driverDetails, composed, "^src/(internal/)?testing/", "^src/index\\.ts$"]

module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      comment: "An import cycle means two modules are one concept, or a concept is missing between them.",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } }
    },
    {
      name: "no-cycles-of-types",
      comment: "Not even types go in a circle, but for a file of src/internal that names the types of its own module.",
      severity: "error",
      from: { pathNot: "^src/internal/" },
      to: { circular: true, viaOnly: { pathNot: "^src/internal/" } }
    },
    {
      name: "resolvable",
      comment: "An import that cannot be found.",
      severity: "error",
      from: { pathNot: "^test/types/" },
      to: { couldNotResolve: true }
    },
    ...wings.map((wing) => ({
      name: `wing-${wing}`,
      comment: `src/${wing} reaches only ${beneath[wing].join(", ") || "itself"} (and src/internal), on any path.`,
      severity: "error",
      from: { path: `^src/${wing}/` },
      to: {
        path: `^src/(${wings.filter((other) => other !== wing && !beneath[wing].includes(other)).join("|")})/`,
        reachable: true
      }
    })),
    {
      name: "wings-are-known",
      comment: "A new folder in src is a new wing: say in this file what it may reach.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^src/[^/]+/", pathNot: `^src/(${wings.join("|")}|internal|testing)/` }
    },
    {
      name: "pure-modules",
      comment: "A pure module imports src/event, other pure modules and src/internal only, on any path.",
      severity: "error",
      from: { path: pure },
      to: { path: "^src/", pathNot: ["^src/event/", "^src/internal/", pure], reachable: true }
    },
    {
      name: "pure-modules-packages",
      comment: "A pure module needs no package but effect.",
      severity: "error",
      from: { path: pure },
      to: {
        dependencyTypes: ["npm", "npm-dev", "npm-peer", "npm-optional", "core"],
        pathNot: "node_modules/effect/"
      }
    },
    {
      name: "core-without-drivers",
      comment: "Nothing in the core reaches a driver, a composed layer, testing/ or index.ts, on any path.",
      severity: "error",
      from: { path: "^src/", pathNot: apart },
      to: { path: apart, reachable: true }
    },
    {
      name: "testing-without-drivers",
      comment: "The testing kit takes layers as parameters: it imports no driver and no composed layer.",
      severity: "error",
      from: { path: "^src/testing/" },
      to: { path: [drivers, ...driverDetails, composed, "^src/index\\.ts$"], reachable: true }
    },
    {
      name: "index-without-drivers",
      comment: "The index is the core: importing it loads no driver, no composed layer and no testing kit.",
      severity: "error",
      from: { path: "^src/index\\.ts$" },
      to: { path: [drivers, ...driverDetails, composed, "^src/testing/"], reachable: true }
    },
    {
      name: "drivers-stay-home",
      comment:
        "A driver imports its own wing, the event wing, resilience and internal details: nothing else of the house.",
      severity: "error",
      from: { path: `^src/([a-z]+)/${clients}[A-Za-z0-9]*\\.ts$` },
      to: { path: "^src/", pathNot: ["^src/$1/", "^src/event/", "^src/resilience/", "^src/internal/"] }
    },
    {
      name: "drivers-apart",
      comment: "Drivers of different clients know nothing of each other; SQL drivers are one family.",
      severity: "error",
      from: { path: "^src/[a-z]+/(Redis|Kafka|Amqp|Nats)[A-Za-z0-9]*\\.ts$" },
      to: { path: drivers, pathNot: "^src/[a-z]+/$1[A-Za-z0-9]*\\.ts$" }
    },
    {
      name: "sql-drivers-apart",
      comment: "A SQL driver imports SQL drivers only.",
      severity: "error",
      from: { path: "^src/[a-z]+/(Sqlite|Sql|Postgres|Pg|MySql|Mysql|MariaDb)[A-Za-z0-9]*\\.ts$" },
      to: { path: "^src/[a-z]+/(Redis|Kafka|Amqp|Nats)[A-Za-z0-9]*\\.ts$" }
    },
    {
      name: "internal-stays-inside",
      comment: "src/internal is imported by src only.",
      severity: "error",
      from: { pathNot: "^src/" },
      to: { path: "^src/internal/" }
    },
    {
      name: "internal-below",
      comment: "Internal details never import the composed layers, the testing kit or the index.",
      severity: "error",
      from: { path: "^src/internal/" },
      to: { path: [composed, "^src/testing/", "^src/index\\.ts$"] }
    },
    {
      name: "as-users-do",
      comment: "Tests, examples and benches import effect-skald/…, as users do.",
      severity: "error",
      from: { path: "^(test|examples|bench|scripts)/" },
      to: { path: "^src/", dependencyTypes: ["local"], dependencyTypesNot: ["aliased"] }
    },
    {
      name: "src-alone",
      comment: "The library does not import its tests, examples, benches or scripts.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(test|examples|bench|scripts)/" }
    },
    {
      name: "src-dependencies",
      comment: "What src imports is a dependency or a peer, not a development dependency.",
      severity: "error",
      from: { path: "^src/" },
      to: {
        dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"],
        dependencyTypesNot: ["npm", "npm-peer", "npm-optional"]
      }
    },
    {
      name: "native-addon",
      comment: "better-sqlite3 is loaded by SQLite drivers only.",
      severity: "error",
      from: {
        path: "^src/",
        pathNot: [
          "^src/store/Sqlite[A-Za-z0-9]*\\.ts$",
          "^src/internal/sqlite/",
          "^src/internal/[a-z]+/sqlite[A-Za-z0-9]*\\.ts$"
        ]
      },
      to: { path: "node_modules/better-sqlite3/" }
    },
    {
      name: "test-runner",
      comment: "vitest is an optional peer, for src/testing alone.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/testing/" },
      to: { path: "node_modules/(vitest|@effect/vitest)/" }
    }
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "node", "default"] },
    progress: { type: "none" }
  }
}
