// needs: native addon
import { it } from "@effect/vitest"
import { Effect } from "effect"
import * as ProjectorKills from "../support/projectorKills.ts"
import * as Soak from "../support/soak.ts"

it.scopedLive("of two processes that run one projection, the one that works is killed", () =>
  Effect.map(ProjectorKills.run(Soak.times(100)), ({ events, kills, longest, median }) =>
    Soak.report(
      "projectionKills",
      `${kills} kills with SIGKILL; ${
        events.toLocaleString("en-US")
      } events, each in one row, in order; the other process ` +
        `took over after ${median} ms (median), ${longest} ms at most`
    )))
