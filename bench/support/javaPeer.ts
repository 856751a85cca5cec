/**
 * Peers that run on Java: built by Maven, one process for each case, told what to do line by line (`bench/peers/java`).
 */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import * as readline from "node:readline"

export type Engine = "Esper" | "Flink CEP"

const mains: Record<Engine, string> = { Esper: "skald.EsperPeer", "Flink CEP": "skald.FlinkPeer" }
const folder = path.resolve("bench/peers/java")

const works = (command: string, ...args: ReadonlyArray<string>): boolean =>
  spawnSync(command, args, { stdio: "ignore" }).status === 0

const build = (): string | undefined => {
  if (!works("java", "-version")) return "there is no Java"
  const libs = path.join(folder, "target/libs")
  const classes = path.join(folder, "target/classes/skald/FlinkPeer.class")
  const sources = path.join(folder, "src/main/java/skald")
  const newest = Math.max(
    fs.statSync(path.join(folder, "pom.xml")).mtimeMs,
    ...fs.readdirSync(sources).map((name) => fs.statSync(path.join(sources, name)).mtimeMs)
  )
  if (fs.existsSync(libs) && fs.existsSync(classes) && fs.statSync(classes).mtimeMs > newest) return undefined
  if (!works("mvn", "-version")) return "there is no Maven to build them"
  const built = spawnSync("mvn", [
    "-q",
    "-B",
    "clean",
    "compile",
    "dependency:copy-dependencies",
    `-DoutputDirectory=${libs}`
  ], {
    cwd: folder,
    encoding: "utf8"
  })
  return built.status === 0 ? undefined : `Maven could not build them: ${built.stdout.slice(0, 500)}`
}

let lacks: { readonly reason: string | undefined } | undefined
/** Builds them if need be, the first time. Answers what is missing, if anything is. */
export const missing = (): string | undefined => {
  if (lacks === undefined) {
    lacks = { reason: build() }
    if (lacks.reason !== undefined) console.error(`Esper and Flink CEP are left out: ${lacks.reason}.`)
  }
  return lacks.reason
}

export interface Answer {
  /** -1 where it did not end. */
  readonly matches: number
  readonly events: number
  readonly seconds: number
  /** Of processor time, of all threads. */
  readonly cpu: number
  /** Whether it came to the end in time, and had the memory for it. */
  readonly ended: boolean
}

/** A peer at work on a file of events. It reads them while ours warms up. */
export class JavaPeer {
  private readonly child: ReturnType<typeof spawn>
  /** Who waits for the next line. There is one line for each that is asked. */
  private heard: (line: string | undefined) => void = () => undefined

  constructor(engine: Engine, form: string, window: number, file: string) {
    this.child = spawn("java", [
      "-Xmx3g",
      "-XX:+UseParallelGC",
      "-cp",
      ["target/classes", "target/libs/*"].map((each) => path.join(folder, each)).join(path.delimiter),
      mains[engine],
      form,
      String(window),
      file
    ], { stdio: ["pipe", "pipe", "inherit"] })
    // who has ended does not read
    this.child.stdin!.on("error", () => undefined)
    readline.createInterface({ input: this.child.stdout! })
      .on("line", (line) => this.heard(line))
      .on("close", () => this.heard(undefined))
  }

  async ask(line: string): Promise<Answer> {
    const answered = new Promise<string | undefined>((resolve) => {
      this.heard = resolve
    })
    this.child.stdin!.write(`${line}\n`)
    const answer = await answered
    if (answer === undefined) throw new Error(`the peer ended without an answer to "${line}"`)
    return JSON.parse(answer) as Answer
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const closed = once(this.child, "exit")
    this.child.kill()
    await closed
  }
}
