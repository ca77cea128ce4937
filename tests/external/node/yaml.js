// Validate YAML files as an editor with the YAML language server does, by the schema that each
// file names in its first line. Prints complaints with positions; exit 1 if there are any.
const { readFileSync } = require("node:fs");
const path = require("node:path");
const { pathToFileURL, fileURLToPath } = require("node:url");
const { getLanguageService } = require("yaml-language-server");
const { TextDocument } = require("vscode-languageserver-textdocument");

async function main(files) {
  const service = getLanguageService({
    schemaRequestService: async (uri) => readFileSync(fileURLToPath(uri), "utf8"),
    workspaceContext: { resolveRelativePath: (relative, resource) => new URL(relative, resource).href },
  });
  service.configure({ validate: true, yamlVersion: "1.2", schemas: [] });
  let failed = false;
  for (const file of files) {
    const text = readFileSync(file, "utf8");
    const uri = pathToFileURL(path.resolve(file)).href;
    const found = await service.doValidation(TextDocument.create(uri, "yaml", 1, text), false);
    for (const { range, message } of found)
      console.log(`${file}:${range.start.line + 1}:${range.start.character + 1}: ${message}`);
    if (found.length) failed = true;
    else console.log(`${file}: ok`);
  }
  process.exit(failed ? 1 : 0);
}

main(process.argv.slice(2));
