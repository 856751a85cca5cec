import { assert } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import { Effect, Layer, Random } from "effect"
import type * as EventBus from "effect-skald/bus/EventBus"
import * as Inbox from "effect-skald/bus/Inbox"
import * as OnError from "effect-skald/bus/OnError"
import * as Outbox from "effect-skald/bus/Outbox"
import * as Publisher from "effect-skald/bus/Publisher"
import * as SqlBus from "effect-skald/bus/Sql"
import * as SqlInbox from "effect-skald/bus/SqlInbox"
import * as SqlOutbox from "effect-skald/bus/SqlOutbox"
import * as StagedMessages from "effect-skald/bus/StagedMessages"
import * as Subscription from "effect-skald/bus/Subscription"
import { equal } from "./assert.ts"
import * as Databases from "./outboxDatabases.ts"
import { Counted, Counts } from "./outboxEvents.ts"
import * as Postgres from "./postgres.ts"
import * as Program from "./program.ts"
import { tempFile } from "./tempDirectory.ts"

/** What a series of kills came to. */
export interface Outcome {
  readonly kills: number
  readonly messages: number
  /** Those that were published again, and dropped by the inbox. */
  readonly doubled: number
}

const wait = (millis: number) => Effect.promise(() => new Promise((resolve) => setTimeout(resolve, millis)))

/**
 * A process relays what this one commits, and is killed with SIGKILL again and again: in turn between a commit and its publishing,
 * and between the publishing and its checkpoint. In the end everything has been handled once, in order. On a server where one is
 * given, in files otherwise; what is relayed from and what is relayed to are two databases.
 */
export const run = (kind: "store" | "table", kills: number, server?: string) =>
  Effect.gen(function*() {
    const database = yield* server === undefined ? tempFile() : Postgres.database(server)
    const busDatabase = yield* server === undefined ? tempFile("bus.db") : Postgres.database(server)
    const program = yield* Effect.acquireRelease(
      Effect.promise(() => Program.bundle("test/support/outboxRelay.ts")),
      ({ remove }) => Effect.sync(remove)
    )
    const services = yield* Layer.build(Layer.provideMerge(SqlOutbox.layer(), Databases.services(database)))
    const busServices = yield* Layer.build(
      Layer.merge(SqlBus.layer(), SqlInbox.layer()).pipe(Layer.provideMerge(Databases.client(busDatabase)))
    )
    const handled: Array<number> = []
    const ids = new Set<string>()
    let delivered = 0
    yield* Subscription.run("watch", {
      events: [Counted],
      handler: (event, delivery) => {
        delivered++
        ids.add(delivery.id)
        return Inbox.onceInTransaction((event: typeof Counted.Type) => Effect.sync(() => void handled.push(event.n)))(
          event,
          delivery
        )
      },
      onError: { BusError: OnError.inherit }
    }).pipe(Effect.provide(busServices))

    let written = 0
    const publisher = Publisher.make([Counted])
    /** Some are committed, and some that look like them are rolled back. */
    const write = (count: number) =>
      Effect.gen(function*() {
        const events = Array.from({ length: count }, () => Counted({ n: written++ }))
        if (kind === "store") return yield* Counts.append("1", events)
        const sql = yield* SqlClient.SqlClient
        const outbox = yield* StagedMessages.StagedMessages
        yield* sql.withTransaction(outbox.staged(publisher.publishAll(events, { key: "k" })))
        yield* Effect.ignore(
          sql.withTransaction(
            Effect.zipRight(outbox.staged(publisher.publish(Counted({ n: -1 }))), Effect.fail("rolled back"))
          )
        )
      }).pipe(Effect.provide(services))

    for (let kill = 0; kill < kills; kill++) {
      const nth = yield* Random.nextIntBetween(1, 3)
      yield* write(3 * nth)
      const child = Program.run(
        program.file,
        kind,
        database,
        busDatabase,
        kill % 2 === 0 ? "before" : "after",
        String(nth)
      )
      yield* Effect.promise(() => child.spoken)
      yield* Effect.promise(() =>
        new Promise<void>((resolve, reject) => {
          const timer = setTimeout(() => reject(new Error("it lives for 60 s and more")), 60_000)
          const check = () => child.process.signalCode === null ? setTimeout(check, 2) : resolve(clearTimeout(timer))
          check()
        })
      )
      assert.strictEqual(child.process.signalCode, "SIGKILL")
    }
    yield* write(3)
    // the rest is relayed by this process
    const bus = Layer.succeedContext(busServices) as Layer.Layer<EventBus.EventBus>
    const relay: Layer.Layer<never, unknown, Outbox.Services | StagedMessages.StagedMessages> = kind === "store"
      ? Outbox.layer("counts")
      : StagedMessages.layerRelay({ every: "2 millis" })
    yield* Layer.build(relay).pipe(Effect.provide(bus), Effect.provide(services))
    for (let looks = 0; handled.length < written; looks++) {
      if (looks > 3_000) assert.fail(`${handled.length} of ${written} messages were handled`)
      yield* wait(10)
    }
    // a double would still come
    yield* wait(200)
    equal(handled, Array.from({ length: written }, (_, n) => n), "each once, in order")
    assert.strictEqual(ids.size, written)
    return { kills, messages: written, doubled: delivered - written } satisfies Outcome
  })
