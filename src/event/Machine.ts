/**
 * The pure algebra beneath the house: a machine is an initial state and a step `(state, input) → (state, outputs)`.
 *
 * A decider is a machine from commands to events, a projection one from events to a state, a process manager one from
 * events to commands, a pattern matcher one from events to matches. Machines compose in sequence (`compose`), side by
 * side (`tensor`), by choice (`either`), over many keys (`keyed`) and with feedback (`feedback`); `docs/algebra.md` says
 * which laws hold for which machines, and `effect-skald/testing/MachineLaws` checks them on yours.
 *
 * Steps are synchronous and pure: they do not change their arguments, and answer the same for the same. That is what makes
 * replay, snapshots, chunks and rebuilds agree.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import type { HashMap } from "effect/HashMap"
import * as HashMap_ from "effect/HashMap"
import type { Inspectable } from "effect/Inspectable"
import type { Pipeable } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type * as Types from "effect/Types"
