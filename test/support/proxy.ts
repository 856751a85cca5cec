/** A way to a server that a test can close: connections are cut, and new ones refused. */
import { Effect, type Scope } from "effect"
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"

export interface Proxy {
  /** The address of the server, by way of the proxy. */
  readonly url: string
  readonly down: Effect.Effect<void>
  readonly up: Effect.Effect<void>
}

export const make = (address: string): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.gen(function*() {
    const target = new URL(address)
    const sockets = new Set<Socket>()
    let server: Server | undefined
    let port = 0
    const up = Effect.async<void>((resume) => {
      server = createServer((near) => {
        const far = connect(Number(target.port), target.hostname)
        for (const socket of [near, far]) {
          sockets.add(socket)
          socket.on("error", () => {})
          socket.on("close", () => {
            sockets.delete(socket)
            near.destroy()
            far.destroy()
          })
        }
        near.pipe(far)
        far.pipe(near)
      })
      server.listen(port, "127.0.0.1", () => {
        port = (server!.address() as AddressInfo).port
        resume(Effect.void)
      })
    })
    const down = Effect.async<void>((resume) => {
      server!.close(() => resume(Effect.void))
      for (const socket of sockets) socket.destroy()
    })
    yield* Effect.acquireRelease(up, () => Effect.suspend(() => server!.listening ? down : Effect.void))
    const url = new URL(address)
    url.hostname = "127.0.0.1"
    url.port = String(port)
    return { url: url.href, down, up }
  })
