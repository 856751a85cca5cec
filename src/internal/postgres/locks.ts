import type * as Driver from "../../store/Driver.ts"
import type * as Query from "../../store/Query.ts"

/**
 * The locks of an append, each a number of 32 bits that stands for a name, and whether it is wanted exclusively.
 *
 * They are advisory transaction locks, in a key space of the store's own: taken before anything is read, let go after what was
 * written can be seen. A statement under READ COMMITTED that begins while a lock is held sees all that earlier holders
 * have committed, so that what it finds stays true until the commit. Two names that share a number wait for each other
 * for no reason, and nothing else happens.
 *
 * - Every append locks its streams exclusively, so that their versions are drawn and become visible in order.
 * - Every append locks the tags and the types of its events, *shared*: appends that only write do not wait for each other.
 * - A condition locks what it looks at *exclusively*: of each item one tag, which every event that matches must have, or
 *   without tags each type. So whoever may write what it excludes, with a condition or without, has committed before the
 *   condition is judged, or writes after its append was committed.
 * - All of them lock the log, shared. Exclusively, it stands in for any number of others: for a condition on every event,
 *   and for an append of so many streams and tags that PostgreSQL's table of locks would overflow.
 *
 * Everybody takes locks in the order of their numbers, so that no two wait for each other in a circle.
 */
export type Locks = ReadonlyMap<number, boolean>

/** The most locks that one append takes one by one. */
const most = 256

/** The lock of the whole log of a tenant. */
export const ofLog = (tenant: string): number => numberOf("log", tenant, "")

export const ofStream = (tenant: string, stream: string): number => numberOf("stream", tenant, stream)

/** FNV-1a, over UTF-16 code units. It is the same in every process, whatever its version: processes must agree. */
const numberOf = (kind: string, tenant: string, name: string): number => {
  const text = `${kind}\u0000${tenant}\u0000${name}`
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    hash ^= text.charCodeAt(index)
    hash = Math.imul(hash, 0x01000193)
  }
  return hash | 0
}

export const make = ({ failIf, groups, tenant }: Driver.AppendRequest): Locks => {
  if (failIf?.query._tag === "All") return new Map([[ofLog(tenant), true]])
  const locks = new Map<number, boolean>([[ofLog(tenant), false]])
  const add = (kind: string, name: string, exclusive: boolean): void => {
    const key = numberOf(kind, tenant, name)
    if (exclusive || !locks.has(key)) locks.set(key, exclusive)
  }
  const types = new Set<string>()
  const tags = new Set<string>()
  for (const group of groups) {
    add("stream", group.stream, true)
    for (const event of group.events) {
      types.add(event.type)
      for (const tag of event.tags) tags.add(tag)
    }
    if (locks.size + tags.size + types.size > most) return new Map([[ofLog(tenant), true]])
  }
  for (const type of types) add("type", type, false)
  for (const tag of tags) add("tag", tag, false)
  if (failIf !== undefined) { for (const item of failIf.query.items) addItem(item, add) }
  return locks.size > most ? new Map([[ofLog(tenant), true]]) : locks
}

/** The locks of a truncation, or of the end of a stream, whose mark is of a type. */
export const ofStreams = (tenant: string, stream: string, type: string | undefined): Locks => {
  const locks = new Map([[ofLog(tenant), false], [ofStream(tenant, stream), true]])
  if (type !== undefined) {
    const key = numberOf("type", tenant, type)
    if (!locks.has(key)) locks.set(key, false)
  }
  return locks
}

/** In the order that everybody takes them. */
export const inOrder = (locks: Iterable<readonly [number, boolean]>): ReadonlyArray<readonly [number, boolean]> =>
  Array.from(locks).sort((left, right) => left[0] - right[0])

const addItem = (item: Query.Item, add: (kind: string, name: string, exclusive: boolean) => void): void => {
  const tag = item.tags?.[0]
  if (tag !== undefined) add("tag", tag, true)
  else for (const type of item.types ?? []) add("type", type, true)
}
