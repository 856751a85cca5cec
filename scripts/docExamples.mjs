#!/usr/bin/env node
/**
 * Compiles every TypeScript example that a reader can meet: the ```ts fences in doc comments of src, in README.md,
 * CONTRIBUTING.md and docs. One tsc run with the strict options of the project; an error is reported at
 * the line of the file where the example stands.
 *
 * Each fence is a module of its own. ```ts continued goes on from the fence before it in the same markdown file (or
 * the same doc comment); ```ts no-check is left out and counted.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import process from "node:process"
import ts from "typescript"

const root = path.join(import.meta.dirname, "..")
const folder = path.join(root, "tmp", `doc-examples-${process.pid}`)

const filesIn = (directory, ending) =>
  fs.existsSync(path.join(root, directory))
    ? fs.readdirSync(path.join(root, directory), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(ending))
      .map((name) => path.join(directory, name))
    : []

const sources = filesIn("src", ".ts").filter((name) => !name.startsWith(path.join("src", "internal")))
const pages = [
  ...["README.md", "CONTRIBUTING.md", path.join("bench", "README.md")].filter((name) =>
    fs.existsSync(path.join(root, name))
  ),
  ...filesIn("docs", ".md").filter((name) =>
    !name.startsWith(path.join("docs", "api")) && !name.startsWith(path.join("docs", "soak"))
  )
]

const problems = []
let unchecked = 0

/** Reads the fences of a text that starts at `first` (a line number from 0), each line with its number and column. */
const fencesOf = (file, lines, first, strip) => {
  const found = []
  let open
  lines.forEach((raw, index) => {
    const number = first + index
    const line = raw.replace(strip, "")
    const column = raw.length - line.length
    const fence = /^\s*(```+|~~~+)\s*(\S*)\s*(.*)$/.exec(line)
    if (open === undefined) {
      if (fence === null) return
      const language = fence[2]
      open = {
        mark: fence[1],
        indent: line.search(/\S/),
        ts: language === "ts" || language === "typescript",
        info: fence[3],
        lines: []
      }
      open.line = number
    } else if (fence !== null && fence[2] === "" && fence[1].startsWith(open.mark)) {
      if (open.ts) {
        if (open.info === "no-check") unchecked++
        else if (open.info !== "" && open.info !== "continued") {
          problems.push(`${file}:${open.line + 1}  unknown word after the fence: "${open.info}"`)
        } else found.push(open)
      }
      open = undefined
    } else {
      open.lines.push({ number, column: column + Math.min(open.indent, line.length), text: line.slice(open.indent) })
    }
  })
  if (open !== undefined) problems.push(`${file}:${open.line + 1}  a fence that is never closed`)
  return found
}

const examples = []
const add = (file, fences) => {
  for (const fence of fences) {
    const last = examples[examples.length - 1]
    if (fence.info === "continued") {
      if (last === undefined || last.file !== file) problems.push(`${file}:${fence.line + 1}  nothing to continue`)
      else last.lines.push(...fence.lines)
    } else examples.push({ file, line: fence.line, lines: [...fence.lines] })
  }
}

for (const file of sources) {
  const text = fs.readFileSync(path.join(root, file), "utf8")
  for (const match of text.matchAll(/^[ \t]*\/\*\*[\s\S]*?\*\//gm)) {
    const first = text.slice(0, match.index).split("\n").length - 1
    const lines = match[0].split("\n")
    const fences = fencesOf(file, lines, first, /^\s*\* ?/)
    lines.forEach((line, index) => {
      const fenced = /^\s*\*\s*```/.test(lines[index + 1] ?? "")
      if (/^\s*\*\s*@example\s*$/.test(line) && !fenced) {
        problems.push(`${file}:${first + index + 1}  an @example without a \`\`\`ts fence is not compiled`)
      }
    })
    add(file, fences)
  }
}
for (const file of pages) {
  add(file, fencesOf(file, fs.readFileSync(path.join(root, file), "utf8").split("\n"), 0, /^/))
}

fs.mkdirSync(folder, { recursive: true })
process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }))
const compiled = new Map()
for (const example of examples) {
  // Blank lines before and between keep every line of the example at the number that it has in its file.
  const text = []
  for (const line of example.lines) text[line.number] = line.text
  const name = path.join(folder, `${example.file.replace(/[\\/.]/g, "_")}_${example.line + 1}.ts`)
  fs.writeFileSync(name, Array.from(text, (line) => line ?? "").join("\n") + "\n")
  compiled.set(name, example)
}

const base = ts.readConfigFile(path.join(root, "tsconfig.json"), ts.sys.readFile)
const { options } = ts.parseJsonConfigFileContent({ ...base.config, include: [], files: [] }, ts.sys, root)
const program = ts.createProgram([...compiled.keys()], {
  ...options,
  noEmit: true,
  incremental: false,
  tsBuildInfoFile: undefined,
  declaration: false,
  declarationMap: false,
  noUnusedLocals: false
})
let mistaken = 0
for (const [name, example] of compiled) {
  const file = program.getSourceFile(name)
  const diagnostics = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
  if (diagnostics.length > 0) mistaken++
  for (const diagnostic of diagnostics) {
    const place = file.getLineAndCharacterOfPosition(diagnostic.start ?? 0)
    const column = example.lines.find((line) => line.number === place.line)?.column ?? 0
    const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n  ")
    problems.push(`${example.file}:${place.line + 1}:${place.character + column + 1}  TS${diagnostic.code}: ${message}`)
  }
}

for (const problem of problems) console.log(problem)
const inSource = examples.filter((example) => example.file.startsWith("src")).length
console.log(
  `${examples.length} examples compiled (${inSource} in src, ${
    examples.length - inSource
  } in pages), ${mistaken} wrong, ` +
    `${unchecked} marked no-check`
)
process.exit(problems.length === 0 ? 0 : 1)
