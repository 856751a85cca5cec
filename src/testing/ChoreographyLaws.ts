/**
 * The laws of choreographies, as properties to run on yours.
 *
 * @since 0.1.0
 */
import * as FastCheck from "effect/FastCheck"
import * as Machine from "../event/Machine.ts"
import * as Compare from "../internal/compare.ts"
import * as Choreography from "../saga/Choreography.ts"
import * as Law from "./Law.ts"
import * as MachineLaws from "./MachineLaws.ts"

/**
 * What the laws are tried on.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<E, C> {
  readonly choreography: Choreography.Choreography<E, C>
  /** Events as they may come. Ids must agree for them to be of one saga; of one type and key the first is taken. */
  readonly events: FastCheck.Arbitrary<ReadonlyArray<E>>
}

const inputsOf = <E>(events: ReadonlyArray<E>): ReadonlyArray<Choreography.Input<E>> =>
  events.map((event, index) => ({ event, at: index }))

/** The net effects of all sagas, by saga. */
const effectsOf = <E, C>(
  self: Choreography.Choreography<E, C>,
  inputs: ReadonlyArray<Choreography.Input<E>>
): ReadonlyMap<string, ReadonlyArray<C>> => {
  const machine = Choreography.toMachine(self)
  const bySaga = new Map<string, Array<Choreography.Input<E>>>()
  for (const input of inputs) {
    const saga = self.saga(input.event)
    const those = bySaga.get(saga)
    if (those === undefined) bySaga.set(saga, [input])
    else those.push(input)
  }
  return new Map(
    [...bySaga].map(([saga, those]) =>
      [saga, Choreography.netEffects(Machine.run(machine, machine.initial, those)[1])] as const
    )
  )
}

/**
 * Any interleaving and duplication of the same events has the same net effects.
 *
 * @example
 * ```ts
 * import * as Event from "effect-skald/event/Event"
 * import * as Choreography from "effect-skald/saga/Choreography"
 * import * as ChoreographyLaws from "effect-skald/testing/ChoreographyLaws"
 * import * as Law from "effect-skald/testing/Law"
 * import { Arbitrary, FastCheck, Schema } from "effect"
 *
 * const Placed = Event.make("Placed", { order: Schema.Literal("o-1", "o-2") })
 * const Reserve = Event.make("Reserve", { order: Schema.String })
 * const choreography = Choreography.make("orders", {
 *   events: [Placed],
 *   saga: (event) => event.order,
 *   rules: [Choreography.rule("reserve", { on: [Placed], command: ({ order }) => Reserve({ order }) })]
 * })
 *
 * export const program = Law.check(
 *   ChoreographyLaws.confluence({ choreography, events: FastCheck.array(Arbitrary.make(Placed)) })
 * )
 * ```
 *
 * @since 0.1.0
 * @category laws
 */
export const confluence = <E extends { readonly _tag: string }, C>(
  { choreography, events }: Options<E, C>
): Law.Law => {
  const drawn = events.chain((events) => {
    const inputs = inputsOf(events).filter(({ event }, index, all) =>
      all.findIndex((other) =>
        other.event._tag === event._tag && choreography.saga(other.event) === choreography.saga(event) &&
        choreography.key(other.event) === choreography.key(event)
      ) === index
    )
    return FastCheck.record({
      inputs: FastCheck.constant(inputs),
      again: inputs.length === 0
        ? FastCheck.constant([])
        : FastCheck.array(FastCheck.constantFrom(...inputs), { maxLength: inputs.length })
    }).chain(({ again, inputs }) => {
      const all = [...inputs, ...again]
      return FastCheck.record({
        inputs: FastCheck.constant(inputs),
        otherwise: FastCheck.shuffledSubarray(all, { minLength: all.length })
      })
    })
  })
  return Law.make("any interleaving and duplication has the same net effects", { drawn }, ({ drawn }) => {
    const [one, other] = [effectsOf(choreography, drawn.inputs), effectsOf(choreography, drawn.otherwise)]
    return Compare.same(one, other) ? undefined : { "as drawn": one, otherwise: other }
  })
}

/**
 * {@link confluence}, and those of its machine that any machine keeps: snapshots and chunks make no difference.
 *
 * @since 0.1.0
 * @category laws
 */
export const laws = <E extends { readonly _tag: string }, C>(options: Options<E, C>): ReadonlyArray<Law.Law> => [
  confluence(options),
  ...MachineLaws.laws({
    machine: Choreography.toMachine(options.choreography),
    inputs: options.events.map(inputsOf)
  })
]
