import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as path from "node:path"
import * as Kit from "../bench/kit.ts"

/** A machine whose clock only moves when a side works. */
const machine = () => {
  let clock = 0
  const turns: Array<string> = []
  const side = (name: string, milliseconds: (turn: number) => number): Kit.Side<string> => {
    let turn = 0
    return {
      setup: () => {
        clock += 1_000_000
        return name
      },
      run: (given) => {
        turns.push(given)
        clock += milliseconds(turn++)
        return 100
      },
      teardown: () => {
        clock += 1_000_000
      }
    }
  }
  const settings: Kit.Settings = { quick: false, rounds: 5, warmups: 2, now: () => clock }
  return { side, settings, turns }
}

describe("bench kit", () => {
  it("takes medians", () => {
    assert.strictEqual(Kit.median([3, 1, 2]), 2)
    assert.strictEqual(Kit.median([4, 1, 3, 2]), 2.5)
    assert.throws(() => Kit.median([]))
  })

  it("runs both sides by turns, drops warm-ups, and times neither setup nor teardown", async () => {
    const { settings, side, turns } = machine()
    // Two slow warm-ups and one slow round change nothing.
    const result = await Kit.run(
      "self",
      Kit.compare("by turns", {
        goal: 2,
        peer: "them",
        ours: side("ours", (turn) => (turn < 2 || turn === 4 ? 60_000 : 100)),
        theirs: side("theirs", (turn) => (turn === 3 ? 1 : 250))
      }),
      settings
    )
    assert.deepStrictEqual(result, {
      bar: "self",
      case: "by turns",
      unit: "events/s",
      ours: 1000,
      peer: "them",
      peerValue: 400,
      ratio: 2.5,
      goal: 2
    })
    assert.strictEqual(turns.length, 14)
    // Each round has both, and the first turn changes hands.
    const firsts = turns.filter((_, index) => index % 2 === 0)
    assert.deepStrictEqual(firsts, ["ours", "theirs", "ours", "theirs", "ours", "theirs", "ours"])
    for (let index = 0; index < turns.length; index += 2) assert.notStrictEqual(turns[index], turns[index + 1])
  })

  it("turns the ratio around where lower is better", async () => {
    const { settings } = machine()
    const item = Kit.compare("bytes", {
      unit: "bytes",
      better: "lower",
      goal: 0.6,
      peer: "them",
      ours: { value: () => 200 },
      theirs: { value: () => 100 }
    })
    const result = await Kit.run("self", item, settings)
    assert.strictEqual(result.ratio, 0.5)
    assert.strictEqual(Kit.reached(item, result), false)
    assert.include(Kit.table([[item, result]]), "NOT REACHED")
  })

  it("judges a figure without a peer by its value", async () => {
    const { settings } = machine()
    const item = Kit.measure("slope", { unit: "bytes", better: "lower", goal: 10, ours: { value: () => 3 } })
    const result = await Kit.run("self", item, settings)
    assert.deepStrictEqual([result.peer, result.peerValue, result.ratio], [null, null, null])
    assert.strictEqual(Kit.reached(item, result), true)
    assert.include(Kit.table([[item, result]]), "≤ 10")
  })

  it("tears down after a failure, and refuses rounds that did nothing", async () => {
    const { settings } = machine()
    let closed = 0
    const failing = Kit.measure("fails", {
      ours: {
        run: () => {
          throw new Error("boom")
        },
        teardown: () => {
          closed++
        }
      }
    })
    assert.include(await Kit.run("self", failing, settings).then(() => "", String), "boom")
    assert.strictEqual(closed, 1)
    const idle = Kit.measure("idle", { ours: { run: () => 0 } })
    assert.include(await Kit.run("self", idle, settings).then(() => "", String), "0 units of work")
  })

  it("says what else there is of the rounds, and ends the case", async () => {
    const { settings, side } = machine()
    let ended = 0
    const item = Kit.compare("known", {
      peer: "them",
      ours: side("ours", () => 100),
      theirs: side("theirs", () => 200),
      also: () => ({ matches: 1_234, them: "stopped" }),
      end: () => {
        ended++
      }
    })
    const result = await Kit.run("self", item, settings)
    assert.deepStrictEqual(result.also, { matches: 1_234, them: "stopped" })
    assert.include(Kit.table([[item, result]]), "known · matches: 1,234 · them: stopped")
    const failing = { ...item, ours: { run: () => 0 } }
    assert.include(await Kit.run("self", failing, settings).then(() => "", String), "0 units of work")
    assert.strictEqual(ended, 2)
  })

  it("runs ours alone where the peer cannot run, without its goal", async () => {
    const { settings, side, turns } = machine()
    const item = Kit.compare("alone", {
      goal: 2,
      peer: "them",
      lacks: () => "there is none",
      ours: side("ours", () => 100),
      theirs: side("theirs", () => 200)
    })
    const result = await Kit.run("self", item, settings)
    assert.deepStrictEqual([result.peer, result.ratio, result.goal], [null, null, null])
    assert.deepStrictEqual(result.also, { "left out": "there is none" })
    assert.notInclude(turns, "theirs")
  })

  it("names the benches when asked for one that does not exist", () => {
    const root = path.join(import.meta.dirname, "..")
    const run = spawnSync(
      process.execPath,
      ["--import", "tsx", path.join("bench", "run.ts"), "no-such-bench"],
      { cwd: root, encoding: "utf8" }
    )
    assert.strictEqual(run.status, 2)
    assert.include(run.stderr, "There is no bench no-such-bench")
    assert.strictEqual(run.stdout, "")
  })
})
