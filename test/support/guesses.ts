import { SqlClient } from "@effect/sql"
import { Effect, Schema } from "effect"
import * as OnError from "effect-skald/bus/OnError"
import * as Pattern from "effect-skald/cep/Pattern"
import * as Rules from "effect-skald/cep/Rules"
import * as Event from "effect-skald/event/Event"

export const Failed = Event.make("Failed", { user: Schema.String, at: Schema.Number })
export const Login = Event.make("Login", { user: Schema.String, at: Schema.Number })

/** How often an action began, and what came of it: `alerts` is written in the transaction that `once` remembers it in. */
export const tables = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE attempts (id TEXT)`
  yield* sql`CREATE TABLE alerts (id TEXT, what TEXT)`
})

/** Two failures and a login of one user, with what happens in the middle of an action, and after it. */
export const guessed = (acting: Effect.Effect<void>, acted: Effect.Effect<void>) =>
  Rules.layer("guessed", {
    events: [Failed, Login],
    pattern: Pattern.begin("failures", Failed, { times: { min: 2, max: 2 } }).pipe(Pattern.followedBy("login", Login)),
    keyBy: (event) => event.user,
    action: ({ failures, login }, detection) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* Effect.orDie(sql`INSERT INTO attempts ${sql.insert({ id: detection.id })}`)
        const what = `${login.user} ${failures.map(({ at }) => at).join()} ${login.at}`
        yield* Rules.once(() =>
          Effect.zipRight(Effect.orDie(sql`INSERT INTO alerts ${sql.insert({ id: detection.id, what })}`), acting)
        )(undefined, detection)
        yield* acted
      }),
    onError: { BusError: OnError.inherit }
  })
