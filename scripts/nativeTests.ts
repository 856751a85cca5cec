/**
 * Which test files reach a native addon (better-sqlite3), so that the others can run on a Node for which none was built.
 * A file reaches what it imports, what it imports by `import()`, and every script that it names in a string; one that
 * hides its need says `// needs: native addon`.
 */
import * as fs from "node:fs"
import * as path from "node:path"

const addon = /^(better-sqlite3|@effect\/sql-sqlite-node)$/

/** The specifiers of a module's imports (types aside) and its strings that look like scripts. */
const specifiers = (text: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (const match of text.matchAll(/^\s*(?:import|export)\s+(?!type\b)(?:[^"']*?\sfrom\s*)?["']([^"']+)["']/gm)) {
    found.push(match[1] ?? "")
  }
  for (const match of text.matchAll(/\b(?:import|require)\(\s*["']([^"']+)["']/g)) found.push(match[1] ?? "")
  for (const match of text.matchAll(/["'`]([\w./-]+\.ts)["'`]/g)) found.push(match[1] ?? "")
  return found
}

const resolve = (root: string, from: string, specifier: string): string | undefined => {
  const candidates = specifier === "effect-skald"
    ? [path.join(root, "src", "index.ts")]
    : specifier.startsWith("effect-skald/")
    ? [path.join(root, "src", `${specifier.slice("effect-skald/".length)}.ts`)]
    : specifier.endsWith(".ts")
    ? [path.resolve(path.dirname(from), specifier), path.resolve(root, specifier)]
    : []
  return candidates.find((candidate) => fs.existsSync(candidate))
}

/** The test files, relative to the root, that reach a native addon; sorted. */
export const nativeTests = (root: string): ReadonlyArray<string> => {
  const graph = new Map<string, { readonly native: boolean; readonly next: ReadonlyArray<string> }>()
  const read = (file: string) => {
    const known = graph.get(file)
    if (known !== undefined) return known
    const text = fs.readFileSync(file, "utf8")
    const names = specifiers(text)
    const node = {
      native: names.some((name) => addon.test(name)) || /^\/\/ needs: native addon\b/m.test(text),
      next: names.flatMap((name) => resolve(root, file, name) ?? [])
    }
    graph.set(file, node)
    return node
  }
  const reaches = (start: string): boolean => {
    const seen = new Set([start])
    const waiting = [start]
    for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
      const node = read(file)
      if (node.native) return true
      for (const next of node.next) {
        if (!seen.has(next)) {
          seen.add(next)
          waiting.push(next)
        }
      }
    }
    return false
  }
  return fs.readdirSync(path.join(root, "test"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => path.join("test", name))
    .filter((name) => reaches(path.join(root, name)))
    .sort()
}
