/** Databases of the server that `SKALD_POSTGRES_URL` names. */
import { randomBytes } from "node:crypto"
import * as Pg from "pg"

export const server = process.env["SKALD_POSTGRES_URL"] ?? ""

/** As many connections as every side of a comparison has. */
export const poolSize = 10

const administer = async (text: string): Promise<void> => {
  const client = new Pg.Client(server)
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}

/** An empty database: its address. */
export const create = async (): Promise<string> => {
  const name = `bench_${randomBytes(6).toString("hex")}`
  await administer(`CREATE DATABASE ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}

export const drop = (url: string): Promise<void> =>
  administer(`DROP DATABASE ${new URL(url).pathname.slice(1)} WITH (FORCE)`)
