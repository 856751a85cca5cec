import type * as Either from "effect/Either"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import * as Faults from "../faults.ts"
import * as TenantKey from "../store/tenantKey.ts"

export const defaultPrefix = "skald"

/**
 * What every key begins with. It is a hash tag, so that all keys are in one slot of a cluster, where scripts may use them
 * together.
 */
export const base = (prefix: string | undefined): Either.Either<string, InvalidInput> => {
  const faults = Faults.make()
  const value: unknown = prefix ?? defaultPrefix
  if (typeof value !== "string" || !/^[A-Za-z0-9_.:-]{1,64}$/.test(value)) {
    faults.add("prefix", `must be 1 to 64 of A-Z, a-z, 0-9 and _.:-, got ${Faults.show(value)}`)
  }
  return Faults.orInvalid(faults, () => `{${String(value)}}:`)
}

/** What stands between a kind of key and a name: `:`, or the tenant's length and name between colons. */
export const tenant = (name: string): string => TenantKey.tenantKey(name, "")

/** The tenant's name out of that. */
export const tenantOf = (key: string): string => key === ":" ? "" : key.slice(key.indexOf(":") + 1, -1)
