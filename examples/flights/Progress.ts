/**
 * How far a piece of work has come: a bar on a terminal, a line now and then elsewhere.
 */
import { Clock, Effect, Schedule, type Scope } from "effect"
import { Screen } from "./Screen.ts"

/** Work that is under way. */
export interface Progress {
  /** Says that something was done. Costs next to nothing. */
  readonly add: (count: number) => void
  /** Says how things stand, where the end moves as well. */
  readonly set: (standing: { readonly done: number; readonly total: number }) => void
}

/** How things stand. */
export interface Standing {
  readonly done: number
  readonly total: number
  /** What was done a second, since the beginning of this run. */
  readonly rate: number
  /** Seconds. */
  readonly left: number
  /** What is counted: `flights` when not given. */
  readonly unit?: string | undefined
}

/** Shows the progress until the scope ends. What an earlier run did is there from the beginning, and has no part in the rate. */
export const make = (options: {
  readonly before: number
  readonly total: number
  readonly unit?: string | undefined
}): Effect.Effect<Progress, never, Screen | Scope.Scope> =>
  Effect.gen(function*() {
    const screen = yield* Screen
    const began = yield* Clock.currentTimeMillis
    let { before: done, total } = options
    const show = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const rate = now > began ? (done - options.before) / (now - began) * 1_000 : 0
      const standing = { done, total, rate, left: rate > 0 ? (total - done) / rate : Infinity, unit: options.unit }
      return screen.status(screen.isTerminal ? bar(standing, screen.columns) : line(standing))
    })
    yield* Effect.addFinalizer(() => Effect.zipRight(show, screen.settle))
    yield* show.pipe(
      Effect.schedule(Schedule.spaced(screen.isTerminal ? "100 millis" : "1 second")),
      Effect.forkScoped
    )
    return {
      add: (count) => {
        done += count
      },
      set: (standing) => {
        done = standing.done
        total = standing.total
      }
    }
  })

/** One line with a bar as wide as fits: `████████▌        42 %  8,400 of 20,000  3,912/s  3 s left`. */
export const bar = (standing: Standing, columns: number): string => {
  const text = line(standing)
  const width = Math.min(40, columns - text.length - 3)
  return width < 5 ? text.slice(0, columns - 1) : `${blocks(standing, width)}  ${text}`
}

/** The same without the bar. */
export const line = ({ done, left, rate, total, unit = "flights" }: Standing): string =>
  [
    `${percent(done, total).toString().padStart(3)} %`,
    `${count(done)} of ${count(total)} ${unit}`,
    `${count(Math.round(rate))}/s`,
    done >= total ? "done" : `${duration(left)} left`
  ].join("  ")

const blocks = ({ done, total }: Standing, width: number): string => {
  const eighths = Math.floor((total === 0 ? 1 : Math.min(1, done / total)) * width * 8)
  const filled = "█".repeat(Math.floor(eighths / 8)) + (eighths % 8 === 0 ? "" : " ▏▎▍▌▋▊▉".charAt(eighths % 8))
  return filled.padEnd(width, "░")
}

const percent = (done: number, total: number): number => total === 0 ? 100 : Math.floor(done / total * 100)

const count = (value: number): string => value.toLocaleString("en-US")

const duration = (seconds: number): string =>
  !Number.isFinite(seconds)
    ? "?"
    : seconds < 90
    ? `${Math.ceil(seconds)} s`
    : seconds < 5_400
    ? `${Math.round(seconds / 60)} min`
    : `${(seconds / 3_600).toFixed(1)} h`
