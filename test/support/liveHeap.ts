/** What the heap holds without its garbage, in bytes. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

export const liveHeap = (): number => {
  collect()
  return process.memoryUsage().heapUsed
}
