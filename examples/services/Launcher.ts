/**
 * Starts the five programs, sends work through, kills one of them and starts it again, and looks at what each saw.
 */
import { Console, Data, Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import type { Said } from "./Process.ts"
import { type Name, names, stock } from "./Programs.ts"

export class Failed extends Data.TaggedError("Failed")<{ readonly message: string }> {}

/** How many events of each type a program sees. */
export type Counts = { readonly [type: string]: number }

export interface Work {
  readonly users: number
  readonly orders: number
}

const items = ["book", "lamp", "chair"]

/** What each program must have seen in the end, by what it subscribes to. */
export const expected = ({ orders, users }: Work): { readonly [name in Name]: Counts } => {
  const wanted = items.map((_, item) =>
    Array.from({ length: orders }, (_, n) => n % items.length).filter((n) => n === item)
  )
  const reserved = wanted.reduce((sum, orders) => sum + Math.min(stock, orders.length), 0)
  const short = orders - reserved
  return {
    users: { OrderConfirmed: reserved },
    orders: { UserRegistered: users, StockReserved: reserved, StockShort: short },
    inventory: { OrderPlaced: orders },
    notifications: { UserRegistered: users, OrderConfirmed: reserved, OrderRejected: short },
    analytics: {
      UserRegistered: users,
      OrderPlaced: orders,
      StockReserved: reserved,
      StockShort: short,
      OrderConfirmed: reserved,
      OrderRejected: short
    }
  }
}

/** What is not as it must be, a line for each. */
export const differences = (name: Name, must: Counts, { counts, twice }: { counts: Counts; twice: number }) => [
  ...Array.from(new Set([...Object.keys(must), ...Object.keys(counts)])).flatMap((type) => {
    const [wanted, found] = [must[type] ?? 0, counts[type] ?? 0]
    return wanted === found ? [] : [`${name} saw ${found} ${type} and must see ${wanted}`]
  }),
  ...(twice === 0 ? [] : [`${name} saw ${twice} events twice`])
]

interface Running {
  readonly child: ChildProcess
  /** Sends a line, and waits for the answer to it; fails where the process ends before. */
  readonly ask: (line: string) => Effect.Effect<Said, Failed>
  /** Ends it at once, and waits until it has. */
  readonly kill: Effect.Effect<void>
}

/** A process of a program, until the scope ends. */
const start = (command: ReadonlyArray<string>, name: Name): Effect.Effect<Running, Failed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<Running, Failed>((resume) => {
      const child = spawn(process.execPath, [...command, "--role", name], { stdio: ["pipe", "pipe", "inherit"] })
      const waiting: Array<(said: Said | undefined) => void> = []
      let ended = false
      const closed = new Promise<void>((resolve) => child.once("close", () => resolve()))
      child.stdin.on("error", () => {})
      child.once("close", () => {
        ended = true
        for (const answer of waiting.splice(0)) answer(undefined)
      })
      createInterface({ input: child.stdout }).on("line", (line) => waiting.shift()?.(JSON.parse(line)))
      const next = Effect.async<Said, Failed>((resume) => {
        const answer = (said: Said | undefined) =>
          resume(said === undefined ? new Failed({ message: `${name} has ended` }) : Effect.succeed(said))
        if (ended) answer(undefined)
        else waiting.push(answer)
      })
      const running: Running = {
        child,
        ask: (line) => Effect.zipRight(Effect.sync(() => void child.stdin.write(`${line}\n`)), next),
        kill: Effect.promise(() => {
          child.kill("SIGKILL")
          return closed
        })
      }
      // the first thing that it says is that it is ready
      resume(Effect.as(next, running))
    }),
    ({ kill }) => kill
  )

const report = (running: Running) =>
  Effect.flatMap(
    running.ask("report"),
    (said) => said._tag === "seen" ? Effect.succeed(said) : new Failed({ message: `an answer of ${said._tag}` })
  )

const total = (counts: Counts) => Object.values(counts).reduce((sum, count) => sum + count, 0)

/** The whole; `command` starts this program once more. */
export const run = (command: ReadonlyArray<string>, work: Work, limit: number) =>
  Effect.gen(function*() {
    const must = expected(work)
    yield* Console.log(`Starting ${names.join(", ")}.`)
    const started = yield* Effect.forEach(names, (name) => start(command, name), { concurrency: names.length })
    const running = Object.fromEntries(names.map((name, index) => [name, started[index]!])) as Record<Name, Running>

    const users = Array.from({ length: work.users }, (_, n) => `user-${n}`)
    for (const user of users) yield* running.users.ask(`register ${user}`)
    const order = (n: number) =>
      running.orders.ask(`place order-${n} ${users[n % users.length] ?? "nobody"} ${items[n % items.length]}`)

    const first = Math.ceil(work.orders / 2)
    for (let n = 0; n < first; n++) yield* order(n)
    // in the midst of its work
    const until = Math.ceil(first / 3)
    yield* waitFor(
      "inventory to be in the midst of its work",
      limit,
      Effect.map(report(running.inventory), ({ counts }) => total(counts) >= until)
    )
    yield* running.inventory.kill
    yield* Console.log(`Killed inventory (${running.inventory.child.signalCode}) in the midst of its work.`)
    for (let n = first; n < work.orders; n++) yield* order(n)
    running.inventory = yield* start(command, "inventory")
    yield* Console.log("Started inventory again.")

    const done = Effect.map(
      Effect.forEach(names, (name) =>
        Effect.map(report(running[name]), ({ counts }) => total(counts) >= total(must[name]))),
      (all) =>
        all.every((each) => each)
    )
    // what is missing in the end is told below
    yield* Effect.catchTag(waitFor("all events", limit, done), "Failed", ({ message }) => Console.log(message))
    // one too many would still come
    yield* Effect.sleep("300 millis")

    const wrong: Array<string> = []
    for (const name of names) {
      const seen = yield* report(running[name])
      wrong.push(...differences(name, must[name], seen))
      const counts = Object.entries(seen.counts).map(([type, count]) => `${count} ${type}`)
      yield* Console.log(`${name.padEnd(14)}${counts.join(", ")}`)
    }
    if (wrong.length > 0) return yield* new Failed({ message: wrong.join("\n") })
    yield* Console.log("Each saw what it subscribes to, each event once.")
  }).pipe(Effect.scoped)

const waitFor = (what: string, limit: number, holds: Effect.Effect<boolean, Failed>): Effect.Effect<void, Failed> =>
  Effect.repeat(Effect.zipLeft(holds, Effect.sleep("20 millis")), { until: (held) => held }).pipe(
    Effect.timeoutFail({
      duration: limit,
      onTimeout: () => new Failed({ message: `Waited for ${what} for ${limit / 1_000} s in vain.` })
    }),
    Effect.asVoid
  )
