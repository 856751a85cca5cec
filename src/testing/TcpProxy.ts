/**
 * A connection that fails when a test wants it to: stands between a client and its server, and cuts, freezes, slows or
 * refuses what goes through.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as net from "node:net"
// What passes is bytes of the outside world, which no TestClock moves.
import { setTimeout } from "node:timers"

/**
 * Where the server is.
 *
 * @since 0.1.0
 * @category models
 */
export interface Target {
  readonly host: string
  readonly port: number
}

/**
 * A proxy that runs. What is said of connections holds for those that are there and for those that come, until
 * {@link TcpProxy.heal}.
 *
 * @since 0.1.0
 * @category models
 */
export interface TcpProxy {
  readonly host: string
  readonly port: number
  /** The address of the server, by way of the proxy. */
  readonly through: (url: string) => string
  /** Resets the connections that are there. New ones are let through. */
  readonly cut: Effect.Effect<void>
  /**
   * Resets the connections when the next bytes come from a client that hold some text, before or after these have been passed
   * on: `before`, the server never hears of it; `after`, it does and the client never hears of the answer.
   */
  readonly cutAt: (text: string, when: "before" | "after") => Effect.Effect<void>
  /** Resets the connections that are there, and each that comes. */
  readonly refuse: Effect.Effect<void>
  /** Nothing more goes through in either direction, and neither side is told. */
  readonly freeze: Effect.Effect<void>
  /** Each piece waits so many milliseconds, in both directions. */
  readonly slow: (millis: number) => Effect.Effect<void>
  /** Everything goes through as it comes. What was held back is let go. */
  readonly heal: Effect.Effect<void>
  /** How many connections there are, and how often a text was met by {@link TcpProxy.cutAt}. */
  readonly connections: Effect.Effect<number>
  readonly met: Effect.Effect<number>
}

interface Pair {
  readonly client: net.Socket
  readonly server: net.Socket
}

/**
 * A proxy to a server, on a free port of this machine, until the scope ends.
 *
 * @example
 * ```ts
 * import * as TcpProxy from "effect-skald/testing/TcpProxy"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const proxy = yield* TcpProxy.make({ host: "127.0.0.1", port: 5432 })
 *   yield* Effect.log(proxy.through("postgres://postgres@127.0.0.1:5432/postgres"))
 *   yield* proxy.cut
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (target: Target): Effect.Effect<TcpProxy, Error, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<Running, Error>((resume) => {
        const running = new Running(target)
        running.listener.once("error", (error) => resume(Effect.fail(error)))
        running.listener.listen(0, "127.0.0.1", () => resume(Effect.succeed(running)))
      }),
      (running) => Effect.async<void>((resume) => running.close(() => resume(Effect.void)))
    ),
    (running) => {
      const { port } = running.listener.address() as net.AddressInfo
      return {
        host: "127.0.0.1",
        port,
        through: (url) => {
          const address = new URL(url)
          address.hostname = "127.0.0.1"
          address.port = String(port)
          return address.href
        },
        cut: Effect.sync(() => running.cut()),
        cutAt: (text, when) => Effect.sync(() => void (running.trap = { text, when })),
        refuse: Effect.sync(() => {
          running.refusing = true
          running.cut()
        }),
        freeze: Effect.sync(() => running.freeze()),
        slow: (millis) => Effect.sync(() => void (running.delay = millis)),
        heal: Effect.sync(() => running.heal()),
        connections: Effect.sync(() => running.pairs.size),
        met: Effect.sync(() => running.met)
      }
    }
  )

class Running {
  readonly pairs = new Set<Pair>()
  readonly listener: net.Server
  readonly target: Target
  refusing = false
  frozen = false
  delay = 0
  met = 0
  trap: { readonly text: string; readonly when: "before" | "after" } | undefined

  constructor(target: Target) {
    this.target = target
    this.listener = net.createServer((client) => this.accept(client))
  }

  accept(client: net.Socket): void {
    if (this.refusing) return void client.resetAndDestroy()
    const pair: Pair = { client, server: net.connect(this.target.port, this.target.host) }
    this.pairs.add(pair)
    client.setNoDelay(true)
    pair.server.setNoDelay(true)
    this.pass(pair, client, pair.server)
    this.pass(pair, pair.server, client)
    if (this.frozen) freezePair(pair)
  }

  /** What comes from one side goes to the other, in order, as fast as that one takes it. */
  pass(pair: Pair, from: net.Socket, to: net.Socket): void {
    const write = (bytes: Buffer): void => {
      if (to.destroyed) return
      if (to.write(bytes)) return
      from.pause()
      to.once("drain", () => {
        if (!this.frozen) from.resume()
      })
    }
    from.on("data", (bytes: Buffer) => {
      const { trap } = this
      if (trap !== undefined && from === pair.client && bytes.includes(trap.text)) {
        this.trap = undefined
        this.met++
        // the answer is not passed on: it stays behind with the connection
        if (trap.when === "after") {
          pair.server.removeAllListeners("data")
          pair.server.resume()
          pair.server.write(bytes, () => setTimeout(() => resetPair(pair), 50))
        } else resetPair(pair)
        return
      }
      if (this.delay > 0) setTimeout(() => write(bytes), this.delay)
      else write(bytes)
    })
    from.on("error", () => {})
    from.once("end", () => to.end())
    from.once("close", () => {
      this.pairs.delete(pair)
      to.destroy()
    })
  }

  cut(): void {
    for (const pair of this.pairs) resetPair(pair)
  }

  freeze(): void {
    this.frozen = true
    for (const pair of this.pairs) freezePair(pair)
  }

  heal(): void {
    this.refusing = false
    this.frozen = false
    this.delay = 0
    this.trap = undefined
    for (const { client, server } of this.pairs) {
      client.resume()
      server.resume()
    }
  }

  close(then: () => void): void {
    this.listener.close(then)
    for (const { client, server } of this.pairs) {
      client.destroy()
      server.destroy()
    }
  }
}

const resetPair = ({ client, server }: Pair): void => {
  client.resetAndDestroy()
  server.resetAndDestroy()
}

const freezePair = ({ client, server }: Pair): void => {
  client.pause()
  server.pause()
}
