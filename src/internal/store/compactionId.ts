import { v5 } from "uuid"

/** The namespace of the ids of snapshot events: the same stream at the same version, the same id. */
const compactions = "0f6f6a52-5d0c-4a7e-8f0a-6a2a1c8e9b17"

/** The id of the snapshot event that compaction writes after a version of a stream. */
export const compactionId = (stream: string, after: number): string => v5(`${stream}\u0000${after}`, compactions)
