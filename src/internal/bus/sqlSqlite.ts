import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { BusError } from "../../bus/BusError.ts"
import { ageing, type Message, priorities } from "../../bus/Message.ts"
import type * as SqliteClient from "../../store/SqliteClient.ts"
import * as Process from "../store/lease.ts"
import type { Claim, Database, Member, Settled, Taken } from "./sqlDatabase.ts"
import * as Rows from "./sqlRows.ts"
import * as Tables from "./sqlSqliteTables.ts"
import * as Errors from "../sqlite/errors.ts"

type Row = ReadonlyArray<any>
type Run = (text: string, ...params: ReadonlyArray<unknown>) => ReadonlyArray<Row>

/**
 * The tables of the bus in a SQLite file. Whatever writes is one short transaction that takes SQLite's one write lock first: in
 * no process anybody comes in between. Instants are always told by the process, whose machine all of them share.
 */
export const make = (client: SqliteClient.Service, prefix: string): Database => {
  const sql = Tables.statements(prefix)
  const shared = client.filename !== ":memory:"

  const onWriter: Run = (text, ...params) => client.prepare("writer", text, "array").all(...params) as any
  const onReader: Run = (text, ...params) => client.prepare("reader", text, "array").all(...params) as any
  const write = (text: string, ...params: ReadonlyArray<unknown>) => client.prepare("writer", text).run(...params)

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
  const read = <A>(operation: string, run: (run: Run) => A): Effect.Effect<A, BusError> =>
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
    for (const [id] of ended) write(sql.removeGroup, id)
  }

  // ---------------------------------------------------------------------------------------------------------- claims

  /** Subscriptions that had something when they were last asked. */
  const busy = new Set<number>()

  /** Of each level of priority the first, and of those the first by age; and the level, where they are all of one. */
  const candidates = (group: number, max: number, now: number, highest: number, lowest: number): Candidates => {
    if (highest === lowest) {
      const rows = onWriter(sql.candidates, group, highest, max)
      return { level: highest, found: rows.map((row) => candidateOf(row, highest)) }
    }
    const found: Array<Row> = []
    let level: number | undefined
    let levels = 0
    for (let priority = highest; priority >= lowest; priority--) {
      const rows = onWriter(sql.candidatesAged, group, priority, max)
      if (rows.length === 0) continue
      levels++
      level = priority
      for (const row of rows) found.push(row)
    }
    if (levels < 2) return { level, found: found.map((row) => candidateOf(row, row[9])) }
    const aged = (row: Row) => Math.min(priorities.highest, row[9] + Math.max(0, Math.floor((now - row[8]) / ageing)))
    return {
      level: undefined,
      found: found
        .map((row) => ({ row, level: aged(row) }))
        .sort((a, b) => b.level - a.level || a.row[0] - b.row[0])
        .slice(0, max)
        .map(({ row }) => candidateOf(row, row[9]))
    }
  }

  /** Of each key the one that has the turn, or the first where nobody has it; the others are told to wait for it. */
  const passBy = (group: number, found: ReadonlyArray<Candidate>): ReadonlyArray<Candidate> => {
    if (found.every(({ message }) => message.key === undefined)) return found
    const turns = new Map<string, number>()
    for (const { hasTurn, message, place } of found) if (hasTurn) turns.set(message.key!, place)
    return found.filter(({ hasTurn, message: { key }, place }) => {
      if (key === undefined || hasTurn) return true
      if (!turns.has(key) && onWriter(sql.hasTurn, group, key).length === 0) {
        turns.set(key, place)
        return true
      }
      write(sql.block, place)
      return false
    })
  }

  const take = (group: number, member: number, level: number | undefined, taken: ReadonlyArray<Candidate>): void => {
    // Of one level these are the first, and all of them: so is what stands between the first and the last of them.
    if (level !== undefined) write(sql.takeRange, member, group, level, taken[0]!.place, taken[taken.length - 1]!.place)
    else write(sql.takeAll, member, JSON.stringify(taken.map(({ place }) => place)))
    for (const { hasTurn, message, place } of taken) {
      if (message.key !== undefined && !hasTurn) write(sql.takeTurn, place)
    }
  }

  const claim = (group: number, member: number, max: number, now: number): Claim => {
    const survey = () => onWriter(sql.survey, member, group, group, group)[0]!
    let seen = survey()
    if (seen[0] === 0) return { _tag: "buried" }
    if (seen[1] !== null && seen[1] <= now) {
      for (const [place] of onWriter(sql.due, group, now)) write(sql.ready, place)
      seen = survey()
    }
    const [, , highest, lowest] = seen
    if (highest === null) return nothing(onWriter, group, now)
    for (let round = 0; round < 100; round++) {
      const { found, level } = candidates(group, max, now, highest, lowest)
      const taken = passBy(group, found)
      if (found.length > 0 && taken.length < found.length) continue
      if (taken.length === 0) return nothing(onWriter, group, now)
      take(group, member, level, taken)
      return { _tag: "taken", taken }
    }
    return { _tag: "none", next: 0 }
  }

  const claimed = (group: number, member: number, max: number, now: number) => (): Claim => {
    const answer = claim(group, member, max, now)
    if (answer._tag === "taken") busy.add(group)
    else busy.delete(group)
    return answer
  }

  const nothing = (run: Run, group: number, now: number): Claim => {
    const [ready, at, exists] = run(sql.isReady, group, group, group)[0]!
    if (exists === 0) return { _tag: "ended" }
    return { _tag: "none", next: ready === 1 ? 0 : at === null ? undefined : Math.max(0, at - now) }
  }

  // ------------------------------------------------------------------------------------------------------ settlements

  /** What stands close together is removed as one. */
  const remove = (member: number, places: ReadonlyArray<number>): void => {
    const ranges = rangesOf(places, places.length >> 3)
    if (ranges === undefined) write(sql.doneAll, JSON.stringify(places), member)
    else for (const [first, last] of ranges) write(sql.doneRange, first, last, member)
  }

  /** Whether there is something to be taken now, or to be waited for. */
  const settle = (group: number, member: number, settlements: ReadonlyArray<Settled>): boolean => {
    let changed = false
    const passed = new Set<string>()
    const plain: Array<number> = []
    for (const { keyed, place, settlement } of settlements) {
      switch (settlement._tag) {
        case "done": {
          if (!keyed) {
            plain.push(place)
            break
          }
          const [gone] = onWriter(sql.done, place, member)
          if (gone !== undefined && gone[0] !== null) passed.add(gone[0])
          break
        }
        case "later": {
          const { at, overtake, state } = settlement
          changed = true
          const [back] = onWriter(sql.later, at, state ?? null, overtake ? 1 : 0, place, member)
          if (overtake && back !== undefined && back[0] !== null) passed.add(back[0])
          break
        }
        case "keep":
          write(sql.keep, settlement.state, place, member)
          break
        case "return":
          changed = true
          write(sql.giveBack, settlement.counted ? 0 : 1, place, member)
      }
    }
    if (plain.length > 0) remove(member, plain)
    for (const key of passed) {
      const [heir] = onWriter(sql.heir, group, key)
      if (heir === undefined) continue
      changed = true
      write(sql.inherit, heir[0])
    }
    return changed
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
    claim: (group, member, max, now = 0) => {
      const take = transact("EventBus.consume", claimed(group, member, max, now))
      if (!shared || busy.has(group)) return take
      // A look does not need the write lock.
      return Effect.flatMap(
        read("EventBus.consume", (run) => nothing(run, group, now)),
        (seen) => isIdle(seen) ? Effect.succeed(seen) : take
      )
    },
    look: (groups, now = 0) =>
      read("EventBus.consume", (run) =>
        groups.filter((group) => {
          const seen = nothing(run, group, now)
          return seen._tag !== "none" || seen.next === 0
        })),
    settle: (group, member, settlements, committed) =>
      transact("EventBus.settle", settled(group, member, settlements, committed)),
    atOnce: {
      claim: (fiber, group, member, max, now = 0) => {
        if (shared && !busy.has(group)) {
          try {
            const seen = nothing(onReader, group, now)
            if (isIdle(seen)) return Exit.succeed(seen)
          } catch {
            return undefined
          }
        }
        return transactNow("EventBus.consume", fiber, claimed(group, member, max, now))
      },
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

/** What may be taken. */
interface Candidate extends Taken {
  /** Whether it is the one of its key that may be held. */
  readonly hasTurn: boolean
}

interface Candidates {
  readonly found: ReadonlyArray<Candidate>
  readonly level: number | undefined
}

const candidateOf = (row: Row, priority: number): Candidate => {
  const own = row[1]
  if (own === null) return candidate(row, priority, 0, null, null, 0)
  const [deliveries, state, key, turn] = JSON.parse(own)
  return candidate(row, priority, deliveries, state, key, turn)
}

const candidate = (
  row: Row,
  priority: number,
  deliveries: number,
  state: string | null,
  key: string | null,
  turn: number
): Candidate => ({
  place: row[0],
  deliveries: deliveries + 1,
  state: state ?? undefined,
  hasTurn: turn === 1,
  message: Rows.message(row[2], row[3], row[4], priority, key, row[5], row[6], row[7])
})

/** The first and the last of those that follow one another without a gap; `undefined` where they are more than `most`. */
const rangesOf = (
  places: ReadonlyArray<number>,
  most: number
): ReadonlyArray<readonly [first: number, last: number]> | undefined => {
  const ranges: Array<[number, number]> = []
  let current: [number, number] | undefined
  for (const place of places) {
    if (current !== undefined && place === current[1] + 1) current[1] = place
    else if (ranges.length === Math.max(1, most)) return undefined
    else ranges.push(current = [place, place])
  }
  return ranges
}
