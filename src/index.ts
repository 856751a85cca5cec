/**
 * The core of Skald, re-exported as namespaces. Drivers are imported by subpath.
 *
 * @since 0.1.0
 */
export * as Event from "./event/Event.ts"
