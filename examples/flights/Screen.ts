/**
 * What a person sees: text on standard output, and on standard error notes with a line of status beneath them.
 */
import { Context, Effect, Layer } from "effect"

export interface Service {
  /** Whether the status can be drawn again and again in one place. */
  readonly isTerminal: boolean
  /** Whether what is shown may be coloured. */
  readonly hasColors: boolean
  /** How many characters fit into a line. */
  readonly columns: number
  /** Writes what the program is for. */
  readonly show: (text: string) => Effect.Effect<void>
  /** Writes a line above the status. */
  readonly note: (line: string) => Effect.Effect<void>
  /** Draws the status in the place of the last one; where there is no terminal, as a line of its own. */
  readonly status: (line: string) => Effect.Effect<void>
  /** Leaves the status as it is; what comes next is written beneath it. */
  readonly settle: Effect.Effect<void>
}

export class Screen extends Context.Tag("flights/Screen")<Screen, Service>() {}

export const layer = Layer.sync(Screen, (): Service => {
  const { stderr, stdout } = process
  const isTerminal = stderr.isTTY === true
  let status = ""
  const write = (text: string) =>
    Effect.sync(() => {
      stderr.write(text)
    })
  const redraw = (line: string, above = "") => write(`\r\u001b[2K${above}${line}`)
  return {
    isTerminal,
    hasColors: stdout.isTTY === true && stdout.hasColors(),
    get columns() {
      return stdout.columns ?? stderr.columns ?? 100
    },
    show: (text) =>
      Effect.sync(() => {
        stdout.write(`${text}\n`)
      }),
    note: (line) => Effect.suspend(() => isTerminal ? redraw(status, `${line}\n`) : write(`${line}\n`)),
    status: (line) =>
      Effect.suspend(() => {
        status = line
        return isTerminal ? redraw(line) : write(`${line}\n`)
      }),
    settle: Effect.suspend(() => {
      const drawn = status !== ""
      status = ""
      return isTerminal && drawn ? write("\n") : Effect.void
    })
  }
})
