/**
 * One pattern at work on ours and on a peer of Java, which find the very same: both are warmed up and pass over the same events by
 * turns, each time with a fresh engine. Rates are by the clock; those by processor time, of all threads, are told beside them, since
 * on a machine that others keep busy they say more.
 *
 * A peer has a minute for a pass, and a minute for all of them: one that does not end is stopped, and the rate that it had so far
 * is its rate; one whose passes have taken a minute is asked no more, and its rate is the median of those it made.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Kit from "../kit.ts"
import { type Answer, type Engine, JavaPeer, missing } from "./javaPeer.ts"
import * as Cases from "./patternCases.ts"

export interface PeerOf {
  readonly engine: Engine
  /** Where the peer has several ways to say the same. */
  readonly form?: string | undefined
}

/** What a pass came to. */
type Passed = Pick<Answer, "cpu" | "events" | "seconds">

interface Rival {
  readonly peer: JavaPeer
  /** How many matches both found before the first pass. */
  readonly compared: number
  readonly passes: Array<Answer>
}

interface Begun {
  readonly lists: ReadonlyArray<ReadonlyArray<Cases.Ev>>
  readonly found: number
  readonly passes: Array<Passed>
  readonly rival: Rival | undefined
}

/** Passes until the compilers have had their time, in seconds. */
const warmUp = ({ quick }: Kit.Context): number => quick ? 1 : 3
/** What a peer has for a pass, and for all of its passes, in seconds. */
const longest = ({ quick }: Kit.Context): number => quick ? 2 : 60
const sized = ({ events }: Cases.Form, { quick }: Kit.Context): number => quick ? events / 10 : events

const byClock = ({ events, seconds }: Passed): number => events / seconds
const byProcessor = ({ cpu, events }: Passed): number => events / cpu
const taken = (passes: ReadonlyArray<Passed>): number => passes.reduce((sum, { seconds }) => sum + seconds, 0)

const same = ({ engine }: PeerOf, theirs: number, ours: number): void => {
  if (theirs !== ours) throw new Error(`${engine} found ${theirs} matches, and ours ${ours}`)
}

export const duel = (form: Cases.Form, peerOf?: PeerOf) => {
  const matcher = Cases.matcherOf(form)
  let begun: Begun | undefined
  let release = async (): Promise<void> => {}

  const warm = (lists: Begun["lists"], context: Kit.Context): number => {
    let found = 0
    const until = performance.now() + warmUp(context) * 1_000
    do found = Cases.pass(matcher, lists, form.counted)
    while (performance.now() < until)
    return found
  }

  const begin = async (context: Kit.Context): Promise<Begun> => {
    const all = Cases.numbers(sized(form, context), form.mix)
    const lists = Cases.chunks(all)
    if (peerOf === undefined || missing() !== undefined) {
      return { lists, found: warm(lists, context), passes: [], rival: undefined }
    }
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skald-cep-"))
    const file = path.join(folder, "events")
    const small = path.join(folder, "check")
    const numbers = Cases.numbers(form.check.events, form.check.mix)
    fs.writeFileSync(file, all)
    fs.writeFileSync(small, numbers)
    const peer = new JavaPeer(peerOf.engine, peerOf.form ?? form.form, form.window, file)
    release = async () => {
      await peer.close()
      fs.rmSync(folder, { recursive: true, force: true })
    }
    const compared = Cases.pass(matcher, Cases.chunks(numbers))
    if (compared === 0) throw new Error(`"${form.form}" is compared on nothing`)
    const found = warm(lists, context)
    const checked = await peer.ask(`check ${small}`)
    same(peerOf, checked.matches, compared)
    const warmed = await peer.ask(`warm ${warmUp(context)} ${longest(context)}`)
    return { lists, found, passes: [], rival: { peer, compared, passes: warmed.ended ? [] : [warmed] } }
  }

  const setup = async (context: Kit.Context): Promise<Begun> => begun ??= await begin(context)

  const ours: Kit.Side<Begun> = {
    setup,
    value: ({ found, lists, passes }, context) => {
      const before = process.cpuUsage()
      const from = performance.now()
      const matches = Cases.pass(matcher, lists, form.counted)
      const seconds = (performance.now() - from) / 1_000
      const { system, user } = process.cpuUsage(before)
      if (matches !== found) throw new Error("not every pass found the same")
      passes.push({ events: sized(form, context), seconds, cpu: (system + user) / 1_000_000 })
      return byClock(passes.at(-1)!)
    }
  }

  const theirs: Kit.Side<Begun> = {
    setup,
    value: async ({ found, rival }, context) => {
      const { passes, peer } = rival!
      if (passes.at(-1)?.ended === false) return byClock(passes.at(-1)!)
      if (taken(passes) >= longest(context)) return Kit.median(passes.map(byClock))
      const answer = await peer.ask(`pass ${longest(context)}`)
      if (answer.ended) same(peerOf!, answer.matches, found)
      passes.push(answer)
      return byClock(answer)
    }
  }

  const also = (): Record<string, string | number> => {
    const { found, passes, rival } = begun!
    const rate = Kit.median(passes.map(byProcessor))
    if (rival === undefined) return { matches: found, "ours by processor time": rate }
    const last = rival.passes.at(-1)!
    const used = last.ended ? rival.passes : [last]
    const theirs = Kit.median(used.map(byProcessor))
    return {
      matches: found,
      "matches of the comparison before": rival.compared,
      "ours by processor time": rate,
      "peer's by processor time": theirs,
      "ratio by processor time": rate / theirs,
      "peer's passes": last.ended
        ? rival.passes.length
        : `stopped at ${last.events} of ${passes[0]!.events} events after ${last.seconds.toFixed(1)} s`
    }
  }

  const end = async (): Promise<void> => {
    // events of many cases, and as many virtual machines, would be in each other's way
    begun = undefined
    await release()
  }

  return { ours, theirs, also, end, lacks: missing }
}
