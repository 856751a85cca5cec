import * as Stream from "effect/Stream"
import type { Found, MatchSet, Taken } from "../../cep/Matcher.ts"
import * as Element from "./element.ts"
import type * as Engine from "./engine.ts"
import { ordered } from "./ordered.ts"
import { list } from "./path.ts"
import type { Found as Set } from "./sets.ts"

/** Matches, each made when it is asked for. */

/** The events of a run, as they are told. */
export const taken = <Ev>(run: Engine.Run): ReadonlyArray<Taken<Ev>> => {
  const all: ReadonlyArray<Taken<unknown>> = "before" in run
    ? list(run).map(({ event, index, step, time }) => ({ step, event, index, time }))
    : run
  return all as ReadonlyArray<Taken<Ev>>
}

/** The matches of a moment, one by one or as a set. */
export class Matches<B, Ev> implements MatchSet<B, Ev> {
  /** One lasts: V8 lets go of what it has compiled for a class with the last object of it, and all of these may be gone at once. */
  static readonly lasting = new Matches<never, never>({ steps: [], many: new Set(), empty: [] }, [])
  private readonly shapes: Element.Shapes
  private readonly of: ReadonlyArray<Engine.Run> | Set
  constructor(shapes: Element.Shapes, of: ReadonlyArray<Engine.Run> | Set) {
    this.shapes = shapes
    this.of = of
  }
  get count(): number {
    return "roots" in this.of ? this.of.count : this.of.length
  }
  get first(): Found<B, Ev> {
    for (const one of this) return one
    throw new RangeError("a set of matches is never empty")
  }
  get stream(): Stream.Stream<Found<B, Ev>> {
    return Stream.fromIterable(this)
  }
  *[Symbol.iterator](): Iterator<Found<B, Ev>> {
    const runs: Iterable<Engine.Run> = "roots" in this.of
      ? ordered(this.of.table, this.of.roots, this.of.floor)
      : this.of
    for (const run of runs) {
      const events = taken<Ev>(run)
      yield { match: Element.bind(this.shapes, events) as B, events }
    }
  }
}
