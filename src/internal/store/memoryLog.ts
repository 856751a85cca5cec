import type * as Driver from "../../store/Driver.ts"

/** What was appended, and where it stands. */
export interface Entry {
  readonly given: Driver.NewRow
  readonly owner: StreamLog
  readonly version: number
  readonly position: number
  readonly recordedAt: number
}

export interface StreamLog {
  readonly tenant: string
  readonly stream: string
  readonly category: string | null
  /** Version 1 stands at 0. The last of a tombstoned stream is its mark. */
  readonly entries: Array<Entry>
  firstVersion: number
  tombstoned: boolean
}

export const rowOf = ({ given, owner, position, recordedAt, version }: Entry): Driver.Row => ({
  id: given.id,
  stream: owner.stream,
  version,
  position,
  type: given.type,
  schemaVersion: given.schemaVersion,
  format: given.format,
  payload: given.payload,
  metadata: given.metadata,
  source: given.source,
  tags: given.tags.length === 0 ? null : JSON.stringify(given.tags),
  occurredAt: given.occurredAt,
  recordedAt
})

/**
 * Lists of entries, in order of position, by a key of a tenant. An append does not pay for it: whoever looks something up
 * adds what came since the last time.
 */
export class Index {
  readonly lists = new Map<string, Array<Entry>>()
  readonly log: ReadonlyArray<Entry>
  readonly namesOf: (entry: Entry) => ReadonlyArray<string | null>
  seen = 0
  constructor(log: ReadonlyArray<Entry>, namesOf: (entry: Entry) => ReadonlyArray<string | null>) {
    this.log = log
    this.namesOf = namesOf
  }
  /** The entries up to a position, beyond which a hook may still undo them. */
  get(tenant: string, name: string, upTo: number): ReadonlyArray<Entry> {
    for (; this.seen < upTo; this.seen++) {
      const entry = this.log[this.seen]!
      for (const each of this.namesOf(entry)) if (each !== null) this.add(keyOf(entry.owner.tenant, each), entry)
    }
    return this.lists.get(keyOf(tenant, name)) ?? none
  }
  add(key: string, entry: Entry): void {
    const list = this.lists.get(key)
    if (list === undefined) this.lists.set(key, [entry])
    else list.push(entry)
  }
}

/** No entries. */
export const none: ReadonlyArray<Entry> = []

/** No name holds NUL. */
export const keyOf = (tenant: string, name: string): string => tenant === "" ? name : `${tenant}\u0000${name}`

/** The index of the first entry beyond a position. */
export const upperBound = (list: ReadonlyArray<Entry>, position: number): number => {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (list[middle]!.position <= position) low = middle + 1
    else high = middle
  }
  return low
}
