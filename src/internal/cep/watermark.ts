import type { FromSource, Input, Sourced } from "../../cep/Watermark.ts"
import type * as Machine from "../../event/Machine.ts"
import * as MachineInternal from "../event/machine.ts"
import { isInstant } from "./timeSchema.ts"

/** A source: how far it has come, and whether it is waited for. */
interface Source {
  time: number
  idle: boolean
}

export interface State {
  readonly sources: ReadonlyArray<readonly [name: string, time: number, idle: boolean]>
  readonly watermark: number
}

export const initial = (names: ReadonlyArray<string>): State => ({
  sources: names.map((name) => [name, -Infinity, false]),
  watermark: -Infinity
})

/** Several sources, and the watermark of all: of the one that is furthest behind, of those that are waited for. */
export class Sources {
  watermark: number
  readonly #sources: Map<string, Source>

  constructor({ sources, watermark }: State) {
    this.watermark = watermark
    this.#sources = new Map(sources.map(([name, time, idle]) => [name, { time, idle }]))
  }

  /** A source has come to an instant. */
  told(name: string, time: number): void {
    const source = this.#of(name)
    if (time <= source.time && !source.idle) return
    source.idle = false
    if (time > source.time) source.time = time
    this.#update()
  }

  idle(name: string): void {
    this.#of(name).idle = true
    this.#update()
  }

  snapshot(): State {
    return {
      sources: Array.from(this.#sources, ([name, { idle, time }]) => [name, time, idle] as const),
      watermark: this.watermark
    }
  }

  #of(name: string): Source {
    const source = this.#sources.get(name)
    if (source !== undefined) return source
    throw new RangeError(`"${name}" is none of the sources ${[...this.#sources.keys()].join(", ")}`)
  }

  #update(): void {
    let least = Number.POSITIVE_INFINITY
    let waited = false
    let all = true
    for (const { idle, time } of this.#sources.values()) {
      // What has ended is not waited for; time ends when all have.
      if (time === Number.POSITIVE_INFINITY) continue
      all = false
      if (idle) continue
      waited = true
      if (time < least) least = time
    }
    if ((waited || all) && least > this.watermark) this.watermark = least
  }
}

export const merge = <Ev>(
  names: ReadonlyArray<string>,
  timestamp: (event: Ev) => number,
  lateness: number
): Machine.Machine<State, Sourced<Ev>, Input<Ev>> =>
  MachineInternal.fromOpen<State, Sourced<Ev>, Input<Ev>, never>(initial(names), (state, emit) => {
    const sources = new Sources(state)
    return {
      push: ({ input, source }) => {
        const before = sources.watermark
        if (input._tag === "Event") emit(input)
        say(sources, source, input, timestamp, lateness)
        if (sources.watermark > before) emit({ _tag: "Time", time: sources.watermark })
      },
      state: () => sources.snapshot()
    }
  })

/** What a source says, as its time. */
export const say = <Ev>(
  sources: Sources,
  source: string,
  input: FromSource<Ev>,
  timestamp: (event: Ev) => number,
  lateness: number
): void => {
  switch (input._tag) {
    case "Event": {
      const time = timestamp(input.event)
      // one just so late is still in time
      return sources.told(source, isInstant(time) ? Math.floor(time) - lateness - 1 : -Infinity)
    }
    case "Time":
      return sources.told(source, input.time)
    case "Idle":
      return sources.idle(source)
  }
}
