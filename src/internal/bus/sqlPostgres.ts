import { type SqlClient, TransactionConnection } from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { Settlement } from "../../bus/BusDriver.ts"
import { BusError } from "../../bus/BusError.ts"
import type { Message } from "../../bus/Message.ts"
import * as Process from "../store/lease.ts"
import * as Batch from "../postgres/batch.ts"
import { reasonOf, storeError } from "../postgres/errors.ts"
import { isInside, transact } from "../postgres/transaction.ts"
import type { Database, Member, Registered, Taken } from "./sqlDatabase.ts"
import * as Rows from "./sqlRows.ts"

type Row = ReadonlyArray<any>

/** The numbers of settlements in the database's function. */
const tags: { readonly [tag in Settlement["_tag"]]: number } = { done: 0, later: 1, keep: 2, return: 3 }

const isLost = (error: BusError): boolean => error.reason === "unavailable"

/** The tables of the bus in PostgreSQL. With a channel, others are told of what a transaction of the caller's commits. */
export const make = (
  sql: SqlClient,
  settings: {
    readonly prefix: string
    readonly channel: string | undefined
    readonly retry: Schedule.Schedule<unknown, BusError>
  }
): Database => {
  const table = (name: string) => `${settings.prefix}${name}`

  const query = (text: string, params: ReadonlyArray<unknown>): Effect.Effect<ReadonlyArray<Row>, SqlError> =>
    Effect.suspend(() => sql.unsafe(text, params as ReadonlyArray<any>).values as Effect.Effect<any, SqlError>)

  const once = (operation: string, text: string, params: ReadonlyArray<unknown>) =>
    Effect.mapError(query(text, params), (error) => Rows.busError(operation, storeError(operation, error)))

  /** Asked again while its connection is lost; nothing is made for that until it is. */
  const retried = <A>(effect: Effect.Effect<A, BusError>): Effect.Effect<A, BusError> =>
    Effect.catchAll(effect, (error) => {
      if (!isLost(error)) return Effect.fail(error)
      let first = true
      const again = Effect.suspend(() => {
        if (!first) return effect
        first = false
        return Effect.fail(error)
      })
      return Effect.retry(again, { schedule: settings.retry, while: isLost })
    })

  /** What may be asked twice is asked again when its connection was lost, outside of the caller's transactions. */
  const run = (operation: string, text: string, params: ReadonlyArray<unknown>) => {
    const effect = once(operation, text, params)
    return Effect.withFiberRuntime<ReadonlyArray<Row>, BusError>((fiber) => isInside(fiber) ? effect : retried(effect))
  }

  /** What must not be done twice: after a connection that was lost meanwhile, nobody knows whether it was. */
  const runOnce = (operation: string, text: string, params: ReadonlyArray<unknown>) =>
    Effect.withFiberRuntime<ReadonlyArray<Row>, BusError>((fiber) => {
      if (isInside(fiber)) return once(operation, text, params)
      return retried(
        Effect.mapError(
          query(text, params),
          (error) =>
            reasonOf(error) !== "unavailable" || error.message === "Failed to acquire connection"
              ? Rows.busError(operation, storeError(operation, error))
              : new BusError({ reason: "timeout", operation, cause: error })
        )
      )
    })

  const detached = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.mapInputContext(
      self,
      (context: Context.Context<R>) =>
        Context.omit(TransactionConnection)(context as Context.Context<any>) as Context.Context<R>
    )

  const texts = {
    publish: `SELECT ${table("bus_publish")}(${places(22)})`,
    claim: `SELECT * FROM ${table("bus_claim")}(${places(5)})`,
    release: `SELECT ${table("bus_release")}(${places(4)})`,
    done: `SELECT ${table("bus_done")}(${places(4)})`,
    settle: `SELECT ${table("bus_settle")}(${places(10)})`,
    depth: `SELECT * FROM ${table("bus_depth")}(${places(2)})`,
    now: `coalesce($1::int8, floor(extract(epoch FROM clock_timestamp()) * 1000)::int8)`
  }

  /** What this process asks for is numbered, so that what comes to the server too late is known for that. */
  let asked = 0

  const write = (
    operation: string,
    epoch: number | null,
    messages: ReadonlyArray<Message>,
    targets: { readonly messages: ReadonlyArray<number>; readonly groups: ReadonlyArray<number> },
    states: ReadonlyArray<string | null>,
    now: number | undefined,
    committed: () => void
  ): Effect.Effect<boolean, BusError> =>
    Effect.withFiberRuntime((fiber) => {
      const inside = isInside(fiber)
      const payloads: Array<unknown> = []
      const bytes: Array<unknown> = []
      for (const { payload } of messages) Batch.addPayload(payload, payloads, bytes)
      const params = [
        epoch,
        now ?? null,
        inside ? settings.channel ?? null : null,
        messages.map((message) => message.occurredAt),
        messages.map((message) => message.publishedAt),
        messages.map((message) => message.readyAt),
        messages.map((message) => message.expiresAt ?? null),
        messages.map((message) => message.schemaVersion),
        messages.map((message) => message.retries ?? null),
        messages.map((message) => message.priority),
        messages.map((message) => message.id),
        messages.map((message) => message.type),
        messages.map((message) => message.subject),
        messages.map((message) => message.source),
        messages.map((message) => message.key ?? null),
        messages.map((message) => message.metadata),
        messages.map((message) => message.format),
        payloads,
        bytes,
        targets.messages.map((index) => index + 1),
        targets.groups,
        states
      ]
      return Effect.map(runOnce(operation, texts.publish, params), (rows) => {
        if (rows[0]![0] !== true) return false
        // In the caller's transaction its commit tells.
        if (!inside) committed()
        return true
      })
    })

  const bury = (members: ReadonlyArray<number>) =>
    Effect.zipRight(
      run(
        "EventBus.consume",
        `UPDATE ${table("bus_members")} SET dead = true WHERE NOT dead AND id = ANY ($1::int8[])`,
        [members]
      ),
      Effect.flatMap(run("EventBus.consume", `SELECT ${table("bus_bury")}()`, []), (rows) =>
        rows[0]![0] === true ? sweep : Effect.void)
    )

  /** Removes what was on its way to subscriptions that have ended. */
  const sweep = run("EventBus.consume", `SELECT ${table("bus_drain")}(epoch) FROM ${table("bus_state")}`, []).pipe(
    Effect.zipRight(run(
      "EventBus.consume",
      `DELETE FROM ${table("bus_deliveries")} AS d
        WHERE NOT EXISTS (SELECT FROM ${table("bus_groups")} AS g WHERE g.id = d.bus_group)`,
      []
    )),
    Effect.asVoid
  )

  return {
    name: "postgres",
    inTransaction: Effect.withFiberRuntime((fiber) => Effect.succeed(isInside(fiber))),
    detached,
    groups: Effect.map(
      run(
        "EventBus.publish",
        `SELECT s.epoch, g.id, g.name, g.selector FROM ${table("bus_state")} AS s LEFT JOIN ${
          table("bus_groups")
        } AS g ON true
          ORDER BY g.id`,
        []
      ),
      Rows.registry
    ),
    publish: (epoch, messages, targets, now, committed) =>
      write("EventBus.publish", epoch, messages, targets, targets.messages.map(() => null), now, committed),
    redeliver: (group, again, now, committed) =>
      Effect.asVoid(write(
        "EventBus.redeliver",
        null,
        again.map(({ message }) => message),
        { messages: again.map((_, index) => index), groups: again.map(() => group) },
        again.map(({ state }) => state),
        now,
        committed
      )),
    cancel: (id, now) =>
      Effect.map(
        run("EventBus.cancel", `SELECT ${table("bus_cancel")}($1, $2)`, [id, now ?? null]),
        (rows) => rows[0]![0] === true
      ),
    register: (name, selector, { earliest, kept, member, replace }) =>
      Effect.map(
        run("EventBus.consume", `SELECT id, epoch, filled FROM ${table("bus_register")}(${places(6)})`, [
          name,
          JSON.stringify(selector),
          kept,
          earliest,
          replace,
          kept ? null : member ?? null
        ]),
        ([row]): Registered => ({ id: row![0], epoch: row![1], filled: row![2] })
      ),
    fill: ({ epoch, id }, wanted, history, now) =>
      Effect.zipRight(
        run("EventBus.consume", `SELECT ${table("bus_drain")}($1)`, [epoch]),
        Effect.mapError(
          transact(sql, "EventBus.consume")(
            Effect.gen(function*() {
              const operation = "EventBus.consume"
              const [state] = yield* once(
                operation,
                `SELECT filled FROM ${table("bus_groups")} WHERE id = $1 FOR UPDATE`,
                [id]
              )
              if (state === undefined || state[0] === true) return
              const rows = yield* once(
                operation,
                `SELECT seq, type, subject FROM ${table("bus_messages")} WHERE epoch < $1 ORDER BY seq DESC LIMIT $2`,
                [epoch, history]
              )
              const seqs = rows.filter(([, type, subject]) => wanted({ type, subject })).map(([seq]) => seq)
              yield* once(
                operation,
                `INSERT INTO ${
                  table("bus_deliveries")
                } (place, message, since, at, bus_group, deliveries, stage, priority, turn, key)
                  SELECT nextval('${table("bus_places")}'), m.seq, ${texts.now},
                    CASE WHEN m.ready_at > m.published_at AND m.ready_at > ${texts.now} THEN m.ready_at END, $2, 0,
                    CASE WHEN m.ready_at > m.published_at AND m.ready_at > ${texts.now} THEN 2 ELSE 0 END, m.priority, false,
                    m.key
                  FROM (SELECT * FROM ${
                  table("bus_messages")
                } WHERE seq = ANY ($3::int8[]) ORDER BY seq FOR SHARE) AS m`,
                [now ?? null, id, seqs]
              )
              yield* once(operation, `UPDATE ${table("bus_groups")} SET filled = true WHERE id = $1`, [id])
            })
          ),
          (error) => Rows.busError("EventBus.consume", error)
        )
      ),
    detach: (group, member) =>
      Effect.flatMap(
        run("EventBus.consume", `SELECT ${table("bus_detach")}($1, $2)`, [group, member]),
        (rows) => rows[0]![0] === true ? sweep : Effect.void
      ),
    claim: (group, member, max, now) =>
      Effect.map(runOnce("EventBus.consume", texts.claim, [group, member, max, now ?? null, ++asked]), (rows) => {
        const [place, , outcome, next] = rows[0]!
        if (place !== null) return { _tag: "taken", taken: rows.map(takenOf) }
        if (outcome === "none") return { _tag: "none", next: next === null ? undefined : Number(next) }
        return { _tag: outcome }
      }),
    release: (group, member, but) =>
      Effect.suspend(() => Effect.asVoid(run("EventBus.consume", texts.release, [group, member, ++asked, but]))),
    settle: (group, member, settlements, committed) =>
      Effect.withFiberRuntime((fiber) => {
        const inside = isInside(fiber)
        const levels = arrayOf(settlements.map(({ priority }) => priority))
        const at = arrayOf(settlements.map(({ place }) => place))
        const plain = settlements.every(({ keyed, settlement }) => !keyed && settlement._tag === "done")
        const answer = plain
          ? run("EventBus.settle", texts.done, [group, member, levels, at])
          : run("EventBus.settle", texts.settle, [
            group,
            member,
            settlements.some(({ keyed }) => keyed),
            inside ? settings.channel ?? null : null,
            settlements.map(({ settlement }) => tags[settlement._tag]),
            levels,
            at,
            settlements.map(({ settlement }) => settlement._tag === "later" ? settlement.at : null),
            settlements.map(({ settlement }) => "state" in settlement ? settlement.state ?? null : null),
            settlements.map(({ settlement }) =>
              settlement._tag === "later" ? settlement.overtake : settlement._tag === "return" && settlement.counted
            )
          ])
        return Effect.map(answer, ([row]) => inside ? undefined : committed(row![0] === true))
      }),
    look: (groups, now) =>
      Effect.map(
        run("EventBus.consume", `SELECT * FROM ${table("bus_look")}($1, $2)`, [groups, now ?? null]),
        (rows) => rows.map(([id]) => id as number)
      ),
    depth: (group, now) =>
      Effect.map(run("EventBus.depth", texts.depth, [group, now ?? null]), ([row]) => Rows.depth(row!)),
    join: (ttl, now) =>
      Effect.map(
        run(
          "EventBus.consume",
          `INSERT INTO ${table("bus_members")} (machine, process, expires_at, dead)
            VALUES ($2, $3, ${texts.now} + $4, false) RETURNING id`,
          [now ?? null, Process.machine, Process.self, ttl]
        ),
        ([row]) => Number(row![0])
      ),
    renew: (member, ttl, now) =>
      Effect.map(
        run(
          "EventBus.consume",
          `WITH own AS (
            UPDATE ${table("bus_members")} SET expires_at = ${texts.now} + $3 WHERE id = $2 AND NOT dead RETURNING id
          ) SELECT id, machine, process, CASE WHEN dead THEN 0 ELSE expires_at - ${texts.now} END,
            EXISTS (SELECT FROM own) FROM ${table("bus_members")}`,
          [now ?? null, member, ttl]
        ),
        (rows) =>
          rows[0]?.[4] === true
            ? rows.filter(([id]) => Number(id) !== member).map((row): Member => ({
              id: Number(row[0]),
              machine: row[1],
              process: row[2],
              left: Number(row[3])
            }))
            : undefined
      ),
    bury,
    leave: (member) =>
      Effect.asVoid(run("EventBus.consume", `DELETE FROM ${table("bus_members")} WHERE id = $1`, [member])),
    trim: (after, history, before, most) =>
      Effect.map(
        run("EventBus.trim", `SELECT reached, removed FROM ${table("bus_trim")}(${places(4)})`, [
          after,
          history,
          before ?? null,
          most
        ]),
        ([row]) => ({ reached: row![0] === null ? undefined : Number(row![0]), removed: Number(row![1]) })
      )
  }
}

const places = (count: number): string => Array.from({ length: count }, (_, index) => `$${index + 1}`).join(", ")

/** Written here: `pg` would quote each number. */
const arrayOf = (numbers: ReadonlyArray<number>): string => `{${numbers.join(",")}}`

/** 64-bit integers come as text. */
const takenOf = (row: Row): Taken => {
  const text: string | null = row[9]
  const bytes: Buffer | null = row[10]
  return {
    place: Number(row[0]),
    deliveries: row[1],
    state: row[2] ?? undefined,
    message: Rows.message(
      Number(row[3]),
      row[4],
      row[5],
      row[6],
      row[7],
      row[8],
      text === null ? bytes! : bytes === null ? text : bytes.toString(),
      row[11]
    )
  }
}
