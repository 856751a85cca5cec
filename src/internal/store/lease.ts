import { readFileSync, readlinkSync } from "node:fs"
import { hostname } from "node:os"

const tryRead = (read: () => string): string | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}

/**
 * The set of processes among which a process id means something: the host since it was started, and on Linux the
 * namespace of process ids, since containers on one host have their own.
 */
export const machine: string = [
  hostname(),
  tryRead(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()) ?? "",
  tryRead(() => readlinkSync("/proc/self/ns/pid")) ?? ""
].join(" ")

/** When a process started, in ticks since the start of the host (field 22 of its `stat`); where the system tells. */
const startOf = (pid: number): string | undefined => {
  const stat = tryRead(() => readFileSync(`/proc/${pid}/stat`, "latin1"))
  // The second field is the name in parentheses, which may hold anything, parentheses too.
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19]
}

/** Names a process of this machine for others: process ids are used again, so that its start belongs to it. */
export const processId = (pid: number): string => `${pid} ${startOf(pid) ?? ""}`

/** This process, for the table. */
export const self: string = processId(process.pid)

/** This process, for people. */
export const processLabel: string = `${hostname()}/${process.pid}`

const exists = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // It exists and is somebody else's.
    return (error as { readonly code?: unknown }).code === "EPERM"
  }
}

/** Whether a process is certainly dead; `false` where that cannot be told, as on another machine. */
export const isDead = (itsMachine: string, itsProcess: string): boolean => {
  if (itsMachine !== machine) return false
  const [pidText, start] = itsProcess.split(" ")
  const pid = Number(pidText)
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  if (!exists(pid)) return true
  const now = startOf(pid)
  return start !== undefined && start !== "" && now !== undefined && now !== start
}
