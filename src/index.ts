// The core of Skald, re-exported as namespaces. Drivers are imported by subpath.
export {}
