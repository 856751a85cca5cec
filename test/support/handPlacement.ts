import * as Placement from "effect-skald/saga/Placement"
import { LeaseLost } from "effect-skald/store/Lease"
import { Context, Effect, Fiber, type Scope, Stream } from "effect"

type Work = (shard: Placement.Shard) => Effect.Effect<void>

interface Member {
  readonly name: string
  readonly works: Set<Work>
  readonly fibers: Map<number, Array<Fiber.RuntimeFiber<void>>>
}

/** Who has which shard, as a test says: processes that share eight of them, moved by hand. */
export const make = () => {
  const shards = 8
  const hash = (text: string): number =>
    Array.from(text).reduce((sum, letter) => sum * 31 + letter.charCodeAt(0) | 0, 7)
  const shardOf = (saga: string): number => Math.abs(hash(saga)) % shards
  const members = new Map<string, Member>()
  const owners = new Map<number, string>()
  let tokens = 0

  const shardFor = (number: number, name: string): Placement.Shard => ({
    number,
    token: ++tokens,
    lost: Effect.never,
    check: Effect.suspend(() =>
      owners.get(number) === name ? Effect.void : new LeaseLost({ name: `shard/${number}`, token: tokens })
    )
  })

  const begin = (member: Member, number: number, work: Work) =>
    Effect.map(Effect.forkDaemon(work(shardFor(number, member.name))), (fiber) => {
      member.fibers.set(number, [...member.fibers.get(number) ?? [], fiber])
    })

  const end = (member: Member, number: number) =>
    Effect.suspend(() => {
      const fibers = member.fibers.get(number) ?? []
      member.fibers.delete(number)
      return Fiber.interruptAll(fibers)
    })

  const beginAll = (name: string, number: number) =>
    Effect.suspend(() => {
      const member = members.get(name)
      return member === undefined
        ? Effect.void
        : Effect.forEach(member.works, (work) => begin(member, number, work), { discard: true })
    })

  /** The placement of a process. */
  const join = (name: string): Placement.Service => {
    const member: Member = { name, works: new Set(), fibers: new Map() }
    members.set(name, member)
    const numbers = () => [...owners].filter(([, owner]) => owner === name).map(([number]) => number)
    const owned = Effect.sync(() => numbers().map((number) => shardFor(number, name)))
    return {
      shards,
      shardOf,
      isMine: (saga) => Effect.sync(() => owners.get(shardOf(saga)) === name),
      owned,
      changes: Stream.fromEffect(owned),
      run: (work) =>
        Effect.flatMap(Effect.context<Scope.Scope>(), (context) => {
          const provided: Work = (shard) =>
            Effect.asVoid(Effect.provide(work(shard) as Effect.Effect<unknown>, context))
          member.works.add(provided)
          return Effect.zipRight(
            Effect.addFinalizer(() =>
              Effect.suspend(() => {
                member.works.delete(provided)
                return Effect.forEach([...member.fibers.keys()], (number) => end(member, number), { discard: true })
              })
            ),
            Effect.forEach(numbers(), (number) => begin(member, number, provided), { discard: true })
          )
        })
    }
  }

  return {
    join,
    shardOf,
    ownerOf: (saga: string) => owners.get(shardOf(saga)),
    /** Gives a shard to a process, when the one before has stopped what it did for it. */
    give: (number: number, to: string) =>
      Effect.gen(function*() {
        if (owners.get(number) === to) return
        const before = members.get(owners.get(number) ?? "")
        if (before !== undefined) yield* end(before, number)
        owners.set(number, to)
        yield* beginAll(to, number)
      }),
    /** Gives all shards to a process, as after the owner was stopped: that one hears nothing of it. */
    takeFrom: (from: string, to: string) =>
      Effect.forEach([...owners].filter(([, owner]) => owner === from), ([number]) => {
        owners.set(number, to)
        return beginAll(to, number)
      }, { discard: true }),
    layerContext: (name: string) => Context.make(Placement.Placement, join(name)),
    all: Array.from({ length: shards }, (_, number) => number)
  }
}
