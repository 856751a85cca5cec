import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { BusError } from "../../bus/BusError.ts"
import type { Message } from "../../bus/Message.ts"
import type * as SqliteClient from "../../store/SqliteClient.ts"
import * as Process from "../store/lease.ts"
import type { Claim, Database, Member, Settled } from "./sqlDatabase.ts"
import * as Rows from "./sqlRows.ts"
import * as Deliveries from "./sqlSqliteDeliveries.ts"
import * as Tables from "./sqlSqliteTables.ts"
import * as Errors from "../sqlite/errors.ts"

/**
 * The tables of the bus in a SQLite file. Whatever writes is one short transaction that takes SQLite's one write lock first: in
 * no process anybody comes in between. Instants are always told by the process, whose machine all of them share.
 */
export const make = (client: SqliteClient.Service, prefix: string): Database => {
  const sql = Tables.statements(prefix)
  const shared = client.filename !== ":memory:"

  const onWriter: Deliveries.Run = (text, ...params) => client.prepare("writer", text, "array").all(...params) as any
  const onReader: Deliveries.Run = (text, ...params) => client.prepare("reader", text, "array").all(...params) as any
  const write = (text: string, ...params: ReadonlyArray<unknown>) => client.prepare("writer", text).run(...params)
  const { claim, nothing, settle } = Deliveries.make({ sql, run: onWriter, write })

  const isInside = (fiber: Fiber.RuntimeFiber<any, any>) => client.inTransaction(fiber.currentContext as never)

  const attempt = <A>(operation: string, run: () => A): Effect.Effect<A, BusError> => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      return Effect.fail(Rows.busError(operation, Errors.storeError(operation, error)))
    }
  }

  /** In the transaction that the fiber is in, or in one of its own. */
  const slowly = <A>(operation: string, run: (transaction: SqliteClient.Transaction) => A) =>
    Effect.mapError(
      client.withTransaction(
        Effect.withFiberRuntime<A, BusError>((fiber) =>
          attempt(operation, () => run(client.transactionOf(fiber.currentContext as never)!))
        )
      ),
      (error) => error._tag === "BusError" ? error : new BusError({ ...Rows.busError(operation, error), operation })
    )

  /** The same at once; `undefined` where the fiber is in a transaction, or somebody else writes just now. */
  const transactNow = <A>(
    operation: string,
    fiber: Fiber.RuntimeFiber<any, any>,
    run: (transaction: SqliteClient.Transaction) => A
  ): Exit.Exit<A, BusError> | undefined => {
    if (isInside(fiber) || !client.lock.tryAcquire()) return undefined
    let transaction: SqliteClient.Transaction | undefined
    try {
      transaction = client.begin()
      const answer = run(transaction)
      client.commit(transaction)
      return Exit.succeed(answer)
    } catch (error) {
      if (transaction === undefined) return Errors.classify(error) === "busy" ? undefined : fail(operation, error)
      try {
        client.rollback(transaction)
      } catch {
        // The first error says more; the next transaction begins with a rollback.
      }
      return fail(operation, error)
    } finally {
      client.lock.release()
    }
  }

  const transact = <A>(
    operation: string,
    run: (transaction: SqliteClient.Transaction) => A
  ): Effect.Effect<A, BusError> =>
    Effect.withFiberRuntime((fiber) => transactNow(operation, fiber, run) ?? slowly(operation, run))

  const fail = (operation: string, error: unknown) =>
    Exit.fail(Rows.busError(operation, Errors.storeError(operation, error)))

  /** What is committed; a database in memory has one connection, which shows what others have not committed yet. */
  const read = <A>(operation: string, run: (run: Deliveries.Run) => A): Effect.Effect<A, BusError> =>
    Effect.withFiberRuntime((fiber) => {
      if (!shared) {
        return isInside(fiber)
          ? slowly(operation, () => run(onWriter))
          : client.lock.withLock(Effect.suspend(() => attempt(operation, () => run(onWriter))))
      }
      try {
        return Effect.succeed(run(onReader))
      } catch (error) {
        return Errors.classify(error) === "busy"
          ? Effect.mapError(
            client.retryBusy(operation, () => run(onReader)),
            (failure) => Rows.busError(operation, failure)
          )
          : fail(operation, error)
      }
    })

  const store = (message: Message, epoch: number | null): number | bigint =>
    write(
      sql.insertMessage,
      message.occurredAt,
      message.publishedAt,
      message.readyAt,
      message.expiresAt ?? null,
      message.schemaVersion,
      epoch,
      message.retries ?? null,
      message.priority,
      message.id,
      message.type,
      message.subject,
      message.source,
      message.key ?? null,
      message.metadata,
      message.format,
      message.payload
    ).lastInsertRowid

  const deliver = (
    seq: unknown,
    group: number,
    { key, priority, publishedAt, readyAt }: Pick<Message, "priority" | "publishedAt" | "readyAt"> & {
      readonly key?: string | null
    },
    state: string | null,
    now: number
  ): void => {
    const delayed = readyAt > Math.max(now, publishedAt)
    write(
      sql.insertDelivery,
      seq,
      now,
      delayed ? readyAt : null,
      group,
      delayed ? 2 : 0,
      priority,
      key ?? null,
      state
    )
  }

  /** Ends the subscriptions that are not kept and that nobody consumes. */
  const endUnused = (): void => {
    write(sql.detached)
    const ended = onWriter(sql.ended)
    if (ended.length === 0) return
    onWriter(sql.nextEpoch)
    for (const [id] of ended) {
      busy.delete(id)
      write(sql.removeGroup, id)
    }
  }

  /** Subscriptions that had something when they were last asked. */
  const busy = new Set<number>()

  const claimed = (group: number, member: number, max: number, now: number) => (): Claim => {
    const answer = claim(group, member, max, now)
    if (answer._tag === "taken") busy.add(group)
    else busy.delete(group)
    return answer
  }

  const claimNow = (
    fiber: Fiber.RuntimeFiber<any, any>,
    group: number,
    member: number,
    max: number,
    now = 0
  ): Exit.Exit<Claim, BusError> | undefined => {
    // A look does not need the write lock.
    if (shared && !busy.has(group)) {
      try {
        const seen = nothing(onReader, group, now)
        if (isIdle(seen)) return Exit.succeed(seen)
      } catch {
        return undefined
      }
    }
    return transactNow("EventBus.consume", fiber, claimed(group, member, max, now))
  }

  const settled = (
    group: number,
    member: number,
    settlements: ReadonlyArray<Settled>,
    committed: (changed: boolean) => void
  ) =>
  (transaction: SqliteClient.Transaction): void => {
    const changed = settle(group, member, settlements)
    transaction.onCommit(() => committed(changed))
  }

  return {
    name: "sqlite",
    inTransaction: Effect.withFiberRuntime((fiber) => Effect.succeed(isInside(fiber))),
    // The one connection that writes is in one transaction at a time: what would wait for it joins it.
    detached: (self) => self,
    groups: read("EventBus.publish", (run) => Rows.registry(run(sql.groups))),
    publish: (epoch, messages, targets, now = 0, committed) =>
      transact("EventBus.publish", (transaction) => {
        if (onWriter(sql.epoch)[0]![0] !== epoch) return false
        const seqs = messages.map((message) => store(message, epoch))
        for (let index = 0; index < targets.messages.length; index++) {
          const at = targets.messages[index]!
          deliver(seqs[at], targets.groups[index]!, messages[at]!, null, now)
        }
        transaction.onCommit(committed)
        return true
      }),
    redeliver: (group, again, now = 0, committed) =>
      transact("EventBus.redeliver", (transaction) => {
        if (onWriter(sql.hasGroup, group).length === 0) return
        for (const { message, state } of again) deliver(store(message, null), group, message, state, now)
        transaction.onCommit(committed)
      }),
    cancel: (id, now = 0) =>
      transact("EventBus.cancel", () => {
        const found = onWriter(sql.cancellable, id, now)
        const waits = found.every(([seq]) =>
          onWriter(sql.deliveriesOf, seq).every(([stage, deliveries, state, at]) =>
            stage === 2 && deliveries === 0 && state === null && at > now
          )
        )
        if (found.length === 0 || !waits) return false
        for (const [seq] of found) {
          write(sql.removeDeliveries, seq)
          write(sql.removeMessage, seq)
        }
        return true
      }),
    register: (name, selector, { earliest, kept, member, replace }) =>
      transact("EventBus.consume", () => {
        const text = JSON.stringify(selector)
        let [found] = onWriter(sql.findGroup, name)
        if (found === undefined) {
          const epoch = onWriter(sql.nextEpoch)[0]![0]
          const [made] = onWriter(sql.insertGroup, name, text, kept ? 1 : 0, earliest ? 0 : 1, epoch)
          found = [made![0], epoch, earliest ? 0 : 1, text]
        } else if (replace && found[3] !== text) {
          onWriter(sql.nextEpoch)
          write(sql.reselect, text, found[0])
        }
        if (!kept && member !== undefined) write(sql.attach, found[0], member)
        return { id: found[0], epoch: found[1], filled: found[2] === 1 }
      }),
    fill: ({ epoch, id }, wanted, history, now = 0) =>
      transact("EventBus.consume", () => {
        const [state] = onWriter(sql.isFilled, id)
        if (state === undefined || state[0] === 1) return
        for (
          const [seq, type, subject, publishedAt, readyAt, priority, key] of [...onWriter(sql.history, epoch, history)]
            .reverse()
        ) {
          if (wanted({ type, subject })) deliver(seq, id, { publishedAt, readyAt, priority, key }, null, now)
        }
        write(sql.filled, id)
      }),
    detach: (group, member) =>
      transact("EventBus.consume", () => {
        write(sql.detach, group, member)
        endUnused()
      }),
    claim: (group, member, max, now = 0) =>
      Effect.withFiberRuntime((fiber) =>
        claimNow(fiber, group, member, max, now) ?? slowly("EventBus.consume", claimed(group, member, max, now))
      ),
    look: (groups, now = 0) =>
      read("EventBus.consume", (run) =>
        groups.filter((group) => {
          const seen = nothing(run, group, now)
          return seen._tag !== "none" || seen.next === 0
        })),
    settle: (group, member, settlements, committed) =>
      transact("EventBus.settle", settled(group, member, settlements, committed)),
    atOnce: {
      claim: claimNow,
      settle: (fiber, group, member, settlements, committed) =>
        transactNow("EventBus.settle", fiber, settled(group, member, settlements, committed))
    },
    depth: (group, now = 0) => read("EventBus.depth", (run) => Rows.depth(run(sql.depth, now, now, now, group)[0]!)),
    join: (ttl, now = 0) =>
      transact("EventBus.consume", () => onWriter(sql.join, Process.machine, Process.self, now + ttl)[0]![0] as number),
    renew: (member, ttl, now = 0) =>
      transact("EventBus.consume", () => {
        if (write(sql.renew, now + ttl, member).changes === 0) return undefined
        return onWriter(sql.members, member).map(([id, machine, process, expiresAt]): Member => ({
          id,
          machine,
          process,
          left: expiresAt - now
        }))
      }),
    // Answers are not lost in a process.
    release: () => Effect.void,
    bury: (members) =>
      transact("EventBus.consume", () => {
        for (const id of members) {
          write(sql.release, id)
          write(sql.leave, id)
          write(sql.detachAll, id)
        }
        endUnused()
      }),
    leave: (member) => transact("EventBus.consume", () => void write(sql.leave, member)),
    trim: (after, history, before, most) =>
      transact("EventBus.trim", () => {
        const bound = onWriter(sql.bound, history)[0]?.[0] ?? null
        const reached = onWriter(sql.reached, after, bound, before ?? null, most)[0]![0] as number | null
        if (reached === null) return { reached: undefined, removed: 0 }
        return { reached, removed: write(sql.trim, after, reached, bound, before ?? null).changes }
      })
  }
}

/** Whether there is nothing to be taken now. */
const isIdle = (seen: Claim): boolean => seen._tag === "none" && seen.next !== 0
