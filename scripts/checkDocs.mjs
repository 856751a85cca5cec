#!/usr/bin/env node
/**
 * Public exports of src have a doc comment with a sentence, `@since` and `@category`; and src reads no clock but Clock
 * and rolls no dice but Random. Prints `file:line  problem` for each, and fails when there is one.
 */
import * as path from "node:path"
import process from "node:process"
import ts from "typescript"

const root = path.join(import.meta.dirname, "..")
const config = ts.getParsedCommandLineOfConfigFile(path.join(root, "tsconfig.build.json"), {}, {
  ...ts.sys,
  onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
    throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n"))
  }
})
const program = ts.createProgram(config.fileNames, { ...config.options, noEmit: true })
const checker = program.getTypeChecker()

const problems = []
let documented = 0
const withoutExample = new Map()
const long = []

const relative = (file) => path.relative(root, file)
const isPublic = (file) => {
  const name = relative(file)
  return name.startsWith("src" + path.sep) && !name.startsWith(path.join("src", "internal") + path.sep)
}
const report = (node, problem) => {
  const file = node.getSourceFile()
  const { line } = file.getLineAndCharacterOfPosition(node.getStart())
  problems.push(`${relative(file.fileName)}:${line + 1}  ${problem}`)
}

/** The node that carries the comment: the statement of a variable, the declaration otherwise. */
const commented = (declaration) => ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration

const docsOf = (declaration) => ts.getJSDocCommentsAndTags(commented(declaration)).filter(ts.isJSDoc)

const checkDocs = (name, declaration, needsCategory) => {
  const docs = docsOf(declaration)
  const doc = docs[docs.length - 1]
  if (doc === undefined) return report(declaration, `${name} has no doc comment`)
  const tags = doc.tags ?? []
  const named = (tag) => tags.find((candidate) => candidate.tagName.text === tag)
  if (named("internal") !== undefined) return
  documented++
  const text = (ts.getTextOfJSDocComment(doc.comment) ?? "").trim()
  if (text === "") report(declaration, `${name}: the doc comment says nothing`)
  else if (!/[.:!?)`]\s*($|\n)/.test(text)) report(declaration, `${name}: the doc comment has no whole sentence`)
  const since = ts.getTextOfJSDocComment(named("since")?.comment)
  if (since === undefined || !/^\d+\.\d+\.\d+$/.test(since.trim())) report(declaration, `${name}: no @since x.y.z`)
  if (needsCategory) {
    const category = ts.getTextOfJSDocComment(named("category")?.comment)?.trim()
    if (category === undefined) report(declaration, `${name}: no @category`)
    else if (!/^[a-z][a-z -]*s$/.test(category)) {
      report(declaration, `${name}: @category "${category}" is not a lower-case plural`)
    }
  }
  if (named("example") === undefined && (ts.isVariableDeclaration(declaration) || ts.isFunctionLike(declaration))) {
    const file = relative(declaration.getSourceFile().fileName)
    withoutExample.set(file, [...(withoutExample.get(file) ?? []), name])
  }
}

/** One comment is enough for the overloads of one function; a type and a value of one name need one each. */
const checkSymbol = (symbol, prefix, file) => {
  const name = prefix + symbol.name
  const specifiers = (symbol.declarations ?? []).filter((node) =>
    ts.isExportSpecifier(node) || ts.isNamespaceExport(node)
  )
  if (specifiers.some(ts.isNamespaceExport)) {
    for (const node of specifiers) checkDocs(name, node.parent, false)
    return
  }
  const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
  const declarations = (target.declarations ?? []).filter((node) =>
    relative(node.getSourceFile().fileName).startsWith("src")
  )
  if (declarations.length === 0 && specifiers.length === 0) return
  // A re-export of another public module is documented where it is declared.
  if (
    specifiers.length > 0 &&
    declarations.every((node) => node.getSourceFile() !== file && isPublic(node.getSourceFile().fileName))
  ) {
    return
  }
  if (symbol.name === "default") report(declarations[0] ?? specifiers[0], "a default export: name it")
  const functions = declarations.filter(ts.isFunctionDeclaration)
  if (functions.length > 0) {
    checkDocs(name, functions.find((node) => docsOf(node).length > 0) ?? functions[0], true)
  }
  for (const declaration of declarations) {
    if (ts.isFunctionDeclaration(declaration) || ts.isBindingElement(declaration)) continue
    // `export declare namespace X` beside a class or an interface X only holds its types.
    if (ts.isModuleDeclaration(declaration)) {
      if (declarations.length === 1) checkDocs(name, declaration, false)
      continue
    }
    checkDocs(name, declaration, true)
  }
  if (target.flags & ts.SymbolFlags.Namespace) {
    const seen = new Set()
    target.exports?.forEach((member) => {
      const inside = (member.declarations ?? []).some((node) => ts.isModuleBlock(node.parent))
      if (inside && !seen.has(member)) {
        seen.add(member)
        checkSymbol(member, `${name}.`, file)
      }
    })
  }
}

const clock = (node) => {
  if (ts.isNewExpression(node) && node.expression.getText() === "Date" && (node.arguments?.length ?? 0) === 0) {
    report(node, "new Date() reads the machine's clock: use Clock")
  }
  if (ts.isCallExpression(node) && node.expression.getText() === "Date") {
    report(node, "Date() reads the machine's clock: use Clock")
  }
  if (ts.isPropertyAccessExpression(node)) {
    const text = node.getText()
    if (text === "Date.now" || text === "performance.now" || text === "process.hrtime") {
      report(node, `${text}: use Clock`)
    }
    if (text === "Math.random") report(node, "Math.random: use Random")
  }
  ts.forEachChild(node, clock)
}

for (const file of program.getSourceFiles()) {
  const name = relative(file.fileName)
  if (file.isDeclarationFile || !name.startsWith("src" + path.sep)) continue
  clock(file)
  const lines = file.getLineAndCharacterOfPosition(file.end).line + 1
  if (lines > 350) long.push(`${name} (${lines} lines)`)
  if (!isPublic(file.fileName)) continue
  const symbol = checker.getSymbolAtLocation(file)
  if (symbol === undefined) continue
  if (name !== path.join("src", "index.ts") && !/^[A-Z][A-Za-z0-9]*\.ts$/.test(path.basename(name))) {
    problems.push(`${name}:1  a public module is one concept in PascalCase; details go to src/internal`)
  }
  for (const exported of checker.getExportsOfModule(symbol)) checkSymbol(exported, "", file)
}

const examples = [...withoutExample.values()].reduce((sum, names) => sum + names.length, 0)
if (process.argv.includes("--examples")) {
  for (const [file, names] of withoutExample) console.log(`${file}: no @example for ${names.join(", ")}`)
}
for (const problem of problems) console.log(problem)
if (long.length > 0) console.log(`note: longer than 350 lines, perhaps two concepts: ${long.join(", ")}`)
console.log(
  `${documented} public exports documented, ${examples} values without @example (--examples lists them), ` +
    `${problems.length} problems`
)
process.exit(problems.length === 0 ? 0 : 1)
